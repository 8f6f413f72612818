use morphospace_benchmark::{PhenoprintSettings, phenoprints};
use morphospace_core::Provenance;
use morphospace_profiles::write_profiles;

use crate::cli::PhenoprintsArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::warn;

pub(crate) fn run(args: &PhenoprintsArgs) -> Result<Outcome, Failure> {
    super::refuse_unwritable_table(&args.output)?;
    if let Some(path) = &args.experiments {
        super::refuse_unwritable_table(path)?;
    }
    let settings: PhenoprintSettings = super::settings(&args.settings).or_refuse()?;
    let settings = PhenoprintSettings {
        form: args.form,
        ..settings
    };
    settings.check().or_refuse()?;
    let profiles = super::read(&args.profiles).or_refuse()?;
    let found = phenoprints(&profiles, &settings).or_refuse()?;
    crate::say!(
        "phenoprints: {} of {} conditions that were tested (p < {}); not tested: {}",
        found.num_with_phenoprint(),
        found.num_tested(),
        settings.threshold,
        found.conditions.len() - found.num_tested()
    );
    if found.num_combinations > 0 {
        warn(format!(
            "wells of several perturbations, which have no part in the test: {}",
            found.num_combinations
        ));
    }
    let provenance = Provenance::new("phenoprints")
        .with_input(&args.profiles)
        .or_stop()?
        .with_seed("draws", settings.seed.value())
        .with_setting("form", settings.form)
        .with_setting("num_draws", settings.num_draws)
        .with_setting("threshold", settings.threshold);
    let table = found.to_table().with_provenance(provenance.clone());
    write_profiles(&args.output, &table).or_stop()?;
    if let Some(path) = &args.experiments {
        let table = found.experiments_table().with_provenance(provenance);
        write_profiles(path, &table).or_stop()?;
    }
    crate::print_line!("{}", args.output.display());
    Ok(Outcome::Done)
}
