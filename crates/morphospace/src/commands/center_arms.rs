use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use morphospace_core::{Provenance, suggestion};
use morphospace_map::chromosome_arm::{ArmCentering, Interval, LocFilter, gene_arms};
use morphospace_profiles::{Column, Profiles, read_metadata};

use crate::cli::CenterArmsArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::warn;

/// Columns that the command adds.
const ARM: &str = "Metadata_chromosome_arm";
const EXPRESSION: &str = "Metadata_zfpkm";

/// Names that tables of genes give to what is looked for.
const GENE_NAMES: [&str; 6] = [
    "gene",
    "gene_symbol",
    "symbol",
    "name2",
    "Metadata_gene",
    "name",
];
const ARM_NAMES: [&str; 3] = ["chromosome_arm", "chrom_arm_name", "arm"];
const CHROMOSOME_NAMES: [&str; 3] = ["chrom", "chromosome", "chr"];
const START_NAMES: [&str; 4] = ["txStart", "chromStart", "start", "gene_bp"];
const END_NAMES: [&str; 3] = ["txEnd", "chromEnd", "end"];
const EXPRESSION_NAMES: [&str; 2] = ["zfpkm", "zFPKM"];

pub(crate) fn run(args: &CenterArmsArgs) -> Result<Outcome, Failure> {
    super::refuse_unwritable_table(&args.table.output)?;
    super::refuse_own_input(&args.profiles, &args.table.output)?;
    if !args.unexpressed_below.is_finite() {
        let error = anyhow!(
            "--unexpressed-below {} is no number",
            args.unexpressed_below
        );
        return Err(Failure::Refused(error));
    }
    let arms = arms(args).or_refuse()?;
    let expression = args.expression.as_deref().map(expression).transpose();
    let expression = expression.or_refuse()?;
    let profiles = super::read(&args.profiles).or_refuse()?;
    let centering = ArmCentering {
        arm_column: ARM.to_owned(),
        expression_column: expression.is_some().then(|| EXPRESSION.to_owned()),
        unexpressed_below: args.unexpressed_below,
        min_num_genes: args.min_rows,
    };
    let (profiles, num_on_arms) =
        with_arms(profiles, args, &arms, expression.as_ref()).or_refuse()?;
    let means = centering.arm_means(&profiles).or_refuse()?;
    let centred = centering.subtract(&profiles, &means).or_refuse()?;
    let own: Vec<&str> = means.keys().map(String::as_str).collect();
    if own.is_empty() {
        warn(format!(
            "no chromosome arm has more than {} rows{}: nothing was corrected\nhint: --min-rows \
             asks for fewer",
            args.min_rows,
            match &args.expression {
                Some(_) => " of genes that are not expressed",
                None => "",
            }
        ));
    }
    crate::say!(
        "center-arms: {num_on_arms} of {} rows are on an arm, {} arms corrected",
        profiles.num_rows(),
        own.len()
    );
    let inputs = [
        Some(&args.profiles),
        args.arms.as_ref(),
        args.transcripts.as_ref(),
    ];
    let more = [args.centromeres.as_ref(), args.expression.as_ref()];
    let mut provenance = Provenance::new("center-arms")
        .with_setting("unexpressed_below", args.unexpressed_below)
        .with_setting("min_rows", args.min_rows)
        .with_setting("arms", own.join(", "));
    for path in inputs.into_iter().chain(more).flatten() {
        provenance = provenance.with_input(path).or_stop()?;
    }
    super::write_table(&args.table, centred.with_provenance(provenance))?;
    Ok(Outcome::Done)
}

/// The rows with what is known of their genes; how many are on an arm.
fn with_arms(
    profiles: Profiles,
    args: &CenterArmsArgs,
    arms: &BTreeMap<String, String>,
    expression: Option<&BTreeMap<String, String>>,
) -> Result<(Profiles, usize)> {
    let genes = profiles.text(&args.gene_column)?;
    let look_up = |of: &BTreeMap<String, String>| -> Vec<Option<String>> {
        let found = genes.iter().map(|gene| of.get(gene.as_ref()?).cloned());
        found.collect()
    };
    let of_rows = look_up(arms);
    let num_on_arms = of_rows.iter().flatten().count();
    if num_on_arms == 0 {
        bail!(
            "no value of column '{}' is a gene whose arm is known\nhint: both must have symbols, \
             such as PLK1",
            args.gene_column
        );
    }
    let expression = expression.map(look_up);
    let mut profiles = profiles.with_column(ARM, Column::Text(of_rows))?;
    if let Some(expression) = expression {
        profiles = profiles.with_column(EXPRESSION, Column::Text(expression))?;
    }
    Ok((profiles, num_on_arms))
}

/// The arm of every gene.
fn arms(args: &CenterArmsArgs) -> Result<BTreeMap<String, String>> {
    if let Some(path) = &args.arms {
        let table = GeneTable::read(path)?;
        return table.pairs(&GENE_NAMES, &ARM_NAMES);
    }
    let (Some(transcripts), Some(centromeres)) = (&args.transcripts, &args.centromeres) else {
        bail!("give --arms, or --transcripts and --centromeres");
    };
    let transcripts = GeneTable::read(transcripts)?.intervals(&GENE_NAMES)?;
    // Of centromeres only the place counts.
    let centromeres = GeneTable::read(centromeres)?.intervals(&CHROMOSOME_NAMES)?;
    let filter = match args.loc_as_published {
        true => LocFilter::AsPublished,
        false => LocFilter::Numbered,
    };
    let arms = gene_arms(&transcripts, &centromeres, filter);
    if arms.is_empty() {
        bail!(
            "no transcript is on a chromosome that has a centromere\nhint: both tables must call \
             chromosomes chr1, chr2, ..."
        );
    }
    let pair = |arm: morphospace_map::chromosome_arm::GeneArm| {
        let name = arm.arm_name();
        (arm.gene, name)
    };
    Ok(arms.into_iter().map(pair).collect())
}

fn expression(path: &Path) -> Result<BTreeMap<String, String>> {
    let expression = GeneTable::read(path)?.pairs(&GENE_NAMES, &EXPRESSION_NAMES)?;
    let is_number = |text: &String| text.parse::<f64>().is_ok_and(f64::is_finite);
    if let Some((gene, text)) = expression.iter().find(|(_, text)| !is_number(text)) {
        bail!(
            "'{}': the zFPKM of {gene} is '{text}', no number",
            path.display()
        );
    }
    Ok(expression)
}

/// A table with a row for each gene, transcript or centromere.
struct GeneTable<'a> {
    path: &'a Path,
    table: Profiles,
}

impl<'a> GeneTable<'a> {
    fn read(path: &'a Path) -> Result<Self> {
        let table = read_metadata(path)?;
        Ok(Self { path, table })
    }

    /// A column by the first of its usual names that is there.
    fn column(&self, names: &[&str]) -> Result<Vec<Option<String>>> {
        let name = names.iter().find(|name| self.table.has_column(name));
        let Some(name) = name else {
            let near = names
                .iter()
                .find_map(|name| suggestion(name, self.table.metadata_names()));
            let near = near.map_or(String::new(), |near| format!(" (is '{near}' one of them?)"));
            let there: Vec<&str> = self.table.metadata_names().collect();
            bail!(
                "'{}' has no column {}{near}\nhint: it has {}",
                self.path.display(),
                names.join(" or "),
                there.join(", ")
            );
        };
        Ok(self.table.text(name)?)
    }

    /// Two columns of the rows that have both.
    fn pairs(&self, keys: &[&str], values: &[&str]) -> Result<BTreeMap<String, String>> {
        let mut pairs: BTreeMap<String, String> = BTreeMap::new();
        let rows = self.column(keys)?.into_iter().zip(self.column(values)?);
        for (key, value) in rows.filter_map(|(key, value)| key.zip(value)) {
            if let Some(before) = pairs.get(&key).filter(|before| **before != value) {
                bail!(
                    "'{}' has {key} twice, with {before} and {value}\nhint: leave one out",
                    self.path.display()
                );
            }
            pairs.insert(key, value);
        }
        Ok(pairs)
    }

    fn intervals(&self, names: &[&str]) -> Result<Vec<Interval>> {
        let names = self.column(names)?;
        let chromosomes = self.column(&CHROMOSOME_NAMES)?;
        let (starts, ends) = (self.column(&START_NAMES)?, self.column(&END_NAMES)?);
        let mut intervals = Vec::new();
        let rows = names
            .into_iter()
            .zip(chromosomes)
            .zip(starts.into_iter().zip(ends));
        for (row, ((name, chromosome), (start, end))) in rows.enumerate() {
            let base = |text: Option<String>| -> Result<u64> {
                let text = text.unwrap_or_default();
                text.parse().with_context(|| {
                    let path = self.path.display();
                    format!("'{path}', row {}: '{text}' is no position", row + 1)
                })
            };
            let (Some(name), Some(chromosome)) = (name, chromosome) else {
                continue;
            };
            intervals.push(Interval {
                name,
                chromosome,
                start: base(start)?,
                end: base(end)?,
            });
        }
        Ok(intervals)
    }
}
