//! The tree of the Cell Painting Gallery: `workspace_dl`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use morphospace_core::sha256_hex;
use morphospace_embed::{EmbeddingFolder, Level};
use morphospace_profiles::{Profiles, ProfilesWriter, write_profiles};

use super::{PlatesOf, refuse_inside, representation};
use crate::cli::CollateArgs;
use crate::failure::{Failure, Outcome, Phase};

/// Writes `<source>/workspace_dl/{embeddings,profiles,collated}/<model>_<hash>/...`.
///
/// Source: <https://broadinstitute.github.io/cellpainting-gallery/data_structure.html>
pub(super) fn write(args: &CollateArgs, folder: &EmbeddingFolder) -> Result<Outcome, Failure> {
    let output = &args.table.output;
    if crate::commands::is_table(output) {
        return Err(Failure::Refused(anyhow::anyhow!(
            "'{}' is the name of a table\nhint: --layout gallery writes a folder",
            output.display()
        )));
    }
    refuse_inside(&output.join("workspace_dl"), &folder.location()).or_refuse()?;
    let levels = &folder.settings().levels;
    let Some(model) = &args.model else {
        return Err(Failure::Refused(anyhow::anyhow!(
            "--layout gallery needs --model, the network's name in the tree"
        )));
    };
    refuse_no_name(model).or_refuse()?;
    let representation = representation(args, folder).or_refuse()?;
    // Other settings and other blocks of a network are other embeddings.
    let made_of = format!("{} {representation}", folder.settings_sha256());
    let model = format!("{model}_{}", &sha256_hex(made_of.as_bytes())[..8]);
    let of_sites = [Level::Crops, Level::Sites]
        .into_iter()
        .find(|level| levels.contains(level));
    let has_wells = levels.contains(&Level::Wells);
    let plates = PlatesOf::folder(folder).or_refuse()?;
    let mut collated: BTreeMap<PathBuf, ProfilesWriter> = BTreeMap::new();
    let (mut num_sites, mut num_wells) = (0, 0);
    for record in &plates.done {
        let source = record.source.as_ref();
        let root = source.map_or_else(|| output.clone(), |source| output.join(source));
        let tree = Tree {
            root: root.join("workspace_dl"),
            model: &model,
            batch: &record.batch,
        };
        if let Some(level) = of_sites {
            let table = folder
                .read_table(record, level, &representation)
                .or_stop()?;
            let table = table.to_schema(args.table.schema.into());
            num_sites += tree.write_sites(&table, &record.plate).or_stop()?;
        }
        if has_wells {
            let table = folder
                .read_table(record, Level::Wells, &representation)
                .or_stop()?;
            let table = table.to_schema(args.table.schema.into());
            num_wells += table.num_rows();
            let plate = &record.plate;
            let path = tree
                .path("profiles")
                .join(plate)
                .join(format!("{plate}.parquet"));
            write_profiles(&path, &table).or_stop()?;
            let path = tree.path("collated").join("collated.parquet");
            if !collated.contains_key(&path) {
                let writer = ProfilesWriter::begin(&path).or_stop()?;
                collated.insert(path.clone(), writer);
            }
            let writer = collated.get_mut(&path).expect("it was just begun");
            writer.append(&table).or_stop()?;
        }
    }
    for writer in collated.into_values() {
        writer.finish().or_stop()?;
    }
    crate::say!(
        "  collate: {num_sites} sites and {num_wells} wells of {} plates",
        plates.done.len()
    );
    crate::print_line!("{}", output.display());
    Ok(Outcome::with_failures(!plates.warn_if_incomplete()))
}

/// Where the tables of a batch go.
struct Tree<'a> {
    root: PathBuf,
    model: &'a str,
    batch: &'a str,
}

impl Tree<'_> {
    fn path(&self, kind: &str) -> PathBuf {
        self.root.join(kind).join(self.model).join(self.batch)
    }

    /// A table for each site; how many there are.
    fn write_sites(&self, table: &Profiles, plate: &str) -> Result<usize> {
        let wells = table.keys(table.column_in_any_schema("Metadata_Well")?)?;
        let sites = table.keys(table.column_in_any_schema("Metadata_Site")?)?;
        let mut rows: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for (row, (well, site)) in wells.iter().zip(&sites).enumerate() {
            rows.entry((well, site)).or_default().push(row);
        }
        let folder = self.path("embeddings").join(plate);
        for ((well, site), rows) in &rows {
            let path = folder
                .join(format!("{well}-{site}"))
                .join("embedding.parquet");
            write_profiles(&path, &table.select_rows(rows))
                .with_context(|| format!("plate {plate}, well {well}, site {site}"))?;
        }
        Ok(rows.len())
    }
}

/// Part of a folder's name.
fn refuse_no_name(model: &str) -> Result<()> {
    if model.is_empty() || model.contains(['/', '\\']) || Path::new(model).is_absolute() {
        bail!("--model '{model}' is no name of a folder");
    }
    Ok(())
}
