use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
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
    let replicates = profiles.keys(column)?;
    let pairs = if args.pairs.is_empty() {
        all_pairs(&replicates)
    } else {
        args.pairs
            .iter()
            .map(|text| pair(text))
            .collect::<Result<Vec<_>>>()?
    };
    let asked = pairs.iter().flat_map(|(first, second)| [first, second]);
    if let Some(stranger) = asked.into_iter().find(|name| !replicates.contains(name)) {
        let there: BTreeSet<&String> = replicates.iter().collect();
        let listed: Vec<&str> = there.into_iter().take(10).map(String::as_str).collect();
        bail!(
            "--pair: no row has '{stranger}' in column '{column}'\nhint: it holds {}",
            listed.join(", ")
        );
    }
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
