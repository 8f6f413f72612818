use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use morphospace_core::{Provenance, suggestion};
use morphospace_map::{Aggregate, Average, aggregate, seen_from_controls};
use morphospace_profiles::Profiles;

use crate::cli::{AggregateArgs, AverageArg};
use crate::failure::{Failure, Outcome, Phase};

pub(crate) fn run(args: &AggregateArgs) -> Result<Outcome, Failure> {
    super::refuse_unwritable_table(&args.table.output)?;
    super::refuse_own_input(&args.profiles, &args.table.output)?;
    let controls = super::control_rule(&args.controls).or_refuse()?;
    let by: Vec<&str> = args.by.iter().map(String::as_str).collect();
    let profiles = super::read(&args.profiles)
        .and_then(|profiles| {
            // Before rows without a group go, as controls may be.
            let seen = match args.from_controls {
                true => seen_from_controls(&profiles, &controls)?,
                false => profiles,
            };
            super::labelled_rows(seen, &by)
        })
        .or_refuse()?;

    refuse_unknown_keys(&profiles, args).or_refuse()?;
    let settings = Aggregate {
        by: args.by.clone(),
        average: match args.average {
            AverageArg::Mean => Average::Mean,
            AverageArg::Median => Average::Median,
            AverageArg::Spherical => Average::Spherical,
            AverageArg::Frechet => Average::SphericalFrechet,
        },
        keys_to_remove: args.remove.clone(),
        origin: None,
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
    crate::say!(
        "aggregate: {} rows to {}",
        profiles.num_rows(),
        aggregated.num_rows()
    );
    super::write_table(&args.table, aggregated.with_provenance(provenance))?;
    Ok(Outcome::Done)
}

/// Most keys that a message lists.
const MAX_LISTED_KEYS: usize = 10;

/// A key that no row has is misspelt: what it was to leave out would stay.
fn refuse_unknown_keys(profiles: &Profiles, args: &AggregateArgs) -> Result<()> {
    let mut keys = BTreeSet::new();
    for column in &args.by {
        keys.extend(profiles.text(column)?.into_iter().flatten());
    }
    if let Some(key) = args.remove.iter().find(|key| !keys.contains(*key)) {
        let near = suggestion(key, keys.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!(" (did you mean '{near}'?)"));
        let listed: Vec<&str> = keys.iter().map(String::as_str).collect();
        let more = match listed.len().saturating_sub(MAX_LISTED_KEYS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        bail!(
            "--remove '{key}': no row has this key in {}{near}\nhint: there are {}{more}",
            args.by.join(" or "),
            listed[..listed.len().min(MAX_LISTED_KEYS)].join(", ")
        );
    }
    Ok(())
}
