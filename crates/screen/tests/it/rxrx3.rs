use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_cast::cast;
use arrow_schema::DataType;
use morphospace_core::{ControlRole, Perturbation};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{ScreenFormat, open_screen};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::{
    assert_names, check_packed, data, files_of, message, png_u8, png_u16, write, write_rxrx1_site,
    write_tar,
};

pub(crate) const HEADER: &str = "well_id,experiment_name,plate,address,gene,treatment,SMILES,\
                                 concentration,perturbation_type,cell_type";

/// A well of each kind.
pub(crate) fn metadata() -> String {
    [
        HEADER,
        "gene-088_9_Z43,gene-088,9,Z43,EMPTY_control,EMPTY_control,,,CRISPR,HUVEC",
        "gene-088_9_AF48,gene-088,9,AF48,PLK1,PLK1_guide_3,,,CRISPR,HUVEC",
        "gene-088_9_A1,gene-088,9,a1,PLK1,PLK1_guide_12,,,CRISPR,HUVEC",
        "compound-001_48_B2,compound-001,48,B2,,CRISPR_control,,,COMPOUND,HUVEC",
        "compound-001_48_B3,compound-001,48,B03,,BI 2536,\"CC |c:9,15|\",0.0025,COMPOUND,HUVEC",
        "compound-001_48_B4,compound-001,48,B04,,,,,COMPOUND,HUVEC",
    ]
    .join("\n")
}

fn write_images(root: &Path) {
    for site in ["Z43_s1", "AF48_s1", "A01_s1"] {
        write_rxrx1_site(root, "gene-088/Plate9", site);
    }
    for site in ["B02_s1", "B03_s1", "B04_s1"] {
        write_rxrx1_site(root, "compound-001/Plate48", site);
    }
}

pub(crate) fn write_screen(root: &Path) {
    write(root, "metadata_rxrx3.csv", metadata());
    write_images(root);
}

#[test]
fn images_that_no_well_names_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path());
    let screen = open_screen(folder.path(), None).expect("opens");
    assert_eq!(screen.unlisted_images(), Vec::<String>::new());
    write(
        folder.path(),
        "gene-088/Plate9/C03_s1_w2.png",
        png_u8(6, 4, 1),
    );
    write_rxrx1_site(folder.path(), "gene-088/Plate10", "A01_s1");
    let unlisted = screen.unlisted_images();
    assert_eq!(unlisted.len(), 2, "{unlisted:?}");
    assert_names(&unlisted[0], &["gene-088/Plate10"]);
    assert_names(&unlisted[1], &["gene-088/Plate9/C03_s1_w2.png"]);
}

#[test]
fn wells_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path());
    let screen = check_packed(folder.path(), &ScreenFormat::Rxrx3);
    let wells: Vec<_> = screen.sites().iter().map(|site| &site.well).collect();
    let found: Vec<_> = screen
        .sites()
        .iter()
        .map(|site| {
            let target = site.well.perturbations.first().map(Perturbation::target);
            (
                site.key.well_id(),
                site.well.control_role,
                site.well.label(),
                target.map(str::to_owned),
            )
        })
        .collect();
    let expected = [
        (
            "compound-001_48_B02",
            ControlRole::NegativeControl,
            Some("CRISPR_control"),
            Some("CRISPR_control"),
        ),
        (
            "compound-001_48_B03",
            ControlRole::Treatment,
            Some("BI 2536 @ 0.0025"),
            Some("BI 2536"),
        ),
        ("compound-001_48_B04", ControlRole::Treatment, None, None),
        (
            "gene-088_9_A01",
            ControlRole::Treatment,
            Some("PLK1_guide_12"),
            Some("PLK1"),
        ),
        (
            "gene-088_9_Z43",
            ControlRole::Untreated,
            Some("EMPTY"),
            None,
        ),
        (
            "gene-088_9_AF48",
            ControlRole::PositiveControl,
            Some("PLK1_guide_3"),
            Some("PLK1"),
        ),
    ]
    .map(|(id, role, label, target)| {
        (
            id.to_owned(),
            role,
            label.map(str::to_owned),
            target.map(str::to_owned),
        )
    });
    assert_eq!(found, expected);
    assert_eq!(wells[3].original_address, "a1");
    assert_eq!(wells[0].cell_type.as_deref(), Some("HUVEC"));
    let all_there = (0..6).all(|site| (0..6).all(|channel| screen.is_present(site, channel)));
    assert!(all_there);
}

#[test]
fn plates_in_archives_read_like_folders() {
    let plain = tempfile::tempdir().expect("a folder");
    write_screen(plain.path());
    let expected = open_screen(plain.path(), None).expect("opens");
    // Bare images, the plate's folder, or the experiment's as well.
    for prefix in ["", "Plate9/", "gene-088/Plate9/"] {
        let folder = tempfile::tempdir().expect("a folder");
        write_screen(folder.path());
        let plate = folder.path().join("gene-088/Plate9");
        let mut files = files_of(&plate);
        for (name, _) in &mut files {
            name.insert_str(0, prefix);
        }
        fs::remove_dir_all(&plate).expect("removed");
        write_tar(&folder.path().join("gene-088/Plate9.tar"), &files);
        let screen = open_screen(folder.path(), None).expect("opens");
        check_screen(&*screen).expect("conforms");
        assert_eq!(screen.sites(), expected.sites());
        for site in 0..6 {
            for channel in 0..6 {
                let plane = screen.read_plane(site, channel).expect(prefix);
                assert_eq!(plane, expected.read_plane(site, channel).expect("there"));
            }
        }
    }
}

#[test]
fn metadata_csv_is_told_by_its_columns() {
    let folder = tempfile::tempdir().expect("a folder");
    write(
        folder.path(),
        "metadata.csv",
        format!("\u{feff}{}", metadata().replace('\n', "\r\n")),
    );
    write_images(folder.path());
    let screen = open_screen(folder.path(), None).expect("opens");
    assert_eq!(screen.sites().len(), 6);
    assert_eq!(screen.sites()[0].key.plate.plate, "48");
    let error = message(open_screen(folder.path(), Some(&ScreenFormat::Rxrx1)));
    assert_names(&error, &["no column 'experiment'"]);
}

#[test]
fn sixteen_bit_images_keep_their_values() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path());
    let values = [0, 1, 256, 65_535];
    let path = "gene-088/Plate9/AF48_s1_w2.png";
    write(folder.path(), path, png_u16(2, 2, &values));
    let screen = open_screen(folder.path(), None).expect("opens");
    let plane = screen.read_plane(5, 1).expect("decodes");
    assert_eq!((plane.width, plane.bit_depth()), (2, 16));
    assert_eq!(
        plane.pixels,
        morphospace_screen::Pixels::U16(values.to_vec())
    );
}

#[track_caller]
fn check_refused(rows: &str, parts: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let text =
        format!("experiment_name,plate,address,treatment,perturbation_type,concentration\n{rows}");
    write(folder.path(), "metadata_rxrx3.csv", text);
    assert_names(&message(open_screen(folder.path(), None)), parts);
}

#[test]
fn refused_tables_say_why() {
    check_refused("", &["metadata_rxrx3.csv", "no row below its header"]);
    check_refused(
        "gene-001,1,A49,PLK1_guide_1,CRISPR,\n",
        &["unknown well", "'A49'", "line 2"],
    );
    check_refused(
        "gene-001,../..,A01,PLK1_guide_1,CRISPR,\n",
        &["line 2", "column 'plate'", "'../..' is not a whole number"],
    );
    check_refused(
        "gene-001,1,A01,PLK1,CRISPR,\n",
        &["line 2", "column 'treatment'", "'PLK1' has no gene", "hint"],
    );
    check_refused(
        "gene-001,1,A01,PLK1_guide_1,SIRNA,\n",
        &[
            "column 'perturbation_type'",
            "'SIRNA' is neither CRISPR nor COMPOUND",
        ],
    );
    check_refused(
        "compound-001,1,A01,BI 2536,COMPOUND,much\n",
        &["column 'concentration'", "'much' is not a concentration"],
    );
    check_refused(
        "gene-001,1,A01,PLK1_guide_1,CRISPR,\ngene-1,1,a1,PLK1_guide_1,CRISPR,\n",
        &[
            "gene-1 plate 1 well A01 site 1 occurs twice",
            "line 2",
            "line 3",
        ],
    );
}

/// The published rows, on plates and wells made up here: the table at hand
/// has no addresses.
fn metadata_of_published_rows(path: &Path) -> (String, usize) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("opens"))
        .expect("is Parquet");
    let mut text = format!("{HEADER}\n");
    let mut num_of_experiment: BTreeMap<String, usize> = BTreeMap::new();
    let mut num_rows = 0;
    for batch in builder.build().expect("reads") {
        let batch = batch.expect("reads");
        let column = |name: &str| {
            let column = batch.column_by_name(name).expect(name);
            cast(column, &DataType::Utf8).expect("is text")
        };
        let columns = [
            "experiment_name",
            "gene",
            "treatment",
            "concentration",
            "perturbation_type",
        ]
        .map(column);
        for row in 0..batch.num_rows() {
            let value = |index: usize| {
                let column = columns[index].as_string::<i32>();
                if column.is_null(row) {
                    ""
                } else {
                    column.value(row)
                }
            };
            let number = num_of_experiment.entry(value(0).to_owned()).or_default();
            let well =
                morphospace_core::WellAddress::from_indices(*number % 1_536 / 48, *number % 48)
                    .expect("on the plate");
            let plate = *number / 1_536 + 1;
            *number += 1;
            num_rows += 1;
            text.push_str(&format!(
                ",{},{plate},{well},{},\"{}\",,{},{},HUVEC\n",
                value(0),
                value(1),
                value(2),
                value(3),
                value(4)
            ));
        }
    }
    (text, num_rows)
}

#[test]
fn published_treatments_are_understood() {
    let Some(root) = data("metadata/rxrx3") else {
        return;
    };
    let path = root.join("metadata_rxrx3_trimmed.parquet");
    let (text, num_rows) = metadata_of_published_rows(&path);
    assert_eq!(num_rows, 380_432);
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata_rxrx3.csv", &text);
    let screen = open_screen(folder.path(), None).expect("opens");
    let (mut num_crispr, mut num_compound) = (0, 0);
    let mut genes = BTreeSet::new();
    let mut compounds = BTreeSet::new();
    let mut experiments = BTreeSet::new();
    let mut roles: BTreeMap<ControlRole, usize> = BTreeMap::new();
    let mut controls: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut doses = BTreeSet::new();
    for site in screen.sites() {
        let experiment = site.key.plate.experiment.to_string();
        let is_compound = experiment.starts_with("compound");
        *if is_compound {
            &mut num_compound
        } else {
            &mut num_crispr
        } += 1;
        *roles.entry(site.well.control_role).or_default() += 1;
        match site.well.perturbations.first() {
            Some(Perturbation::Crispr { guide, gene }) if guide == "CRISPR_control" => {
                assert!(is_compound, "{guide} of {gene} in {experiment}");
            }
            Some(Perturbation::Crispr { guide, gene }) => {
                // EFAAR's rule gives the same gene for every published guide.
                assert_eq!(guide.split('_').next(), Some(gene.as_str()));
                genes.insert(gene.clone());
                if site.well.control_role == ControlRole::PositiveControl {
                    controls
                        .entry(guide.clone())
                        .or_default()
                        .insert(experiment.clone());
                }
            }
            Some(Perturbation::Compound {
                name,
                concentration_micromolar,
            }) => {
                // ... and would cut no compound's name.
                assert!(!name.contains('_'), "{name}");
                compounds.insert(name.clone());
                doses.insert(
                    concentration_micromolar
                        .expect("every compound has a dose")
                        .to_string(),
                );
            }
            other => assert_eq!(
                (other, site.well.control_role),
                (None, ControlRole::Untreated)
            ),
        }
        experiments.insert(experiment);
    }
    assert_eq!((num_crispr, num_compound), (284_731, 95_701));
    // With EMPTY_control, the 736 of the provenance note.
    assert_eq!(
        (genes.len(), compounds.len(), experiments.len()),
        (735, 1_674, 180)
    );
    assert_eq!(doses.len(), 12);
    assert_eq!(roles[&ControlRole::Untreated], 183_143 + 10_234);
    assert_eq!(roles[&ControlRole::NegativeControl], 22_062);
    assert_eq!(controls.len(), 16);
    assert!(
        controls
            .values()
            .all(|experiments| experiments.len() == 176)
    );
}

#[test]
fn a_plate_of_8_bit_images_conforms_when_some_are_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "metadata_rxrx3.csv", metadata());
    write(
        folder.path(),
        "images/gene-88/Plate9/Z43_s1_w1.png",
        png_u8(4, 4, 1),
    );
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("missing images are reported");
    assert!(screen.is_present(4, 0));
    let error = message(screen.read_plane(5, 5));
    assert_names(
        &error,
        &[
            "gene-088 plate 9 well AF48 site 1 channel w6 (Golgi)",
            "missing",
        ],
    );
}
