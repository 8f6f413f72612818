//! Tables that other tools wrote.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, Date32Array, DictionaryArray, Float32Array, Float64Array, Int32Array,
    LargeStringArray, ListArray, NullArray, RecordBatch, UInt64Array,
};
use morphospace_profiles::{
    Column, Features, ReadOptions, Schema, read_profiles, read_profiles_with,
};
use parquet::arrow::ArrowWriter;

use crate::round_trip::full;

fn write_batch(columns: Vec<(&str, ArrayRef)>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.parquet");
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    (folder, path)
}

#[test]
fn every_type_of_metadata_in_use_is_read_or_left_out_with_a_reason() {
    let genes: DictionaryArray<Int32Type> = vec![Some("PLK1"), None].into_iter().collect();
    let numbers =
        ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), Some(2)]), None]);
    let (_folder, path) = write_batch(vec![
        ("cid", Arc::new(LargeStringArray::from(vec!["a", "b"]))),
        ("gene", Arc::new(genes)),
        ("Metadata_target_ids", Arc::new(numbers)),
        (
            "Metadata_count",
            Arc::new(Int32Array::from(vec![Some(3), None])),
        ),
        (
            "Metadata_barcode",
            Arc::new(UInt64Array::from(vec![u64::MAX, 1])),
        ),
        ("Metadata_imaged", Arc::new(Date32Array::from(vec![0, 1]))),
        ("Metadata_empty", Arc::new(NullArray::new(2))),
        (
            "Metadata_bytes",
            Arc::new(BinaryArray::from(vec![b"x".as_slice(), b"y"])),
        ),
        ("PSME1", Arc::new(Float32Array::from(vec![Some(0.5), None]))),
    ]);
    let (profiles, roles) = read_profiles_with(&path, &ReadOptions::default()).unwrap();
    let text = |name: &str| -> Vec<String> {
        let values = profiles.text(name).unwrap();
        values
            .into_iter()
            .map(|value| value.unwrap_or_else(|| "-".into()))
            .collect()
    };
    assert_eq!(text("cid"), ["a", "b"]);
    assert_eq!(text("gene"), ["PLK1", "-"]);
    assert_eq!(text("Metadata_target_ids"), ["1|2", "-"]);
    assert_eq!(text("Metadata_count"), ["3", "-"]);
    assert_eq!(text("Metadata_barcode"), ["18446744073709551615", "1"]);
    assert_eq!(text("Metadata_imaged"), ["1970-01-01", "1970-01-02"]);
    assert_eq!(text("Metadata_empty"), ["-", "-"]);
    assert_eq!(roles.skipped.len(), 1);
    assert!(
        roles
            .to_string()
            .contains("'Metadata_bytes' left out: metadata of type Binary")
    );
    match profiles.features() {
        Features::F32(values) => assert!(values[0] == 0.5 && values[1].is_nan()),
        Features::F64(_) => panic!("single precision stays single"),
    }
}

#[test]
fn whole_number_features_become_double_precision() {
    let (_folder, path) = write_batch(vec![
        ("feature_0", Arc::new(Int32Array::from(vec![1, 2]))),
        ("feature_1", Arc::new(Float32Array::from(vec![0.5, 0.25]))),
    ]);
    let profiles = read_profiles(&path).unwrap();
    assert_eq!(
        profiles.features(),
        &Features::F64(vec![1.0, 0.5, 2.0, 0.25])
    );
}

#[test]
fn a_feature_column_of_text_is_refused() {
    let (_folder, path) = write_batch(vec![
        ("feature_0", Arc::new(Float64Array::from(vec![1.0]))),
        ("feature_1", Arc::new(LargeStringArray::from(vec!["high"]))),
    ]);
    let message = full(&read_profiles(&path).unwrap_err());
    assert!(
        message.contains("'feature_1'") && message.contains("LargeUtf8"),
        "{message}"
    );
    let options = ReadOptions {
        metadata: vec!["feature_1".into()],
        ..ReadOptions::default()
    };
    assert_eq!(
        read_profiles_with(&path, &options)
            .unwrap()
            .0
            .num_features(),
        1
    );
}

fn csv(text: &str) -> morphospace_profiles::Profiles {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    std::fs::write(&path, text).unwrap();
    read_profiles(&path).unwrap()
}

#[test]
fn csv_types_keep_what_text_says_beyond_the_number() {
    let profiles = csv(
        "Metadata_Plate,Metadata_barcode,Metadata_site,Metadata_dose,Metadata_qc,\
         Metadata_gene,feature_0\n\
         007,12345678901234567890,1,0.25,True,NA,1\n\
         012,12345678901234567891,,NA,False,PLK1,\n",
    );
    assert_eq!(profiles.keys("Metadata_Plate").unwrap(), ["007", "012"]);
    assert_eq!(
        profiles.keys("Metadata_barcode").unwrap()[1],
        "12345678901234567891"
    );
    assert_eq!(
        profiles.column("Metadata_site").unwrap(),
        &Column::Integer(vec![Some(1), None])
    );
    assert_eq!(
        profiles.column("Metadata_dose").unwrap(),
        &Column::Float(vec![Some(0.25), None])
    );
    assert_eq!(
        profiles.column("Metadata_qc").unwrap(),
        &Column::from(vec![true, false])
    );
    assert_eq!(profiles.keys("Metadata_gene").unwrap(), ["NA", "PLK1"]);
    assert!(profiles.row(1)[0].is_nan());
    assert!(profiles.check_finite().is_err());
}

#[test]
fn both_schemata_are_recognised() {
    let official = csv("site_id,0,1\nHUVEC-1_1_B02_1,0.5,0.25\n");
    assert_eq!(official.feature_names(), ["0", "1"]);
    let rxrx3 = csv(
        "well_id,experiment_name,plate,address,gene,concentration,feature_0\n\
         gene-088_9_Z43,gene-088,9,Z43,PLK1,,0.5\n",
    );
    assert_eq!(rxrx3.num_features(), 1);
    let cytomining = rxrx3.to_schema(Schema::Cytomining);
    assert_eq!(cytomining.keys("Metadata_Batch").unwrap(), ["gene-088"]);
    assert_eq!(cytomining.keys("Metadata_Well").unwrap(), ["Z43"]);
    assert_eq!(
        cytomining.keys("Metadata_well_id").unwrap(),
        ["gene-088_9_Z43"]
    );
    // A table with both spellings of the well loses neither.
    let both = csv("well,address,feature_0\nA01,A02,1\n").to_schema(Schema::Cytomining);
    assert_eq!(both.keys("Metadata_Well").unwrap(), ["A01"]);
    assert_eq!(both.keys("address").unwrap(), ["A02"]);
    assert!(
        cytomining
            .to_schema(Schema::Recursion)
            .has_column("experiment")
    );
}

#[test]
fn the_unnamed_index_of_pandas_is_metadata() {
    let profiles = csv(",well,IL-6\n0,A01,0.5\n1,A02,0.75\n");
    assert_eq!(profiles.feature_names(), ["IL-6"]);
    assert_eq!(
        profiles.metadata_names().collect::<Vec<_>>(),
        ["Unnamed: 0", "well"]
    );
}

#[test]
fn published_tables_read_as_they_are() {
    let Ok(data) = std::env::var("MORPHOSPACE_DATA") else {
        eprintln!("SKIPPED: published profile tables; set MORPHOSPACE_DATA to the data folder");
        return;
    };
    let data = PathBuf::from(data).join("profiles");
    let (nelisa, roles) = read_profiles_with(
        &data.join("nelisa/nelisa_profiles.parquet"),
        &ReadOptions::default(),
    )
    .unwrap();
    assert_eq!((nelisa.num_rows(), nelisa.num_features()), (1525, 191));
    assert!(
        roles
            .features
            .iter()
            .all(|name| !name.starts_with("Metadata_"))
    );
    assert!(nelisa.check_finite().is_ok());
    assert!(
        nelisa
            .text("Metadata_target_list")
            .unwrap()
            .iter()
            .flatten()
            .any(|t| t.contains('|'))
    );

    let taorf = read_profiles(&data.join("taorf_l1000/taorf_l1000_1092x978.parquet")).unwrap();
    assert_eq!((taorf.num_rows(), taorf.num_features()), (1092, 978));
    assert!(matches!(taorf.features(), Features::F32(_)));

    let lincs = data.join("lincs_SQ00015054/compound/SQ00015054_normalized_feature_select.csv.gz");
    let lincs = read_profiles(&lincs).unwrap();
    assert_eq!(lincs.num_rows(), 384);
    assert!(lincs.has_column("Metadata_mmoles_per_liter"));
    assert!(
        lincs
            .feature_names()
            .iter()
            .all(|name| !name.starts_with("Metadata_"))
    );
}
