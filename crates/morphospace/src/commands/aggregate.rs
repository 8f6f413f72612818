use morphospace_core::Provenance;
use morphospace_map::{Aggregate, Average, aggregate};
use morphospace_profiles::write_profiles;

use super::embed::refuse_unknown_table;
use crate::cli::{AggregateArgs, AverageArg};
use crate::failure::{Failure, Outcome, Phase};

pub(crate) fn run(args: &AggregateArgs) -> Result<Outcome, Failure> {
    refuse_unknown_table(&args.output)?;
    let controls = super::control_rule(&args.controls).or_refuse()?;
    let profiles = super::read(&args.profiles).or_refuse()?;
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
    write_profiles(&args.output, &aggregated.with_provenance(provenance)).or_stop()?;
    println!("{}", args.output.display());
    Ok(Outcome::Done)
}
