use morphospace_core::Provenance;
use morphospace_map::{Aligner, fit_profiles, transform_profiles};
use morphospace_profiles::write_profiles;

use super::embed::refuse_unknown_table;
use crate::cli::AlignArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::warn;

pub(crate) fn run(args: &AlignArgs) -> Result<Outcome, Failure> {
    refuse_unknown_table(&args.output)?;
    let controls = super::control_rule(&args.controls).or_refuse()?;
    let profiles = super::read(&args.profiles).or_refuse()?;
    let batch_column = &args.controls.batch_column;
    let fitted = fit_profiles(&profiles, batch_column, &controls, &args.method).or_refuse()?;
    let aligned = transform_profiles(&fitted, &profiles, batch_column).or_stop()?;
    for warning in fitted.warnings() {
        warn(warning);
    }
    let report = fitted.report();
    eprintln!(
        "{}: {} rows, {} controls in {} batches, {} features to {}",
        args.method.name(),
        report.num_rows,
        report.num_controls,
        report.controls_per_batch.len(),
        report.num_features,
        report.num_components
    );
    if let Some(folder) = &args.save_aligner {
        fitted.save(folder).or_stop()?;
    }
    let provenance = Provenance::new("align")
        .with_input(&args.profiles)
        .or_stop()?
        .with_setting("method", args.method.name())
        .with_setting("batch_column", batch_column)
        .with_setting("controls", &args.controls.controls);
    write_profiles(&args.output, &aligned.with_provenance(provenance)).or_stop()?;
    println!("{}", args.output.display());
    Ok(Outcome::Done)
}
