//! What alignment and aggregation refuse, and the words they use.

use std::fs;

use morphospace_map::{
    Aggregate, Align, AlignError, AlignInput, AlignMethod, Aligner, CenterScale, Components,
    ControlRule, FittedAligner, Pca, PcaCenterScale, Reference, Tvn, aggregate, align_profiles,
    fit_profiles, transform_profiles,
};
use morphospace_profiles::{Column, Features, Profiles};

use crate::tables::Screen;

fn wells(batches: &[&str], roles: &[&str]) -> Profiles {
    let num_rows = batches.len();
    Profiles::new(
        vec![
            ("Metadata_Batch".into(), Column::from(batches.to_vec())),
            ("Metadata_control_role".into(), Column::from(roles.to_vec())),
        ],
        vec!["feature_0".into(), "feature_1".into()],
        Features::F64(
            (0..2 * num_rows)
                .map(|value| (value * value % 11) as f64)
                .collect(),
        ),
    )
    .unwrap()
}

fn check(result: Result<Profiles, AlignError>, words: &[&str]) {
    let error = result.unwrap_err();
    let mut message = error.to_string();
    if let Some(cause) = std::error::Error::source(&error) {
        message.push_str(&format!(": {cause}"));
    }
    for word in words {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
}

fn align(profiles: &Profiles, method: impl Into<AlignMethod>) -> Result<Profiles, AlignError> {
    align_profiles(
        profiles,
        "Metadata_Batch",
        &ControlRule::default(),
        &method.into(),
    )
}

#[test]
fn batches_with_too_few_controls_are_named() {
    let lonely = wells(
        &["a", "a", "a", "b", "b", "c"],
        &["negcon", "negcon", "trt", "untreated", "trt", "trt"],
    );
    let words = [
        "'b'",
        "only one of the negative controls",
        "at least 2",
        "one more batch",
        "hint",
    ];
    check(align(&lonely, Tvn::default()), &words);
    check(align(&lonely, PcaCenterScale::default()), &words);
    check(align(&lonely, CenterScale::default()), &words);
    let none = wells(&["a", "a", "b"], &["negcon", "negcon", "trt"]);
    check(
        align(&none, Tvn::default()),
        &["no negative controls in batch 'b'"],
    );
    // Without the per-batch step these tables are fine.
    assert!(
        align(
            &none,
            Tvn {
                per_batch: false,
                ..Tvn::default()
            }
        )
        .is_ok()
    );
    let one = wells(&["a", "a"], &["negcon", "trt"]);
    check(
        align(
            &one,
            Tvn {
                per_batch: false,
                ..Tvn::default()
            },
        ),
        &["1 negative controls in all"],
    );
}

#[test]
fn a_table_without_controls_says_what_it_holds() {
    let treated = wells(&["a", "a"], &["trt", "poscon"]);
    check(
        align(&treated, Tvn::default()),
        &["no negative controls", "'poscon', 'trt'", "hint"],
    );
    let unmarked = treated.clone().without_column("Metadata_control_role");
    check(
        align(&unmarked, Tvn::default()),
        &["cannot tell", "'Metadata_control_role'"],
    );
    let all = CenterScale {
        reference: Reference::All,
        per_batch: true,
    };
    assert!(align(&unmarked, all).is_ok(), "controls are not needed");
    let rule = ControlRule::default();
    let method = Tvn::default().into();
    check(
        align_profiles(&treated, "Metadata_batch", &rule, &method),
        &["did you mean 'Metadata_Batch'"],
    );
}

#[test]
fn nan_is_refused_by_well_and_feature() {
    let profiles = wells(&["a"; 3], &["negcon"; 3]);
    let mut values = profiles.values().into_owned();
    values[3] = f64::NAN;
    let holed = profiles
        .with_values(profiles.feature_names().to_vec(), values)
        .unwrap();
    check(
        align(&holed, Tvn::default()),
        &["'feature_1'", "row 2 (batch 'a')", "NaN"],
    );
}

#[test]
fn controls_that_are_all_alike_are_refused() {
    let profiles = wells(&["a"; 3], &["negcon", "negcon", "trt"]);
    let same = profiles
        .with_values(
            profiles.feature_names().to_vec(),
            vec![1.0, 2.0, 1.0, 2.0, 5.0, 6.0],
        )
        .unwrap();
    check(align(&same, Tvn::default()), &["2 rows", "do not differ"]);
    check(
        align(&same, PcaCenterScale::default()),
        &["2 rows", "do not differ"],
    );
}

#[test]
fn settings_are_checked_before_anything_is_read() {
    let profiles = wells(&["a"], &["trt"]);
    check(
        align(
            &profiles,
            Tvn {
                regularisation: 0.0,
                ..Tvn::default()
            },
        ),
        &["regularisation is 0"],
    );
    check(
        align(
            &profiles,
            Tvn {
                regularisation: f64::NAN,
                ..Tvn::default()
            },
        ),
        &["above 0"],
    );
    check(
        align(
            &profiles,
            Tvn {
                drop_sd_below: -1.0,
                ..Tvn::default()
            },
        ),
        &["drop_sd_below is -1"],
    );
    let pca = |components| Pca {
        components,
        ..Pca::default()
    };
    check(
        align(&profiles, pca(Components::Count(0))),
        &["components.count is 0"],
    );
    check(
        align(&profiles, pca(Components::Variance(1.5))),
        &["components.variance is 1.5"],
    );
    let enough = wells(&["a"; 5], &["trt"; 5]);
    check(
        align(&enough, pca(Components::Count(3))),
        &["3 components", "at most 2"],
    );
}

#[test]
fn other_batches_and_features_are_refused_when_transforming() {
    let profiles = wells(&["a"; 4], &["negcon"; 4]);
    let rule = ControlRule::default();
    let fitted = fit_profiles(
        &profiles,
        "Metadata_Batch",
        &rule,
        &CenterScale::default().into(),
    )
    .unwrap();
    let new = wells(&["a", "plate 9"], &["negcon"; 2]);
    let words = ["batch 'plate 9'", "hint: fit again"];
    check(transform_profiles(&fitted, &new, "Metadata_Batch"), &words);
    let swapped = profiles
        .with_values(
            vec!["feature_1".into(), "feature_0".into()],
            profiles.values().into_owned(),
        )
        .unwrap();
    let words = ["feature 1 was 'feature_0' and is 'feature_1'"];
    check(
        transform_profiles(&fitted, &swapped, "Metadata_Batch"),
        &words,
    );
}

#[test]
fn inputs_of_different_lengths_are_refused() {
    let screen = Screen::new(6, 2, 1, 1);
    let short = &screen.batch[..5];
    let error = AlignInput::new(screen.values.as_ref(), short, &screen.is_control).unwrap_err();
    assert!(
        error.to_string().contains("batch has 5 entries for 6 rows"),
        "{error}"
    );
    let error = AlignInput::new(screen.values.as_ref(), &screen.batch, &[true]).unwrap_err();
    assert!(error.to_string().contains("is_control has 1"), "{error}");
}

#[test]
fn damaged_aligners_are_refused_with_the_file() {
    let screen = Screen::new(40, 3, 2, 2);
    let fitted = Tvn::default().fit(&screen.input()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let check = |word: &str, file: &str| {
        let message = FittedAligner::load(folder.path()).unwrap_err().to_string();
        assert!(
            message.contains(word) && message.contains(file),
            "{message}"
        );
    };
    check("No such file", "aligner.toml");
    fitted.save(folder.path()).unwrap();
    let tensors = folder.path().join("aligner.safetensors");
    let settings = folder.path().join("aligner.toml");
    let (good_tensors, good_settings) = (
        fs::read(&tensors).unwrap(),
        fs::read_to_string(&settings).unwrap(),
    );

    fs::write(&tensors, &good_tensors[..good_tensors.len() / 2]).unwrap();
    check("not the file", "aligner.safetensors");
    fs::write(&tensors, &good_tensors).unwrap();
    fs::write(
        &settings,
        good_settings.replace("schema_version = 1", "schema_version = 99"),
    )
    .unwrap();
    check("newer", "aligner.toml");
    fs::write(&settings, good_settings.replace("\"b1\"", "\"b1\", \"b2\"")).unwrap();
    check("do not fit together", "aligner.safetensors");
    fs::write(&settings, &good_settings).unwrap();
    assert_eq!(FittedAligner::load(folder.path()).unwrap(), fitted);
}

#[test]
fn aggregation_refusals() {
    let profiles = wells(&["a", "b"], &["trt"; 2]);
    let message = |settings: &Aggregate| aggregate(&profiles, settings).unwrap_err().to_string();
    assert!(message(&Aggregate::by([""; 0])).contains("no column"));
    assert!(message(&Aggregate::by(["Metadata_gene"])).contains("'Metadata_gene'"));
    let everything = Aggregate {
        keys_to_remove: vec!["a".into(), "b".into()],
        ..Aggregate::by(["Metadata_Batch"])
    };
    assert!(message(&everything).contains("no rows are left"));
    let origin = Aggregate {
        origin: Some(ControlRule::default()),
        ..Aggregate::by(["Metadata_Batch"])
    };
    assert!(message(&origin).contains("no negative controls"));
}
