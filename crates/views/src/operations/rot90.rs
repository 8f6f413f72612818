use super::{flip_horizontally, flip_vertically, transpose};
use crate::Image;

/// Turns counter-clockwise by quarters, as `torch.rot90` over rows and columns.
pub(crate) fn rot90(image: &Image, quarter_turns: u8) -> Image {
    let mut turned = match quarter_turns % 2 {
        0 => image.clone(),
        _ => transpose(image),
    };
    if matches!(quarter_turns % 4, 1 | 2) {
        flip_vertically(&mut turned);
    }
    if matches!(quarter_turns % 4, 2 | 3) {
        flip_horizontally(&mut turned);
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_by_hand() {
        // 1 2 3
        // 4 5 6
        let image = Image::new(1, 2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let check = |turns, expect: [f32; 6]| {
            assert_eq!(rot90(&image, turns).levels(), expect, "{turns}");
        };
        check(0, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        check(1, [3.0, 6.0, 2.0, 5.0, 1.0, 4.0]);
        check(2, [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
        check(3, [4.0, 1.0, 5.0, 2.0, 6.0, 3.0]);
    }
}
