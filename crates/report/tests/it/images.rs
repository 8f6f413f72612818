use base64::Engine;
use morphospace_report::{ImageChannel, ImagePanel};

use crate::block_html;

/// Width, height and bytes of every image of a panel.
fn decoded(html: &str) -> Vec<(u32, u32, Vec<u8>)> {
    let images = html.split("data:image/png;base64,").skip(1);
    images
        .map(|rest| {
            let text = rest.split('"').next().expect("quoted");
            let file = base64::engine::general_purpose::STANDARD
                .decode(text)
                .expect("base64");
            let mut reader = png::Decoder::new(std::io::Cursor::new(file))
                .read_info()
                .expect("a PNG header");
            let mut bytes = vec![0; reader.output_buffer_size().expect("a small image")];
            let info = reader.next_frame(&mut bytes).expect("a whole PNG");
            (info.width, info.height, bytes)
        })
        .collect()
}

#[test]
fn channels_are_stretched_one_by_one() {
    let html = block_html(
        ImagePanel::new("site")
            .with_channel(ImageChannel::from_u8("w1", 2, 1, &[10, 20]))
            .with_channel(ImageChannel::from_u16("w2", 2, 1, vec![3000, 1000])),
    );
    let images = decoded(&html);
    assert_eq!(images.len(), 3, "composite and two channels");
    assert_eq!(images[1], (2, 1, vec![0, 255]));
    assert_eq!(images[2], (2, 1, vec![255, 0]));
    // RGB: the first pixel is all w2 (green), the second all w1 (blue).
    assert_eq!(images[0], (2, 1, vec![42, 255, 31, 19, 0, 249]));
    assert!(html.contains("10–20") && html.contains("1000–3000"));
}

#[test]
fn a_range_compares_images() {
    let mut channel = ImageChannel::from_u8("w1", 1, 1, &[51]);
    channel.range = Some((0, 255));
    let html = block_html(
        ImagePanel::new("site")
            .with_channel(channel)
            .without_composite(),
    );
    assert_eq!(decoded(&html), [(1, 1, vec![51])]);
}

#[test]
fn large_images_become_thumbnails() {
    let pixels: Vec<u8> = (0..1024 * 512).map(|i| (i % 251) as u8).collect();
    let channel = ImageChannel::from_u8("w1", 1024, 512, &pixels);
    let images = decoded(&block_html(ImagePanel::new("site").with_channel(channel)));
    assert!(
        images
            .iter()
            .all(|(width, height, _)| (*width, *height) == (192, 96))
    );
}

#[test]
fn wrong_sizes_are_named_in_place_of_the_image() {
    let html = block_html(
        ImagePanel::new("site")
            .with_channel(ImageChannel::from_u8("w1", 4, 4, &[0; 15]))
            .with_channel(ImageChannel::from_u8("w2", 0, 4, &[]))
            .with_channel(ImageChannel::from_u8("w3", usize::MAX, 4, &[]))
            .with_channel(ImageChannel::missing("w5")),
    );
    assert!(html.contains("4 × 4 image with 15 pixels"));
    assert!(html.contains("empty image (0 × 4)"));
    assert!(html.contains("no image"));
    assert!(decoded(&html).is_empty());
}

#[test]
fn channels_of_another_size_stay_out_of_the_composite() {
    let html = block_html(
        ImagePanel::new("site")
            .with_channel(ImageChannel::from_u8("w1", 2, 1, &[0, 9]))
            .with_channel(ImageChannel::from_u8("w2", 3, 1, &[0, 9, 9])),
    );
    assert!(html.contains("1 of 2 channels"));
}
