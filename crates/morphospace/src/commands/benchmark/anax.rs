use std::collections::BTreeSet;

use anyhow::{Result, bail};
use morphospace_benchmark::{GeneGroups, Score, probe_gene_groups};
use morphospace_core::Seed;

use crate::cli::AnaxArgs;

/// The linear probe of Kenyon-Dean et al. 2024, appendix A.4.
pub(super) fn scores(args: &AnaxArgs) -> Result<Vec<Score>> {
    let groups = match &args.groups {
        Some(path) => GeneGroups::read(path)?,
        None => GeneGroups::anax(),
    };
    let profiles = crate::commands::read(&args.score.profiles)?;
    let profiles = crate::commands::labelled_rows(profiles, &[&args.gene_column])?;
    profiles.check_finite()?;
    let genes = profiles.keys(&args.gene_column)?;
    let present: BTreeSet<&String> = genes.iter().collect();
    let num_found = present
        .iter()
        .filter(|gene| groups.group_of(gene).is_some())
        .count();
    if num_found == 0 {
        let some = |names: Vec<&str>| names.into_iter().take(5).collect::<Vec<_>>().join(", ");
        bail!(
            "none of the {} values of column '{}' is a gene of the groups\nhint: it holds {}, and \
             the groups {}; give another column with --gene-column, or other groups with --groups",
            present.len(),
            args.gene_column,
            some(present.iter().map(|gene| gene.as_str()).collect()),
            some(groups.genes().collect())
        );
    }
    let seed = Seed::new(args.score.seed).split("anax");
    let found = probe_gene_groups(
        &profiles.values(),
        profiles.num_features(),
        &genes,
        &profiles.keys(&args.batch_column)?,
        &groups,
        args.folds.into(),
        seed,
    )?;
    let name = "gene groups, balanced accuracy (linear)";
    let score = Score::new(
        name,
        &args.score.model,
        &args.score.alignment,
        found.balanced_accuracy,
        found.num_wells,
    )
    .with_null(1.0 / found.num_groups as f64)
    .with_seed(seed)
    .with_setting("genes", found.num_genes)
    .with_setting("groups", found.num_groups)
    .with_setting("folds", found.num_folds)
    .with_setting(
        "genes of the groups that are missing",
        groups.genes().count() - num_found,
    );
    Ok(vec![match found.interval {
        Some(interval) => score.with_interval(interval),
        None => score,
    }])
}
