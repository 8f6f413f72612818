//! Arguments of the commands that follow recipes and collect what came out.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The recipe in TOML: commands, what they need and the tables of what comes out
    pub(crate) recipe: PathBuf,
    /// What the recipe needs, e.g. screen=plates (repeatable; several of one name are all
    /// used)
    #[arg(long = "input", value_name = "NAME=VALUE")]
    pub(crate) inputs: Vec<String>,
    /// Override one setting of the recipe, e.g. --set values.method=tvn or --set
    /// repeat.seed=[1,2] (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Folder of the run; steps that are done there are left out
    #[arg(long, value_name = "FOLDER", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,
    /// Print the commands and stop; what is not given stands in capitals
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CollectArgs {
    /// Folders that `run` filled, each a row, or files of scores
    #[arg(required = true, value_name = "FOLDER|JSON")]
    pub(crate) runs: Vec<PathBuf>,
    /// Only the table of this title
    #[arg(long, value_name = "TITLE")]
    pub(crate) table: Option<String>,
    /// Title of the page
    #[arg(long, default_value = "Results", value_name = "TITLE")]
    pub(crate) title: String,
    /// File to write: .md, .csv, .json, or .html for a page with figures [default: print
    /// Markdown]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
