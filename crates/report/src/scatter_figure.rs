use std::collections::HashMap;
use std::fmt::Write;

use crate::axis::Axis;
use crate::drawing::{Drawing, LegendEntry, Swatch};
use crate::escape::{Escaped, shortened};
use crate::frame::Frame;
use crate::natural_order::by_nature;
use crate::number::{counted, format_count};
use crate::palette::{MAX_GROUPS, Marker};
use crate::point_raster::PointRaster;
use crate::sheet::Sheet;

/// A point of a projection and the group that colours it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterPoint {
    /// Horizontal coordinate.
    pub x: f64,
    /// Vertical coordinate.
    pub y: f64,
    /// The group's name.
    pub group: String,
}

/// One set of axes with points.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterPanel {
    /// Said above the panel, e.g. `After alignment`.
    pub title: String,
    /// E.g. `PC 1 (23 % of variance)`.
    pub x_label: String,
    /// E.g. `PC 2 (11 % of variance)`.
    pub y_label: String,
    /// The points, in any order.
    pub points: Vec<ScatterPoint>,
}

/// Panels that share their groups, colours and legend.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterRow {
    /// What the colours mean, e.g. `experiment`.
    pub coloured_by: String,
    /// The panels, left to right.
    pub panels: Vec<ScatterPanel>,
}

/// The same rows of a table projected to two dimensions once, e.g. before
/// alignment.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// Said above its panels.
    pub title: String,
    /// Name of the horizontal axis.
    pub x_label: String,
    /// Name of the vertical axis.
    pub y_label: String,
    /// One coordinate pair per row of the table.
    pub coordinates: Vec<(f64, f64)>,
}

/// A label for every row of the table, e.g. its experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Colouring {
    /// What the labels are.
    pub name: String,
    /// One label per row of the table.
    pub labels: Vec<String>,
}

/// Points in two dimensions, coloured by group, panels side by side.
///
/// Panels of more than 20,000 points hold an image of them, as so many
/// shapes would make a page that no browser scrolls.
///
/// Groups differ in colour and marker shape. The 24 most populous groups
/// have their own; the rest is small and grey. Points are drawn in layers
/// that take every eighth row, so that no group covers all others.
///
/// ```
/// use morphospace_report::{Colouring, Projection, ScatterFigure};
///
/// let before = Projection {
///     title: "Before alignment".into(),
///     x_label: "PC 1 (40 % of variance)".into(),
///     y_label: "PC 2 (9 % of variance)".into(),
///     coordinates: vec![(0.0, 1.0), (5.0, 1.2)],
/// };
/// let after = Projection { title: "After TVN".into(), ..before.clone() };
/// let batch = Colouring { name: "experiment".into(), labels: vec!["A".into(), "B".into()] };
/// let gene = Colouring { name: "gene".into(), labels: vec!["PLK1".into(), "PLK1".into()] };
/// let figure = ScatterFigure::grid("Wells", &[before, after], &[batch, gene]);
/// assert_eq!((figure.rows.len(), figure.rows[0].panels.len()), (2, 2));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterFigure {
    /// What the figure shows.
    pub caption: String,
    /// Rows of panels, each with its own colouring.
    pub rows: Vec<ScatterRow>,
}

impl ScatterFigure {
    /// Every colouring (down) of every projection (across).
    ///
    /// # Panics
    /// A colouring has another number of labels than a projection has
    /// points.
    pub fn grid(
        caption: impl Into<String>,
        projections: &[Projection],
        colourings: &[Colouring],
    ) -> Self {
        let panel = |projection: &Projection, colouring: &Colouring| {
            assert_eq!(
                projection.coordinates.len(),
                colouring.labels.len(),
                "projection '{}' and colouring '{}' must be of the same rows",
                projection.title,
                colouring.name
            );
            let points = projection.coordinates.iter().zip(&colouring.labels);
            ScatterPanel {
                title: projection.title.clone(),
                x_label: projection.x_label.clone(),
                y_label: projection.y_label.clone(),
                points: points
                    .map(|(&(x, y), group)| ScatterPoint {
                        x,
                        y,
                        group: group.clone(),
                    })
                    .collect(),
            }
        };
        let rows = colourings.iter().map(|colouring| ScatterRow {
            coloured_by: colouring.name.clone(),
            panels: projections
                .iter()
                .map(|projection| panel(projection, colouring))
                .collect(),
        });
        Self {
            caption: caption.into(),
            rows: rows.collect(),
        }
    }

    pub(crate) fn write_html(&self, html: &mut String) -> std::fmt::Result {
        writeln!(
            html,
            "<figure class=\"scatter\">\n<figcaption>{}</figcaption>",
            Escaped(&self.caption)
        )?;
        // Rows of one panel share a line.
        let is_single = self.rows.len() > 1 && self.rows.iter().all(|row| row.panels.len() == 1);
        if is_single {
            html.push_str("<div class=\"panels\">\n");
        }
        if self.rows.is_empty() {
            html.push_str("<p class=\"empty\">No points to draw.</p>\n");
        }
        for row in &self.rows {
            row.write_html(html)?;
        }
        if is_single {
            html.push_str("</div>\n");
        }
        html.push_str("</figure>\n");
        Ok(())
    }
}

impl ScatterFigure {
    /// The rows of panels below each other, each with its legend.
    pub(crate) fn sheet(&self) -> Result<Sheet, std::fmt::Error> {
        let num_across = self.rows.iter().map(|row| row.panels.len()).max();
        // Two panels, and what stands between them, at most.
        let width = if num_across > Some(1) { 824.0 } else { 400.0 };
        let mut sheet = Sheet::for_drawings([width]);
        sheet.caption(&self.caption);
        for row in &self.rows {
            let groups = Groups::of(&row.panels);
            let mut drawings = Vec::new();
            for panel in &row.panels {
                if let Some(drawing) = panel.drawing(&row.coloured_by, &groups)? {
                    drawings.push((panel.title.as_str(), drawing));
                }
            }
            sheet.subtitle(&format!("Coloured by {}", row.coloured_by));
            if drawings.is_empty() {
                sheet.remark("No points to draw.");
                continue;
            }
            let drawings: Vec<(&str, &Drawing)> = drawings
                .iter()
                .map(|(title, drawing)| (*title, drawing))
                .collect();
            sheet.drawings(&drawings);
            sheet.legend(&groups.entries());
        }
        Ok(sheet)
    }
}

impl ScatterRow {
    fn write_html(&self, html: &mut String) -> std::fmt::Result {
        let groups = Groups::of(&self.panels);
        writeln!(
            html,
            "<div class=\"scatter-row\">\n<p class=\"row-title\">Coloured by {}</p>\n\
             <div class=\"panels\">",
            Escaped(&self.coloured_by)
        )?;
        for panel in &self.panels {
            panel.write_html(html, &self.coloured_by, &groups)?;
        }
        html.push_str("</div>\n");
        groups.write_legend(html)?;
        html.push_str("</div>\n");
        Ok(())
    }
}

/// Layers the points are drawn in; see [`ScatterFigure`].
const NUM_LAYERS: usize = 8;

impl ScatterPanel {
    fn write_html(
        &self,
        html: &mut String,
        coloured_by: &str,
        groups: &Groups,
    ) -> std::fmt::Result {
        writeln!(
            html,
            "<div class=\"panel\">\n<p class=\"panel-title\">{}</p>",
            Escaped(&self.title)
        )?;
        let Some(drawing) = self.drawing(coloured_by, groups)? else {
            html.push_str("<p class=\"empty\">No points to draw.</p>\n</div>\n");
            return Ok(());
        };
        html.push_str(&drawing.markup);
        let num_omitted = self.points.len() - self.num_finite();
        if num_omitted > 0 {
            let omitted = counted(num_omitted, "point");
            writeln!(
                html,
                "<p class=\"remark\">{omitted} without finite coordinates not drawn.</p>"
            )?;
        }
        html.push_str("</div>\n");
        Ok(())
    }

    fn num_finite(&self) -> usize {
        self.points.iter().filter(|point| point.is_finite()).count()
    }

    /// The panel without its title; nothing without points.
    fn drawing(
        &self,
        coloured_by: &str,
        groups: &Groups,
    ) -> Result<Option<Drawing>, std::fmt::Error> {
        let num_finite = self.num_finite();
        if num_finite == 0 {
            return Ok(None);
        }
        let points = || self.points.iter().filter(|point| point.is_finite());
        let frame = Frame::new(
            400.0,
            330.0,
            Axis::covering(points().map(|point| point.x), 6),
            Axis::covering(points().map(|point| point.y), 6),
        );
        let description = format!(
            "Scatter plot, {}: {}, {} against {}, coloured by {coloured_by}.",
            self.title,
            counted(num_finite, "point"),
            self.y_label,
            self.x_label
        );
        let mut markup = String::new();
        frame.open(&mut markup, &description, &self.x_label, &self.y_label)?;
        if groups.is_raster {
            self.raster_points(&mut markup, groups, &frame, num_finite);
        } else {
            self.write_points(&mut markup, groups, &frame, num_finite)?;
        }
        markup.push_str("</svg>\n");
        let (width, height) = frame.size();
        Ok(Some(Drawing {
            markup,
            width,
            height,
        }))
    }

    fn write_points(
        &self,
        markup: &mut String,
        groups: &Groups,
        frame: &Frame,
        num_finite: usize,
    ) -> std::fmt::Result {
        let radius = match num_finite {
            0..150 => 4.0,
            150..600 => 3.2,
            600..3000 => 2.4,
            _ => 1.6,
        };
        // Paths by layer, then group: groups in grey come first, below all.
        let mut paths = vec![String::new(); NUM_LAYERS * (groups.labels.len() + 1)];
        let points = self.points.iter().enumerate();
        for (index, point) in points.filter(|(_, point)| point.is_finite()) {
            let slot = groups.slot(&point.group);
            let (marker, radius, layer) = match slot {
                0 => (Marker::Other, 0.7 * radius, 0),
                _ => (Marker::Group(slot - 1), radius, index % NUM_LAYERS),
            };
            let path = &mut paths[layer * (groups.labels.len() + 1) + slot];
            marker.add_to_path(path, frame.x_px(point.x), frame.y_px(point.y), radius);
        }
        for (index, path) in paths
            .iter()
            .enumerate()
            .filter(|(_, path)| !path.is_empty())
        {
            let (class, label) = match index % (groups.labels.len() + 1) {
                0 => (Marker::Other.class(), "other"),
                slot => (Marker::Group(slot - 1).class(), groups.labels[slot - 1].0),
            };
            writeln!(
                markup,
                "<path class=\"mark {class}\" d=\"{path}\"><title>{}</title></path>",
                Escaped(label)
            )?;
        }
        Ok(())
    }

    /// Draws the points into an image: grey ones first, the others in an
    /// order that has nothing to do with that of the table, so that no group
    /// covers all others.
    fn raster_points(
        &self,
        markup: &mut String,
        groups: &Groups,
        frame: &Frame,
        num_finite: usize,
    ) {
        let radius = if num_finite > 60_000 { 0.8 } else { 1.1 };
        let (width, height) = frame.size();
        let mut raster = PointRaster::new(width, height);
        let mut order: Vec<(u32, usize)> = (0..self.points.len())
            .filter(|index| self.points[*index].is_finite())
            .map(|index| match groups.slot(&self.points[index].group) {
                0 => (0, index),
                _ => (1 + (index as u32).wrapping_mul(0x9e37_79b9) / 2, index),
            })
            .collect();
        order.sort_unstable();
        for (_, index) in order {
            let point = &self.points[index];
            let marker = match groups.slot(&point.group) {
                0 => Marker::Other,
                slot => Marker::Group(slot - 1),
            };
            raster.add(marker, frame.x_px(point.x), frame.y_px(point.y), radius);
        }
        markup.push_str(&raster.into_markup(width, height));
    }
}

impl ScatterPoint {
    fn is_finite(&self) -> bool {
        self.x.is_finite() && self.y.is_finite()
    }
}

/// Panels of a row with more points than this hold an image.
const MAX_SHAPES: usize = 20_000;

/// The groups of a row of panels: which have a marker of their own.
struct Groups<'a> {
    /// Label and number of points (of the fullest panel), in the order of
    /// the legend.
    labels: Vec<(&'a str, usize)>,
    slots: HashMap<&'a str, usize>,
    num_others: usize,
    num_other_points: usize,
    /// Whether the panels hold images of their points.
    is_raster: bool,
}

impl<'a> Groups<'a> {
    fn of(panels: &'a [ScatterPanel]) -> Self {
        // A row shows the same wells in each panel: they count once.
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for panel in panels {
            let mut in_panel: HashMap<&str, usize> = HashMap::new();
            for point in &panel.points {
                *in_panel.entry(&point.group).or_default() += 1;
            }
            for (label, count) in in_panel {
                let most = counts.entry(label).or_default();
                *most = (*most).max(count);
            }
        }
        let mut labels: Vec<(&str, usize)> = counts.into_iter().collect();
        let by_name = |a: &(&str, usize), b: &(&str, usize)| by_nature(a.0, b.0);
        labels.sort_by(|a, b| b.1.cmp(&a.1).then(by_name(a, b)));
        let others = labels.split_off(labels.len().min(MAX_GROUPS));
        labels.sort_by(by_name);
        let slots = labels
            .iter()
            .enumerate()
            .map(|(index, (label, _))| (*label, index + 1));
        Self {
            slots: slots.collect(),
            labels,
            num_others: others.len(),
            num_other_points: others.iter().map(|(_, count)| count).sum(),
            is_raster: panels.iter().any(|panel| panel.points.len() > MAX_SHAPES),
        }
    }

    /// 0 for the grey rest, else one more than the index of the label.
    fn slot(&self, label: &str) -> usize {
        self.slots.get(label).copied().unwrap_or(0)
    }

    /// A marker; of points in an image a round one in its colours.
    fn swatch(&self, marker: Marker) -> String {
        match (self.is_raster, marker) {
            (false, _) | (true, Marker::Other) => marker.swatch(),
            // Every fifth shape is round.
            (true, Marker::Group(_)) => {
                let class = marker.class();
                let round = Marker::Group(0).swatch();
                round.replace("mark c0", &format!("mark raster {class}"))
            }
        }
    }

    /// The legend of a figure that stands alone.
    fn entries(&self) -> Vec<LegendEntry> {
        let entry = |marker: Marker, label: String| LegendEntry {
            swatch: Swatch {
                markup: self.swatch(marker),
                width: 14.0,
            },
            label,
        };
        let groups = self
            .labels
            .iter()
            .enumerate()
            .map(|(index, (label, count))| {
                let shown = if label.is_empty() {
                    "(no label)"
                } else {
                    label
                };
                let shown = shortened(shown, 28);
                entry(
                    Marker::Group(index),
                    format!("{shown} ({})", format_count(*count)),
                )
            });
        let mut entries: Vec<LegendEntry> = groups.collect();
        if self.num_others > 0 {
            let others = counted(self.num_others, "group");
            let points = format_count(self.num_other_points);
            entries.push(entry(Marker::Other, format!("other: {others} ({points})")));
        }
        entries
    }

    fn write_legend(&self, html: &mut String) -> std::fmt::Result {
        let columns = if self.labels.len() > 8 {
            " columns"
        } else {
            ""
        };
        writeln!(html, "<ul class=\"legend{columns}\">")?;
        for (index, (label, count)) in self.labels.iter().enumerate() {
            let shown = if label.is_empty() {
                "(no label)"
            } else {
                label
            };
            writeln!(
                html,
                "<li title=\"{}\">{}{} <span class=\"count\">{}</span></li>",
                Escaped(shown),
                self.swatch(Marker::Group(index)),
                Escaped(&shortened(shown, 28)),
                format_count(*count)
            )?;
        }
        if self.num_others > 0 {
            writeln!(
                html,
                "<li class=\"rest\">{}other: {} <span class=\"count\">{}</span></li>",
                Marker::Other.swatch(),
                counted(self.num_others, "group"),
                format_count(self.num_other_points)
            )?;
        }
        html.push_str("</ul>\n");
        Ok(())
    }
}
