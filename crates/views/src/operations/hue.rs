use std::ops::Range;

use crate::{Image, Levels};

/// Turns the hue of three channels by a share of the colour circle in
/// -0.5..=0.5. Channels that are not three have no colour and stay.
///
/// # Source
/// torchvision's `v2.functional.adjust_hue`.
pub(crate) fn hue(image: &mut Image, channels: Range<usize>, turn: f64, levels: Levels) {
    if channels.len() != 3 {
        return;
    }
    let planes = image.planes_mut(channels);
    let len = planes.len() / 3;
    let (red, rest) = planes.split_at_mut(len);
    let (green, blue) = rest.split_at_mut(len);
    let from_unit = match levels {
        Levels::Unit => 1.0,
        // As torchvision makes bytes of floats; the fraction is cut off.
        Levels::Bytes => 255.999,
        Levels::Grey => 255.0,
    };
    let to_unit = 1.0 / levels.bound();
    for ((red, green), blue) in red.iter_mut().zip(&mut *green).zip(&mut *blue) {
        let colour = turned(
            [*red, *green, *blue].map(|level| level * to_unit),
            turn as f32,
        );
        [*red, *green, *blue] = colour.map(|level| level * from_unit);
    }
    levels.map(planes, |level| level);
}

/// A colour of levels in 0..=1 whose hue is turned.
fn turned([red, green, blue]: [f32; 3], turn: f32) -> [f32; 3] {
    let value = red.max(green).max(blue);
    let range = value - red.min(green).min(blue);
    let (saturation, divisor) = if range == 0.0 {
        (0.0, 1.0)
    } else {
        (range / value, range)
    };
    // How far each lies below the largest, in 0..=1.
    let [r, g, b] = [red, green, blue].map(|level| (value - level) / divisor);
    let sixths = if value == red {
        b - g
    } else if value == green {
        2.0 + r - b
    } else {
        4.0 + g - r
    };
    let within_circle = |share: f32| share - share.floor();
    let sixths = within_circle(within_circle(sixths / 6.0) + turn) * 6.0;
    let fraction = sixths - sixths.floor();
    let p = (1.0 - saturation) * value;
    let q = (1.0 - saturation * fraction) * value;
    let t = (saturation * fraction + 1.0 - saturation) * value;
    match sixths as u8 {
        1 => [q, value, p],
        2 => [p, value, t],
        3 => [p, q, value],
        4 => [t, p, value],
        5 => [value, p, q],
        _ => [value, t, p],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_circle_makes_red_green() {
        let check = |turn, levels, from: [f32; 3], expect: [f32; 3]| {
            let mut image = Image::new(3, 1, 1, from.to_vec());
            hue(&mut image, 0..3, turn, levels);
            for (level, expect) in image.levels().iter().zip(expect) {
                assert!((level - expect).abs() < 1e-4, "{:?}", image.levels());
            }
        };
        check(1.0 / 3.0, Levels::Unit, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]);
        check(
            -1.0 / 3.0,
            Levels::Grey,
            [200.0, 0.0, 0.0],
            [0.0, 0.0, 200.0],
        );
        check(0.5, Levels::Grey, [90.0, 60.0, 60.0], [60.0, 90.0, 90.0]);
        check(0.3, Levels::Grey, [60.0, 60.0, 60.0], [60.0, 60.0, 60.0]);
        check(0.3, Levels::Grey, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]);
        check(0.0, Levels::Bytes, [9.0, 60.0, 150.0], [9.0, 60.0, 150.0]);
    }
}
