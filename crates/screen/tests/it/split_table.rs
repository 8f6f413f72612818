//! `split.parquet`: round trips, and files that others wrote.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use morphospace_core::{Provenance, Seed};
use morphospace_screen::split::{
    Part, Split, SplitConfig, SplitScheme, make_split, read_split, write_split,
};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::support::{assert_names, designed_sites, message, sites_of_well, write};

fn three_rows() -> Split {
    Split {
        rows: vec![
            ("A-1_1_B02_1".into(), Part::Train),
            ("A-1_1_B03_1".into(), Part::Test),
            ("A-1_1_B03_2".into(), Part::Validation),
        ],
        fold: Some(4),
        provenance: Some(Provenance::new("split").with_seed("split", 7)),
    }
}

#[test]
fn a_split_comes_back_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out/split.parquet");
    let no_rows = Split {
        rows: vec![],
        fold: None,
        provenance: None,
    };
    let many = Split {
        rows: (0..40_000)
            .map(|i| (format!("site {i}"), Part::ALL[i % 3]))
            .collect(),
        fold: None,
        ..three_rows()
    };
    for split in [three_rows(), many, no_rows] {
        write_split(&path, &split).expect("written");
        assert_eq!(read_split(&path).expect("read"), split);
    }
    let under_a_file = folder.path().join("out/split.parquet/split.parquet");
    assert_names(
        &message(write_split(&under_a_file, &three_rows())),
        &["cannot write"],
    );
}

#[test]
fn a_split_of_another_screen_is_refused() {
    let sites = designed_sites(&["A-1".into()], 1, 2, 0);
    let parts = three_rows().parts(&sites).expect("of this screen");
    let (train, validation, test) = (Part::Train, Part::Validation, Part::Test);
    assert_eq!(
        parts,
        [Some(train), None, Some(test), Some(validation), None, None]
    );
    assert_names(
        &message(three_rows().parts(&sites[..3])),
        &["1 of 3 sites", "'A-1_1_B03_2'", "hint:"],
    );
    let well = |experiment: &str, plate: &str| {
        sites_of_well(experiment, plate, "B02".parse().expect("a well"), None, 1)
    };
    let twins = [well("A", "1_1"), well("A_1", "1")].concat();
    assert_names(
        &message(three_rows().parts(&twins)),
        &["share the key 'A_1_1_B02_1'", "hint:"],
    );
}

/// Writes a table as another program might.
fn write_table(path: &Path, columns: Vec<(&str, ArrayRef)>, provenance: Option<&str>) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, values)| (name, values, true)),
    )
    .expect("columns of one length");
    let pair = provenance.map(|json| KeyValue::new("morphospace".to_owned(), json.to_owned()));
    let properties = WriterProperties::builder()
        .set_key_value_metadata(pair.map(|pair| vec![pair]))
        .build();
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("opens");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
}

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn folds(values: &[Option<u32>]) -> ArrayRef {
    Arc::new(UInt32Array::from(values.to_vec()))
}

#[test]
fn tables_of_other_programs_are_read_or_refused_with_the_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("split.parquet");
    let keys = || ("site_key", text(&[Some("a"), Some("b")]));
    let parts = || ("part", text(&[Some("train"), Some("test")]));
    let no_folds = || ("fold", folds(&[None, None]));

    let more = ("note", text(&[None, Some("x")]));
    write_table(&path, vec![more, parts(), no_folds(), keys()], None);
    let split = read_split(&path).expect("read");
    assert_eq!(
        split.rows,
        [("a".to_owned(), Part::Train), ("b".to_owned(), Part::Test)]
    );
    assert_eq!((split.fold, split.provenance), (None, None));

    let refused = |columns, provenance, names: &[&str]| {
        write_table(&path, columns, provenance);
        let error = message(read_split(&path));
        assert_names(&error, &["split.parquet"]);
        assert_names(&error, names);
    };
    refused(
        vec![
            ("site", text(&[None])),
            ("part", text(&[None])),
            ("fold", folds(&[None])),
        ],
        None,
        &["no column 'site_key'", "it has: site, part, fold", "hint:"],
    );
    refused(vec![keys(), parts()], None, &["no column 'fold'"]);
    refused(
        vec![
            keys(),
            ("part", text(&[Some("train"), Some("val")])),
            no_folds(),
        ],
        None,
        &[
            "row 2",
            "column 'part'",
            "'val' is not a part",
            "validation",
        ],
    );
    refused(
        vec![keys(), ("part", text(&[Some("train"), None])), no_folds()],
        None,
        &["row 2", "column 'part'", "no value"],
    );
    refused(
        vec![("site_key", text(&[None, Some("a")])), parts(), no_folds()],
        None,
        &["row 1", "column 'site_key'", "no value"],
    );
    refused(
        vec![
            ("site_key", text(&[Some("a"), Some("a")])),
            parts(),
            no_folds(),
        ],
        None,
        &["row 2", "site 'a' occurs twice", "hint:"],
    );
    refused(
        vec![keys(), parts(), ("fold", folds(&[Some(1), Some(2)]))],
        None,
        &["row 2", "several folds", "hint: write one file per fold"],
    );
    refused(
        vec![keys(), parts(), no_folds()],
        Some("{}"),
        &["metadata 'morphospace'"],
    );
    let newer = Provenance {
        schema_version: 99,
        ..Provenance::new("split")
    };
    refused(
        vec![keys(), parts(), no_folds()],
        Some(&newer.to_json()),
        &["schema version 99 is newer", "hint: update"],
    );
}

#[test]
fn rubbish_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("split.parquet");
    write_split(&path, &three_rows()).expect("written");
    let whole = std::fs::read(&path).expect("read");
    for bytes in [
        &b""[..],
        b"PAR1 no such thing PAR1",
        &whole[..whole.len() / 2],
        &whole[9..],
    ] {
        write(folder.path(), "damaged.parquet", bytes);
        let error = message(read_split(&folder.path().join("damaged.parquet")));
        assert_names(&error, &["damaged.parquet"]);
    }
    let error = message(read_split(&folder.path().join("gone.parquet")));
    assert_names(&error, &["cannot read", "gone.parquet"]);
}

#[test]
fn a_split_knows_the_sites_and_labels_it_was_made_of() {
    let sites = designed_sites(&["A-1".into(), "A-2".into()], 1, 2, 1);
    let config = SplitConfig {
        scheme: SplitScheme::LeaveExperimentOut {
            test: vec!["A-2".into()],
            validation: vec![],
        },
        seed: Seed::new(0),
        only_labelled: false,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("split.parquet");
    write_split(&path, &make_split(&sites, &config).expect("split")).expect("written");
    let split = read_split(&path).expect("read");
    assert_eq!(split.was_made_of(&sites), Some(true));
    assert_eq!(split.was_made_of(&sites[1..]), Some(false));
    // Labels that changed since.
    let mut relabelled = sites.clone();
    Arc::make_mut(&mut relabelled[0].well).cell_type = Some("U2OS".to_owned());
    assert_eq!(split.was_made_of(&relabelled), Some(false));
    split.parts(&relabelled).expect("the same keys");
    // Another spelling of an address says the same.
    let mut respelled = sites.clone();
    Arc::make_mut(&mut respelled[0].well).original_address = "b2".to_owned();
    assert_eq!(split.was_made_of(&respelled), Some(true));
    // Of others' tables it is not known.
    let unknown = Split {
        provenance: None,
        ..split
    };
    assert_eq!(unknown.was_made_of(&sites), None);
}
