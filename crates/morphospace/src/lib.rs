//! From the pixels of a high-content microscopy screen to a scored map of
//! biology.
//!
//! This crate is the command-line program and a front door to the library:
//! each stage is a crate of its own and stands here under its short name.
//!
//! ```text
//! screen -> train -> embed -> align -> aggregate -> benchmark -> report
//! ```
//!
//! ```
//! use morphospace::benchmark::EntityMap;
//! use morphospace::core::WellAddress;
//!
//! let well: WellAddress = "b2".parse()?;
//! assert_eq!(well.to_string(), "B02");
//! let map = EntityMap::new(vec!["PLK1".into(), "AURKB".into()], vec![1.0, 0.0, 1.0, 1.0], 2)?;
//! assert!((map.cosine(0, 1) - 0.5f64.sqrt()).abs() < 1e-12);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use morphospace_benchmark as benchmark;
pub use morphospace_core as core;
pub use morphospace_embed as embed;
pub use morphospace_map as map;
pub use morphospace_models as models;
pub use morphospace_profiles as profiles;
pub use morphospace_report as report;
pub use morphospace_screen as screen;
pub use morphospace_train as train;

pub mod comparison;
pub mod device;
pub mod evaluation;
pub mod inspection_page;
pub mod oracle;
pub mod recipe;
pub mod recipe_run;
pub mod result_table;
pub mod run_report;
pub mod table_spec;
