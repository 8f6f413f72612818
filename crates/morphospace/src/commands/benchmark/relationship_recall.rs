use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use morphospace::evaluation::{Evaluation, RecallSettings};
use morphospace_benchmark::{Relationships, Score, read_sources};
use morphospace_core::Seed;

use crate::cli::{RecallArgs, RecallNullArg};

/// Whether known partners lie together.
pub(super) fn scores(args: &RecallArgs) -> Result<Vec<Score>> {
    let relationships = read_sources(&args.relationships)?;
    let listed = args.entities.as_deref().map(read_entities).transpose()?;
    let profiles = crate::commands::read(&args.score.profiles)?;
    let entities = profiles.text(&args.entity_column)?.into_iter();
    let entities: BTreeSet<String> = entities.flatten().collect();
    refuse_strangers(&entities, &relationships, &args.entity_column)?;

    let mut settings = RecallSettings {
        sampled_null: args.null == RecallNullArg::Samples,
        false_positive_rate: args.false_positive_rate,
        entities: listed,
        min_num_entities: args.min_entities as usize,
        ..RecallSettings::default()
    };
    if !args.thresholds.is_empty() {
        settings.thresholds.clone_from(&args.thresholds);
    } else if args.sweep {
        let share = |percent: u32| f64::from(percent) / 100.0;
        settings.thresholds = (1..=10).map(|low| (share(low), share(100 - low))).collect();
    }
    let evaluation = Evaluation {
        model: &args.score.model,
        batch_column: &args.controls.batch_column,
        entity_column: &args.entity_column,
        relationships: &relationships,
        controls: crate::commands::control_rule(&args.controls)?,
        seed: Seed::new(args.score.seed),
    };
    let scores = evaluation.relationship_recall(&profiles, &args.score.alignment, &settings)?;
    if scores.is_empty() {
        bail!(
            "none of the known relationships has both its ends among the entities of column '{}'{}",
            args.entity_column,
            match settings.sampled_null {
                true => ", or there are fewer than 20 entities at either end of them",
                false => "",
            }
        );
    }
    Ok(scores)
}

fn read_entities(path: &Path) -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read '{}'", path.display()))?;
    let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    if names.is_empty() {
        bail!("'{}' lists no entity", path.display());
    }
    Ok(names)
}

/// Names that match nothing are of another kind, such as identifiers for symbols.
fn refuse_strangers(
    entities: &BTreeSet<String>,
    relationships: &[Relationships],
    column: &str,
) -> Result<()> {
    let known: BTreeSet<&str> = relationships
        .iter()
        .flat_map(Relationships::pairs)
        .flat_map(|(first, second)| [first.as_str(), second])
        .collect();
    if entities
        .iter()
        .any(|entity| known.contains(entity.as_str()))
    {
        return Ok(());
    }
    let some = |names: &mut dyn Iterator<Item = &str>| -> String {
        names.take(5).collect::<Vec<_>>().join(", ")
    };
    bail!(
        "none of the {} values of column '{column}' is among the {} entities of known \
         relationships\nhint: the column holds {}, the files {}; give another column with \
         --entity-column",
        entities.len(),
        known.len(),
        some(&mut entities.iter().map(String::as_str)),
        some(&mut known.iter().copied())
    )
}
