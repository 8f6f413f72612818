use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use morphospace_core::{ControlRole, WellAddress};

use crate::axis::{Axis, extent};
use crate::drawing::{Drawing, LegendEntry, Swatch};
use crate::escape::Escaped;
use crate::number::{counted, format_number, px};
use crate::palette::viridis;
use crate::sheet::Sheet;

/// A well of a [`PlateHeatMap`].
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMapWell {
    /// Where on the plate.
    pub address: WellAddress,
    /// The value, `None` where the well has none.
    pub value: Option<f64>,
    /// Controls are framed.
    pub control_role: ControlRole,
    /// What was done to the well; shown when the pointer rests on it.
    pub label: String,
}

/// One value per well, where the wells lie.
///
/// Plates of any layout up to 1,536 wells; only the rows and columns in use
/// are drawn. Wells without a value are hatched. Controls are framed:
/// negative controls with a solid line, positive controls dashed, untreated
/// wells dotted.
///
/// ```
/// use morphospace_core::ControlRole;
/// use morphospace_report::{HeatMapWell, PlateHeatMap};
///
/// let well = HeatMapWell {
///     address: "B02".parse()?,
///     value: Some(312.0),
///     control_role: ControlRole::NegativeControl,
///     label: "DMSO".into(),
/// };
/// let map = PlateHeatMap::new("HUVEC-01 plate 1", "mean intensity of w1 (grey values)")
///     .with_wells([well]);
/// assert_eq!(map.wells.len(), 1);
/// # Ok::<(), morphospace_core::InvalidWellAddress>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PlateHeatMap {
    /// Which plate.
    pub title: String,
    /// What the colour means, with its unit.
    pub value_label: String,
    /// The wells in use; where one is named twice, the last is drawn.
    pub wells: Vec<HeatMapWell>,
    /// Ends of the colour scale, to compare plates; the extent of the values
    /// if not given. Values beyond take the end's colour.
    pub range: Option<(f64, f64)>,
}

const ROLES: [(ControlRole, &str, &str); 3] = [
    (ControlRole::NegativeControl, "negative", "negative control"),
    (ControlRole::PositiveControl, "positive", "positive control"),
    (ControlRole::Untreated, "untreated", "untreated"),
];

impl PlateHeatMap {
    /// A plate without wells.
    pub fn new(title: impl Into<String>, value_label: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            value_label: value_label.into(),
            wells: Vec::new(),
            range: None,
        }
    }

    /// Adds wells.
    #[must_use]
    pub fn with_wells(mut self, wells: impl IntoIterator<Item = HeatMapWell>) -> Self {
        self.wells.extend(wells);
        self
    }

    /// Fixes the ends of the colour scale.
    #[must_use]
    pub fn with_range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// The wells by their places, of those named twice the last.
    fn wells_by_address(&self) -> BTreeMap<WellAddress, &HeatMapWell> {
        self.wells.iter().map(|well| (well.address, well)).collect()
    }

    /// The colour scale, if any well has a value.
    fn axis(&self, wells: &BTreeMap<WellAddress, &HeatMapWell>) -> Option<Axis> {
        let values = wells.values().filter_map(|well| well.value);
        let given = self
            .range
            .filter(|(low, high)| low.is_finite() && high.is_finite());
        let range = given
            .map(|(a, b)| (a.min(b), a.max(b)))
            .or_else(|| extent(values));
        range.map(|(low, high)| {
            let mut axis = Axis::between(low, high, 6);
            if low == high {
                // One value, not a scale made up around it.
                axis.ticks = vec![(low, format_number(low))];
            }
            axis
        })
    }

    /// The plate, its title, what the colours mean and a key.
    pub(crate) fn sheet(&self) -> Result<Sheet, std::fmt::Error> {
        let wells = self.wells_by_address();
        let axis = self.axis(&wells);
        let Some(shown) = ShownWells::of(wells.keys().copied()) else {
            let mut sheet = Sheet::for_drawings([]);
            sheet.caption(&self.title);
            sheet.remark("No wells to draw.");
            return Ok(sheet);
        };
        let layout = Layout::of(&shown, axis.as_ref());
        let mut markup = String::new();
        self.write_plate(&mut markup, &wells, &shown, &layout, axis.as_ref())?;
        let mut sheet = Sheet::for_drawings([layout.width]);
        sheet.caption(&self.title);
        sheet.remark(&self.value_label);
        sheet.drawings(&[(
            "",
            &Drawing {
                markup,
                width: layout.width,
                height: layout.height,
            },
        )]);
        let key = key(&wells, &shown, axis.as_ref());
        let entries = key.into_iter().map(|(content, label)| LegendEntry {
            swatch: Swatch::new(14.0, &content),
            label: label.to_owned(),
        });
        sheet.legend(&entries.collect::<Vec<_>>());
        Ok(sheet)
    }

    pub(crate) fn write_html(&self, html: &mut String) -> std::fmt::Result {
        let wells = self.wells_by_address();
        let axis = self.axis(&wells);
        let shown = ShownWells::of(wells.keys().copied());
        let layout = shown.as_ref().map(|shown| Layout::of(shown, axis.as_ref()));
        let width = layout.as_ref().map_or(0.0, |layout| layout.width);
        writeln!(
            html,
            "<figure class=\"plate\" style=\"width:max(20rem,{}px)\">\n\
             <figcaption><strong>{}</strong><span>{}</span></figcaption>",
            px(width),
            Escaped(&self.title),
            Escaped(&self.value_label)
        )?;
        if let (Some(shown), Some(layout)) = (shown, layout) {
            self.write_plate(html, &wells, &shown, &layout, axis.as_ref())?;
            write_legend(html, &wells, &shown, axis.as_ref())?;
        } else {
            html.push_str("<p class=\"empty\">No wells to draw.</p>\n");
        }
        html.push_str("</figure>\n");
        Ok(())
    }

    fn write_plate(
        &self,
        html: &mut String,
        wells: &BTreeMap<WellAddress, &HeatMapWell>,
        shown: &ShownWells,
        layout: &Layout,
        axis: Option<&Axis>,
    ) -> std::fmt::Result {
        let description = format!(
            "Plate heat map of {}: {} for {}, {}.",
            self.title,
            self.value_label,
            counted(wells.len(), "well"),
            match axis {
                Some(axis) => format!(
                    "{} to {}",
                    format_number(axis.low),
                    format_number(axis.high)
                ),
                None => "no values".to_owned(),
            }
        );
        writeln!(
            html,
            "<svg class=\"heat-map\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {w} {h}\" \
             width=\"{w}\" height=\"{h}\">",
            Escaped(&description),
            w = px(layout.width),
            h = px(layout.height)
        )?;
        let pitch = layout.pitch;
        let centre = |index: usize| pitch * (index as f64 + 0.5);
        // Two digits do not fit between small wells.
        let every = if pitch < 18.0 { 2 } else { 1 };
        for (index, column) in shown.columns().enumerate().step_by(every) {
            writeln!(
                html,
                "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                px(LEFT + centre(index)),
                px(TOP - 6.0),
                column + 1
            )?;
        }
        let mut hatched = String::new();
        for (row_number, row) in shown.rows().enumerate() {
            let y = TOP + pitch * row_number as f64;
            let mut name = None;
            for (column_number, column) in shown.columns().enumerate() {
                let x = LEFT + pitch * column_number as f64;
                let Some(address) = WellAddress::from_indices(row, column) else {
                    continue;
                };
                name = Some(address.row_name());
                let well = wells.get(&address).copied();
                write_well(html, &mut hatched, address, well, (x, y, pitch), axis)?;
            }
            writeln!(
                html,
                "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                px(LEFT - 6.0),
                px(y + pitch / 2.0 + 3.5),
                name.unwrap_or_default()
            )?;
        }
        if !hatched.is_empty() {
            writeln!(html, "<path class=\"hatch\" d=\"{hatched}\"/>")?;
        }
        if let Some(axis) = axis {
            write_colour_bar(html, axis, layout)?;
        }
        html.push_str("</svg>\n");
        Ok(())
    }
}

/// Room for the row letters.
const LEFT: f64 = 26.0;
/// Room for the column numbers.
const TOP: f64 = 18.0;

/// Sizes of the drawing in pixels.
struct Layout {
    /// Distance from well to well.
    pitch: f64,
    width: f64,
    height: f64,
    bar_x: f64,
    bar_height: f64,
}

impl Layout {
    fn of(shown: &ShownWells, axis: Option<&Axis>) -> Self {
        // Plates with many columns get smaller wells, so that they fit a page.
        let pitch = if shown.num_columns() > 24 { 15.0 } else { 20.0 };
        let plate_height = pitch * shown.num_rows() as f64;
        let bar_x = LEFT + pitch * shown.num_columns() as f64 + 16.0;
        let (bar_width, bar_height) = match axis {
            Some(axis) => (
                26.0 + 6.2 * axis.label_chars() as f64,
                plate_height.clamp(80.0, 240.0),
            ),
            None => (0.0, 0.0),
        };
        Self {
            pitch,
            width: bar_x + bar_width,
            height: TOP + plate_height.max(bar_height) + 8.0,
            bar_x,
            bar_height,
        }
    }
}

/// The rows and columns that are drawn.
pub(crate) struct ShownWells {
    rows: (usize, usize),
    columns: (usize, usize),
}

impl ShownWells {
    pub(crate) fn of(addresses: impl Iterator<Item = WellAddress>) -> Option<Self> {
        addresses.fold(None, |shown: Option<Self>, address| {
            let (row, column) = (address.row_index(), address.column_index());
            let (rows, columns) = shown.map_or(((row, row), (column, column)), |shown| {
                (shown.rows, shown.columns)
            });
            Some(Self {
                rows: (rows.0.min(row), rows.1.max(row)),
                columns: (columns.0.min(column), columns.1.max(column)),
            })
        })
    }

    pub(crate) fn rows(&self) -> std::ops::RangeInclusive<usize> {
        self.rows.0..=self.rows.1
    }

    pub(crate) fn columns(&self) -> std::ops::RangeInclusive<usize> {
        self.columns.0..=self.columns.1
    }

    pub(crate) fn num_rows(&self) -> usize {
        self.rows.1 - self.rows.0 + 1
    }

    pub(crate) fn num_columns(&self) -> usize {
        self.columns.1 - self.columns.0 + 1
    }
}

/// One well: its colour or hatching, its frame if it is a control, and its
/// tooltip.
fn write_well(
    html: &mut String,
    hatched: &mut String,
    address: WellAddress,
    well: Option<&HeatMapWell>,
    (x, y, pitch): (f64, f64, f64),
    axis: Option<&Axis>,
) -> std::fmt::Result {
    let role = well.map_or(ControlRole::Treatment, |well| well.control_role);
    let frame = ROLES.iter().find(|(framed, ..)| *framed == role);
    let value = well.and_then(|well| well.value);
    // A frame stands off its well, so that it shows on every colour.
    let inset = if frame.is_some() {
        0.18 * pitch
    } else {
        0.05 * pitch
    };
    let (cell_x, cell_y, side) = (x + inset, y + inset, pitch - 2.0 * inset);
    let colour = match (value.filter(|value| value.is_finite()), axis) {
        (Some(value), Some(axis)) => Some(viridis(axis.fraction(value))),
        _ => None,
    };
    write!(
        html,
        "<rect x=\"{}\" y=\"{}\" width=\"{side}\" height=\"{side}\"",
        px(cell_x),
        px(cell_y),
        side = px(side)
    )?;
    match &colour {
        Some(colour) => write!(html, " fill=\"{colour}\"")?,
        None => {
            write!(html, " class=\"missing\"")?;
            let (x, y) = (cell_x, cell_y);
            for part in [0.5, 1.0] {
                let d = part * side;
                write!(hatched, "M{} {}L{} {}", px(x), px(y + d), px(x + d), px(y))?;
            }
            let (d, far) = (0.5 * side, side);
            write!(
                hatched,
                "M{} {}L{} {}",
                px(x + d),
                px(y + far),
                px(x + far),
                px(y + d)
            )?;
        }
    }
    let shown = match (well, value) {
        (None, _) => "not in the data".to_owned(),
        (Some(_), None) => "no value".to_owned(),
        (Some(_), Some(value)) => format_number(value),
    };
    write!(html, "><title>{address}: {shown}")?;
    if let Some(well) = well {
        if !well.label.is_empty() {
            write!(html, ", {}", Escaped(&well.label))?;
        }
        if let Some((_, _, name)) = frame {
            write!(html, " ({name})")?;
        }
    }
    html.push_str("</title></rect>\n");
    if let Some((_, class, _)) = frame {
        let inset = 0.05 * pitch;
        writeln!(
            html,
            "<rect class=\"frame {class}\" x=\"{}\" y=\"{}\" width=\"{side}\" height=\"{side}\"/>",
            px(x + inset),
            px(y + inset),
            side = px(pitch - 2.0 * inset)
        )?;
    }
    Ok(())
}

fn write_colour_bar(html: &mut String, axis: &Axis, layout: &Layout) -> std::fmt::Result {
    let (x, y, height) = (layout.bar_x, TOP, layout.bar_height);
    const NUM_STEPS: usize = 32;
    let step = height / NUM_STEPS as f64;
    for index in 0..NUM_STEPS {
        writeln!(
            html,
            "<rect x=\"{}\" y=\"{}\" width=\"12\" height=\"{}\" fill=\"{}\"/>",
            px(x),
            px(y + height - step * (index + 1) as f64),
            // A little overlap hides the seams between steps.
            px(step + if index == 0 { 0.0 } else { 0.5 }),
            viridis((index as f64 + 0.5) / NUM_STEPS as f64)
        )?;
    }
    for (tick, label) in &axis.ticks {
        let tick_y = y + height * (1.0 - axis.fraction(*tick));
        writeln!(
            html,
            "<path class=\"box\" d=\"M{} {}h4\"/><text class=\"tick\" x=\"{}\" y=\"{}\">{label}</text>",
            px(x + 12.0),
            px(tick_y),
            px(x + 19.0),
            px(tick_y + 3.5)
        )?;
    }
    Ok(())
}

/// What the frames and hatching mean, those that occur.
fn key(
    wells: &BTreeMap<WellAddress, &HeatMapWell>,
    shown: &ShownWells,
    axis: Option<&Axis>,
) -> Vec<(String, &'static str)> {
    let roles: BTreeSet<&str> = wells
        .values()
        .map(|well| well.control_role.as_str())
        .collect();
    let mut key = Vec::new();
    for (role, class, name) in ROLES {
        if roles.contains(role.as_str()) {
            let drawing = format!(
                "<rect class=\"frame {class}\" x=\"1\" y=\"1\" width=\"12\" height=\"12\"/>"
            );
            key.push((drawing, name));
        }
    }
    let has_value = |well: &HeatMapWell| well.value.is_some_and(f64::is_finite);
    let all_drawn = wells.len() == shown.num_rows() * shown.num_columns();
    if axis.is_none() || !all_drawn || !wells.values().all(|well| has_value(well)) {
        let drawing = "<rect class=\"missing\" x=\"1\" y=\"1\" width=\"12\" height=\"12\"/>\
                       <path class=\"hatch\" d=\"M1 7L7 1M1 13L13 1M7 13L13 7\"/>";
        key.push((drawing.to_owned(), "no value"));
    }
    key
}

/// The key, and which rows and columns are drawn.
fn write_legend(
    html: &mut String,
    wells: &BTreeMap<WellAddress, &HeatMapWell>,
    shown: &ShownWells,
    axis: Option<&Axis>,
) -> std::fmt::Result {
    html.push_str("<ul class=\"legend\">\n");
    for (content, label) in key(wells, shown, axis) {
        let swatch = Swatch::new(14.0, &content).markup;
        writeln!(html, "<li>{swatch}{label}</li>")?;
    }
    let beyond = |well: &&&HeatMapWell| match (well.value, axis) {
        (Some(value), Some(axis)) => value < axis.low || value > axis.high,
        _ => false,
    };
    let num_beyond = wells.values().filter(beyond).count();
    let beyond = match num_beyond {
        0 => String::new(),
        _ => format!(", {} beyond the colour scale", counted(num_beyond, "well")),
    };
    let row_name = |row: usize| {
        WellAddress::from_indices(row, 0)
            .map(WellAddress::row_name)
            .unwrap_or_default()
    };
    let named = |noun: &str, first: String, last: String| {
        if first == last {
            format!("{noun} {first}")
        } else {
            format!("{noun}s {first}–{last}")
        }
    };
    let rows = named("row", row_name(shown.rows.0), row_name(shown.rows.1));
    let (first, last) = (shown.columns.0 + 1, shown.columns.1 + 1);
    let columns = named("column", first.to_string(), last.to_string());
    writeln!(
        html,
        "<li class=\"count\">{}, {rows}, {columns}{beyond}</li>\n</ul>",
        counted(wells.len(), "well"),
    )
}
