//! Files that are not what they promise are refused with a message that
//! names file, column, row and the fix, and never with a panic.

use std::fs;
use std::path::{Path, PathBuf};

use morphospace_profiles::{Column, Features, Profiles, read_profiles, write_profiles};

use crate::round_trip::full;

fn folder_with(name: &str, contents: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, contents).unwrap();
    (folder, path)
}

/// The message about a file must name the file and contain every word.
fn check(name: &str, contents: &[u8], expect: &[&str]) {
    let (_folder, path) = folder_with(name, contents);
    let message = full(&read_profiles(&path).unwrap_err());
    assert!(message.contains(name), "{message}");
    for word in expect {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
}

#[test]
fn csv_refusals() {
    let ragged = b"well,feature_0,feature_1\nA01,1,2\nA02,3\n";
    check(
        "t.csv",
        ragged,
        &["data row 2", "2 cells", "header has 3", "hint"],
    );
    check(
        "t.csv",
        b"well,feature_0,feature_0\nA01,1,2\n",
        &["'feature_0' occurs twice"],
    );
    check(
        "t.csv",
        b"well,well,feature_0\nA01,1,2\n",
        &["'well' occurs twice"],
    );
    check(
        "t.csv",
        b"well,plate\nA01,1\n",
        &["no feature columns", "2 columns", "hint"],
    );
    check("t.csv", b"", &["empty"]);
    check("t.csv", b"well,feature_0\n", &["header and no rows"]);
    let word = b"well,feature_0\nA01,1\nA02,high\n";
    check("t.csv", word, &["'feature_0'", "'high'", "data row 2"]);
    check("t.csv", b"well,feature_0\nA\xff01,1\n", &["CSV"]);
    check("t.csv.gz", b"well,feature_0\nA01,1\n", &["CSV"]);
    check("t.xlsx", b"PK", &["unknown extension", ".parquet"]);
    check("t.parquet", b"", &["empty"]);
    check("t.parquet", b"not a table at all", &["Parquet", "complete"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let message = full(&read_profiles(Path::new("nowhere/profiles.parquet")).unwrap_err());
    assert!(message.contains("nowhere/profiles.parquet"), "{message}");
}

fn parquet_bytes() -> Vec<u8> {
    let rows = 200;
    let profiles = Profiles::new(
        vec![("Metadata_Well".into(), Column::from(vec!["A01"; rows]))],
        vec!["feature_0".into(), "feature_1".into()],
        Features::F32((0..2 * rows).map(|value| value as f32).collect()),
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.parquet");
    write_profiles(&path, &profiles).unwrap();
    fs::read(path).unwrap()
}

#[test]
fn truncated_parquet_is_refused_at_every_length() {
    let bytes = parquet_bytes();
    for length in (1..bytes.len()).step_by(7) {
        check("cut.parquet", &bytes[..length], &["Parquet"]);
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let bytes = parquet_bytes();
    for place in (0..bytes.len()).step_by(5) {
        let mut bytes = bytes.clone();
        bytes[place] ^= 0x55;
        let (_folder, path) = folder_with("flipped.parquet", &bytes);
        // Some flips change a value and nothing else; what counts is that
        // the answer is a table or a refusal.
        if let Err(error) = read_profiles(&path) {
            assert!(error.to_string().contains("flipped.parquet"));
        }
    }
}

#[test]
fn a_failed_write_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("file");
    fs::write(&in_the_way, b"").unwrap();
    let profiles =
        Profiles::new(vec![], vec!["feature_0".into()], Features::F64(vec![1.0])).unwrap();
    let error = write_profiles(&in_the_way.join("profiles.parquet"), &profiles).unwrap_err();
    assert!(full(&error).contains("profiles.parquet"), "{error}");
    let error = write_profiles(&folder.path().join("profiles.xyz"), &profiles).unwrap_err();
    assert!(error.to_string().contains("unknown extension"), "{error}");
}

#[test]
fn tables_that_do_not_fit_together_are_refused() {
    let wells = |n| ("well".to_owned(), Column::from(vec!["A01"; n]));
    let names = || vec!["feature_0".to_owned()];
    let check = |result: Result<Profiles, _>, word: &str| {
        let message = full(&result.unwrap_err());
        assert!(message.contains(word), "{message}");
    };
    check(
        Profiles::new(vec![wells(2)], names(), Features::F64(vec![0.0])),
        "2 rows",
    );
    let plates = ("plate".to_owned(), Column::from(vec![1i64]));
    let two = Features::F64(vec![0.0; 2]);
    check(
        Profiles::new(vec![wells(2), plates], names(), two.clone()),
        "column 'plate' has 1 rows",
    );
    check(
        Profiles::new(vec![wells(2), wells(2)], names(), two.clone()),
        "'well' occurs twice",
    );
    let profiles = Profiles::new(vec![wells(2)], names(), two).unwrap();
    check(
        profiles
            .clone()
            .with_column("feature_0", Column::from(vec![1i64, 2])),
        "occurs twice",
    );
    check(
        profiles.with_column("site", Column::from(vec![1i64])),
        "'site' has 1 rows",
    );
}

#[test]
fn values_that_are_not_finite_are_named_by_well_and_feature() {
    let profiles = Profiles::new(
        vec![
            ("Metadata_Plate".into(), Column::from(vec!["P1", "P1"])),
            ("Metadata_Well".into(), Column::from(vec!["A01", "A02"])),
        ],
        vec!["feature_0".into(), "feature_1".into()],
        Features::F32(vec![0.0, 1.0, f32::NAN, f32::INFINITY]),
    )
    .unwrap();
    let message = profiles.check_finite().unwrap_err().to_string();
    for word in [
        "2 feature values",
        "NaN",
        "'feature_0'",
        "row 2 (plate 'P1' well 'A02')",
        "hint",
    ] {
        assert!(message.contains(word), "{message}");
    }
    assert!(profiles.select_rows(&[0, 0]).check_finite().is_ok());
}

#[test]
fn a_missing_key_names_the_row() {
    let batches = Column::Text(vec![Some("b1".into()), None]);
    let profiles = Profiles::new(
        vec![("batch".into(), batches)],
        vec!["f".into()],
        Features::F64(vec![0.0; 2]),
    )
    .unwrap();
    let message = profiles.keys("batch").unwrap_err().to_string();
    assert!(
        message.contains("'batch'") && message.contains("row 2"),
        "{message}"
    );
}

#[test]
fn rows_with_the_same_key_are_named() {
    let column = |values: Vec<&str>| Column::from(values);
    let profiles = Profiles::new(
        vec![
            (
                "Metadata_Plate".into(),
                column(vec!["P1", "P1", "P2", "P1"]),
            ),
            (
                "Metadata_Well".into(),
                Column::Text(vec![Some("A01".into()), None, Some("A01".into()), None]),
            ),
            ("Metadata_Site".into(), Column::from(vec![1i64, 2, 1, 2])),
        ],
        vec!["f".into()],
        Features::F64(vec![0.0; 4]),
    )
    .unwrap();
    let message = profiles
        .check_unique(&["Metadata_Plate", "Metadata_Well"])
        .unwrap_err()
        .to_string();
    for word in [
        "row 2 (plate 'P1' site '2') and row 4 (plate 'P1' site '2') are the same by",
        "'Metadata_Plate', 'Metadata_Well'",
        "hint",
    ] {
        assert!(message.contains(word), "{message}");
    }
    let first_three = profiles.select_rows(&[0, 1, 2]);
    first_three
        .check_unique(&["Metadata_Plate", "Metadata_Well"])
        .unwrap();
    assert!(first_three.check_unique(&["Metadata_Site"]).is_err());
    let message = profiles
        .check_unique(&["Metadata_Wel"])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("did you mean 'Metadata_Well'"),
        "{message}"
    );
}

#[test]
fn renaming_features_refuses_what_is_not_there_or_taken() {
    let profiles = Profiles::new(
        vec![("well_1".into(), Column::from(vec!["A01"]))],
        vec!["feature_1".into(), "other".into()],
        Features::F64(vec![0.0, 1.0]),
    )
    .unwrap();
    let renamed = profiles
        .clone()
        .rename_features("feature_", "Cells_")
        .unwrap();
    assert_eq!(renamed.feature_names(), ["Cells_1", "other"]);
    let message = |from, to| {
        let error = profiles.clone().rename_features(from, to).unwrap_err();
        error.to_string()
    };
    assert!(message("features_", "Cells_").contains("did you mean 'feature_'"));
    assert!(message("feature_", "well_").contains("'well_1' occurs twice"));
    assert!(message("feature_1", "").contains("empty name"));
}
