//! Agreement with the Python packages whose formats these are: what they write
//! is read here, and what is written here they read.

use std::path::Path;
use std::process::Command;

use morphospace_core::Provenance;
use morphospace_profiles::{
    Column, Features, ProfileStream, Profiles, ReadOptions, read_profiles, read_profiles_with,
    write_profiles,
};
use serde_json::{Value, json};

use crate::round_trip::{ANNDATA, full};

/// Runs the script beside the tests; `None` where Python lacks the packages.
fn python(arguments: &[&Path]) -> Option<String> {
    let requirements = "crates/profiles/tests/python/requirements.txt";
    let Some(python) = std::env::var_os("MORPHOSPACE_PYTHON") else {
        eprintln!(
            "SKIPPED: set MORPHOSPACE_PYTHON to a Python with the packages of {requirements}"
        );
        return None;
    };
    let has_packages = Command::new(&python)
        .args(["-c", "import anndata, cmapPy, h5py, zarr"])
        .output()
        .expect("Python runs");
    if !has_packages.status.success() {
        eprintln!("SKIPPED: MORPHOSPACE_PYTHON lacks the packages of {requirements}");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/anndata_files.py");
    let run = Command::new(&python)
        .arg(script)
        .args(arguments)
        .output()
        .expect("Python runs");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{errors}");
    Some(String::from_utf8(run.stdout).expect("Python writes UTF-8"))
}

fn texts(profiles: &Profiles, name: &str) -> Vec<String> {
    let texts = profiles.text(name).unwrap().into_iter();
    texts
        .map(|text| text.unwrap_or_else(|| "-".to_owned()))
        .collect()
}

/// What `wells` of the script has.
pub(crate) fn check_wells(profiles: &Profiles, columns: &[&str]) {
    let expected = |name: &str| match name {
        "obs_names" => ("text", ["P1_0", "P1_1", "P1_2", "P1_3", "P1_4"]),
        "Metadata_gene" => ("text", ["PLK1", "MTOR", "PLK1", "-", "µ-gene"]),
        "Metadata_Well" => ("text", ["A00", "A01", "A02", "A03", "A04"]),
        "Metadata_Site" => ("integer", ["0", "1", "2", "3", "4"]),
        "Metadata_dose" => ("float", ["0.25", "-", "1", "2", "4"]),
        "Metadata_flag" => ("boolean", ["true", "false", "true", "false", "true"]),
        "Metadata_count" => ("integer", ["1", "-", "3", "4", "1099511627776"]),
        "Metadata_passed" => ("boolean", ["true", "-", "false", "true", "true"]),
        "Metadata_level" => ("integer", ["3", "1", "3", "-", "1"]),
        "Metadata_note" => ("text", ["x", "-", "", "é", "x"]),
        other => panic!("no well has '{other}'"),
    };
    assert_eq!(profiles.metadata_names().collect::<Vec<_>>(), columns);
    for name in columns {
        let (kind, values) = expected(name);
        assert_eq!(profiles.column(name).unwrap().kind(), kind, "{name}");
        assert_eq!(texts(profiles, name), values, "{name}");
    }
}

/// `matrix` of the script.
fn expected_matrix(missing: f64) -> Vec<f64> {
    let value = |index: u8| f64::from(index) / 8.0 - 0.5;
    (0..15)
        .map(|index| if index == 4 { missing } else { value(index) })
        .collect()
}

pub(crate) fn check_matrix(profiles: &Profiles, missing: f64) {
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&profiles.values()), bits(&expected_matrix(missing)));
    assert_eq!(
        profiles.feature_names(),
        ["feature_0", "feature_1", "feature_2"]
    );
}

const ALL: [&str; 9] = [
    "obs_names",
    "Metadata_gene",
    "Metadata_Well",
    "Metadata_Site",
    "Metadata_dose",
    "Metadata_flag",
    "Metadata_count",
    "Metadata_passed",
    "Metadata_level",
];

#[test]
fn what_anndata_writes_is_read() {
    let folder = tempfile::tempdir().unwrap();
    if python(&[Path::new("write"), folder.path()]).is_none() {
        return;
    }
    let mut endings = vec!["_v2.zarr", "_v3.zarr"];
    endings.extend(ANNDATA.contains(&"h5ad").then_some(".h5ad"));
    for ending in endings {
        let path = |name: &str| folder.path().join(format!("{name}{ending}"));
        let read = |name: &str| {
            let read = read_profiles_with(&path(name), &ReadOptions::default());
            read.unwrap_or_else(|error| panic!("{name}{ending}: {}", full(&error)))
        };
        let (single, _) = read("single");
        check_wells(&single, &ALL);
        check_matrix(&single, f64::NAN);
        assert!(matches!(single.features(), Features::F32(_)));

        let (double, roles) = read("double");
        check_matrix(&double, f64::NAN);
        assert!(matches!(double.features(), Features::F64(_)));
        let skipped: Vec<&str> = roles
            .skipped
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(
            skipped,
            ["var/symbol", "layers/raw", "obsm/X_pca"],
            "{ending}"
        );

        let (text, _) = read("text");
        check_wells(&text, &[&ALL[..], &["Metadata_note"]].concat());

        for sparse in ["csr", "csc"] {
            let (sparse, _) = read(sparse);
            check_wells(&sparse, &ALL);
            check_matrix(&sparse, 0.0);
            assert!(matches!(sparse.features(), Features::F32(_)));
        }
        let (whole, _) = read("whole");
        assert_eq!(
            whole.values().to_vec(),
            (0..15).map(f64::from).collect::<Vec<_>>()
        );

        // Numeric metadata leaves X; rows without names stay without.
        let (pycytominer, roles) = read("pycytominer");
        let names = [
            "Metadata_gene",
            "Metadata_Site",
            "Metadata_mmoles_per_liter",
        ];
        assert_eq!(pycytominer.metadata_names().collect::<Vec<_>>(), names);
        assert_eq!(
            texts(&pycytominer, "Metadata_Site"),
            ["0", "1", "2", "3", "4"]
        );
        assert_eq!(
            texts(&pycytominer, "Metadata_mmoles_per_liter"),
            ["0.25", "-", "1", "2", "4"]
        );
        assert_eq!(roles.features, ["Cells_A", "Cells_B", "Nuclei_C"]);
        assert_eq!(pycytominer.row(0), expected_matrix(f64::NAN)[..3]);
    }
    for ending in ANNDATA {
        let path = folder.path().join(format!("chunked.{ending}"));
        let options = ReadOptions {
            // 'x' and 'y' are positions by the rule.
            feature_patterns: Some(vec!["?".into()]),
            ..ReadOptions::default()
        };
        let (whole, _) = read_profiles_with(&path, &options).unwrap();
        assert_eq!(
            whole.values().to_vec(),
            (0..4000).map(f64::from).collect::<Vec<_>>()
        );
        let stream = ProfileStream::open(&path, &options, 20_000).unwrap();
        let chunks: Vec<Profiles> = stream.map(Result::unwrap).collect();
        assert!(chunks.len() > 3, "{} chunks of {ending}", chunks.len());
        let values: Vec<f64> = chunks
            .iter()
            .flat_map(|c| c.values().into_owned())
            .collect();
        assert_eq!(values, whole.values().to_vec());
    }

    let cmap = read_profiles(&folder.path().join("cmap.gct")).unwrap();
    assert_eq!(texts(&cmap, "id"), ["P1_A01", "P1_A02", "P2_A01"]);
    assert_eq!(texts(&cmap, "Metadata_Plate"), ["P1", "P1", "P2"]);
    assert_eq!(texts(&cmap, "dose"), ["0.25", "-", "4"]);
    assert_eq!(cmap.row(0), [0.5, 3.0]);
    assert!(cmap.row(2)[0].is_nan());
    let old = read_profiles(&folder.path().join("genepattern.gct")).unwrap();
    assert_eq!(old.feature_names(), ["f1", "f2"]);
    assert_eq!(old.row(2), [3.0, 6.5]);
}

fn table() -> Profiles {
    Profiles::new(
        vec![
            (
                "Metadata_gene".into(),
                Column::Text(vec![
                    Some("PLK1".into()),
                    None,
                    Some("PLK1".into()),
                    Some("µ".into()),
                ]),
            ),
            (
                "Metadata_Well".into(),
                Column::from(vec!["A01", "A02", "B01", "B02"]),
            ),
            ("Metadata_Site".into(), Column::from(vec![1i64, 2, 3, -4])),
            (
                "Metadata_count".into(),
                Column::Integer(vec![Some(1), None, Some(1 << 40), Some(0)]),
            ),
            (
                "Metadata_dose".into(),
                Column::Float(vec![Some(0.1), None, Some(0.001), Some(3.0)]),
            ),
            (
                "Metadata_flag".into(),
                Column::from(vec![true, false, true, true]),
            ),
            (
                "Metadata_passed".into(),
                Column::Boolean(vec![Some(true), None, Some(false), Some(true)]),
            ),
        ],
        vec!["feature_0".into(), "x".into()],
        Features::F32(vec![0.1, -1.5, f32::NAN, 2.0, 3.0, 1e-30, 0.0, 7.0]),
    )
    .unwrap()
    .with_provenance(Provenance::new("align").with_setting("method", "tvn"))
}

#[test]
fn what_is_written_anndata_reads() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ANNDATA {
        let path = folder.path().join(format!("profiles.{ending}"));
        write_profiles(&path, &table()).unwrap();
        let Some(line) = python(&[Path::new("read"), &path]) else {
            return;
        };
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["index"], json!(["0", "1", "2", "3"]));
        assert_eq!(read["features"], json!(["feature_0", "x"]));
        assert_eq!(read["dtype"], "float32");
        let value = |v: f32| json!(python_float(f64::from(v)));
        let expected = json!([
            [value(0.1), "-1.5"],
            [null, "2.0"],
            ["3.0", value(1e-30)],
            ["0.0", "7.0"]
        ]);
        assert_eq!(read["X"], expected);
        let column = |dtype: &str, values: Value| json!({"dtype": dtype, "values": values});
        let columns = json!({
            "Metadata_gene": column("category", json!(["PLK1", null, "PLK1", "µ"])),
            "Metadata_Well": column("object", json!(["A01", "A02", "B01", "B02"])),
            "Metadata_Site": column("int64", json!([1, 2, 3, -4])),
            "Metadata_count": column("Int64", json!([1, null, 1i64 << 40, 0])),
            "Metadata_dose": column("float64", json!(["0.1", null, "0.001", "3.0"])),
            "Metadata_flag": column("bool", json!([true, false, true, true])),
            "Metadata_passed": column("boolean", json!([true, null, false, true])),
        });
        assert_eq!(read["columns"], columns, "{ending}");
        let order: Vec<&String> = read["columns"].as_object().unwrap().keys().collect();
        assert_eq!(order, table().metadata_names().collect::<Vec<_>>());
        let provenance = read["uns"]["morphospace"].as_str().unwrap();
        assert_eq!(
            Some(&Provenance::from_json(provenance).unwrap()),
            table().provenance()
        );
    }
}

#[test]
fn what_is_written_cmap_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.gct");
    let wells = Column::from(vec!["P1_A01", "P1_A02", "P1_B01", "P1_B02"]);
    write_profiles(&path, &table().with_column("id", wells).unwrap()).unwrap();
    let Some(line) = python(&[Path::new("read"), &path]) else {
        return;
    };
    let read: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        read["index"],
        json!(["P1_A01", "P1_A02", "P1_B01", "P1_B02"])
    );
    assert_eq!(read["features"], json!(["feature_0", "x"]));
    let value = |v: f32| json!(python_float(f64::from(v)));
    let expected = json!([
        [value(0.1), "-1.5"],
        [null, "2.0"],
        ["3.0", value(1e-30)],
        ["0.0", "7.0"]
    ]);
    assert_eq!(read["X"], expected);
    let values = |name: &str| read["columns"][name]["values"].clone();
    assert_eq!(values("Metadata_gene"), json!(["PLK1", null, "PLK1", "µ"]));
    assert_eq!(values("Metadata_Site"), json!([1, 2, 3, -4]));
    assert_eq!(
        values("Metadata_dose"),
        json!(["0.1", null, "0.001", "3.0"])
    );
}

/// A double as Python's `repr` has it.
fn python_float(value: f64) -> String {
    let text = format!("{value:?}");
    // `1e-5` is `1e-05` there.
    match text.split_once("e-") {
        Some((digits, exponent)) if exponent.len() == 1 => format!("{digits}e-0{exponent}"),
        _ => text,
    }
}
