use anyhow::{Context, Result};
use morphospace::evaluation::{all_pairs, replicate_score};
use morphospace_benchmark::{Score, WellTable};
use morphospace_core::Seed;

use crate::cli::ReplicateArgs;

/// Whether wells of replicates are more alike than random pairs.
pub(super) fn scores(args: &ReplicateArgs) -> Result<Vec<Score>> {
    let profiles =
        crate::commands::without_rows(crate::commands::read(&args.score.profiles)?, &args.exclude)?;
    let columns = [
        args.replicate_column.as_str(),
        &args.match_column,
        &args.perturbation_column,
    ];
    let profiles = crate::commands::labelled_rows(profiles, &columns)?;
    let column = &args.replicate_column;
    crate::commands::refuse_single_value(&profiles, column, "--replicate-column", "replicates")?;
    profiles.check_finite()?;
    let wells = WellTable::from_profiles(
        &profiles,
        &args.replicate_column,
        &args.match_column,
        &args.perturbation_column,
    )?;
    let pairs = if args.pairs.is_empty() {
        all_pairs(&profiles.keys(&args.replicate_column)?)
    } else {
        args.pairs
            .iter()
            .map(|text| pair(text))
            .collect::<Result<Vec<_>>>()?
    };
    let seed = Seed::new(args.score.seed);
    let score = replicate_score(
        &wells,
        &pairs,
        &args.score.model,
        &args.score.alignment,
        seed,
    )?;
    Ok(vec![
        score
            .with_setting("replicates", &args.replicate_column)
            .with_setting("excluded", args.exclude.join("; ")),
    ])
}

fn pair(text: &str) -> Result<(String, String)> {
    let (first, second) = text
        .split_once(',')
        .with_context(|| format!("--pair '{text}' is not of the form A,B"))?;
    Ok((first.trim().to_owned(), second.trim().to_owned()))
}
