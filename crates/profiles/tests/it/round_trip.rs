//! What is written comes back.

use morphospace_core::Provenance;
use morphospace_profiles::{
    Column, Features, Profiles, Schema, read_metadata, read_profiles, write_profiles,
};
use proptest::prelude::*;

/// Text that is hard on separators, quotes and encodings. A letter in front
/// keeps it from being a number or a marker of absence, which CSV cannot
/// tell from text.
fn label() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[xé日]( |,|\"|\n|\r\n|\t|;|'|ß|日|🧬|a){0,6}")
}

fn feature() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -1e3..1e3f64,
        2 => proptest::num::f64::ANY,
        1 => Just(f64::NAN),
        1 => Just(-0.0),
        1 => Just(f64::INFINITY),
        1 => Just(f64::MIN_POSITIVE / 3.0),
        1 => Just(0.1),
    ]
}

pub(crate) fn tables() -> impl Strategy<Value = Profiles> {
    (1usize..30, 1usize..6, any::<bool>()).prop_flat_map(|(rows, features, single)| {
        (
            proptest::collection::vec(label(), rows),
            proptest::collection::vec(proptest::option::of(any::<i64>()), rows),
            proptest::collection::vec(proptest::option::of(-1e9..1e9f64), rows),
            proptest::collection::vec(proptest::option::of(any::<bool>()), rows),
            proptest::collection::vec(feature(), rows * features),
        )
            .prop_map(move |(labels, sites, doses, flags, values)| {
                let values = if single {
                    Features::F32(values.iter().map(|&value| value as f32).collect())
                } else {
                    Features::F64(values)
                };
                Profiles::new(
                    vec![
                        ("Metadata_treatment".into(), Column::Text(labels)),
                        ("Metadata_Site".into(), Column::Integer(sites)),
                        ("Metadata_concentration".into(), Column::Float(doses)),
                        ("Metadata_flag, \"quoted\"".into(), Column::Boolean(flags)),
                    ],
                    (0..features)
                        .map(|index| format!("feature_{index}"))
                        .collect(),
                    values,
                )
                .unwrap()
            })
    })
}

/// What AnnData lies in, in this build.
pub(crate) const ANNDATA: &[&str] = if cfg!(feature = "h5ad") {
    &["zarr", "h5ad"]
} else {
    &["zarr"]
};

/// Bits, with every NaN the same.
pub(crate) fn bits(profiles: &Profiles) -> Vec<u64> {
    let bits = |value: &f64| {
        if value.is_nan() {
            u64::MAX
        } else {
            value.to_bits()
        }
    };
    profiles.values().iter().map(bits).collect()
}

pub(crate) fn assert_same_contents(read: &Profiles, written: &Profiles) {
    assert_eq!(bits(read), bits(written));
    assert_eq!(read.feature_names(), written.feature_names());
    let names: Vec<&str> = written.metadata_names().collect();
    assert_eq!(read.metadata_names().collect::<Vec<_>>(), names);
    for name in names {
        assert_eq!(
            read.text(name).unwrap(),
            written.text(name).unwrap(),
            "{name}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn parquet_gives_back_exactly_what_was_written(written in tables()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.parquet");
        write_profiles(&path, &written).unwrap();
        let read = read_profiles(&path).unwrap();
        assert_same_contents(&read, &written);
        prop_assert_eq!(read.metadata(), written.metadata());
        let same_precision = matches!(
            (read.features(), written.features()),
            (Features::F32(_), Features::F32(_)) | (Features::F64(_), Features::F64(_))
        );
        prop_assert!(same_precision);
    }

    #[test]
    fn csv_gives_back_values_and_text(written in tables(), extension in "csv|tsv|csv\\.gz") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("profiles.{extension}"));
        write_profiles(&path, &written).unwrap();
        assert_same_contents(&read_profiles(&path).unwrap(), &written);
    }

    #[test]
    fn gct_gives_back_values_and_text(written in tables(), extension in "gct|gct\\.gz") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("profiles.{extension}"));
        write_profiles(&path, &written).unwrap();
        assert_same_contents(&read_profiles(&path).unwrap(), &written);
    }

    #[test]
    fn schemata_are_two_views_of_one_table(written in tables()) {
        let there = written.to_schema(Schema::Recursion);
        prop_assert!(there.has_column("site") && there.has_column("treatment"));
        let back = there.to_schema(Schema::Cytomining);
        assert_same_contents(&back, &written);
    }
}

proptest! {
    // A table is dozens of files, each of which is flushed to disk.
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn anndata_gives_back_exactly_what_was_written(written in tables()) {
        let folder = tempfile::tempdir().unwrap();
        for format in ANNDATA {
            let path = folder.path().join(format!("profiles.{format}"));
            write_profiles(&path, &written).unwrap();
            let read = read_profiles(&path).unwrap();
            assert_same_contents(&read, &written);
            prop_assert_eq!(read.metadata(), written.metadata());
            let same_precision = matches!(
                (read.features(), written.features()),
                (Features::F32(_), Features::F32(_)) | (Features::F64(_), Features::F64(_))
            );
            prop_assert!(same_precision);
        }
    }
}

/// Names of metadata in all spellings, among them such as only differ in
/// prefix or case.
fn column_names() -> impl Strategy<Value = Vec<String>> {
    let words = "source|experiment|experiment_name|plate|well|address|site|well_type|gene|SMILES|\
                 Source|Batch|Plate|Well|Site|control_role|batch|JCP2022|Metadata_";
    let name = ("(Metadata_)?", words).prop_map(|(prefix, word)| prefix + &word);
    proptest::collection::hash_set(name, 1..12).prop_map(|names| names.into_iter().collect())
}

fn named(names: &[String]) -> Profiles {
    let column = |(value, name): (i64, &String)| (name.clone(), Column::from(vec![value]));
    let metadata = (0..).zip(names).map(column).collect();
    Profiles::new(metadata, vec!["feature_0".into()], Features::F64(vec![1.0])).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    /// Values too: each column has a value of its own.
    #[test]
    fn a_schema_there_and_back_is_the_identity(mut names in column_names(), from in 0usize..3, to in 0usize..3) {
        let (from, to) = (Schema::ALL[from], Schema::ALL[to]);
        names.retain(|name| from.column_name(name) == *name);
        let table = named(&names);
        prop_assert!(from.holds(&table));
        let there = table.to_schema(to);
        prop_assert!(to.holds(&there), "{:?}", there.metadata());
        prop_assert_eq!(there.to_schema(from), table);
    }

    #[test]
    fn no_column_is_lost_whatever_the_names(names in column_names(), to in 0usize..3) {
        let table = named(&names);
        let there = table.to_schema(Schema::ALL[to]);
        let values = |table: &Profiles| table.metadata().iter().map(|(_, c)| c.clone()).collect::<Vec<_>>();
        prop_assert_eq!(values(&there), values(&table));
        prop_assert_eq!(there.to_schema(Schema::ALL[to]), there);
    }
}

#[test]
fn of_two_spellings_the_first_schema_has_the_name() {
    for names in [["well", "address"], ["address", "well"]] {
        let table = named(&names.map(str::to_owned));
        let there = table.to_schema(Schema::Cytomining);
        assert_eq!(
            there.keys("Metadata_Well").unwrap(),
            table.keys("well").unwrap()
        );
        assert_eq!(
            there.keys("address").unwrap(),
            table.keys("address").unwrap()
        );
    }
}

fn small() -> Profiles {
    Profiles::new(
        vec![("Metadata_Well".into(), Column::from(vec!["A01", "A02"]))],
        vec!["feature_0".into()],
        Features::F64(vec![1.0, 2.0]),
    )
    .unwrap()
}

#[test]
fn provenance_travels_with_either_format() {
    let folder = tempfile::tempdir().unwrap();
    let provenance = Provenance::new("align").with_setting("method", "tvn");
    let text = ["parquet", "csv", "tsv.gz", "gct"].iter();
    for extension in text.chain(ANNDATA) {
        let name = format!("profiles.{extension}");
        let path = folder.path().join(&name);
        let written = small().with_provenance(provenance.clone());
        write_profiles(&path, &written).unwrap();
        assert_eq!(
            read_profiles(&path).unwrap().provenance(),
            Some(&provenance),
            "{name}"
        );
        // A table without provenance does not inherit that of its forerunner.
        write_profiles(&path, &small()).unwrap();
        assert_eq!(read_profiles(&path).unwrap().provenance(), None, "{name}");
    }
}

#[test]
fn provenance_of_a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.parquet");
    let mut provenance = Provenance::new("align");
    provenance.schema_version += 1;
    write_profiles(&path, &small().with_provenance(provenance)).unwrap();
    let message = full(&read_profiles(&path).unwrap_err());
    assert!(
        message.contains("profiles.parquet") && message.contains("newer"),
        "{message}"
    );
}

#[test]
fn our_parquet_remembers_roles_that_no_rule_would_guess() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.parquet");
    let written = Profiles::new(
        vec![("nelisa_plate_id".into(), Column::Float(vec![Some(4.0)]))],
        vec!["CCL1 [NSU]".into()],
        Features::F64(vec![0.5]),
    )
    .unwrap();
    write_profiles(&path, &written).unwrap();
    assert_eq!(read_profiles(&path).unwrap(), written);
}

#[test]
fn many_row_groups_read_as_one_table() {
    let rows = 40_000;
    let written = Profiles::new(
        vec![("row".into(), Column::from((0..rows).collect::<Vec<i64>>()))],
        vec!["feature_0".into(), "feature_1".into()],
        Features::F32((0..2 * rows).map(|value| value as f32).collect()),
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.parquet");
    write_profiles(&path, &written).unwrap();
    assert_eq!(read_profiles(&path).unwrap(), written);
}

/// An error with all its causes, as the command line prints it.
pub(crate) fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[test]
fn tables_without_features_round_trip_as_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let table = Profiles::new(
        vec![
            (
                "condition".to_owned(),
                Column::from(vec!["TP53_1", "x @ 0.25"]),
            ),
            (
                "p_combined".to_owned(),
                Column::Float(vec![Some(0.5), None]),
            ),
            ("has_phenoprint".to_owned(), Column::from(vec![true, false])),
        ],
        vec![],
        Features::F32(vec![]),
    )
    .unwrap();
    for name in ["table.parquet", "table.csv"] {
        let path = folder.path().join(name);
        write_profiles(&path, &table).unwrap();
        let found = read_metadata(&path).unwrap();
        assert_eq!(found.metadata(), table.metadata(), "{name}");
        assert_eq!((found.num_rows(), found.num_features()), (2, 0));
    }
    // Whoever expects profiles is still told, where the file says what columns are.
    let error = read_profiles(&folder.path().join("table.parquet"));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no feature columns: all 3"), "{error}");
}

#[test]
fn columns_are_found_in_either_schema() {
    let names = ["experiment_name", "Metadata_Well", "Gene", "gene"];
    let columns = names.map(|name| (name.to_owned(), Column::from(vec!["x"])));
    let table = Profiles::new(columns.into(), vec![], Features::F32(vec![])).unwrap();
    for (asked, found) in [
        ("Metadata_Batch", "experiment_name"),
        ("address", "Metadata_Well"),
        ("Metadata_gene", "Gene"),
        ("gene", "gene"),
    ] {
        assert_eq!(table.column_in_any_schema(asked).unwrap(), found);
    }
    let error = table.column_in_any_schema("Metadata_Wel").unwrap_err();
    assert!(
        error.to_string().contains("did you mean 'Metadata_Well'"),
        "{error}"
    );
}
