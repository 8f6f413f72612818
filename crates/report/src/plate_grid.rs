use std::fmt::Write;

use morphospace_core::WellAddress;

use crate::axis::{Axis, extent};
use crate::drawing::{Drawing, LegendEntry, Swatch};
use crate::escape::Escaped;
use crate::number::{counted, format_number, px};
use crate::palette::viridis;
use crate::plate_heat_map::ShownWells;
use crate::sheet::Sheet;

/// A value of a well of a [`PlateGrid`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridWell {
    /// Where on the plate.
    pub address: WellAddress,
    /// The value, `None` where the well has none.
    pub value: Option<f64>,
    /// Whether the well is framed.
    pub is_marked: bool,
}

/// A plate of a [`PlateGrid`].
#[derive(Clone, Debug, PartialEq)]
pub struct GridPlate {
    /// Which plate.
    pub title: String,
    /// The wells in use.
    pub wells: Vec<GridWell>,
}

/// One value per well for many plates: small plates side by side, on one
/// colour scale and with the same rows and columns, so that they compare.
///
/// Where [`PlateHeatMap`](crate::PlateHeatMap) names every well, this shows
/// patterns: gradients, edges, rows, a plate unlike the others.
///
/// ```
/// use morphospace_report::{GridPlate, GridWell, PlateGrid};
///
/// let well = GridWell { address: "B02".parse()?, value: Some(38.1), is_marked: false };
/// let grid = PlateGrid::new("w1 (DNA)", "mean grey level")
///     .with_plate(GridPlate { title: "HUVEC-01 plate 1".into(), wells: vec![well] });
/// assert_eq!(grid.plates.len(), 1);
/// # Ok::<(), morphospace_core::InvalidWellAddress>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PlateGrid {
    /// What is shown, e.g. a channel.
    pub title: String,
    /// What the colour means, with its unit.
    pub value_label: String,
    /// What a frame around a well means.
    pub mark_label: String,
    /// The plates, in order.
    pub plates: Vec<GridPlate>,
    /// Ends of the colour scale; the extent of the values if not given.
    /// Values beyond take the end's colour.
    pub range: Option<(f64, f64)>,
}

/// Steps of the colour scale: wells of one colour are one shape, which keeps
/// a page of many plates small.
const NUM_COLOURS: usize = 32;

impl PlateGrid {
    /// A grid without plates.
    pub fn new(title: impl Into<String>, value_label: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            value_label: value_label.into(),
            mark_label: "flagged".to_owned(),
            plates: Vec::new(),
            range: None,
        }
    }

    /// Adds a plate.
    #[must_use]
    pub fn with_plate(mut self, plate: GridPlate) -> Self {
        self.plates.push(plate);
        self
    }

    /// Fixes the ends of the colour scale.
    #[must_use]
    pub fn with_range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// The colour scale, if any well has a value.
    fn axis(&self) -> Option<Axis> {
        let given = self
            .range
            .filter(|(low, high)| low.is_finite() && high.is_finite());
        let wells = self.plates.iter().flat_map(|plate| &plate.wells);
        let range = given
            .map(|(a, b)| (a.min(b), a.max(b)))
            .or_else(|| extent(wells.filter_map(|well| well.value)));
        range.map(|(low, high)| Axis::between(low, high, 4))
    }

    /// The plates, what the colours mean, and the colour scale.
    pub(crate) fn sheet(&self) -> Result<Sheet, std::fmt::Error> {
        let wells = self.plates.iter().flat_map(|plate| &plate.wells);
        let shown = ShownWells::of(wells.map(|well| well.address));
        let Some(shown) = shown else {
            let mut sheet = Sheet::for_drawings([]);
            sheet.caption(&self.title);
            sheet.remark("No wells to draw.");
            return Ok(sheet);
        };
        let axis = self.axis();
        let mut drawings = Vec::new();
        for plate in &self.plates {
            drawings.push(self.plate_drawing(plate, &shown, axis.as_ref())?);
        }
        // As wide as a page of plates.
        let mut sheet = Sheet::for_drawings([760.0, drawings[0].width]);
        sheet.caption(&self.title);
        sheet.remark(&self.value_label);
        let mut legend = Vec::new();
        if let Some(axis) = &axis {
            let (markup, width) = colour_scale(axis)?;
            legend.push(LegendEntry {
                swatch: Swatch { markup, width },
                label: String::new(),
            });
        }
        if self
            .plates
            .iter()
            .flat_map(|plate| &plate.wells)
            .any(|well| well.is_marked)
        {
            let content = "<path class=\"marked\" d=\"M2 2h10v10h-10z\"/>";
            legend.push(LegendEntry {
                swatch: Swatch::new(14.0, content),
                label: self.mark_label.clone(),
            });
        }
        sheet.legend(&legend);
        let titles = self.plates.iter().map(|plate| plate.title.as_str());
        sheet.drawings(&titles.zip(&drawings).collect::<Vec<_>>());
        Ok(sheet)
    }

    pub(crate) fn write_html(&self, html: &mut String) -> std::fmt::Result {
        writeln!(
            html,
            "<figure class=\"plate-grid\">\n<figcaption><strong>{}</strong><span>{}</span>\
             </figcaption>",
            Escaped(&self.title),
            Escaped(&self.value_label)
        )?;
        let wells = || self.plates.iter().flat_map(|plate| &plate.wells);
        let shown = ShownWells::of(wells().map(|well| well.address));
        let Some(shown) = shown else {
            html.push_str("<p class=\"empty\">No wells to draw.</p>\n</figure>\n");
            return Ok(());
        };
        let axis = self.axis();
        self.write_legend(html, axis.as_ref())?;
        html.push_str("<div class=\"plates\">\n");
        for plate in &self.plates {
            self.write_plate(html, plate, &shown, axis.as_ref())?;
        }
        html.push_str("</div>\n</figure>\n");
        Ok(())
    }

    fn write_plate(
        &self,
        html: &mut String,
        plate: &GridPlate,
        shown: &ShownWells,
        axis: Option<&Axis>,
    ) -> std::fmt::Result {
        let drawing = self.plate_drawing(plate, shown, axis)?;
        writeln!(
            html,
            "<div><p class=\"panel-title\">{}</p>\n{}</div>",
            Escaped(&plate.title),
            drawing.markup
        )
    }

    fn plate_drawing(
        &self,
        plate: &GridPlate,
        shown: &ShownWells,
        axis: Option<&Axis>,
    ) -> Result<Drawing, std::fmt::Error> {
        let mut html = String::new();
        let layout = Layout::of(shown);
        let values = plate.wells.iter().filter_map(|well| well.value);
        let description = match extent(values) {
            Some((low, high)) => format!(
                "{} of {}, {}: {} with values from {} to {}.",
                self.value_label,
                plate.title,
                self.title,
                counted(plate.wells.len(), "well"),
                format_number(low),
                format_number(high)
            ),
            None => format!("{} of {}: no values.", self.value_label, plate.title),
        };
        writeln!(
            html,
            "<svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" \
             height=\"{h}\">",
            Escaped(&description),
            w = px(layout.width),
            h = px(layout.height)
        )?;
        layout.write_names(&mut html, shown)?;
        let mut by_colour = vec![String::new(); NUM_COLOURS];
        let (mut missing, mut marked) = (String::new(), String::new());
        let side = layout.pitch - 1.0;
        for well in &plate.wells {
            let (x, y) = layout.place(shown, well.address);
            let square = format!(
                "M{} {}h{side}v{side}h-{side}z",
                px(x),
                px(y),
                side = px(side)
            );
            match (well.value.filter(|value| value.is_finite()), axis) {
                (Some(value), Some(axis)) => {
                    let fraction = axis.fraction(value).clamp(0.0, 1.0);
                    let step = (fraction * NUM_COLOURS as f64) as usize;
                    by_colour[step.min(NUM_COLOURS - 1)].push_str(&square);
                }
                _ => missing.push_str(&square),
            }
            if well.is_marked {
                marked.push_str(&square);
            }
        }
        for (step, squares) in by_colour.iter().enumerate() {
            if !squares.is_empty() {
                let colour = colour_of(step);
                writeln!(html, "<path fill=\"{colour}\" d=\"{squares}\"/>")?;
            }
        }
        for (class, squares) in [("missing", missing), ("marked", marked)] {
            if !squares.is_empty() {
                writeln!(html, "<path class=\"{class}\" d=\"{squares}\"/>")?;
            }
        }
        html.push_str("</svg>");
        Ok(Drawing {
            markup: html,
            width: layout.width,
            height: layout.height,
        })
    }

    /// The colour scale, lying, and what frames and grey wells mean.
    fn write_legend(&self, html: &mut String, axis: Option<&Axis>) -> std::fmt::Result {
        html.push_str("<ul class=\"legend\">\n");
        if let Some(axis) = axis {
            writeln!(html, "<li>{}</li>", colour_scale(axis)?.0)?;
        }
        let wells = || self.plates.iter().flat_map(|plate| &plate.wells);
        let mut entry = |class: &str, text: &str| {
            writeln!(
                html,
                "<li><svg class=\"swatch\" width=\"14\" height=\"14\" viewBox=\"0 0 14 14\" \
                 aria-hidden=\"true\"><path class=\"{class}\" d=\"M2 2h10v10h-10z\"/></svg>{}</li>",
                Escaped(text)
            )
        };
        if wells().any(|well| !well.value.is_some_and(f64::is_finite)) {
            entry("missing", "no value")?;
        }
        if wells().any(|well| well.is_marked) {
            entry("marked", &self.mark_label)?;
        }
        let beyond = |well: &&GridWell| match (well.value, axis) {
            (Some(value), Some(axis)) => value < axis.low || value > axis.high,
            _ => false,
        };
        let num_beyond = wells().filter(beyond).count();
        if num_beyond > 0 {
            let wells = counted(num_beyond, "well");
            writeln!(
                html,
                "<li class=\"count\">{wells} beyond the colour scale</li>"
            )?;
        }
        html.push_str("</ul>\n");
        Ok(())
    }
}

fn colour_of(step: usize) -> String {
    viridis((step as f64 + 0.5) / NUM_COLOURS as f64)
}

/// The colour scale, lying, and its width in pixels.
fn colour_scale(axis: &Axis) -> Result<(String, f64), std::fmt::Error> {
    const STEP: f64 = 6.0;
    /// Room for half a label at either end.
    const MARGIN: f64 = 24.0;
    let length = STEP * NUM_COLOURS as f64;
    let width = px(length + 2.0 * MARGIN);
    let mut html = String::new();
    write!(
        html,
        "<svg class=\"scale\" role=\"img\" aria-label=\"Colour scale from {} to {}\" \
         viewBox=\"0 0 {width} 28\" width=\"{width}\" height=\"28\">",
        format_number(axis.low),
        format_number(axis.high)
    )?;
    for step in 0..NUM_COLOURS {
        write!(
            html,
            "<rect x=\"{}\" y=\"2\" width=\"{}\" height=\"10\" fill=\"{}\"/>",
            px(MARGIN + STEP * step as f64),
            // A little overlap hides the seams between steps.
            px(STEP + if step + 1 == NUM_COLOURS { 0.0 } else { 0.5 }),
            colour_of(step)
        )?;
    }
    for (tick, label) in &axis.ticks {
        let x = MARGIN + length * axis.fraction(*tick);
        write!(
            html,
            "<path class=\"box\" d=\"M{x} 12v3\"/><text class=\"tick\" x=\"{x}\" y=\"26\" \
             text-anchor=\"middle\">{label}</text>",
            x = px(x)
        )?;
    }
    html.push_str("</svg>");
    Ok((html, length + 2.0 * MARGIN))
}

/// Room for the row letters.
const LEFT: f64 = 18.0;
/// Room for the column numbers.
const TOP: f64 = 12.0;

struct Layout {
    /// Distance from well to well.
    pitch: f64,
    /// Every how many rows and columns are named.
    every: usize,
    width: f64,
    height: f64,
}

impl Layout {
    fn of(shown: &ShownWells) -> Self {
        let (pitch, every) = match shown.num_columns() {
            0..=12 => (13.0, 1),
            13..=24 => (9.0, 2),
            _ => (5.0, 4),
        };
        Self {
            pitch,
            every,
            width: LEFT + pitch * shown.num_columns() as f64 + 1.0,
            height: TOP + pitch * shown.num_rows() as f64 + 1.0,
        }
    }

    fn place(&self, shown: &ShownWells, address: WellAddress) -> (f64, f64) {
        let column = address.column_index() - shown.columns().start();
        let row = address.row_index() - shown.rows().start();
        (
            LEFT + self.pitch * column as f64 + 0.5,
            TOP + self.pitch * row as f64 + 0.5,
        )
    }

    fn write_names(&self, html: &mut String, shown: &ShownWells) -> std::fmt::Result {
        let centre = |index: usize| self.pitch * (index as f64 + 0.5);
        for (index, column) in shown.columns().enumerate().step_by(self.every) {
            let x = px(LEFT + centre(index));
            write!(
                html,
                "<text class=\"small\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                px(TOP - 3.0),
                column + 1
            )?;
        }
        for (index, row) in shown.rows().enumerate().step_by(self.every) {
            let name = WellAddress::from_indices(row, 0).map(WellAddress::row_name);
            write!(
                html,
                "<text class=\"small\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                px(LEFT - 4.0),
                px(TOP + centre(index) + 3.0),
                name.unwrap_or_default()
            )?;
        }
        html.push('\n');
        Ok(())
    }
}
