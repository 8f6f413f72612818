use std::path::Path;

use morphospace_screen::{
    EdgePolicy, OnIncomplete, ReadSite, Rxrx1Screen, SelfStandardisation, SiteImage, Tile, Tiling,
    read_site,
};

use crate::support::{assert_names, message, png_u8, png_u16, write, write_rxrx1_site};

const METADATA: &str = "experiment,plate,well,site,well_type\nHUVEC-01,1,B02,1,negative_control\n";
const FOLDER: &str = "images/HUVEC-01/Plate1";

/// A screen of one site whose files `change` may spoil.
fn site_after(change: impl FnOnce(&Path), on_incomplete: OnIncomplete) -> Result<ReadSite, String> {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata.csv", METADATA);
    write_rxrx1_site(folder.path(), FOLDER, "B02_s1");
    change(folder.path());
    let screen = Rxrx1Screen::open(folder.path()).expect("opens");
    read_site(&screen, 0, on_incomplete).map_err(|error| error.to_string())
}

fn image(read: Result<ReadSite, String>) -> SiteImage {
    match read.expect("not refused") {
        ReadSite::Image(image) => image,
        ReadSite::Skipped(site) => panic!("{site}"),
    }
}

fn skipped(read: Result<ReadSite, String>) -> String {
    match read.expect("not refused") {
        ReadSite::Image(_) => panic!("it should have been skipped"),
        ReadSite::Skipped(site) => site.to_string(),
    }
}

fn remove(root: &Path, channel: usize) {
    let path = root.join(format!("{FOLDER}/B02_s1_w{channel}.png"));
    std::fs::remove_file(path).expect("removed");
}

#[test]
fn missing_channels_fail_skip_or_fill() {
    let spoil = |root: &Path| {
        remove(root, 5);
        remove(root, 6);
    };
    assert_names(
        &message(site_after(spoil, OnIncomplete::Fail)),
        &[
            "HUVEC-01 plate 1 well B02 site 1 channel w5 (Mito)",
            "missing",
            "B02_s1_w5.png",
        ],
    );
    assert_names(
        &skipped(site_after(spoil, OnIncomplete::Skip)),
        &[
            "HUVEC-01 plate 1 well B02 site 1",
            "w5 (Mito)",
            "w6 (Golgi)",
        ],
    );
    let filled = image(site_after(spoil, OnIncomplete::Fill));
    assert_eq!(filled.is_filled(), [false, false, false, false, true, true]);
    let tile = Tile {
        top: 0,
        left: 0,
        crop_px: 8,
    };
    let values = filled.crop(tile, SelfStandardisation::InstanceNorm);
    assert!(values[4 * 64..].iter().all(|&value| value == 0.0));
    assert!(values[..4 * 64].iter().any(|&value| value != 0.0));
}

#[test]
fn damage_is_never_filled_over() {
    let truncate = |root: &Path| {
        let bytes = png_u8(8, 8, 9);
        write(
            root,
            &format!("{FOLDER}/B02_s1_w3.png"),
            &bytes[..bytes.len() / 2],
        );
    };
    for policy in [OnIncomplete::Skip, OnIncomplete::Fill] {
        assert_names(
            &skipped(site_after(truncate, policy)),
            &["w3 (Actin)", "truncated"],
        );
    }
    let error = message(site_after(truncate, OnIncomplete::Fail));
    assert_names(
        &error,
        &[
            "w3 (Actin)",
            "truncated",
            "B02_s1_w3.png",
            "hint: fetch the file",
        ],
    );

    let zero_bytes = |root: &Path| write(root, &format!("{FOLDER}/B02_s1_w1.png"), b"");
    assert_names(
        &message(site_after(zero_bytes, OnIncomplete::Fail)),
        &["the file is empty"],
    );
    let text = |root: &Path| {
        write(
            root,
            &format!("{FOLDER}/B02_s1_w1.png"),
            b"<html>404</html>",
        );
    };
    assert_names(
        &message(site_after(text, OnIncomplete::Fail)),
        &["no PNG, TIFF, JPEG, JPEG 2000 or .npy"],
    );
    let is_a_folder = |root: &Path| {
        remove(root, 1);
        write(root, &format!("{FOLDER}/B02_s1_w1.png/x"), b"");
    };
    assert!(site_after(is_a_folder, OnIncomplete::Fail).is_err());

    let wrong_size = |root: &Path| {
        write(root, &format!("{FOLDER}/B02_s1_w4.png"), png_u8(8, 9, 1));
    };
    assert_names(
        &message(site_after(wrong_size, OnIncomplete::Fail)),
        &["w4 (RNA)", "8 x 9 pixels", "w1 (DNA)", "8 x 8"],
    );
    assert_names(
        &skipped(site_after(wrong_size, OnIncomplete::Fill)),
        &["8 x 9 pixels"],
    );
}

#[test]
fn a_site_without_any_image_is_skipped_even_when_filling() {
    let spoil = |root: &Path| (1..=6).for_each(|channel| remove(root, channel));
    assert_names(
        &skipped(site_after(spoil, OnIncomplete::Fill)),
        &["w1 (DNA)", "w6 (Golgi)"],
    );
}

#[test]
fn crops_are_standardised_by_their_own_pixels() {
    let whole = image(site_after(|_| {}, OnIncomplete::Fail));
    let tile = Tile {
        top: 4,
        left: 2,
        crop_px: 4,
    };
    let values = whole.crop(tile, SelfStandardisation::ZeroToOne);
    assert_eq!(values.len(), 6 * 16);
    for channel in values.chunks_exact(16) {
        let mean: f32 = channel.iter().sum::<f32>() / 16.0;
        let squares: f32 = channel.iter().map(|value| value * value).sum();
        assert!(mean.abs() < 1e-5 && (squares / 15.0 - 1.0).abs() < 1e-5);
    }
    // Pixel (4, 2) of channel w1 is 34 * 7 + 3 = 241 and the first of the tile.
    let (pixels, tile_mean): (Vec<f32>, f32) = {
        let pixels: Vec<f32> = (4..8)
            .flat_map(|y| (2..6).map(move |x| f32::from(((y * 8 + x) as u8).wrapping_mul(7) + 3)))
            .collect();
        let mean = pixels.iter().sum::<f32>() / 16.0;
        (pixels, mean)
    };
    assert_eq!(pixels[0], 241.0);
    assert_eq!(values[0] > 0.0, pixels[0] > tile_mean);
}

#[test]
fn reflected_tiles_show_the_image_again() {
    let small = image(site_after(|_| {}, OnIncomplete::Fail));
    let tiling = Tiling {
        crop_px: 12,
        edge: EdgePolicy::Reflect,
        ..Tiling::default()
    };
    let plan = tiling.plan(small.width(), small.height()).expect("padded");
    let values = small.crop(plan.tiles()[0], SelfStandardisation::InstanceNorm);
    let at = |y: usize, x: usize| values[y * 12 + x];
    assert_eq!(at(3, 8), at(3, 6));
    assert_eq!(at(9, 2), at(5, 2));
    assert_eq!(at(11, 11), at(3, 3));
}

#[test]
fn sixteen_bit_images_are_flagged_and_standardised_on_the_same_scale() {
    let wide = |root: &Path| {
        for channel in 1..=6u8 {
            let pixels: Vec<u16> = (0..64u32)
                .map(|i| u16::from((i as u8).wrapping_mul(7).wrapping_add(channel * 3)) * 257)
                .collect();
            write(
                root,
                &format!("{FOLDER}/B02_s1_w{channel}.png"),
                png_u16(8, 8, &pixels),
            );
        }
    };
    let narrow = image(site_after(|_| {}, OnIncomplete::Fail));
    let wide = image(site_after(wide, OnIncomplete::Fail));
    assert!(wide.is_rescaled_to_8_bit_range() && !narrow.is_rescaled_to_8_bit_range());
    let tile = Tile {
        top: 0,
        left: 0,
        crop_px: 8,
    };
    for method in SelfStandardisation::ALL {
        let pairs = narrow
            .crop(tile, method)
            .into_iter()
            .zip(wide.crop(tile, method));
        for (a, b) in pairs {
            assert!(
                (a - b).abs() < 1e-5 * (1.0 + a.abs()),
                "{method:?}: {a} {b}"
            );
        }
    }
}
