//! AnnData that the Python package wrote, and such as is damaged.

use std::fs;
use std::path::{Path, PathBuf};

use morphospace_profiles::{
    Column, Features, Profiles, ReadOptions, read_profiles, read_profiles_with, write_profiles,
};
use serde_json::{Value, json};

use crate::python_packages::{check_matrix, check_wells};
use crate::round_trip::{ANNDATA, full};

/// What `tests/python/anndata_files.py fixture` wrote with anndata 0.12.19.
fn fixture() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let packed = include_bytes!("../fixtures/anndata.tar.gz").as_slice();
    let files = flate2::read::GzDecoder::new(packed);
    tar::Archive::new(files).unpack(folder.path()).unwrap();
    folder
}

#[test]
fn files_of_the_python_package_are_read() {
    let folder = fixture();
    let mut names = vec!["anndata_0_12_v2.zarr", "anndata_0_12_v3.zarr"];
    names.extend(ANNDATA.contains(&"h5ad").then_some("anndata_0_12.h5ad"));
    for name in names {
        let profiles = read_profiles(&folder.path().join(name)).unwrap();
        let columns = [
            "obs_names",
            "Metadata_gene",
            "Metadata_count",
            "Metadata_dose",
        ];
        check_wells(&profiles, &columns);
        check_matrix(&profiles, f64::NAN);
        // Names of observations are written as such and not as a column.
        let path = folder.path().join("again.zarr");
        write_profiles(&path, &profiles).unwrap();
        let attributes = json_of(&path.join("obs/.zattrs"));
        assert_eq!(attributes["column-order"], json!(columns[1..]));
        check_wells(&read_profiles(&path).unwrap(), &columns);
    }
}

fn table() -> Profiles {
    let genes = ["PLK1", "MTOR", "PLK1"];
    Profiles::new(
        vec![
            ("Metadata_gene".into(), Column::from(genes.to_vec())),
            ("Metadata_Site".into(), Column::from(vec![1i64, 2, 3])),
            (
                "Metadata_count".into(),
                Column::Integer(vec![Some(1), None, Some(3)]),
            ),
        ],
        vec!["feature_0".into(), "feature_1".into()],
        Features::F32(vec![0.5; 6]),
    )
    .unwrap()
}

fn written() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.zarr");
    write_profiles(&path, &table()).unwrap();
    (folder, path)
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Changes a JSON file of the table and expects a refusal with these words.
fn check(file: &str, change: impl FnOnce(&mut Value), expect: &[&str]) {
    let (_folder, path) = written();
    let mut value = json_of(&path.join(file));
    change(&mut value);
    fs::write(path.join(file), value.to_string()).unwrap();
    refused(&path, expect);
}

fn refused(path: &Path, expect: &[&str]) {
    let message = full(&read_profiles(path).unwrap_err());
    for word in expect {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
    assert!(message.contains("profiles.zarr"), "{message}");
}

#[test]
fn other_attributes_and_newer_encodings_are_refused() {
    check(
        ".zattrs",
        |a| a["encoding-type"] = json!("spatialdata"),
        &["'spatialdata' and not anndata"],
    );
    check(
        ".zattrs",
        |a| a["encoding-version"] = json!("0.2.0"),
        &["'0.2.0'", "newest that is read is 0.1.0", "hint"],
    );
    check(
        ".zattrs",
        |a| a["encoding-version"] = json!("new"),
        &["'new'"],
    );
    check(
        ".zattrs",
        |a| *a = json!({}),
        &["lacks the attribute", "before 0.8"],
    );
    check(".zattrs", |a| *a = json!([]), &["no JSON object"]);
    check(
        "X/.zattrs",
        |a| a["encoding-version"] = json!("1.0.0"),
        &["'X'", "'1.0.0'"],
    );
    check(
        "X/.zattrs",
        |a| a["encoding-type"] = json!("awkward-array"),
        &["'X'", "'awkward-array'", "csr_matrix"],
    );
    check(
        "obs/.zattrs",
        |a| a["encoding-type"] = json!("dict"),
        &["'obs'", "'dict' and not dataframe"],
    );
    check("obs/.zattrs", |a| a["_index"] = json!(7), &["'_index'"]);
    check(
        "obs/.zattrs",
        |a| a["column-order"] = json!([1]),
        &["'column-order'"],
    );
    check(
        "obs/.zattrs",
        |a| a["column-order"] = json!(["Metadata_plate"]),
        &["'obs/Metadata_plate'", "no such element"],
    );
    // Names do not lead out of the folder.
    check(
        "obs/.zattrs",
        |a| a["column-order"] = json!(["../../../../etc"]),
        &["no such element"],
    );
}

#[test]
fn a_column_of_a_newer_encoding_is_left_out_with_the_reason() {
    let (_folder, path) = written();
    let file = path.join("obs/Metadata_gene/.zattrs");
    let mut attributes = json_of(&file);
    attributes["encoding-version"] = json!("0.3.0");
    fs::write(&file, attributes.to_string()).unwrap();
    let (profiles, roles) = read_profiles_with(&path, &ReadOptions::default()).unwrap();
    assert!(!profiles.has_column("Metadata_gene"));
    let text = roles.to_string();
    assert!(text.contains("'Metadata_gene' left out"), "{text}");
    assert!(text.contains("'0.3.0'"), "{text}");
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    check(
        "obs/Metadata_Site/.zarray",
        |a| a["shape"] = json!([2]),
        &["'obs/Metadata_Site' has 2 rows, the table has 3"],
    );
    check(
        "obs/_index/.zarray",
        |a| a["shape"] = json!([2]),
        &["'obs'", "2 rows", "asks for 3"],
    );
    check(
        "X/.zarray",
        |a| a["shape"] = json!([3, 3]),
        &["'var'", "2 rows", "asks for 3"],
    );
    check("X/.zarray", |a| a["shape"] = json!([6]), &["'X'", "[6]"]);
    check(
        "obs/Metadata_count/mask/.zarray",
        |a| a["shape"] = json!([1]),
        &["'obs/Metadata_count/mask' has 1 rows", "has 3"],
    );
    check(
        "obs/Metadata_gene/categories/.zarray",
        |a| a["shape"] = json!([1]),
        &["code 1 of row 1", "beyond the 1 categories"],
    );
}

#[test]
fn sizes_beyond_any_memory_are_refused_before_they_are_asked_for() {
    let huge = json!([1u64 << 60, 2]);
    let change = |key: &'static str, value: Value| move |a: &mut Value| a[key] = value;
    check("X/.zarray", change("shape", huge.clone()), &["asks for"]);
    check(
        "X/.zarray",
        change("chunks", json!([1u64 << 50, 2])),
        &["'X'", "do not fit into memory"],
    );
    // A table of fill values: nothing contradicts itself.
    let (_folder, path) = written();
    let table = table().without_column("Metadata_gene");
    let table = table.without_column("Metadata_count");
    write_profiles(&path, &table).unwrap();
    for (file, shape) in [
        ("X/.zarray", huge),
        ("obs/_index/.zarray", json!([1u64 << 60])),
        ("obs/Metadata_Site/.zarray", json!([1u64 << 60])),
    ] {
        let mut array = json_of(&path.join(file));
        array["shape"] = shape;
        fs::write(path.join(file), array.to_string()).unwrap();
    }
    refused(
        &path,
        &[
            "1152921504606846976 rows",
            "more than the system gives",
            "hint",
        ],
    );
}

#[test]
fn truncated_chunks_and_metadata_are_refused() {
    for file in [
        "X/0.0",
        "obs/_index/0",
        "obs/Metadata_gene/codes/0",
        "obs/Metadata_count/mask/0",
        "X/.zarray",
        "obs/.zattrs",
        ".zattrs",
        "var/_index/.zarray",
    ] {
        let (_folder, path) = written();
        let bytes = fs::read(path.join(file)).unwrap();
        fs::write(path.join(file), &bytes[..bytes.len() - 3]).unwrap();
        refused(&path, &[]);
        fs::write(path.join(file), b"").unwrap();
        refused(&path, &[]);
    }
    for folder in ["X", "obs", "var", "obs/Metadata_Site", "var/_index"] {
        let (_folder, path) = written();
        fs::remove_dir_all(path.join(folder)).unwrap();
        refused(&path, &[folder.trim_end_matches("/_index")]);
    }
}

#[test]
fn flipped_bytes_of_chunks_never_panic() {
    for file in [
        "X/0.0",
        "obs/_index/0",
        "obs/Metadata_gene/codes/0",
        "var/_index/0",
    ] {
        let (_folder, path) = written();
        let bytes = fs::read(path.join(file)).unwrap();
        for place in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[place] ^= 0x55;
            fs::write(path.join(file), &bytes).unwrap();
            // Some flips change a value and nothing else.
            if let Err(error) = read_profiles(&path) {
                assert!(error.to_string().contains("profiles.zarr"));
            }
        }
    }
}

#[test]
fn names_that_occur_twice_are_refused() {
    let (_folder, path) = written();
    // A feature with the name of a column of obs.
    write_profiles(&path, &table()).unwrap();
    let (_other, longer) = written();
    let renamed = table().rename_features("feature_1", "Metadata_Site");
    assert!(renamed.is_err());
    let renamed = table()
        .rename_features("feature_1", "Metadata_site")
        .unwrap();
    write_profiles(&longer, &renamed).unwrap();
    fs::remove_dir_all(path.join("var/_index")).unwrap();
    copy(&longer.join("var/_index"), &path.join("var/_index"));
    let (profiles, _) = read_profiles_with(&path, &ReadOptions::default()).unwrap();
    // The file is ours: what stands in X is a feature, whatever its name.
    assert_eq!(profiles.feature_names(), ["feature_0", "Metadata_site"]);
    let mut attributes = json_of(&path.join("obs/.zattrs"));
    attributes["column-order"] = json!(["Metadata_Site", "Metadata_Site"]);
    fs::write(path.join("obs/.zattrs"), attributes.to_string()).unwrap();
    refused(&path, &["'Metadata_Site' occurs twice"]);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn no_rows_no_matrix_and_no_folder_are_refused() {
    let (folder, path) = written();
    write_profiles(&path, &table().select_rows(&[])).unwrap();
    refused(&path, &["no rows"]);
    let (_folder, without) = written();
    fs::remove_dir_all(without.join("X")).unwrap();
    refused(&without, &["no matrix X"]);
    let message = full(&read_profiles(&folder.path().join("nowhere.zarr")).unwrap_err());
    assert!(
        message.contains("cannot open") && message.contains("nowhere.zarr"),
        "{message}"
    );
    let file = folder.path().join("file.zarr");
    fs::write(&file, b"no folder").unwrap();
    assert!(full(&read_profiles(&file).unwrap_err()).contains("file.zarr"));
    let message = full(&write_profiles(&file, &table()).unwrap_err());
    assert!(
        message.contains("there is a file of this name"),
        "{message}"
    );
    let empty = folder.path().join("empty.zarr");
    fs::create_dir(&empty).unwrap();
    assert!(full(&read_profiles(&empty).unwrap_err()).contains("neither .zgroup nor zarr.json"));
}

#[test]
fn asking_for_what_stands_in_obs_as_a_feature_is_refused() {
    let (_folder, path) = written();
    let options = ReadOptions {
        features: Some(vec!["Metadata_Site".into(), "feature_0".into()]),
        ..ReadOptions::default()
    };
    let message = full(&read_profiles_with(&path, &options).unwrap_err());
    assert!(
        message.contains("'Metadata_Site'") && message.contains("stands in obs"),
        "{message}"
    );
}

#[test]
fn names_that_would_be_paths_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ANNDATA {
        let path = folder.path().join(format!("profiles.{ending}"));
        for name in ["dose/unit", "../../dose", ".zattrs", "_index"] {
            let column = Column::from(vec![1i64, 2, 3]);
            let table = table().with_column(name, column).unwrap();
            let message = full(&write_profiles(&path, &table).unwrap_err());
            assert!(
                message.contains(name) && message.contains("hint"),
                "{message}"
            );
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn h5ad_damage_is_refused_and_without_the_feature_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.h5ad");
    if !ANNDATA.contains(&"h5ad") {
        for message in [
            full(&read_profiles(&path).unwrap_err()),
            full(&write_profiles(&path, &table()).unwrap_err()),
        ] {
            for word in ["profiles.h5ad", "--features h5ad", ".zarr"] {
                assert!(message.contains(word), "{message}");
            }
        }
        return;
    }
    let refused = |path: &Path| {
        let message = full(&read_profiles(path).unwrap_err());
        assert!(message.contains("profiles.h5ad"), "{message}");
    };
    refused(&path);
    write_profiles(&path, &table()).unwrap();
    let bytes = fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(bytes.len() / 60) {
        fs::write(&path, &bytes[..length]).unwrap();
        refused(&path);
    }
    for place in (0..bytes.len()).step_by(37) {
        let mut bytes = bytes.clone();
        bytes[place] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        if let Err(error) = read_profiles(&path) {
            assert!(error.to_string().contains("profiles.h5ad"));
        }
    }
}

#[test]
fn text_that_repeats_is_categorical_and_text_that_does_not_is_not() {
    let (_folder, path) = written();
    let encoding =
        |name: &str| json_of(&path.join(format!("obs/{name}/.zattrs")))["encoding-type"].clone();
    assert_eq!(encoding("Metadata_gene"), "categorical");
    assert_eq!(encoding("Metadata_count"), "nullable-integer");
    assert_eq!(encoding("Metadata_Site"), "array");
    let wells = Column::from(vec!["A01", "A02", "A03"]);
    write_profiles(&path, &table().with_column("Metadata_gene", wells).unwrap()).unwrap();
    assert_eq!(encoding("Metadata_gene"), "string-array");
    // One file has the metadata of all.
    let all = json_of(&path.join(".zmetadata"));
    assert_eq!(all["metadata"]["X/.zarray"]["shape"], json!([3, 2]));
    assert_eq!(all["metadata"][".zattrs"]["encoding-type"], "anndata");
}
