use std::fmt::Write;

use crate::drawing::{Drawing, LEGEND_CHARS, LegendEntry};
use crate::escape::{Escaped, shortened};
use crate::number::px;

/// One figure as an SVG document: captions, legends and drawings below each
/// other, in the light colours of the page.
pub(crate) struct Sheet {
    width: f64,
    /// Where the next part begins.
    y: f64,
    body: String,
}

const MARGIN: f64 = 16.0;
const GAP: f64 = 24.0;

/// Width of a character, about, by size of the letters.
const CHAR_WIDTH: f64 = 0.56;

impl Sheet {
    /// An empty sheet as wide as the widest of some drawings, and wide
    /// enough for a caption.
    pub(crate) fn for_drawings(widths: impl IntoIterator<Item = f64>) -> Self {
        let widest = widths.into_iter().fold(360.0, f64::max);
        Self {
            width: widest + 2.0 * MARGIN,
            y: MARGIN,
            body: String::new(),
        }
    }

    /// A heading over as many lines as it takes.
    pub(crate) fn caption(&mut self, text: &str) {
        self.text(text, "caption", 14.0);
    }

    /// The name of what follows.
    pub(crate) fn subtitle(&mut self, text: &str) {
        self.text(text, "subtitle", 12.0);
    }

    /// A sentence in small letters.
    pub(crate) fn remark(&mut self, text: &str) {
        self.text(text, "remark", 11.0);
    }

    fn text(&mut self, text: &str, class: &str, size: f64) {
        const MAX_LINES: usize = 6;
        let room = ((self.width - 2.0 * MARGIN) / (CHAR_WIDTH * size)) as usize;
        for line in lines(text, room, MAX_LINES) {
            self.y += 1.35 * size;
            writeln!(
                self.body,
                "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>",
                px(MARGIN),
                px(self.y),
                Escaped(&line)
            )
            .expect("a string takes any text");
        }
        self.y += 0.5 * size;
    }

    /// Swatches and their labels, as many in a line as fit.
    pub(crate) fn legend(&mut self, entries: &[LegendEntry]) {
        const SIZE: f64 = 12.0;
        const LINE: f64 = 20.0;
        if entries.is_empty() {
            return;
        }
        let mut x = MARGIN;
        for entry in entries {
            let label = shortened(&entry.label, LEGEND_CHARS);
            let width = entry.swatch.width + 6.0 + CHAR_WIDTH * SIZE * label.chars().count() as f64;
            if x > MARGIN && x + width > self.width - MARGIN {
                x = MARGIN;
                self.y += LINE;
            }
            writeln!(
                self.body,
                "<g transform=\"translate({} {})\">{}</g><text class=\"key\" x=\"{}\" y=\"{}\">{}</text>",
                px(x),
                px(self.y),
                entry.swatch.markup,
                px(x + entry.swatch.width + 6.0),
                px(self.y + 11.0),
                Escaped(&label)
            )
            .expect("a string takes any text");
            x += width + 18.0;
        }
        // A colour scale is higher than a marker.
        let is_high = entries.iter().any(|entry| entry.swatch.width > 100.0);
        self.y += LINE + if is_high { 16.0 } else { 6.0 };
    }

    /// Drawings with their titles, side by side where they fit.
    pub(crate) fn drawings(&mut self, drawings: &[(&str, &Drawing)]) {
        let mut rest = drawings;
        while let Some((first, _)) = rest.split_first() {
            let mut width = first.1.width;
            let further = rest[1..].iter().take_while(|(_, drawing)| {
                width += GAP + drawing.width;
                width <= self.width - 2.0 * MARGIN + 0.5
            });
            let num_in_line = 1 + further.count();
            let (line, after) = rest.split_at(num_in_line);
            let top = self.y;
            let has_titles = line.iter().any(|(title, _)| !title.is_empty());
            let below = if has_titles { top + 20.0 } else { top };
            let mut x = MARGIN;
            for (title, drawing) in line {
                if !title.is_empty() {
                    let room = (drawing.width / (CHAR_WIDTH * 12.0)) as usize;
                    writeln!(
                        self.body,
                        "<text class=\"subtitle\" x=\"{}\" y=\"{}\">{}</text>",
                        px(x),
                        px(top + 14.0),
                        Escaped(&shortened(title, room))
                    )
                    .expect("a string takes any text");
                }
                writeln!(
                    self.body,
                    "<g transform=\"translate({} {})\">{}</g>",
                    px(x),
                    px(below),
                    drawing.markup.trim_end()
                )
                .expect("a string takes any text");
                x += drawing.width + GAP;
            }
            let tallest = line.iter().map(|(_, drawing)| drawing.height);
            self.y = below + tallest.fold(0.0, f64::max) + 8.0;
            rest = after;
        }
    }

    /// The document; `title` is what a reader is told who cannot see it.
    pub(crate) fn into_svg(self, title: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" \
             viewBox=\"0 0 {w} {h}\" role=\"img\">\n<title>{}</title>\n<style>\n{}</style>\n\
             <rect class=\"sheet\" width=\"{w}\" height=\"{h}\"/>\n{}</svg>\n",
            Escaped(title),
            light_style(),
            self.body,
            w = px(self.width),
            h = px(self.y + MARGIN)
        )
    }
}

/// Text broken at spaces, the last line cut if there is more.
fn lines(text: &str, room: usize, max_lines: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let len = lines.last().map(|line| line.chars().count());
        let fits = len.is_some_and(|len| len + 1 + word.chars().count() <= room);
        if !fits && lines.len() < max_lines {
            lines.push(shortened(word, room));
            continue;
        }
        let Some(line) = lines.last_mut() else {
            break;
        };
        if !fits {
            line.push('…');
            break;
        }
        line.push(' ');
        line.push_str(word);
    }
    lines
}

/// The rules of the page that draw figures, with the light colours put in:
/// programs that show SVG seldom know variables.
fn light_style() -> String {
    const PAGE: &str = include_str!("page.css");
    let (_, after) = PAGE
        .split_once("/* figures */")
        .expect("the style sheet marks the rules of figures");
    let (rules, _) = after
        .split_once("/* end of figures */")
        .expect("the style sheet marks their end");
    let (light, _) = PAGE.split_once("@media").expect("light colours come first");
    let mut style = rules.trim_start().to_owned();
    for declaration in light.split([';', '{', '}']) {
        if let Some((name, value)) = declaration.split_once(':')
            && name.trim().starts_with("--")
        {
            style = style.replace(&format!("var({})", name.trim()), value.trim());
        }
    }
    style.push_str(
        ".sheet { fill: #ffffff; }\nsvg text.caption { font-size: 14px; font-weight: 600; fill: #1b1e23; }\n\
         svg text.subtitle { font-size: 12px; font-weight: 600; fill: #1b1e23; }\n\
         svg text.key { font-size: 12px; fill: #1b1e23; }\n",
    );
    style
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_variable_is_left() {
        let style = light_style();
        assert!(!style.contains("var("), "{style}");
        assert!(style.contains(".c0 { fill: #0072b2; }"), "{style}");
        assert!(!style.contains("@media"));
    }

    #[test]
    fn text_is_broken_at_spaces_and_cut() {
        assert_eq!(lines("one two three", 8, 4), ["one two", "three"]);
        assert_eq!(lines("one two three four", 5, 2), ["one", "two…"]);
        assert_eq!(lines("abcdefgh", 5, 2), ["abcd…"]);
        assert!(lines("  ", 5, 2).is_empty());
    }
}
