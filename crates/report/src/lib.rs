//! Figures and self-contained HTML pages.
//!
//! A [`Page`] is one HTML file that needs no network: styles, figures (SVG)
//! and images (PNG) stand inside it, there is no script, and a content
//! security policy in its head forbids the browser to load anything else.
//! This crate draws what it is given and computes no statistic: values,
//! intervals, nulls and coordinates come from the stages before it.
//!
//! | block | shows |
//! |---|---|
//! | [`KeyValueTable`] | what ran: versions, seeds, inputs ([`From<&Provenance>`](KeyValueTable)) |
//! | [`ScoreTable`] | scores with intervals and chance levels, drawn on one axis per benchmark |
//! | [`ScatterFigure`] | 2-D projections, e.g. before and after alignment, coloured by batch and by group |
//! | [`PlateHeatMap`] | one value per well of a plate |
//! | [`PlateGrid`] | one value per well of many plates, small and side by side |
//! | [`CountTable`] | counts by group |
//! | [`ResultGrid`] | results of several things below several headings, as in papers |
//! | [`ImagePanel`] | the channels of a site and their colour composite |
//! | [`LineFigure`] | curves, e.g. the training loss; recall over thresholds, a score over compute or over blocks, with intervals and chance |
//! | [`DistributionFigure`] | distributions upon each other, e.g. similarities |
//! | [`SpreadFigure`] | how values spread in groups, e.g. energy distances by model |
//! | [`ResultFigure`] | what was found of several things, beside what is reported |
//! | [`BarFigure`] | values with intervals, e.g. Shapley values of channels |
//! | [`NamedScatterFigure`] | named things by two numbers, e.g. a probe's score and a benchmark's |
//! | [`FailureTable`] | sites that are incomplete or unreadable, by name |
//! | [`Notes`] | warnings and notes |
//!
//! [`write_figure`] writes one of the figures alone.
//! [`InspectionPage`] is the page about the quality of a screen's images.
//!
//! The same input gives the same bytes. Any text may be hostile: it is
//! escaped, and values that are not finite are named instead of drawn.
//!
//! ```
//! use morphospace_core::Provenance;
//! use morphospace_report::{KeyValueTable, LineFigure, LineSeries, Page, Section};
//!
//! let provenance = Provenance::new("train").with_seed("run", 7);
//! let loss = LineFigure::new("Reconstruction loss", "step", "loss")
//!     .with_series(LineSeries::new("training", vec![(1.0, 0.9), (2.0, 0.7), (3.0, 0.65)]));
//! let page = Page::new("Plates of May")
//!     .with_section(Section::new("What ran").with(KeyValueTable::from(&provenance)))
//!     .with_section(Section::new("Training").with(loss));
//! assert!(page.to_html().starts_with("<!DOCTYPE html>"));
//! ```

mod axis;
mod bar_figure;
mod count_table;
mod distribution_figure;
mod drawing;
mod escape;
mod failure_table;
mod figure_file;
#[cfg(feature = "png")]
mod figure_image;
mod frame;
mod image_panel;
mod inspection_page;
mod key_value_table;
mod line_figure;
mod name_places;
mod named_scatter_figure;
mod natural_order;
mod notes;
mod number;
mod page;
mod palette;
mod plate_grid;
mod plate_heat_map;
mod point_raster;
mod result_figure;
mod result_grid;
mod scatter_figure;
mod score_table;
mod section;
mod sheet;
mod spread_figure;

pub use bar_figure::{Bar, BarFigure};
pub use count_table::CountTable;
pub use distribution_figure::{Density, DistributionFigure, Population};
pub use failure_table::{Failure, FailureTable};
pub use figure_file::{figure_svg, write_figure};
pub use image_panel::{ImageChannel, ImagePanel};
pub use inspection_page::{
    InspectedPlate, InspectedWell, InspectionPage, PanelSection, PlatePanel,
};
pub use key_value_table::KeyValueTable;
pub use line_figure::{HorizontalAxis, LineFigure, LineSeries};
pub use named_scatter_figure::{NamedPoint, NamedScatterFigure};
pub use notes::Notes;
pub use number::{counted, format_number};
pub use page::{Page, ReportError, write_page};
pub use plate_grid::{GridPlate, GridWell, PlateGrid};
pub use plate_heat_map::{HeatMapWell, PlateHeatMap};
pub use result_figure::{ResultFigure, ResultPoint};
pub use result_grid::{ResultCell, ResultGrid};
pub use scatter_figure::{
    Colouring, Projection, ScatterFigure, ScatterPanel, ScatterPoint, ScatterRow,
};
pub use score_table::{Better, ScoreRow, ScoreTable};
pub use section::{Block, Section};
pub use spread_figure::{SpreadFigure, SpreadGroup};
