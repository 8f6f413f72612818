//! Tables in chunks.

use std::fs;
use std::path::Path;

use morphospace_core::Provenance;
use morphospace_profiles::{
    Column, Features, ProfileStream, Profiles, ProfilesWriter, ReadOptions, RoleReason,
    read_profiles, read_profiles_with, write_profiles,
};
use proptest::prelude::*;

use crate::round_trip::{ANNDATA, assert_same_contents, full, tables};

/// Chunks one below the other.
fn stacked(chunks: &[Profiles]) -> Profiles {
    let first = &chunks[0];
    let metadata = (0..first.metadata().len()).map(|index| {
        let texts = chunks.iter().flat_map(|chunk| {
            let (name, _) = &chunk.metadata()[index];
            chunk.text(name).unwrap()
        });
        (
            first.metadata()[index].0.clone(),
            Column::Text(texts.collect()),
        )
    });
    let values = chunks.iter().flat_map(|chunk| chunk.values().into_owned());
    Profiles::new(
        metadata.collect(),
        first.feature_names().to_vec(),
        Features::F64(values.collect()),
    )
    .unwrap()
}

fn open(path: &Path, memory_bytes: usize) -> ProfileStream {
    ProfileStream::open(path, &ReadOptions::default(), memory_bytes).unwrap()
}

fn formats() -> impl Iterator<Item = &'static str> {
    ["parquet", "csv", "tsv.gz"]
        .into_iter()
        .chain(ANNDATA.iter().copied())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn chunks_are_the_whole_table(written in tables(), memory_bytes in 1usize..6000) {
        let folder = tempfile::tempdir().unwrap();
        for format in formats() {
            let path = folder.path().join(format!("profiles.{format}"));
            write_profiles(&path, &written).unwrap();
            let whole = read_profiles(&path).unwrap();
            let mut stream = open(&path, memory_bytes);
            prop_assert_eq!(stream.num_rows(), whole.num_rows());
            for _pass in 0..2 {
                let mut chunks = Vec::new();
                let mut num_rows = 0;
                while let Some(chunk) = stream.next_chunk().unwrap() {
                    prop_assert_eq!(stream.row_offset(), num_rows);
                    num_rows += chunk.num_rows();
                    for ((name, column), (_, like)) in chunk.metadata().iter().zip(whole.metadata()) {
                        prop_assert_eq!(column.kind(), like.kind(), "{}", name);
                    }
                    chunks.push(chunk);
                }
                assert_same_contents(&stacked(&chunks), &whole);
                stream.rewind().unwrap();
            }
        }
    }

    #[test]
    fn tables_written_in_chunks_read_as_whole_ones(written in tables(), rows in 1usize..7) {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<usize> = (0..written.num_rows()).collect();
        for format in formats().filter(|format| *format != "h5ad") {
            let whole = folder.path().join(format!("whole.{format}"));
            write_profiles(&whole, &written).unwrap();
            let path = folder.path().join(format!("profiles.{format}"));
            let mut writer = ProfilesWriter::begin(&path).unwrap();
            for chunk in all.chunks(rows) {
                writer.append(&written.select_rows(chunk)).unwrap();
            }
            writer.finish().unwrap();
            let (read, whole) = (read_profiles(&path).unwrap(), read_profiles(&whole).unwrap());
            assert_same_contents(&read, &whole);
            prop_assert_eq!(read.metadata(), whole.metadata());
        }
    }
}

/// Rows of text and single precision.
fn wells(rows: std::ops::Range<usize>, num_features: usize) -> Profiles {
    let wells: Vec<String> = rows
        .clone()
        .map(|row| format!("well number {row}"))
        .collect();
    let values = rows.flat_map(|row| (0..num_features).map(move |f| (row * 7 + f) as f32));
    Profiles::new(
        vec![("Metadata_Well".into(), Column::from(wells))],
        (0..num_features).map(|f| format!("feature_{f}")).collect(),
        Features::F32(values.collect()),
    )
    .unwrap()
}

#[test]
fn chunks_keep_to_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let (num_rows, num_features) = (20_000, 16);
    // A row: 64 bytes of features, 24 of a text, its letters and what the
    // allocator keeps.
    let (least, most) = (64 + 24 + 13, 64 + 24 + 17 + 16);
    for format in ["parquet", "csv", "zarr"] {
        let path = folder.path().join(format!("profiles.{format}"));
        write_profiles(&path, &wells(0..num_rows, num_features)).unwrap();
        // Text is read in double precision.
        let more = if format == "csv" { 64 } else { 0 };
        // Of Zarr the metadata and three times a chunk of X stand beside.
        let memory_bytes = if format == "zarr" {
            5_000_000
        } else {
            1_000_000
        };
        let chunks: Vec<Profiles> = open(&path, memory_bytes).map(Result::unwrap).collect();
        let largest = chunks.iter().map(Profiles::num_rows).max().unwrap();
        assert!(chunks.len() > 1, "{format}: one chunk");
        assert!(
            largest * (least + more) <= memory_bytes,
            "{format}: {largest} rows"
        );
        // A quarter of the budget at least, less a batch.
        assert!(
            (largest + 4096) * (most + more) >= memory_bytes / 4,
            "{format}: {largest} rows"
        );
        assert_same_contents(&stacked(&chunks), &wells(0..num_rows, num_features));
    }
}

#[test]
fn long_texts_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.parquet");
    let smiles: Vec<String> = (0..2000)
        .map(|row| format!("{row}{}", "C".repeat(1000)))
        .collect();
    let table = Profiles::new(
        vec![("SMILES".into(), Column::from(smiles))],
        vec!["feature_0".into()],
        Features::F32(vec![0.0; 2000]),
    )
    .unwrap();
    write_profiles(&path, &table).unwrap();
    let largest = open(&path, 400_000)
        .map(|chunk| chunk.unwrap().num_rows())
        .max();
    assert!(largest.unwrap() <= 800, "{largest:?} rows of a kilobyte");
}

/// A word in the last row makes a column of numbers text from the first row on.
#[test]
fn the_last_row_has_a_say_in_what_the_first_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.csv");
    let mut text = "Metadata_dose,Metadata_plate,IL-6,note,feature_x\n".to_owned();
    for row in 0..500 {
        text.push_str(&format!("{row},{row},0.5,1,2\n"));
    }
    text.push_str("0.5,7b,0.5,x,2\n");
    fs::write(&path, &text).unwrap();
    let mut stream = open(&path, 4000);
    assert_eq!(stream.num_rows(), 501);
    let first = stream.next_chunk().unwrap().unwrap();
    assert!(first.num_rows() < 100);
    let kind = |name: &str| first.column(name).unwrap().kind();
    assert_eq!(kind("Metadata_dose"), "float");
    assert_eq!(kind("Metadata_plate"), "text");
    assert_eq!(kind("note"), "text");
    assert_eq!(stream.roles().reasons["IL-6"], RoleReason::NoFeaturePrefix);

    // A feature by its name that holds a word: the chunk with it is refused.
    fs::write(&path, text.replace("0.5,7b,0.5,x,2", "0.5,7b,0.5,x,many")).unwrap();
    let mut stream = open(&path, 4000);
    assert!(stream.next_chunk().is_ok());
    let error = stream.find_map(Result::err).unwrap();
    let message = full(&error);
    assert!(
        message.contains("'feature_x' holds 'many' in data row 501"),
        "{message}"
    );
}

#[test]
fn options_and_provenance_reach_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let provenance = Provenance::new("embed").with_seed("model", 7);
    for format in formats() {
        let path = folder.path().join(format!("profiles.{format}"));
        let table = wells(0..10, 3).with_provenance(provenance.clone());
        write_profiles(&path, &table).unwrap();
        let options = ReadOptions {
            feature_patterns: Some(vec!["*_1".into()]),
            ..ReadOptions::default()
        };
        let mut stream = ProfileStream::open(&path, &options, 1 << 20).unwrap();
        assert_eq!(stream.provenance(), Some(&provenance), "{format}");
        let chunk = stream.next_chunk().unwrap().unwrap();
        let (whole, roles) = read_profiles_with(&path, &options).unwrap();
        assert_eq!(chunk, whole, "{format}");
        assert_eq!(stream.roles(), &roles);
        assert_eq!(chunk.feature_names(), ["feature_1"]);
        assert_eq!(chunk.keys("feature_2").unwrap()[1], "9", "{format}");
        assert_eq!(stream.next_chunk().unwrap(), None);
        assert_eq!(stream.next_chunk().unwrap(), None);
    }
}

#[test]
fn a_dropped_writer_leaves_nothing_and_what_stood_there() {
    let folder = tempfile::tempdir().unwrap();
    let names = || -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    for format in formats().filter(|format| *format != "h5ad") {
        let path = folder.path().join(format!("profiles.{format}"));
        let before = names();
        let mut writer = ProfilesWriter::begin(&path).unwrap();
        writer.append(&wells(0..40_000, 4)).unwrap();
        assert_eq!(names().len(), before.len() + 1, "{format}: a hidden one");
        assert!(!path.exists());
        drop(writer);
        assert_eq!(names(), before, "{format}");

        // What stood there stays until the new one is whole.
        write_profiles(&path, &wells(0..3, 4)).unwrap();
        let mut writer = ProfilesWriter::begin(&path).unwrap();
        writer.append(&wells(0..5, 4)).unwrap();
        assert_eq!(read_profiles(&path).unwrap().num_rows(), 3);
        writer.finish().unwrap();
        assert_eq!(read_profiles(&path).unwrap().num_rows(), 5, "{format}");
        assert!(
            names().iter().all(|name| !name.starts_with('.')),
            "{:?}",
            names()
        );
    }
}

#[test]
fn chunks_with_other_columns_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.parquet");
    let check = |chunk: Profiles, expect: &str| {
        let mut writer = ProfilesWriter::begin(&path).unwrap();
        writer.append(&wells(0..2, 2)).unwrap();
        let message = full(&writer.append(&chunk).unwrap_err());
        assert!(message.contains(expect), "'{expect}': {message}");
        assert!(message.contains("profiles.parquet"), "{message}");
    };
    let like = wells(2..3, 2);
    let column = |column| like.clone().with_column("Metadata_Well", column).unwrap();
    check(
        column(Column::from(vec![1i64])),
        "column 'Metadata_Well' is integer and not text",
    );
    check(
        like.clone()
            .with_column("plate", Column::from(vec!["P"]))
            .unwrap(),
        "2 metadata columns in place of 1",
    );
    check(wells(2..3, 3), "3 feature columns in place of 2");
    check(
        like.clone().rename_features("feature_", "Cells_").unwrap(),
        "feature 'Cells_0' in place of 'feature_0'",
    );
    let names = like.feature_names().to_vec();
    let double = like.with_values(names, vec![0.0; 2]).unwrap();
    check(
        double,
        "the features are double precision and not single precision",
    );
}

#[test]
fn what_takes_whole_tables_alone_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.gct");
    write_profiles(&path, &wells(0..2, 2)).unwrap();
    let message = full(&ProfileStream::open(&path, &ReadOptions::default(), 1000).unwrap_err());
    assert!(
        message.contains("row by row") && message.contains("Parquet"),
        "{message}"
    );
    let message = full(&ProfilesWriter::begin(&path).unwrap_err());
    assert!(message.contains("its rows are features"), "{message}");
    let path = folder.path().join("profiles.csv");
    let message = full(&ProfilesWriter::begin(&path).unwrap().finish().unwrap_err());
    assert!(message.contains("no rows were added"), "{message}");
}
