use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::escape::Escaped;

/// A grey image of an [`ImagePanel`].
#[derive(Clone, Debug, PartialEq)]
pub struct ImageChannel {
    /// The channel's name, e.g. `w1 (DNA)`.
    pub label: String,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Grey values row by row; `None` where the data set has no image.
    pub pixels: Option<Vec<u16>>,
    /// Colour in the composite; by position in the panel if not given.
    pub colour: Option<[u8; 3]>,
    /// Grey values shown as black and white, to compare images; from the
    /// image itself if not given.
    pub range: Option<(u16, u16)>,
}

impl ImageChannel {
    /// An image of 8-bit grey values, row by row.
    pub fn from_u8(label: impl Into<String>, width: usize, height: usize, pixels: &[u8]) -> Self {
        let pixels = pixels.iter().map(|&value| u16::from(value)).collect();
        Self::from_u16(label, width, height, pixels)
    }

    /// An image of 16-bit grey values, row by row.
    pub fn from_u16(
        label: impl Into<String>,
        width: usize,
        height: usize,
        pixels: Vec<u16>,
    ) -> Self {
        let label = label.into();
        Self {
            label,
            width,
            height,
            pixels: Some(pixels),
            colour: None,
            range: None,
        }
    }

    /// A channel the site has no image of.
    pub fn missing(label: impl Into<String>) -> Self {
        let label = label.into();
        Self {
            label,
            width: 0,
            height: 0,
            pixels: None,
            colour: None,
            range: None,
        }
    }
}

/// The channels of a site as grey thumbnails, with their colour composite.
///
/// Each channel is stretched between two of its own percentiles (0.5 and
/// 99.8), or its [`ImageChannel::range`]; the grey values shown as black and
/// white stand below it. Thumbnails are area averages of at most
/// `thumbnail_px` pixels a side. In the composite, the brightest
/// pixels are as bright as a screen can show. Default colours are those of
/// `rxrx1-utils` (`rxrx.io.RGB_MAP`).
///
/// ```
/// use morphospace_report::{ImageChannel, ImagePanel};
///
/// let panel = ImagePanel::new("HUVEC-01 plate 1 well B02 site 1, s21721")
///     .with_channel(ImageChannel::from_u8("w1 (DNA)", 2, 2, &[0, 50, 100, 150]))
///     .with_channel(ImageChannel::missing("w5 (Mito)"));
/// assert_eq!(panel.channels.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ImagePanel {
    /// Plate, well, site and perturbation.
    pub title: String,
    /// The channels in order.
    pub channels: Vec<ImageChannel>,
    /// Longest side of a thumbnail in pixels.
    pub thumbnail_px: usize,
    /// Whether a colour composite is shown; not for galleries whose images
    /// are not channels of one site.
    pub composite: bool,
}

/// `rxrx.io.RGB_MAP` of rxrx1-utils: nuclei blue, endoplasmic reticulum
/// green, actin red, RNA cyan, mitochondria magenta, Golgi yellow.
const COMPOSITE_COLOURS: [[u8; 3]; 6] = [
    [19, 0, 249],
    [42, 255, 31],
    [255, 0, 25],
    [45, 255, 252],
    [250, 0, 253],
    [254, 255, 40],
];

impl ImagePanel {
    /// A panel without images.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            channels: Vec::new(),
            thumbnail_px: 192,
            composite: true,
        }
    }

    /// Adds a channel.
    #[must_use]
    pub fn with_channel(mut self, channel: ImageChannel) -> Self {
        self.channels.push(channel);
        self
    }

    /// Shows no colour composite.
    #[must_use]
    pub fn without_composite(mut self) -> Self {
        self.composite = false;
        self
    }

    pub(crate) fn write_html(&self, html: &mut String) -> std::fmt::Result {
        writeln!(
            html,
            "<figure class=\"images\">\n<figcaption><strong>{}</strong></figcaption>",
            Escaped(&self.title)
        )?;
        if self.channels.is_empty() {
            html.push_str("<p class=\"empty\">No images to show.</p>\n</figure>\n");
            return Ok(());
        }
        let images: Vec<Result<Thumbnail, String>> = self
            .channels
            .iter()
            .map(|channel| Thumbnail::of(channel, self.thumbnail_px.max(1)))
            .collect();
        html.push_str("<ul class=\"thumbnails\">\n");
        if self.composite {
            self.write_composite(html, &images)?;
        }
        for (index, (channel, image)) in self.channels.iter().zip(&images).enumerate() {
            let label = Escaped(&channel.label);
            html.push_str("<li>");
            match image {
                Ok(image) => {
                    let png = png_base64(
                        image.width,
                        image.height,
                        png::ColorType::Grayscale,
                        &image.grey,
                    );
                    let (low, high) = image.range;
                    write!(
                        html,
                        "<img src=\"data:image/png;base64,{png}\" width=\"{}\" height=\"{}\" \
                         alt=\"{label} of {}\">",
                        image.width,
                        image.height,
                        Escaped(&self.title)
                    )?;
                    html.push_str("<span class=\"channel\">");
                    if self.composite {
                        write_colour_dot(html, self.colour(index))?;
                    }
                    write!(
                        html,
                        "{label}</span><span class=\"count\">{low}–{high}</span>"
                    )?;
                }
                Err(reason) => write!(
                    html,
                    "<div class=\"no-image\"><span>{}</span></div><span class=\"channel\">{label}</span>",
                    Escaped(reason)
                )?,
            }
            html.push_str("</li>\n");
        }
        html.push_str("</ul>\n</figure>\n");
        Ok(())
    }

    fn colour(&self, index: usize) -> [u8; 3] {
        self.channels[index]
            .colour
            .unwrap_or(COMPOSITE_COLOURS[index % COMPOSITE_COLOURS.len()])
    }

    fn write_composite(
        &self,
        html: &mut String,
        images: &[Result<Thumbnail, String>],
    ) -> std::fmt::Result {
        let mut size = None;
        let mut sums: Vec<[f32; 3]> = Vec::new();
        let mut num_used = 0;
        for (index, image) in images.iter().enumerate() {
            let Ok(image) = image else { continue };
            match size {
                None => {
                    size = Some((image.width, image.height));
                    sums.resize(image.grey.len(), [0.0; 3]);
                }
                Some(first) if first != (image.width, image.height) => continue,
                Some(_) => {}
            }
            num_used += 1;
            let colour = self.colour(index).map(f32::from);
            for (sum, &grey) in sums.iter_mut().zip(&image.grey) {
                // Steeper than the grey images: haze that all channels share
                // would wash the colours out.
                let part = (f32::from(grey) / 255.0).powf(1.5);
                for (sum, colour) in sum.iter_mut().zip(colour) {
                    *sum += part * colour;
                }
            }
        }
        let Some((width, height)) = size else {
            return Ok(());
        };
        // Six saturated colours on top of one another would be white: the
        // brightest pixels of the sum are white instead, but for a few.
        let brightest = sums
            .iter()
            .map(|rgb| rgb.iter().fold(0.0f32, |a, &b| a.max(b)) as u16)
            .collect::<Vec<_>>();
        let (_, white) = display_range(&brightest);
        let weight = 255.0 / f32::from(white.max(1));
        let rgb: Vec<u8> = sums
            .iter()
            .flatten()
            .map(|sum| (weight * sum).round() as u8)
            .collect();
        let png = png_base64(width, height, png::ColorType::Rgb, &rgb);
        let channels = if num_used == self.channels.len() {
            "all channels".to_owned()
        } else {
            format!("{num_used} of {} channels", self.channels.len())
        };
        writeln!(
            html,
            "<li><img src=\"data:image/png;base64,{png}\" width=\"{width}\" height=\"{height}\" \
             alt=\"Colour composite of {}\"><span class=\"channel\">composite</span>\
             <span class=\"count\">{channels}</span></li>",
            Escaped(&self.title)
        )
    }
}

fn write_colour_dot(html: &mut String, [r, g, b]: [u8; 3]) -> std::fmt::Result {
    write!(
        html,
        "<i class=\"dot\" style=\"background:rgb({r},{g},{b})\"></i>"
    )
}

/// A channel made small and stretched to 8 bits.
struct Thumbnail {
    width: usize,
    height: usize,
    grey: Vec<u8>,
    /// Grey values shown as black and white.
    range: (u16, u16),
}

impl Thumbnail {
    /// The thumbnail, or why there is none.
    fn of(channel: &ImageChannel, longest_px: usize) -> Result<Self, String> {
        let Some(pixels) = &channel.pixels else {
            return Err("no image".to_owned());
        };
        let (width, height) = (channel.width, channel.height);
        if width == 0 || height == 0 {
            return Err(format!("empty image ({width} × {height})"));
        }
        if width.checked_mul(height) != Some(pixels.len()) {
            return Err(format!(
                "{width} × {height} image with {} pixels",
                pixels.len()
            ));
        }
        let range = channel.range.unwrap_or_else(|| display_range(pixels));
        let longest = width.max(height);
        let scaled = |side: usize| match longest <= longest_px {
            true => side,
            false => (side * longest_px / longest).max(1),
        };
        let (out_width, out_height) = (scaled(width), scaled(height));
        let mut grey = Vec::with_capacity(out_width * out_height);
        for y in 0..out_height {
            let rows = y * height / out_height..(y + 1) * height / out_height;
            for x in 0..out_width {
                let columns = x * width / out_width..(x + 1) * width / out_width;
                let mut sum = 0u64;
                for row in rows.clone() {
                    let line = &pixels[row * width..][columns.clone()];
                    sum += line.iter().map(|&value| u64::from(value)).sum::<u64>();
                }
                let mean = sum as f32 / (rows.len() * columns.len()) as f32;
                grey.push(stretched(mean, range));
            }
        }
        Ok(Self {
            width: out_width,
            height: out_height,
            grey,
            range,
        })
    }
}

fn stretched(value: f32, (low, high): (u16, u16)) -> u8 {
    let (low, high) = (f32::from(low), f32::from(high));
    if high <= low {
        // An image of one grey value: black if it is 0, else mid-grey.
        return if value > 0.0 { 128 } else { 0 };
    }
    (255.0 * (value - low) / (high - low)).round() as u8
}

/// Grey values at the 0.5th and 99.8th percentile: a few hot pixels do not
/// darken the rest.
fn display_range(pixels: &[u16]) -> (u16, u16) {
    let mut counts = vec![0usize; 1 << 16];
    for &value in pixels {
        counts[usize::from(value)] += 1;
    }
    let value_at = |rank: usize| {
        let mut seen = 0;
        let value = counts.iter().position(|count| {
            seen += count;
            seen > rank
        });
        value.unwrap_or(0) as u16
    };
    let last = pixels.len().saturating_sub(1);
    (
        value_at(last * 5 / 1000),
        value_at((last * 998).div_ceil(1000)),
    )
}

pub(crate) fn png_base64(
    width: usize,
    height: usize,
    colour: png::ColorType,
    bytes: &[u8],
) -> String {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder
        .write_header()
        .expect("a byte vector takes any image");
    writer
        .write_image_data(bytes)
        .expect("the bytes are as many as the header says");
    drop(writer);
    STANDARD.encode(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hot_pixels_do_not_darken_the_rest() {
        let mut pixels: Vec<u16> = (0..10_000).map(|i| 100 + (i % 100) as u16).collect();
        pixels[17] = 60_000;
        assert_eq!(display_range(&pixels), (100, 199));
    }

    #[test]
    fn thumbnails_average_areas_and_keep_proportions() {
        let pixels = [[0, 100].repeat(4), [100, 200].repeat(4)]
            .concat()
            .repeat(2);
        let mut channel = ImageChannel::from_u16("w1", 8, 4, pixels);
        channel.range = Some((0, 255));
        let small = Thumbnail::of(&channel, 4).expect("a good image");
        assert_eq!((small.width, small.height), (4, 2));
        assert_eq!(small.grey, [100; 8]);
    }

    #[test]
    fn one_grey_value_is_no_division_by_zero() {
        let flat = Thumbnail::of(&ImageChannel::from_u8("w1", 2, 1, &[7, 7]), 8);
        assert_eq!(flat.expect("a good image").grey, [128, 128]);
        let black = Thumbnail::of(&ImageChannel::from_u8("w1", 2, 1, &[0, 0]), 8);
        assert_eq!(black.expect("a good image").grey, [0, 0]);
    }
}
