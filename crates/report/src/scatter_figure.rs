use std::collections::HashMap;
use std::fmt::Write;

use crate::axis::Axis;
use crate::escape::{Escaped, shortened};
use crate::frame::Frame;
use crate::natural_order::by_nature;
use crate::number::{counted, format_count};
use crate::palette::{MAX_GROUPS, Marker};

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
        let is_finite = |point: &&ScatterPoint| point.x.is_finite() && point.y.is_finite();
        let num_finite = self.points.iter().filter(is_finite).count();
        if num_finite == 0 {
            html.push_str("<p class=\"empty\">No points to draw.</p>\n</div>\n");
            return Ok(());
        }
        let frame = Frame::new(
            400.0,
            330.0,
            Axis::covering(self.points.iter().filter(is_finite).map(|point| point.x), 6),
            Axis::covering(self.points.iter().filter(is_finite).map(|point| point.y), 6),
        );
        let description = format!(
            "Scatter plot, {}: {}, {} against {}, coloured by {coloured_by}.",
            self.title,
            counted(num_finite, "point"),
            self.y_label,
            self.x_label
        );
        frame.open(html, &description, &self.x_label, &self.y_label)?;
        let radius = match num_finite {
            0..150 => 4.0,
            150..600 => 3.2,
            600..3000 => 2.4,
            _ => 1.6,
        };
        // Paths by layer, then group: groups in grey come first, below all.
        let mut paths = vec![String::new(); NUM_LAYERS * (groups.labels.len() + 1)];
        for (index, point) in self
            .points
            .iter()
            .enumerate()
            .filter(|(_, point)| is_finite(point))
        {
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
                html,
                "<path class=\"mark {class}\" d=\"{path}\"><title>{}</title></path>",
                Escaped(label)
            )?;
        }
        html.push_str("</svg>\n");
        let num_omitted = self.points.len() - num_finite;
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
}

/// The groups of a row of panels: which have a marker of their own.
struct Groups<'a> {
    /// Label and number of points (of the fullest panel), in the order of
    /// the legend.
    labels: Vec<(&'a str, usize)>,
    slots: HashMap<&'a str, usize>,
    num_others: usize,
    num_other_points: usize,
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
        }
    }

    /// 0 for the grey rest, else one more than the index of the label.
    fn slot(&self, label: &str) -> usize {
        self.slots.get(label).copied().unwrap_or(0)
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
                Marker::Group(index).swatch(),
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
