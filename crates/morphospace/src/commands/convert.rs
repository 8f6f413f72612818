use anyhow::{Context, Result};
use morphospace_benchmark::{random_embeddings, shuffled_rows};
use morphospace_core::{Provenance, Seed};
use morphospace_profiles::{Profiles, ReadOptions, read_metadata, read_profiles_with};

use crate::cli::{ChanceArg, ConvertArgs};
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::warn;

pub(crate) fn run(args: &ConvertArgs) -> Result<Outcome, Failure> {
    super::refuse_unwritable_table(&args.table.output)?;
    super::refuse_own_input(&args.profiles, &args.table.output)?;
    let profiles = converted(args).or_refuse()?;
    let provenance = Provenance::new("convert")
        .with_input(&args.profiles)
        .or_stop()?;
    let provenance = match &args.metadata {
        Some(path) => provenance.with_input(path).or_stop()?,
        None => provenance,
    };
    let provenance = match args.chance {
        Some(chance) => provenance
            .with_setting("chance", format!("{chance:?}").to_lowercase())
            .with_seed("chance", args.seed),
        None => provenance,
    };
    super::write_table(&args.table, profiles.with_provenance(provenance))?;
    Ok(Outcome::Done)
}

/// The same rows with features of chance.
fn of_chance(profiles: &Profiles, chance: ChanceArg, seed: Seed) -> Result<Profiles> {
    let num_features = profiles.num_features();
    let values = match chance {
        ChanceArg::Random => {
            random_embeddings(profiles.num_rows(), num_features, seed.split("random"))
        }
        ChanceArg::Shuffled => {
            shuffled_rows(&profiles.values(), num_features, seed.split("shuffled"))
        }
    };
    Ok(profiles.with_values(profiles.feature_names().to_vec(), values)?)
}

fn converted(args: &ConvertArgs) -> Result<Profiles> {
    let options = ReadOptions {
        metadata_patterns: args.metadata_columns.clone(),
        feature_patterns: (!args.feature_columns.is_empty()).then(|| args.feature_columns.clone()),
        ..ReadOptions::default()
    };
    let (mut profiles, roles) = read_profiles_with(&args.profiles, &options)?;
    crate::say!("{roles}");
    if let (Some(path), Some(on)) = (&args.metadata, &args.on) {
        let (column, other) = on.split_once('=').unwrap_or((on, on));
        let metadata = read_metadata(path)?;
        let (joined, counts) = profiles
            .join(&metadata, column, other)
            .with_context(|| format!("adding the columns of '{}'", path.display()))?;
        if counts.num_missing > 0 {
            warn(format!(
                "rows that '{}' does not know, left without its values: {} of {}",
                path.display(),
                counts.num_missing,
                counts.num_missing + counts.num_found
            ));
        }
        profiles = joined;
    }
    let profiles = super::without_rows(profiles, &args.exclude)?;
    let profiles = match args.chance {
        None => profiles,
        Some(chance) => of_chance(&profiles, chance, Seed::new(args.seed))?,
    };
    Ok(match &args.rename_features {
        None => profiles,
        Some(text) => {
            let (from, to) = text.split_once('=').with_context(|| {
                format!(
                    "--rename-features '{text}' is not of the form FROM=TO, e.g. feature_=Cells_"
                )
            })?;
            profiles.rename_features(from, to)?
        }
    })
}
