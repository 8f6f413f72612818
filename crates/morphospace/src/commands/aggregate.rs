use anyhow::Context;
use morphospace_core::Provenance;
use morphospace_map::{Aggregate, Average, aggregate};

use crate::cli::{AggregateArgs, AverageArg};
use crate::failure::{Failure, Outcome, Phase};

pub(crate) fn run(args: &AggregateArgs) -> Result<Outcome, Failure> {
    super::refuse_unwritable_table(&args.table.output)?;
    let controls = super::control_rule(&args.controls).or_refuse()?;
    let by: Vec<&str> = args.by.iter().map(String::as_str).collect();
    let profiles = super::read(&args.profiles)
        .and_then(|profiles| super::labelled_rows(profiles, &by))
        .or_refuse()?;

    let settings = Aggregate {
        by: args.by.clone(),
        average: match args.average {
            AverageArg::Mean => Average::Mean,
            AverageArg::Median => Average::Median,
            AverageArg::Spherical => Average::Spherical,
            AverageArg::Frechet => Average::SphericalFrechet,
        },
        keys_to_remove: args.remove.clone(),
        origin: args.from_controls.then_some(controls),
    };
    let aggregated = aggregate(&profiles, &settings).or_refuse()?;
    aggregated
        .check_finite()
        .context(
            "the directions of a group cancel, so that it has no mean direction\nhint: leave it \
             out with --remove, or use --average mean",
        )
        .or_refuse()?;
    let provenance = Provenance::new("aggregate")
        .with_input(&args.profiles)
        .or_stop()?
        .with_setting("by", args.by.join(", "))
        .with_setting("average", format!("{:?}", settings.average))
        .with_setting("from_controls", args.from_controls);
    eprintln!(
        "aggregate: {} rows to {}",
        profiles.num_rows(),
        aggregated.num_rows()
    );
    super::write_table(&args.table, aggregated.with_provenance(provenance))?;
    Ok(Outcome::Done)
}
