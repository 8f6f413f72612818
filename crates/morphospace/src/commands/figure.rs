mod of_profiles;
mod of_scores;
mod of_tables;

use std::path::Path;

use anyhow::Result;
use morphospace_report::{Block, Page, Section, write_figure, write_page};

use crate::cli::FigureCommand;
use crate::failure::{Failure, Outcome, Phase};

pub(crate) fn run(command: &FigureCommand) -> Result<Outcome, Failure> {
    let output = match command {
        FigureCommand::Umap(args) => &args.figure.output,
        FigureCommand::Recall(args) => &args.scores.figure.output,
        FigureCommand::Compute(args) => &args.scores.figure.output,
        FigureCommand::Models(args) => &args.scores.figure.output,
        FigureCommand::Concentrations(args) => &args.figure.output,
        FigureCommand::Magnitudes(args) => &args.figure.output,
        FigureCommand::Blocks(args) => &args.scores.figure.output,
        FigureCommand::Cosines(args) => &args.figure.output,
        FigureCommand::Plate(args) => &args.figure.output,
    };
    refuse_unknown_ending(output)?;
    let figure = match command {
        FigureCommand::Umap(args) => of_profiles::umap(args),
        FigureCommand::Recall(args) => of_scores::recall(args),
        FigureCommand::Compute(args) => of_scores::compute(args),
        FigureCommand::Models(args) => of_scores::models(args),
        FigureCommand::Concentrations(args) => of_scores::concentrations(args),
        FigureCommand::Magnitudes(args) => of_tables::magnitudes(args),
        FigureCommand::Blocks(args) => of_scores::blocks(args),
        FigureCommand::Cosines(args) => of_tables::cosines(args),
        FigureCommand::Plate(args) => of_profiles::plate(args),
    };
    write(output, figure.or_refuse()?).or_stop()?;
    crate::print_line!("{}", output.display());
    Ok(Outcome::Done)
}

pub(super) fn refuse_unknown_ending(path: &Path) -> Result<(), Failure> {
    let known = ["svg", "png", "html"];
    let ending = path.extension().map(|ending| ending.to_string_lossy());
    if !ending.is_some_and(|ending| known.contains(&ending.as_ref())) {
        return Err(Failure::Refused(anyhow::anyhow!(
            "'{}' is no figure that can be written; endings: .svg, .png, .html",
            path.display()
        )));
    }
    super::refuse_unwritable(path)
}

pub(super) fn write(path: &Path, figure: Block) -> Result<()> {
    if path.extension().is_some_and(|ending| ending == "html") {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let page = Page::new(name.into_owned()).with_section(Section::new("Figure").with(figure));
        write_page(path, &page)?;
    } else {
        write_figure(path, &figure)?;
    }
    Ok(())
}
