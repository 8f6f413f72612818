use std::fmt::Write;

use crate::axis::{Axis, extent};
use crate::drawing::{Drawing, LegendEntry, OneDrawing, Swatch};
use crate::escape::{Escaped, shortened};
use crate::frame::Frame;
use crate::number::{counted, px};
use crate::palette::NUM_COLOURS;

/// Distributions of named populations upon each other, e.g. the similarities
/// of wells of the same perturbation and of others.
///
/// Densities are given, not computed. Statistics that compare populations,
/// such as Kolmogorov and Smirnov's, belong into the remarks.
///
/// ```
/// use morphospace_report::{Density, DistributionFigure, Population};
///
/// let bins = |densities: [f64; 2]| Density::Bins {
///     edges: vec![-1.0, 0.0, 1.0],
///     densities: densities.to_vec(),
/// };
/// let figure = DistributionFigure::new("Similarity of wells", "cosine similarity")
///     .with_population(Population::new("same perturbation", bins([0.2, 0.8])))
///     .with_population(Population::new("other perturbation", bins([0.6, 0.4])))
///     .with_remark("Kolmogorov-Smirnov 0.40, Wasserstein 0.21.");
/// assert_eq!(figure.populations.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DistributionFigure {
    /// What the figure shows.
    pub caption: String,
    /// Name and unit of the values.
    pub x_label: String,
    /// What the height means.
    pub y_label: String,
    /// The populations; beyond 8 they are not drawn but counted.
    pub populations: Vec<Population>,
    /// Said below, e.g. how far populations are apart.
    pub remarks: Vec<String>,
}

/// Values of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    /// The name in the legend.
    pub label: String,
    /// How the values lie.
    pub density: Density,
}

/// How the values of a [`Population`] lie.
#[derive(Clone, Debug, PartialEq)]
pub enum Density {
    /// A histogram: a density for each bin, one edge more than bins, edges
    /// increasing. Further edges or densities are not drawn.
    Bins {
        /// Ends of the bins.
        edges: Vec<f64>,
        /// Share of the values in a bin, divided by its width, or any other
        /// height.
        densities: Vec<f64>,
    },
    /// `(value, density)` in order.
    Curve(Vec<(f64, f64)>),
}

impl Population {
    /// A named population.
    pub fn new(label: impl Into<String>, density: Density) -> Self {
        Self {
            label: label.into(),
            density,
        }
    }

    /// The outline, in runs of finite points.
    fn outline(&self) -> Vec<Vec<(f64, f64)>> {
        let is_finite = |(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
        let runs = |points: &[(f64, f64)]| {
            let runs = points.chunk_by(|a, b| is_finite(a) == is_finite(b));
            runs.filter(|run| is_finite(&run[0]))
                .map(<[_]>::to_vec)
                .collect()
        };
        match &self.density {
            Density::Curve(points) => runs(points),
            Density::Bins { edges, densities } => {
                let bins = edges.windows(2).zip(densities);
                let steps: Vec<(f64, f64)> = bins
                    .flat_map(|(ends, density)| [(ends[0], *density), (ends[1], *density)])
                    .collect();
                runs(&steps)
            }
        }
    }
}

impl DistributionFigure {
    /// A figure without populations.
    pub fn new(caption: impl Into<String>, x_label: impl Into<String>) -> Self {
        Self {
            caption: caption.into(),
            x_label: x_label.into(),
            y_label: "density".to_owned(),
            populations: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Adds a population.
    #[must_use]
    pub fn with_population(mut self, population: Population) -> Self {
        self.populations.push(population);
        self
    }

    /// Says something below the figure.
    #[must_use]
    pub fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remarks.push(remark.into());
        self
    }

    pub(crate) fn one_drawing(&self) -> Result<OneDrawing, std::fmt::Error> {
        let drawn = &self.populations[..self.populations.len().min(NUM_COLOURS)];
        let legend = drawn.iter().enumerate().map(|(index, population)| {
            let class = line_class(index);
            let content = format!(
                "<path class=\"area c{index}\" d=\"M1 2H27V12H1z\"/>\
                 <path class=\"line {class}\" d=\"M1 7H27\"/>"
            );
            LegendEntry {
                swatch: Swatch::new(28.0, &content),
                label: population.label.clone(),
            }
        });
        let drawing = self.drawing(drawn)?;
        let mut remarks = self.remarks.clone();
        if drawing.is_some() && self.populations.len() > drawn.len() {
            let more = counted(self.populations.len() - drawn.len(), "further population");
            remarks.push(format!("{more} not drawn."));
        }
        Ok(OneDrawing {
            caption: self.caption.clone(),
            legend: legend.collect(),
            drawing,
            remarks,
        })
    }

    fn drawing(&self, drawn: &[Population]) -> Result<Option<Drawing>, std::fmt::Error> {
        let outlines: Vec<Vec<Vec<(f64, f64)>>> = drawn.iter().map(Population::outline).collect();
        let points = || outlines.iter().flatten().flatten().copied();
        if points().next().is_none() {
            return Ok(None);
        }
        let heights = points().map(|(_, y)| y).chain([0.0]);
        let (lowest, highest) = extent(heights).unwrap_or((0.0, 1.0));
        let frame = Frame::new(
            760.0,
            280.0,
            Axis::covering(points().map(|(x, _)| x), 8),
            // Densities stand on the axis.
            Axis::between(lowest, highest + 0.05 * (highest - lowest), 5),
        );
        let labels: Vec<&str> = drawn
            .iter()
            .map(|population| population.label.as_str())
            .collect();
        let description = format!(
            "Distributions, {}: {} of {}. Populations: {}.",
            self.caption,
            self.y_label,
            self.x_label,
            shortened(&labels.join(", "), 200)
        );
        let mut markup = String::new();
        frame.open(&mut markup, &description, &self.x_label, &self.y_label)?;
        let floor = px(frame.y_px(0.0));
        let (mut areas, mut lines) = (String::new(), String::new());
        for (index, (population, outline)) in drawn.iter().zip(&outlines).enumerate() {
            let mut line = String::new();
            let mut area = String::new();
            for run in outline {
                let at = |(x, y): &(f64, f64)| (px(frame.x_px(*x)), px(frame.y_px(*y)));
                let start = at(&run[0]).0;
                write!(area, "M{start} {floor}")?;
                for (place, point) in run.iter().enumerate() {
                    let (x, y) = at(point);
                    write!(line, "{}{x} {y}", if place == 0 { "M" } else { "L" })?;
                    write!(area, "L{x} {y}")?;
                }
                write!(area, "V{floor}z")?;
            }
            if line.is_empty() {
                continue;
            }
            let class = line_class(index);
            writeln!(areas, "<path class=\"area c{index}\" d=\"{area}\"/>")?;
            writeln!(
                lines,
                "<path class=\"line {class}\" d=\"{line}\"><title>{}</title></path>",
                Escaped(&population.label)
            )?;
        }
        // No area covers a line.
        markup.push_str(&areas);
        markup.push_str(&lines);
        markup.push_str("</svg>\n");
        let (width, height) = frame.size();
        Ok(Some(Drawing {
            markup,
            width,
            height,
        }))
    }
}

/// Colour and dash pattern, so that populations differ without colour, too.
fn line_class(index: usize) -> String {
    format!("l{index} d{}", index % 3)
}
