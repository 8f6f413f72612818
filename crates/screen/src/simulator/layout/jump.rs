use std::path::Path;

use morphospace_core::{Channel, ControlRole, Experiment, PlateKey, SiteKey, Stain};

use super::{Reagent, gene_name, kind_name};
use crate::PerturbationKind;
use crate::npy::{NpyFloat, write_npy};
use crate::readers::jump::CHANNEL_ORDER;
use crate::simulator::config::{in_range, invalid};
use crate::simulator::microscope::Microscope;
use crate::simulator::paint::Planes;
use crate::simulator::plan::well_seed;
use crate::simulator::write::{cannot_write, create_folder, header, write_table};
use crate::simulator::{
    CheckedSimulator, PlannedWell, ScreenLayout, SimulatorConfig, SimulatorError,
};

/// What JUMP's perturbations are.
pub(super) const KINDS: [PerturbationKind; 3] = [
    PerturbationKind::Crispr,
    PerturbationKind::Orf,
    PerturbationKind::Compound,
];

/// The channels in the order of an Opera Phenix's files, `ch1` to `ch5`.
const FILE_ORDER: [Stain; 5] = [Stain::Mito, Stain::Agp, Stain::Rna, Stain::Er, Stain::Dna];

/// Images and plates of JUMP's size, few of them.
pub(super) fn preset() -> SimulatorConfig {
    SimulatorConfig {
        layout: ScreenLayout::Jump,
        experiments: vec![
            "2021_04_26_Batch1".to_owned(),
            "2021_06_14_Batch6".to_owned(),
        ],
        num_plates: 1,
        num_rows: 16,
        num_columns: 24,
        num_sites: 9,
        image_px: 1080,
        num_replicates: 1,
        num_positive_controls: 1,
        ..SimulatorConfig::default()
    }
}

/// Batches are folders.
pub(super) fn check_experiment(experiment: &Experiment) -> Result<(), SimulatorError> {
    let name = experiment.as_str();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err(invalid(
        "experiments",
        format!(
            "'{name}' is no batch: its name is letters, digits, '_' and '-', as '2021_04_26_Batch1'"
        ),
    ))
}

pub(super) fn check(config: &SimulatorConfig) -> Result<(), SimulatorError> {
    let kind = config.perturbation_kind();
    let most_guides = match kind {
        PerturbationKind::Compound => 1,
        _ => 100,
    };
    in_range("num_guides", config.num_guides, 1, most_guides)?;
    let num_controls = positive_controls(kind).len();
    in_range(
        "num_positive_controls",
        config.num_positive_controls,
        0,
        num_controls,
    )
}

/// Every batch is of a laboratory of its own.
pub(super) fn plate(
    experiment: &Experiment,
    experiment_index: usize,
    plate_index: usize,
) -> PlateKey {
    PlateKey {
        source: Some(format!("source_{}", experiment_index + 1)),
        experiment: experiment.clone(),
        plate: format!("BR{:08}", 1_000 * (experiment_index + 1) + plate_index + 1),
    }
}

/// JUMP numbers guides from 800,001 and constructs from 900,001; its own
/// compounds, and the controls of all kinds, are below these.
pub(super) fn treatment(kind: PerturbationKind, number: usize, gene_index: usize) -> Reagent {
    let first = match kind {
        PerturbationKind::Crispr | PerturbationKind::Sirna => 820_000,
        PerturbationKind::Orf => 920_000,
        PerturbationKind::Compound => 120_000,
    };
    // 7,919 and 70,000 share no factor.
    let name = jcp2022(first + (number * 7_919 + 4_321) % 70_000);
    let gene = (kind != PerturbationKind::Compound).then(|| gene_name(gene_index));
    Reagent { name, gene }
}

fn jcp2022(number: usize) -> String {
    format!("JCP2022_{number:06}")
}

/// JUMP's number and name of each control: negative, then positive ones, as
/// in its `perturbation_control.csv`.
type Controls = (
    &'static [(usize, &'static str)],
    &'static [(usize, &'static str)],
);

fn controls(kind: PerturbationKind) -> Controls {
    match kind {
        PerturbationKind::Crispr | PerturbationKind::Sirna => (
            &[(800_001, "no-guide"), (800_002, "non-targeting")],
            &[(805_264, "PLK1")],
        ),
        PerturbationKind::Orf => (
            &[
                (915_128, "BFP"),
                (915_129, "HcRed"),
                (915_130, "LUCIFERASE"),
                (915_131, "LacZ"),
            ],
            &[(915_132, "eGFP")],
        ),
        PerturbationKind::Compound => (
            &[(33_924, "DMSO")],
            &[
                (37_716, "AMG900"),
                (25_848, "dexamethasone"),
                (46_054, "FK-866"),
                (35_095, "LY2109761"),
                (64_022, "NVS-PAK1-1"),
                (50_797, "quinidine"),
                (12_818, "TC-S-7004"),
                (85_227, "aloxistatin"),
            ],
        ),
    }
}

fn control(kind: PerturbationKind, (number, name): (usize, &str)) -> Reagent {
    Reagent {
        name: jcp2022(number),
        gene: (kind != PerturbationKind::Compound).then(|| name.to_owned()),
    }
}

pub(super) fn positive_controls(kind: PerturbationKind) -> Vec<(Reagent, usize)> {
    let (_, positive) = controls(kind);
    let reagents = positive.iter().map(|known| control(kind, *known));
    reagents.zip(0..).collect()
}

pub(super) fn negative_controls(kind: PerturbationKind) -> Vec<(Reagent, ControlRole)> {
    let (negative, _) = controls(kind);
    let reagents = negative.iter().map(|known| control(kind, *known));
    reagents
        .map(|reagent| (reagent, ControlRole::NegativeControl))
        .collect()
}

pub(super) fn channels() -> Vec<Channel> {
    CHANNEL_ORDER
        .into_iter()
        .map(|stain| Channel::new(stain.as_str(), stain.clone()))
        .collect()
}

/// Actin, Golgi and plasma membrane share a channel.
pub(super) fn stained(planes: Planes) -> Vec<Vec<f32>> {
    let [dna, er, actin, rna, mito, golgi] = planes;
    let agp = actin.iter().zip(&golgi).map(|(actin, golgi)| actin + golgi);
    let agp = agp.collect();
    vec![dna, er, rna, agp, mito]
}

fn images_folder(plate: &PlateKey) -> String {
    let (source, batch) = (source(plate), &plate.experiment);
    format!("{source}/images/{batch}/images/{}/Images", plate.plate)
}

fn illumination_folder(plate: &PlateKey) -> String {
    let (source, batch) = (source(plate), &plate.experiment);
    format!("{source}/images/{batch}/illum/{}", plate.plate)
}

fn illumination_name(plate: &PlateKey, channel: &Channel) -> String {
    format!("{}_Illum{}.npy", plate.plate, channel.name)
}

fn source(plate: &PlateKey) -> &str {
    plate
        .source
        .as_deref()
        .expect("the plan gives every plate one")
}

fn image_name(site: &SiteKey, channel: &Channel) -> String {
    let position = FILE_ORDER.iter().position(|stain| *stain == channel.stain);
    let number = 1 + position.expect("both orders are of the same five channels");
    let (row, column) = (site.well.row_index() + 1, site.well.column_index() + 1);
    format!(
        "r{row:02}c{column:02}f{:02}p01-ch{number}sk1fk1fl1.tiff",
        site.site
    )
}

pub(super) fn image_path(site: &SiteKey, channel: &Channel) -> String {
    format!(
        "{}/{}",
        images_folder(&site.plate),
        image_name(site, channel)
    )
}

pub(super) fn write_tables(screen: &CheckedSimulator, folder: &Path) -> Result<(), SimulatorError> {
    let plates: Vec<&[PlannedWell]> = screen
        .wells()
        .chunk_by(|one, other| one.well.plate == other.well.plate)
        .collect();
    for wells in &plates {
        write_illumination(screen, &wells[0], folder)?;
    }
    write_metadata(screen, &plates, folder)?;
    for wells in plates {
        write_load_data(screen, wells, folder)?;
    }
    Ok(())
}

/// The functions by which the images of a plate are to be divided.
fn write_illumination(
    screen: &CheckedSimulator,
    planned: &PlannedWell,
    folder: &Path,
) -> Result<(), SimulatorError> {
    let config = screen.config();
    let (well, side) = (&planned.well, config.image_px);
    let microscope = Microscope::set_up(config, well, well_seed(config, well));
    let plate_folder = folder.join(illumination_folder(&well.plate));
    create_folder(&plate_folder)?;
    for (index, channel) in channels().iter().enumerate() {
        let path = plate_folder.join(illumination_name(&well.plate, channel));
        let values = microscope.illumination(index, side);
        write_npy(&path, (side, side), &values, NpyFloat::F32)
            .map_err(|source| cannot_write(&path, source))?;
    }
    Ok(())
}

/// The tables of `jump-cellpainting/datasets`.
fn write_metadata(
    screen: &CheckedSimulator,
    plates: &[&[PlannedWell]],
    folder: &Path,
) -> Result<(), SimulatorError> {
    let kind = screen.config().perturbation_kind();
    let metadata = folder.join("metadata");
    create_folder(&metadata)?;

    let plate_type = kind_name(kind).to_ascii_uppercase();
    let mut rows = vec![header(&[
        "Metadata_Source",
        "Metadata_Batch",
        "Metadata_Plate",
        "Metadata_PlateType",
    ])];
    for wells in plates {
        let plate = &wells[0].well.plate;
        let batch = plate.experiment.as_str();
        rows.push(header(&[source(plate), batch, &plate.plate, &plate_type]));
    }
    write_table(&metadata, "plate.csv", rows)?;

    let mut rows = vec![header(&[
        "Metadata_Source",
        "Metadata_Plate",
        "Metadata_Well",
        "Metadata_JCP2022",
    ])];
    for planned in screen.wells() {
        let (plate, well) = (&planned.well.plate, planned.well.address.to_string());
        let name = &screen.perturbations()[planned.perturbation_index].name;
        rows.push(header(&[source(plate), &plate.plate, &well, name]));
    }
    write_table(&metadata, "well.csv", rows)?;

    let mut rows = vec![header(&[
        "Metadata_JCP2022",
        "Metadata_pert_type",
        "Metadata_Name",
        "Metadata_modality",
    ])];
    for kind in KINDS {
        let (negative, positive) = controls(kind);
        let modality = kind_name(kind);
        for (role, known) in [("negcon", negative), ("poscon", positive)] {
            for (number, name) in known {
                rows.push(header(&[&jcp2022(*number), role, name, modality]));
            }
        }
    }
    write_table(&metadata, "perturbation_control.csv", rows)?;
    write_reagents(screen, kind, &metadata)
}

/// The table of guides, constructs or compounds.
fn write_reagents(
    screen: &CheckedSimulator,
    kind: PerturbationKind,
    metadata: &Path,
) -> Result<(), SimulatorError> {
    let (name, columns): (&str, &[&str]) = match kind {
        PerturbationKind::Crispr | PerturbationKind::Sirna => (
            "crispr.csv",
            &[
                "Metadata_JCP2022",
                "Metadata_NCBI_Gene_ID",
                "Metadata_Symbol",
            ],
        ),
        PerturbationKind::Orf => (
            "orf.csv",
            &[
                "Metadata_JCP2022",
                "Metadata_broad_sample",
                "Metadata_Symbol",
            ],
        ),
        PerturbationKind::Compound => (
            "compound.csv",
            &["Metadata_JCP2022", "Metadata_InChIKey", "Metadata_SMILES"],
        ),
    };
    let mut rows = vec![header(columns)];
    for perturbation in screen.perturbations() {
        let gene = perturbation.gene.as_deref().unwrap_or_default();
        rows.push(header(&[&perturbation.name, "", gene]));
    }
    write_table(metadata, name, rows)
}

/// The table of a plate's images. Their folders are given relative to the
/// screen's, which may then be moved.
fn write_load_data(
    screen: &CheckedSimulator,
    wells: &[PlannedWell],
    folder: &Path,
) -> Result<(), SimulatorError> {
    let plate = &wells[0].well.plate;
    let channels = channels();
    let mut columns = header(&[
        "Metadata_Source",
        "Metadata_Batch",
        "Metadata_Plate",
        "Metadata_Well",
        "Metadata_Site",
    ]);
    for kind in ["Orig", "Illum"] {
        for channel in &channels {
            columns.push(format!("FileName_{kind}{}", channel.name));
            columns.push(format!("PathName_{kind}{}", channel.name));
        }
    }
    let mut rows = vec![columns];
    for planned in wells {
        for number in 1..=screen.config().num_sites {
            let site = u32::try_from(number).expect("the check allows at most 99 sites");
            let key = SiteKey::new(plate.clone(), planned.well.address, site);
            let mut row = vec![
                source(plate).to_owned(),
                plate.experiment.to_string(),
                plate.plate.clone(),
                planned.well.address.to_string(),
                site.to_string(),
            ];
            for channel in &channels {
                row.extend([image_name(&key, channel), images_folder(plate)]);
            }
            for channel in &channels {
                row.extend([
                    illumination_name(plate, channel),
                    illumination_folder(plate),
                ]);
            }
            rows.push(row);
        }
    }
    let (source, batch) = (source(plate), &plate.experiment);
    let tables = format!("{source}/workspace/load_data_csv/{batch}/{}", plate.plate);
    let tables = folder.join(tables);
    create_folder(&tables)?;
    write_table(&tables, "load_data_with_illum.csv", rows)
}
