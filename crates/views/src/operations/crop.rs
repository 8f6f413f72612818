use crate::{CropBox, Image};

/// Cuts a box out.
pub(crate) fn crop(image: &Image, crop: CropBox) -> Image {
    assert!(
        crop.is_within(image.height(), image.width()),
        "{crop:?} is not within {} x {} px",
        image.height(),
        image.width()
    );
    image.map_planes([crop.height, crop.width], |from, to| {
        let rows = from.chunks_exact(image.width()).skip(crop.top);
        for (row, out) in rows.zip(to.chunks_exact_mut(crop.width)) {
            out.copy_from_slice(&row[crop.left..][..crop.width]);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_by_hand() {
        let image = Image::new(2, 3, 3, (0..18).map(|level| level as f32).collect());
        let at = CropBox {
            top: 1,
            left: 0,
            height: 2,
            width: 2,
        };
        let expect = [3.0, 4.0, 6.0, 7.0, 12.0, 13.0, 15.0, 16.0];
        assert_eq!(crop(&image, at).levels(), expect);
        assert_eq!(crop(&image, CropBox::whole(3, 3)), image);
    }
}
