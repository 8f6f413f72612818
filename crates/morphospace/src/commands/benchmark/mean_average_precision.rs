use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use morphospace_benchmark::{
    Bootstrap, EntityMap, GroupPrecision, LabelColumn, PairRules, PrecisionNull, RowPrecision,
    Score, Ties, mean_average_precisions, row_precisions,
};
use morphospace_core::Seed;
use morphospace_profiles::Profiles;

use crate::cli::{MeanAveragePrecisionArgs, TiesArg};

/// How many groups find their members, and how well.
pub(super) fn scores(args: &MeanAveragePrecisionArgs) -> Result<Vec<Score>> {
    let profiles = crate::commands::read(&args.score.profiles)?;
    let profiles = crate::commands::without_rows(profiles, &args.exclude)?;
    let lists = [
        &args.pos_sameby,
        &args.pos_diffby,
        &args.neg_sameby,
        &args.neg_diffby,
    ];
    let needed: Vec<&str> = lists
        .into_iter()
        .flatten()
        .chain(&args.several)
        .map(String::as_str)
        .collect();
    // References are told from by what they are, whatever labels they lack.
    let rule = args.reference.as_deref();
    let rule = rule
        .map(|text| crate::commands::rows_with("--reference", text))
        .transpose()?;
    let is_reference = match &rule {
        Some(rule) => rule.select(&profiles)?,
        None => vec![false; profiles.num_rows()],
    };
    let (profiles, kept) =
        crate::commands::labelled_or(profiles, &needed, |row| is_reference[row])?;
    profiles.check_finite()?;
    if args.pos_sameby.is_empty() && args.several.is_none() {
        bail!(
            "nothing says which rows belong together\nhint: give --pos-sameby, e.g. \
             --pos-sameby Metadata_treatment --neg-diffby Metadata_treatment"
        );
    }

    let references = rule.map(|_| {
        let of_kept: Vec<bool> = kept.iter().map(|row| is_reference[*row]).collect();
        LabelColumn::references(&of_kept)
    });
    let mut columns: BTreeMap<&str, LabelColumn> = BTreeMap::new();
    for name in lists.into_iter().flatten() {
        if !columns.contains_key(name.as_str()) {
            let labels = profiles.text(name)?.into_iter();
            let labels: Vec<String> = labels.map(Option::unwrap_or_default).collect();
            columns.insert(name, LabelColumn::single(&labels));
        }
    }
    let several = match &args.several {
        Some(column) => Some(several_labels(&profiles, column, &args.separator)?),
        None => None,
    };
    let of = |names: &[String]| -> Vec<&LabelColumn> {
        names.iter().map(|name| &columns[name.as_str()]).collect()
    };
    let mut rules = PairRules {
        pos_sameby: of(&args.pos_sameby),
        pos_diffby: of(&args.pos_diffby),
        neg_sameby: of(&args.neg_sameby),
        neg_diffby: of(&args.neg_diffby),
        ties: match args.ties {
            TiesArg::Mean => Ties::Mean,
            TiesArg::PositivesFirst => Ties::PositivesFirst,
        },
    };
    if let Some(references) = &references {
        rules.pos_sameby.push(references);
        rules.neg_diffby.push(references);
    }
    let rows = EntityMap::new(
        vec![String::new(); profiles.num_rows()],
        profiles.values().into_owned(),
        profiles.num_features(),
    )?;
    let by_label = several.as_ref().map(|(column, _)| column);
    let mut precisions = row_precisions(&rows, &rules, by_label)?;
    precisions.retain(|precision| precision.num_positives > 0);
    if precisions.is_empty() {
        bail!(
            "no row has another that belongs to it\nhint: look at --pos-sameby and --pos-diffby: \
             of {} rows, none shares the first and differs in the second",
            profiles.num_rows()
        );
    }
    if let Some(row) = precisions
        .iter()
        .find(|precision| precision.num_pairs == precision.num_positives)
    {
        bail!(
            "{} has nothing to be told from\nhint: look at --neg-sameby and --neg-diffby",
            profiles.describe_row(row.row)
        );
    }

    let groups = match &several {
        Some((_, names)) => precisions
            .iter()
            .map(|precision| names[precision.label.expect("rows have labels") as usize].clone())
            .collect(),
        None => group_names(&profiles, &precisions, &args.pos_sameby)?,
    };
    let seed = Seed::new(args.score.seed).split("mean average precision");
    let null = PrecisionNull::draw(&precisions, args.draws as usize, seed.split("null"));
    let found = mean_average_precisions(&precisions, &groups, &null);
    if let Some(path) = &args.groups {
        write_groups(path, &found)?;
    }
    let score = |name: &str, value: fn(&GroupPrecision) -> f64| {
        let values: Vec<f64> = found.iter().map(value).collect();
        let bootstrap = Bootstrap::new(seed.split("bootstrap"));
        let whole = values.iter().sum::<f64>() / values.len() as f64;
        let score = Score::new(
            name,
            &args.score.model,
            &args.score.alignment,
            whole,
            values.len(),
        )
        .with_seed(seed)
        .with_setting("pos_sameby", args.pos_sameby.join(", "))
        .with_setting("pos_diffby", args.pos_diffby.join(", "))
        .with_setting("neg_sameby", args.neg_sameby.join(", "))
        .with_setting("neg_diffby", args.neg_diffby.join(", "))
        .with_setting("draws", args.draws);
        match bootstrap.interval_of_mean(&values) {
            Some(interval) => score.with_interval(interval),
            None => score,
        }
    };
    let is_found: fn(&GroupPrecision) -> f64 =
        |group| f64::from(u8::from(group.corrected_p_value < 0.05));
    Ok(vec![
        score("mean average precision", |group| {
            group.mean_average_precision
        }),
        score("mean average precision, normalised", |group| {
            group.mean_normalised
        })
        .with_null(0.0),
        score("share of groups found (q < 0.05)", is_found),
    ])
}

/// The labels of each row, and their names.
fn several_labels(
    profiles: &Profiles,
    column: &str,
    separator: &str,
) -> Result<(LabelColumn, Vec<String>)> {
    let lists: Vec<Vec<String>> = profiles
        .keys(column)?
        .iter()
        .map(|list| {
            let labels = list.split(separator).map(str::trim);
            let labels = labels.filter(|label| !label.is_empty());
            labels.map(str::to_owned).collect()
        })
        .collect();
    Ok(LabelColumn::several(&lists))
}

/// What the rows of a positive pair share.
fn group_names(
    profiles: &Profiles,
    precisions: &[RowPrecision],
    columns: &[String],
) -> Result<Vec<String>> {
    let keys = columns
        .iter()
        .map(|column| Ok(profiles.text(column)?))
        .collect::<Result<Vec<Vec<Option<String>>>>>()?;
    let name = |precision: &RowPrecision| {
        // References, which may lack a label, have no precision.
        let parts: Vec<&str> = keys
            .iter()
            .map(|keys| keys[precision.row].as_deref().unwrap_or_default())
            .collect();
        parts.join(", ")
    };
    Ok(precisions.iter().map(name).collect())
}

fn write_groups(path: &Path, groups: &[GroupPrecision]) -> Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record([
        "group",
        "num_rows",
        "mean_average_precision",
        "normalised",
        "p_value",
        "corrected_p_value",
    ])?;
    for group in groups {
        table.write_record([
            group.group.clone(),
            group.num_rows.to_string(),
            group.mean_average_precision.to_string(),
            group.mean_normalised.to_string(),
            group.p_value.to_string(),
            group.corrected_p_value.to_string(),
        ])?;
    }
    crate::commands::write_csv(path, table)
}
