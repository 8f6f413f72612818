//! What is written comes back.

use morphospace_core::Provenance;
use morphospace_profiles::{Column, Features, Profiles, Schema, read_profiles, write_profiles};
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

fn tables() -> impl Strategy<Value = Profiles> {
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

/// Bits, with every NaN the same.
fn bits(profiles: &Profiles) -> Vec<u64> {
    let bits = |value: &f64| {
        if value.is_nan() {
            u64::MAX
        } else {
            value.to_bits()
        }
    };
    profiles.values().iter().map(bits).collect()
}

fn assert_same_contents(read: &Profiles, written: &Profiles) {
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
    fn schemata_are_two_views_of_one_table(written in tables()) {
        let there = written.to_schema(Schema::Recursion);
        prop_assert!(there.has_column("site") && there.has_column("treatment"));
        let back = there.to_schema(Schema::Cytomining);
        assert_same_contents(&back, &written);
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
    for name in ["profiles.parquet", "profiles.csv", "profiles.tsv.gz"] {
        let path = folder.path().join(name);
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
