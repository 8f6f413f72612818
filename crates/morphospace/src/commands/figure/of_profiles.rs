use anyhow::{Context, Result, bail};
use faer::MatRef;
use morphospace_core::{ControlRole, Provenance, Seed, WellAddress, parse_config};
use morphospace_map::Umap;
use morphospace_profiles::{Profiles, write_profiles};
use morphospace_report::{Block, Colouring, HeatMapWell, PlateHeatMap, Projection, ScatterFigure};

use crate::cli::{PlateFigureArgs, UmapArgs};

/// Rows of tables in two dimensions, side by side.
pub(super) fn umap(args: &UmapArgs) -> Result<Block> {
    let settings: Umap = parse_config("--set", "", &args.set)?;
    settings.check()?;
    if settings.num_components != 2 {
        bail!(
            "num_components is {}, and a figure has 2",
            settings.num_components
        );
    }
    let tables = args
        .profiles
        .iter()
        .map(|(name, path)| Ok((name, crate::commands::read(path)?)))
        .collect::<Result<Vec<_>>>()?;
    let first = &tables[0].1;
    if let Some((name, other)) = tables
        .iter()
        .find(|(_, table)| table.num_rows() != first.num_rows())
    {
        bail!(
            "the tables have different rows: '{}' has {}, '{name}' {}",
            tables[0].0,
            first.num_rows(),
            other.num_rows()
        );
    }
    if args.coordinates.is_some() && tables.len() > 1 {
        bail!(
            "--coordinates are of one table, and {} are given",
            tables.len()
        );
    }
    let colourings = args
        .color_by
        .iter()
        .map(|column| {
            let labels = first.text(column)?.into_iter();
            Ok(Colouring {
                name: column.trim_start_matches("Metadata_").to_owned(),
                labels: labels
                    .map(|label| label.unwrap_or_else(|| "none".to_owned()))
                    .collect(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let mut projections = Vec::new();
    for (name, table) in &tables {
        table.check_finite()?;
        let values = table.values();
        let values = MatRef::from_row_major_slice(&values, table.num_rows(), table.num_features());
        let map = settings.embed(values, Seed::new(args.seed))?;
        let coordinates: Vec<(f64, f64)> = (0..map.nrows())
            .map(|row| (map[(row, 0)], map[(row, 1)]))
            .collect();
        if let Some(path) = &args.coordinates {
            write_coordinates(path, table, &coordinates, args)?;
        }
        projections.push(Projection {
            title: (*name).clone(),
            x_label: "UMAP 1".to_owned(),
            y_label: "UMAP 2".to_owned(),
            coordinates,
        });
    }
    Ok(ScatterFigure::grid("UMAP", &projections, &colourings).into())
}

fn write_coordinates(
    path: &std::path::Path,
    table: &Profiles,
    coordinates: &[(f64, f64)],
    args: &UmapArgs,
) -> Result<()> {
    let names = ["feature_umap_1", "feature_umap_2"]
        .map(str::to_owned)
        .to_vec();
    let values = coordinates.iter().flat_map(|(x, y)| [*x, *y]).collect();
    let provenance = Provenance::new("figure umap")
        .with_input(&args.profiles[0].1)?
        .with_seed("layout", args.seed);
    let table = table
        .with_values(names, values)?
        .with_provenance(provenance);
    Ok(write_profiles(path, &table)?)
}

/// A value in every well of a plate.
pub(super) fn plate(args: &PlateFigureArgs) -> Result<Block> {
    let profiles = crate::commands::read(&args.profiles)?;
    let batches = profiles.text(&args.controls.batch_column)?;
    let plates = profiles.text(&args.plate_column)?;
    let wells = profiles.keys(&args.well_column)?;
    let feature = profiles
        .feature_names()
        .iter()
        .position(|name| *name == args.value);
    let texts = match feature {
        Some(_) => Vec::new(),
        None => profiles
            .text(&args.value)
            .with_context(|| format!("--value '{}' is no feature, either", args.value))?,
    };
    let rule = crate::commands::control_rule(&args.controls)?;
    let is_control = rule
        .select(&profiles)
        .unwrap_or_else(|_| vec![false; profiles.num_rows()]);
    let labels = profiles.text("Metadata_treatment").unwrap_or_default();
    let mut of_plate = Vec::new();
    for row in 0..profiles.num_rows() {
        let is_here = batches[row].as_deref() == Some(args.batch.as_str())
            && plates[row].as_deref() == Some(args.plate.as_str());
        if !is_here {
            continue;
        }
        let address: WellAddress = wells[row]
            .parse()
            .with_context(|| profiles.describe_row(row))?;
        let value = match feature {
            Some(feature) => Some(profiles.row(row)[feature]),
            None => match &texts[row] {
                Some(text) => Some(text.parse().ok().with_context(|| {
                    format!("{}: '{text}' is no number", profiles.describe_row(row))
                })?),
                None => None,
            },
        };
        of_plate.push(HeatMapWell {
            address,
            value: value.filter(|value: &f64| value.is_finite()),
            control_role: match is_control[row] {
                true => ControlRole::NegativeControl,
                false => ControlRole::Treatment,
            },
            label: labels.get(row).cloned().flatten().unwrap_or_default(),
        });
    }
    if of_plate.is_empty() {
        let mut there: Vec<String> = batches
            .iter()
            .zip(&plates)
            .filter_map(|(batch, plate)| Some(format!("{} {}", batch.as_ref()?, plate.as_ref()?)))
            .collect();
        there.sort_unstable();
        there.dedup();
        there.truncate(5);
        bail!(
            "no row is of batch '{}' and plate '{}'\nhint: there are {}",
            args.batch,
            args.plate,
            there.join(", ")
        );
    }
    let title = format!("{} plate {}", args.batch, args.plate);
    Ok(PlateHeatMap::new(title, &args.value)
        .with_wells(of_plate)
        .into())
}
