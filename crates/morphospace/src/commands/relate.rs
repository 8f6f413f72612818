use anyhow::{Context, Result};
use morphospace_benchmark::read_sources;
use morphospace_core::Provenance;
use morphospace_map::{KnownPairs, RelateSettings, RelationLimit, RelationMap};
use morphospace_profiles::{Profiles, write_profiles};

use crate::cli::RelateArgs;
use crate::failure::{Failure, Outcome, Phase};

pub(crate) fn run(args: &RelateArgs) -> Result<Outcome, Failure> {
    super::refuse_unwritable_table(&args.output)?;
    let table = match args.neighbours.is_empty() {
        true => relations(args),
        false => neighbours(args),
    };
    let table = table.or_refuse()?;
    let provenance = Provenance::new("relate")
        .with_input(&args.map)
        .or_stop()?
        .with_setting("entity_column", &args.entity_column);
    let provenance = args
        .relationships
        .iter()
        .try_fold(provenance, |provenance, path| provenance.with_input(path))
        .or_stop()?;
    write_profiles(&args.output, &table.with_provenance(provenance)).or_stop()?;
    crate::print_line!("{}", args.output.display());
    Ok(Outcome::Done)
}

fn map(args: &RelateArgs) -> Result<RelationMap> {
    let table = super::read(&args.map)?;
    table.check_finite()?;
    RelationMap::of_profiles(&table, &args.entity_column)
        .context("a map has one row for each entity, as `aggregate` writes it")
}

fn relations(args: &RelateArgs) -> Result<Profiles> {
    let known: Vec<KnownPairs> = read_sources(&args.relationships)?
        .iter()
        .map(|relationships| KnownPairs {
            source: relationships.source().to_owned(),
            pairs: relationships.pairs().to_vec(),
        })
        .collect();
    let mut settings = RelateSettings {
        tails: args.tails.into(),
        ..RelateSettings::default()
    };
    if let Some(top) = args.top {
        settings.limit = RelationLimit::Count(top as usize);
    }
    let found = map(args)?.relations(&known, &settings)?;
    let (num_listed, num_pairs) = (found.rows.len(), found.num_pairs);
    let num_known = found.rows.iter().filter(|row| !row.known_in.is_empty());
    crate::say!(
        "relate: {num_listed} of {num_pairs} pairs listed{}",
        match known.is_empty() {
            true => String::new(),
            false => format!(", {} of them known", num_known.count()),
        }
    );
    for source in &found.sources {
        crate::say!(
            "{}: {} of its {} pairs are in the map",
            source.source,
            source.num_in_map,
            source.num_pairs
        );
    }
    Ok(found.to_table())
}

/// Neighbours of each entity asked for, the nearest first.
const NUM_NEIGHBOURS: usize = 20;

fn neighbours(args: &RelateArgs) -> Result<Profiles> {
    let count = args.top.map_or(NUM_NEIGHBOURS, |top| top as usize);
    Ok(map(args)?.neighbour_table(&args.neighbours, count)?)
}
