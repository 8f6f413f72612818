//! GCT, as Morpheus, cmapPy and pycytominer have it.

use std::fs;
use std::io::Write;

use morphospace_profiles::{
    Column, Features, Profiles, ReadOptions, read_profiles, read_profiles_with, write_profiles,
};

use crate::round_trip::full;

fn read(text: &str) -> Profiles {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.gct");
    fs::write(&path, text).unwrap();
    read_profiles(&path).unwrap()
}

fn check(text: &[u8], expect: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.gct");
    fs::write(&path, text).unwrap();
    let message = full(&read_profiles(&path).unwrap_err());
    for word in expect.iter().chain(&["t.gct"]) {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
}

#[test]
fn a_table_is_laid_out_as_morpheus_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.gct");
    let dose = Column::Float(vec![Some(0.25), None, Some(3.0)]);
    let profiles = Profiles::new(
        vec![
            (
                "Metadata_Well".into(),
                Column::from(vec!["A01", "A02", "B01"]),
            ),
            ("dose".into(), dose),
        ],
        vec!["feature_0".into(), "feature_1".into()],
        Features::F32(vec![0.5, -1.0, 0.25, f32::NAN, 1.5, 0.0]),
    )
    .unwrap();
    write_profiles(&path, &profiles).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "#1.3\n\
         2\t3\t0\t2\n\
         id\tSAMPLE_0\tSAMPLE_1\tSAMPLE_2\n\
         Metadata_Well\tA01\tA02\tB01\n\
         dose\t0.25\tNA\t3.0\n\
         feature_0\t0.5\t0.25\t1.5\n\
         feature_1\t-1.0\tNaN\t0.0\n"
    );
    let back = read_profiles(&path).unwrap();
    assert_eq!(back.metadata(), profiles.metadata());
    assert_eq!(back.row(2), [1.5, 0.0]);

    // A column `id` that tells the wells apart names them.
    let named = |ids: [&str; 3]| {
        let ids = Column::from(ids.to_vec());
        write_profiles(&path, &profiles.clone().with_column("id", ids).unwrap()).unwrap();
        fs::read_to_string(&path)
            .unwrap()
            .lines()
            .nth(2)
            .unwrap()
            .to_owned()
    };
    assert_eq!(named(["p", "q", "r"]), "id\tp\tq\tr");
    assert_eq!(
        read_profiles(&path).unwrap().keys("id").unwrap(),
        ["p", "q", "r"]
    );
    assert_eq!(named(["p", "q", "p"]), "id\tSAMPLE_0\tSAMPLE_1\tSAMPLE_2");
    assert_eq!(
        read_profiles(&path).unwrap().keys("id").unwrap(),
        ["p", "q", "p"]
    );
}

/// `write_gct` of pycytominer: lines end as on Windows, the prefix is gone, a
/// column before the values repeats the features' names.
#[test]
fn what_pycytominer_writes_is_read() {
    let profiles = read(
        "#1.3\r\n2\t2\t1\t2\r\nid\tcp_feature_name\tSAMPLE_0\tSAMPLE_1\r\n\
         Plate\t\tP1\tP1\r\nmmoles_per_liter\t\t0.5\t\r\n\
         Cells_Area\tCells_Area\t1.5\t2.5\r\nCells_Count\tCells_Count\t\t-666\r\n",
    );
    assert_eq!(
        profiles.metadata_names().collect::<Vec<_>>(),
        ["Plate", "mmoles_per_liter"]
    );
    let dose = Column::Float(vec![Some(0.5), None]);
    assert_eq!(profiles.column("mmoles_per_liter").unwrap(), &dose);
    assert_eq!(profiles.feature_names(), ["Cells_Area", "Cells_Count"]);
    assert!(profiles.row(0)[1].is_nan());
    // -666 is absence in metadata and a number among numbers.
    assert_eq!(profiles.row(1), [2.5, -666.0]);
}

#[test]
fn what_becomes_of_each_row_is_told_and_can_be_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.gct");
    let text = "#1.2\n2\t2\nNAME\tDescription\ta\tb\nf\tna\t1\t2\ncell_total\tna\t30\t40\n";
    fs::write(&path, text).unwrap();
    let options = ReadOptions {
        metadata: vec!["cell_total".into()],
        ..ReadOptions::default()
    };
    let (profiles, roles) = read_profiles_with(&path, &options).unwrap();
    assert_eq!(profiles.keys("id").unwrap(), ["a", "b"]);
    assert_eq!(profiles.keys("cell_total").unwrap(), ["30", "40"]);
    assert_eq!(
        roles.to_string(),
        "1 feature: 1 as the file says ('f')\n\
         2 metadata columns: 1 asked for ('cell_total'), 1 as the file says ('id')\n\
         'Description' left out: it describes features, which a table of profiles has no place for"
    );
    let options = ReadOptions {
        features: Some(vec!["id".into()]),
        ..ReadOptions::default()
    };
    let message = full(&read_profiles_with(&path, &options).unwrap_err());
    assert!(
        message.contains("'id'") && message.contains("is metadata in GCT"),
        "{message}"
    );
}

#[test]
fn damage_is_refused_by_line_and_cell() {
    let good = "#1.3\n1\t2\t0\t1\nid\tp\tq\nwell\tA01\tA02\nf\t1\t2\n";
    assert_eq!(read(good).num_rows(), 2);
    check(b"", &["empty"]);
    check(b"\n", &["empty", "no first line"]);
    check(&good.as_bytes()[..4], &["second line is ''"]);
    check(
        good.replace("1.3", "1.4").as_bytes(),
        &["'#1.4'", "#1.3 or #1.2"],
    );
    check(good.replace("#1.3", "well,f").as_bytes(), &["'well,f'"]);
    check(
        good.replace("1\t2\t0\t1", "1\t2").as_bytes(),
        &["'1\\t2'", "4 numbers"],
    );
    check(
        good.replace("1\t2\t0\t1", "1\tx\t0\t1").as_bytes(),
        &["not 4 numbers"],
    );
    check(
        good.replace("1\t2\t0\t1", "2\t2\t0\t1").as_bytes(),
        &["it has 1 features, the second line says 2"],
    );
    check(
        good.replace("1\t2\t0\t1", "1\t3\t0\t1").as_bytes(),
        &["line 3 has 3 cells", "should have 4"],
    );
    check(
        good.replace(
            "1\t2\t0\t1",
            "18446744073709551615\t18446744073709551615\t0\t1",
        )
        .as_bytes(),
        &["too large"],
    );
    check(
        good.replace("f\t1\t2", "f\t1").as_bytes(),
        &["line 5 has 2 cells"],
    );
    check(
        good.replace("f\t1\t2", "f\t1\thigh").as_bytes(),
        &["'f' holds 'high' in data row 2"],
    );
    check(
        good.replace("well\t", "f\t").as_bytes(),
        &["'f' occurs twice"],
    );
    check(
        good.replace("1\t2\t0\t1", "1\t2\t0\t2").as_bytes(),
        &["it has 0 features"],
    );
    check(
        b"#1.3\n0\t1\t0\t1\nid\tp\nwell\tA01\n",
        &["no feature columns"],
    );
    check(b"#1.3\n1\t0\t0\t0\nid\nf\n", &["features and no wells"]);
    check(
        b"#1.3\n1\t1\t0\t3\nid\tp\nwell\tA01\n",
        &["ends among the rows of metadata"],
    );
    check(b"#1.3\n1\t1\t0\t3\n", &["ends before the names of wells"]);
    let mut header = vec![b'#'; 100_000];
    check(&header, &["the first line is"]);
    header.splice(0..5, *b"#1.3\n");
    check(&header, &["the second line is"]);
}

#[test]
fn truncated_gzip_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<f64> = (0..2000).map(|value| f64::from(value).sin()).collect();
    let names = (0..20)
        .map(|feature| format!("feature_{feature}"))
        .collect();
    let wells = Column::from((0..100).map(|row| format!("w{row}")).collect::<Vec<_>>());
    let table = Profiles::new(vec![("well".into(), wells)], names, Features::F64(values)).unwrap();
    for ending in ["gct.gz", "csv.gz", "tsv.gz"] {
        let path = folder.path().join(format!("profiles.{ending}"));
        write_profiles(&path, &table).unwrap();
        let bytes = fs::read(&path).unwrap();
        for length in (1..bytes.len()).step_by(97) {
            fs::write(&path, &bytes[..length]).unwrap();
            let message = full(&read_profiles(&path).unwrap_err());
            assert!(message.contains("profiles."), "{message}");
        }
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(read_profiles(&path).is_err(), "{ending}: a byte is missing");
        // Several gzip members are one file.
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(&bytes).unwrap();
        assert_eq!(read_profiles(&path).unwrap(), table, "{ending}");
    }
}
