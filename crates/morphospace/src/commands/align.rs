use anyhow::{Context, Result};
use morphospace_core::{Provenance, parse_config, read_config};
use morphospace_map::{
    AlignMethod, Aligner, FittedAligner, Verdict, fit_profiles, fit_profiles_stream,
    transform_profiles, transform_profiles_stream,
};
use morphospace_profiles::{ProfileStream, Profiles, ProfilesError, ProfilesWriter, ReadOptions};

use crate::cli::{AlignArgs, SettingsArgs};
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::warn;

pub(crate) fn run(args: &AlignArgs) -> Result<Outcome, Failure> {
    super::refuse_unwritable_table(&args.table.output)?;
    super::refuse_own_input(&args.profiles, &args.table.output)?;
    let controls = super::control_rule(&args.controls).or_refuse()?;
    let batch_column = &args.controls.batch_column;
    let method = match &args.method {
        Some(method) => Some(with_settings(method, &args.settings).or_refuse()?),
        None => None,
    };
    let given = match &args.aligner {
        Some(folder) => Some(FittedAligner::load(folder).or_refuse()?),
        None => None,
    };
    let fitted = |fit: &dyn Fn(&AlignMethod) -> Result<FittedAligner>| match (&given, &method) {
        (Some(fitted), _) => Ok(fitted.clone()),
        (None, Some(method)) => fit(method),
        (None, None) => unreachable!("the command line asks for one of them"),
    };
    let provenance = |fitted: &FittedAligner| -> Result<Provenance> {
        let provenance = Provenance::new("align")
            .with_input(&args.profiles)?
            .with_setting("method", serde_json::to_string(fitted.method())?)
            .with_setting("batch_column", batch_column)
            .with_setting("controls", &args.controls.controls);
        Ok(match &args.aligner {
            Some(folder) => provenance.with_setting("aligner", folder.display()),
            None => provenance,
        })
    };
    let Some(memory_mib) = args.memory else {
        let profiles = super::read(&args.profiles).or_refuse()?;
        let fitted =
            fitted(&|method| Ok(fit_profiles(&profiles, batch_column, &controls, method)?))
                .or_refuse()?;
        let aligned = transform_profiles(&fitted, &profiles, batch_column).or_refuse()?;
        tell(&fitted, profiles.num_rows());
        save(&fitted, args)?;
        let provenance = provenance(&fitted).or_stop()?;
        super::write_table(&args.table, aligned.with_provenance(provenance))?;
        return Ok(Outcome::Done);
    };

    // What is read, what is made of it and what is being written are held at once,
    // in double precision; the rows that are fitted on take a quarter.
    let memory_mib = memory_mib as usize;
    let chunk_bytes = (memory_mib << 20) / 12;
    let open = || Chunks::open(args, chunk_bytes);
    let fitted = fitted(&|method| {
        Ok(fit_profiles_stream(
            open,
            batch_column,
            &controls,
            method,
            memory_mib / 4,
        )?)
    })
    .or_refuse()?;
    let provenance = provenance(&fitted).or_stop()?;
    let mut writer = ProfilesWriter::begin(&args.table.output)
        .or_refuse()?
        .with_provenance(provenance);
    let schema = args.table.schema.into();
    let mut num_rows = 0;
    for chunk in transform_profiles_stream(&fitted, open().or_stop()?, batch_column) {
        let chunk = chunk.or_stop()?;
        num_rows += chunk.num_rows();
        writer.append(&chunk.to_schema(schema)).or_stop()?;
    }
    tell(&fitted, num_rows);
    save(&fitted, args)?;
    writer.finish().or_stop()?;
    crate::print_line!("{}", args.table.output.display());
    Ok(Outcome::Done)
}

/// The method with settings in place of its defaults.
fn with_settings(method: &AlignMethod, args: &SettingsArgs) -> Result<AlignMethod> {
    let name = format!("method={}", method.name());
    let overrides: Vec<String> = [vec![name], args.set.clone()].concat();
    match &args.settings {
        Some(path) => Ok(read_config(path, &overrides)?),
        None if args.set.is_empty() => Ok(method.clone()),
        None => parse_config("--set", "", &overrides)
            .with_context(|| format!("the settings of {}", method.name())),
    }
}

fn tell(fitted: &FittedAligner, num_rows: usize) {
    for warning in fitted.warnings() {
        warn(warning);
    }
    let report = fitted.report();
    let method = fitted.method().name();
    crate::say!(
        "{method}: {num_rows} rows; fitted on {} controls in {} batches, {} features to {}",
        report.num_controls,
        report.controls_per_batch.len(),
        report.num_features,
        report.num_components
    );
    if let Some(convergence) = &report.convergence {
        let objective = convergence.objective.iter();
        let objective: Vec<String> = objective.map(|value| format!("{value:.6}")).collect();
        crate::say!(
            "{method}: {}; objective: {}",
            match convergence.verdict {
                Verdict::Converged => "converged",
                Verdict::ObjectiveRose => "stopped where the objective rose",
                Verdict::ReachedLimit => "did not converge",
            },
            objective.join(", ")
        );
    }
}

fn save(fitted: &FittedAligner, args: &AlignArgs) -> Result<(), Failure> {
    match &args.save_aligner {
        Some(folder) => fitted.save(folder).or_stop(),
        None => Ok(()),
    }
}

/// A table, a chunk after the other.
struct Chunks(ProfileStream);

impl Chunks {
    fn open(args: &AlignArgs, bytes: usize) -> Result<Self, ProfilesError> {
        ProfileStream::open(&args.profiles, &ReadOptions::default(), bytes).map(Self)
    }
}

impl Iterator for Chunks {
    type Item = Result<Profiles, ProfilesError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_chunk().transpose()
    }
}
