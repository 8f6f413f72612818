use morphospace_core::Provenance;
use morphospace_map::{Aligner, FittedAligner, fit_profiles, transform_profiles};

use crate::cli::AlignArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::warn;

pub(crate) fn run(args: &AlignArgs) -> Result<Outcome, Failure> {
    super::refuse_unwritable_table(&args.table.output)?;
    let controls = super::control_rule(&args.controls).or_refuse()?;
    let profiles = super::read(&args.profiles).or_refuse()?;
    let batch_column = &args.controls.batch_column;
    let fitted = match (&args.aligner, &args.method) {
        (Some(folder), _) => FittedAligner::load(folder).or_refuse()?,
        (None, Some(method)) => {
            fit_profiles(&profiles, batch_column, &controls, method).or_refuse()?
        }
        (None, None) => unreachable!("the command line asks for one of them"),
    };
    let aligned = transform_profiles(&fitted, &profiles, batch_column).or_refuse()?;
    for warning in fitted.warnings() {
        warn(warning);
    }
    let report = fitted.report();
    let method = fitted.method().name();
    eprintln!(
        "{method}: {} rows; fitted on {} controls in {} batches, {} features to {}",
        profiles.num_rows(),
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
        .with_setting("method", method)
        .with_setting("batch_column", batch_column)
        .with_setting("controls", &args.controls.controls);
    let provenance = match &args.aligner {
        Some(folder) => provenance.with_setting("aligner", folder.display()),
        None => provenance,
    };
    super::write_table(&args.table, aligned.with_provenance(provenance))?;
    Ok(Outcome::Done)
}
