use std::fmt::Write;

use crate::escape::Escaped;
use crate::{
    BarFigure, CountTable, DistributionFigure, FailureTable, ImagePanel, KeyValueTable, LineFigure,
    NamedScatterFigure, Notes, PlateGrid, PlateHeatMap, ResultFigure, ResultGrid, ScatterFigure,
    ScoreTable, SpreadFigure,
};

/// Anything a section can hold; every figure and table converts into it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// Names and values.
    KeyValues(KeyValueTable),
    /// Scores with intervals.
    Scores(ScoreTable),
    /// 2-D projections.
    Scatter(ScatterFigure),
    /// One value per well.
    HeatMap(PlateHeatMap),
    /// One value per well of many plates.
    Plates(PlateGrid),
    /// Channels of a site.
    Images(ImagePanel),
    /// Curves.
    Lines(LineFigure),
    /// Distributions upon each other.
    Distributions(DistributionFigure),
    /// How values spread in groups.
    Spreads(SpreadFigure),
    /// Values as bars.
    Bars(BarFigure),
    /// Results beside those of others.
    ResultPoints(ResultFigure),
    /// Named things by two numbers.
    NamedScatter(NamedScatterFigure),
    /// Counts by group.
    Counts(CountTable),
    /// Results as in a paper's table.
    Results(ResultGrid),
    /// Sites with problems.
    Failures(FailureTable),
    /// Warnings and notes.
    Notes(Notes),
}

macro_rules! block_from {
    ($($variant:ident($block:ty)),* $(,)?) => {
        $(impl From<$block> for Block {
            fn from(block: $block) -> Self {
                Self::$variant(block)
            }
        })*
    };
}

block_from!(
    Text(String),
    KeyValues(KeyValueTable),
    Scores(ScoreTable),
    Scatter(ScatterFigure),
    HeatMap(PlateHeatMap),
    Plates(PlateGrid),
    Images(ImagePanel),
    Lines(LineFigure),
    Distributions(DistributionFigure),
    Spreads(SpreadFigure),
    Bars(BarFigure),
    ResultPoints(ResultFigure),
    NamedScatter(NamedScatterFigure),
    Counts(CountTable),
    Results(ResultGrid),
    Failures(FailureTable),
    Notes(Notes),
);

impl From<&str> for Block {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Block {
    fn write_html(&self, html: &mut String) -> std::fmt::Result {
        match self {
            Self::Text(text) => writeln!(html, "<p>{}</p>", Escaped(text)),
            Self::KeyValues(table) => table.write_html(html),
            Self::Scores(table) => table.write_html(html),
            Self::Scatter(figure) => figure.write_html(html),
            Self::HeatMap(figure) => figure.write_html(html),
            Self::Plates(figure) => figure.write_html(html),
            Self::Images(panel) => panel.write_html(html),
            Self::Lines(figure) => figure.one_drawing()?.write_html(html),
            Self::Distributions(figure) => figure.one_drawing()?.write_html(html),
            Self::Spreads(figure) => figure.one_drawing()?.write_html(html),
            Self::Bars(figure) => figure.one_drawing()?.write_html(html),
            Self::ResultPoints(figure) => figure.one_drawing()?.write_html(html),
            Self::NamedScatter(figure) => figure.one_drawing()?.write_html(html),
            Self::Counts(table) => table.write_html(html),
            Self::Results(table) => table.write_html(html),
            Self::Failures(table) => table.write_html(html),
            Self::Notes(notes) => notes.write_html(html),
        }
    }
}

/// A part of a page: a heading, a sentence or two on how to read it, and its
/// figures.
///
/// ```
/// use morphospace_report::{Notes, Section};
///
/// let section = Section::new("Notes")
///     .with_intro("What to keep in mind.")
///     .with(Notes::default().with_note("one seed"));
/// assert_eq!(section.blocks.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// The heading, also shown in the table of contents.
    pub heading: String,
    /// Said under the heading; may be empty.
    pub intro: String,
    /// Figures and tables, in order. Heat maps that follow one another stand
    /// side by side where there is room.
    pub blocks: Vec<Block>,
}

impl Section {
    /// A section without content.
    pub fn new(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            intro: String::new(),
            blocks: Vec::new(),
        }
    }

    /// Says how to read the section.
    #[must_use]
    pub fn with_intro(mut self, intro: impl Into<String>) -> Self {
        self.intro = intro.into();
        self
    }

    /// Adds a figure, table or paragraph.
    #[must_use]
    pub fn with(mut self, block: impl Into<Block>) -> Self {
        self.blocks.push(block.into());
        self
    }

    pub(crate) fn write_html(&self, html: &mut String, number: usize) -> std::fmt::Result {
        let heading = Escaped(&self.heading);
        writeln!(
            html,
            "<section id=\"section-{number}\" aria-labelledby=\"heading-{number}\">\n\
             <h2 id=\"heading-{number}\">{heading}</h2>"
        )?;
        if !self.intro.is_empty() {
            writeln!(html, "<p class=\"intro\">{}</p>", Escaped(&self.intro))?;
        }
        let is_heat_map = |block: &Block| matches!(block, Block::HeatMap(_));
        for run in self
            .blocks
            .chunk_by(|a, b| is_heat_map(a) && is_heat_map(b))
        {
            if run.len() > 1 {
                html.push_str("<div class=\"side-by-side\">\n");
            }
            for block in run {
                block.write_html(html)?;
            }
            if run.len() > 1 {
                html.push_str("</div>\n");
            }
        }
        html.push_str("</section>\n");
        Ok(())
    }
}
