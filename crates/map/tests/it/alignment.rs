//! What alignment promises, by hand-worked tables and by what must hold of
//! any result.

use faer::{Mat, mat};
use morphospace_map::conformance::check_align;
use morphospace_map::{
    Align, AlignInput, AlignMethod, Aligner, CenterScale, Combat, CombatPrior, Components,
    ControlRule, Coral, CoralTarget, Harmony, MadRobustize, Pca, PcaCenterScale, Reference,
    Shrinkage, Sphering, Spherize, Tvn, align_profiles, fit_profiles, transform_profiles,
};
use morphospace_profiles::{Column, Features, Profiles, read_profiles};
use proptest::prelude::*;

use crate::tables::{Screen, covariance, mean};

fn methods() -> Vec<(AlignMethod, bool)> {
    let all_rows = Reference::All;
    vec![
        (CenterScale::default().into(), true),
        (
            CenterScale {
                per_batch: false,
                ..CenterScale::default()
            }
            .into(),
            false,
        ),
        (
            CenterScale {
                reference: all_rows,
                per_batch: true,
            }
            .into(),
            true,
        ),
        (
            CenterScale {
                reference: all_rows,
                per_batch: false,
            }
            .into(),
            false,
        ),
        (Pca::default().into(), false),
        (
            Pca {
                components: Components::Count(2),
                reference: Reference::Controls,
            }
            .into(),
            false,
        ),
        (MadRobustize::default().into(), true),
        (
            MadRobustize {
                per_batch: false,
                ..MadRobustize::default()
            }
            .into(),
            false,
        ),
        (Spherize::default().into(), false),
        (
            Spherize {
                sphering: Sphering::PcaCor,
                ..Spherize::default()
            }
            .into(),
            false,
        ),
        (PcaCenterScale::default().into(), true),
        (PcaCenterScale { per_batch: false }.into(), false),
        (Tvn::default().into(), true),
        (
            Tvn {
                per_batch: false,
                ..Tvn::default()
            }
            .into(),
            false,
        ),
        (
            Tvn {
                shrinkage: Shrinkage::LedoitWolf,
                ..Tvn::default()
            }
            .into(),
            true,
        ),
        (
            Spherize {
                shrinkage: Shrinkage::LedoitWolf,
                ..Spherize::default()
            }
            .into(),
            false,
        ),
        (Coral::default().into(), true),
        (
            Coral {
                reference: all_rows,
                target: CoralTarget::OtherBatches,
                regularisation: 0.0,
                shrinkage: Shrinkage::LedoitWolf,
            }
            .into(),
            true,
        ),
        (Combat::default().into(), true),
        (
            Combat {
                reference: Reference::Controls,
                prior: CombatPrior::NonParametric,
                ..Combat::default()
            }
            .into(),
            true,
        ),
        (Harmony::default().into(), true),
        (
            Harmony {
                num_components: 3,
                nclust: 4,
                theta: 2.0,
                ..Harmony::default()
            }
            .into(),
            true,
        ),
    ]
}

#[test]
fn every_method_conforms() {
    for (method, needs_batches) in methods() {
        let folder = tempfile::tempdir().unwrap();
        check_align(&method, needs_batches, folder.path());
    }
}

/// Three wells, two of them controls, and three features; `expect` is worked
/// by hand.
fn check_3x3(method: impl Into<AlignMethod>, values: Mat<f64>, expect: Mat<f64>) {
    let batch = vec!["b".to_owned(); values.nrows()];
    let is_control = [true, true, false];
    let input = AlignInput::new(values.as_ref(), &batch, &is_control).unwrap();
    let aligned = method
        .into()
        .fit(&input)
        .unwrap()
        .transform(values.as_ref(), &batch)
        .unwrap();
    let difference = (aligned.as_mat() - expect.as_ref()).norm_max();
    assert!(difference < 1e-12, "{aligned:?}");
}

#[test]
fn center_scale_by_hand() {
    // Controls have means 2, 5, 0 and standard deviations 1, 0 (left alone), 4.
    let values = mat![[1.0, 5.0, -4.0], [3.0, 5.0, 4.0], [7.0, 8.0, 2.0f64]];
    let expect = mat![[-1.0, 0.0, -1.0], [1.0, 0.0, 1.0], [5.0, 3.0, 0.5f64]];
    check_3x3(CenterScale::default(), values, expect);
}

#[test]
fn pca_center_scale_by_hand() {
    // Controls (0,0,1) and (6,8,1): one axis, (0.6, 0.8, 0), along which
    // they lie at -5 and 5. The third well lies at 0.6 * 2 + 0.8 * 1 = 2
    // from the middle (3,4,1).
    let values = mat![[0.0, 0.0, 1.0], [6.0, 8.0, 1.0], [5.0, 5.0, 9.0f64]];
    check_3x3(
        PcaCenterScale::default(),
        values,
        mat![[-1.0], [1.0], [0.4f64]],
    );
}

#[test]
fn tvn_by_hand() {
    // Scaled on the controls the first two features are -1 and 1, the third
    // is constant: the axis is (1,1,0)/sqrt 2 with standard deviation
    // sqrt 2, so whitening takes (a+b)/2. The covariance of -1 and 1 divided
    // by n - 1 is 2: everything is divided by sqrt(2 + 0.5).
    let values = mat![[0.0, 0.0, 1.0], [6.0, 8.0, 1.0], [9.0, 4.0, 9.0f64]];
    let whitened = mat![[-1.0], [1.0], [1.0f64]];
    let without_batches = Tvn {
        per_batch: false,
        ..Tvn::default()
    };
    check_3x3(without_batches, values.clone(), whitened.clone());
    check_3x3(
        Tvn::default(),
        values,
        whitened * faer::Scale(2.5f64.sqrt().recip()),
    );
}

#[test]
fn controls_are_white_after_tvn_without_its_last_step() {
    let screen = Screen::new(90, 6, 3, 1);
    let method = Tvn {
        per_batch: false,
        ..Tvn::default()
    };
    let aligned = method
        .fit(&screen.input())
        .unwrap()
        .transform(screen.values.as_ref(), &screen.batch);
    let controls = screen.controls(&aligned.unwrap(), None);
    assert!(
        mean(controls.as_ref())
            .iter()
            .all(|mean| mean.abs() < 1e-13)
    );
    let spread = covariance(controls.as_ref(), 0) - Mat::<f64>::identity(6, 6);
    assert!(spread.norm_max() < 1e-12);
}

#[test]
fn tvn_shrinks_each_batch_by_its_own_controls() {
    let screen = Screen::new(120, 5, 2, 2);
    let before = Tvn {
        per_batch: false,
        ..Tvn::default()
    }
    .fit(&screen.input())
    .unwrap();
    let before = before
        .transform(screen.values.as_ref(), &screen.batch)
        .unwrap();
    let after = Tvn::default().fit(&screen.input()).unwrap();
    let after = after
        .transform(screen.values.as_ref(), &screen.batch)
        .unwrap();
    for batch in ["b0", "b1"] {
        // With S the covariance before, that after is (S+I/2)^-1/2 S (S+I/2)^-1/2,
        // whose eigenvalues are l/(l+1/2).
        let eigenvalues = |aligned| -> Vec<f64> {
            let covariance = covariance(screen.controls(aligned, Some(batch)).as_ref(), 1);
            covariance
                .self_adjoint_eigenvalues(faer::Side::Lower)
                .unwrap()
        };
        for (before, after) in eigenvalues(&before).iter().zip(eigenvalues(&after)) {
            assert!((before / (before + 0.5) - after).abs() < 1e-12);
        }
        let center = mean(screen.controls(&after, Some(batch)).as_ref());
        assert!(
            center.iter().any(|mean| mean.abs() > 0.1),
            "batch means stay"
        );
    }
}

#[test]
fn controls_of_each_batch_have_mean_0_and_deviation_1() {
    let screen = Screen::new(90, 6, 3, 3);
    for method in [
        AlignMethod::from(CenterScale::default()),
        PcaCenterScale::default().into(),
    ] {
        let fitted = method.fit(&screen.input()).unwrap();
        let aligned = fitted
            .transform(screen.values.as_ref(), &screen.batch)
            .unwrap();
        for batch in ["b0", "b1", "b2"] {
            let controls = screen.controls(&aligned, Some(batch));
            assert!(
                mean(controls.as_ref())
                    .iter()
                    .all(|mean| mean.abs() < 1e-13)
            );
            let covariance = covariance(controls.as_ref(), 0);
            assert!((0..6).all(|j| (covariance[(j, j)] - 1.0).abs() < 1e-12));
        }
    }
}

#[test]
fn a_component_without_spread_is_dropped_and_told() {
    // 8 controls of 9 features: 7 directions.
    let screen = Screen::new(24, 9, 2, 4);
    for method in [
        AlignMethod::from(Tvn::default()),
        PcaCenterScale::default().into(),
    ] {
        let fitted = method.fit(&screen.input()).unwrap();
        let aligned = fitted
            .transform(screen.values.as_ref(), &screen.batch)
            .unwrap();
        assert_eq!((fitted.report().num_controls, aligned.num_features), (8, 7));
        let warnings = fitted.warnings().join("; ");
        assert!(
            warnings.contains("rank-deficient: kept 7 of 9 components"),
            "{warnings}"
        );
        assert!(aligned.values.iter().all(|value| value.abs() < 1e3));
    }
    let screen = Screen::new(90, 4, 2, 4);
    assert!(
        Tvn::default()
            .fit(&screen.input())
            .unwrap()
            .warnings()
            .is_empty()
    );
}

#[test]
fn batches_of_one_name_are_one_batch_wherever_their_rows_lie() {
    // 1,200 rows cross the border of a work item.
    let screen = Screen::new(1200, 3, 2, 5);
    let fitted = CenterScale::default().fit(&screen.input()).unwrap();
    assert_eq!(fitted.batches().unwrap(), ["b0", "b1"]);
    let aligned = fitted
        .transform(screen.values.as_ref(), &screen.batch)
        .unwrap();
    let one = fitted.transform(
        screen.values.as_ref().subrows(1199, 1),
        &screen.batch[1199..],
    );
    assert_eq!(one.unwrap().row(0), aligned.row(1199));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let screen = Screen::new(6000, 24, 3, 6);
    let run = |threads: usize, method: &AlignMethod| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let fitted = method.fit(&screen.input()).unwrap();
            fitted
                .transform(screen.values.as_ref(), &screen.batch)
                .unwrap()
        })
    };
    for (method, _) in &methods() {
        assert_eq!(run(1, method), run(3, method), "{}", method.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn permuted_rows_give_permuted_results(
        order in Just((0..48usize).collect::<Vec<_>>()).prop_shuffle(),
        seed in 0u64..1000,
    ) {
        let screen = Screen::new(48, 4, 3, seed);
        let permuted = screen.permuted(&order);
        for (method, _) in methods() {
            let align = |screen: &Screen| {
                let fitted = method.fit(&screen.input()).unwrap();
                fitted.transform(screen.values.as_ref(), &screen.batch).unwrap()
            };
            let (here, there) = (align(&screen), align(&permuted));
            for (place, &row) in order.iter().enumerate() {
                for (a, b) in here.row(row).iter().zip(there.row(place)) {
                    // Axes are fixed up to sign where two entries tie.
                    prop_assert!((a.abs() - b.abs()).abs() < 1e-8 * (1.0 + a.abs()));
                }
            }
        }
    }
}

fn wells() -> Profiles {
    let screen = Screen::new(60, 3, 2, 7);
    let roles: Vec<&str> = screen
        .is_control
        .iter()
        .map(|&c| if c { "negcon" } else { "trt" })
        .collect();
    Profiles::new(
        vec![
            ("Metadata_Batch".into(), Column::from(screen.batch.clone())),
            ("Metadata_control_role".into(), Column::from(roles)),
        ],
        (0..3).map(|index| format!("Cells_{index}")).collect(),
        Features::F64(
            (0..60)
                .flat_map(|i| screen.values.row(i).iter().copied().collect::<Vec<_>>())
                .collect(),
        ),
    )
    .unwrap()
}

#[test]
fn a_table_is_aligned_with_its_metadata() {
    let wells = wells();
    let rule = ControlRule::default();
    let scaled = align_profiles(
        &wells,
        "Metadata_Batch",
        &rule,
        &CenterScale::default().into(),
    )
    .unwrap();
    assert_eq!(scaled.feature_names(), wells.feature_names());
    assert_eq!(scaled.metadata(), wells.metadata());
    let turned = align_profiles(&wells, "Metadata_Batch", &rule, &Tvn::default().into()).unwrap();
    assert_eq!(
        turned.feature_names(),
        ["feature_0", "feature_1", "feature_2"]
    );
}

#[test]
fn a_saved_aligner_takes_further_wells_of_its_batches() {
    let wells = wells();
    let method = AlignMethod::from(Tvn {
        regularisation: 0.25,
        ..Tvn::default()
    });
    let fitted = fit_profiles(&wells, "Metadata_Batch", &ControlRule::default(), &method).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fitted.save(folder.path()).unwrap();
    let loaded = morphospace_map::FittedAligner::load(folder.path()).unwrap();
    assert_eq!(loaded, fitted);
    let further = wells
        .select_rows(&[59, 3])
        .without_column("Metadata_control_role");
    let aligned = transform_profiles(&loaded, &further, "Metadata_Batch").unwrap();
    let whole = transform_profiles(&fitted, &wells, "Metadata_Batch").unwrap();
    assert_eq!(aligned.values(), whole.select_rows(&[59, 3]).values());
}

#[test]
fn methods_are_read_from_configuration() {
    let method: AlignMethod = toml::from_str("method = 'tvn'\nregularisation = 1.0\n").unwrap();
    assert_eq!(
        method,
        AlignMethod::Tvn(Tvn {
            regularisation: 1.0,
            ..Tvn::default()
        })
    );
    let method: AlignMethod =
        toml::from_str("method = 'pca'\nreference = 'all'\ncomponents = { count = 128 }\n")
            .unwrap();
    assert_eq!(method.name(), "pca");
    assert!(toml::from_str::<AlignMethod>("method = 'tvn'\nregularization = 1.0\n").is_err());
    for name in AlignMethod::NAMES {
        assert_eq!(name.parse::<AlignMethod>().unwrap().name(), name);
    }
    assert!(
        "harmonyy"
            .parse::<AlignMethod>()
            .unwrap_err()
            .contains("tvn")
    );
}

#[test]
fn a_published_table_is_aligned_as_it_is() {
    let Ok(data) = std::env::var("MORPHOSPACE_DATA") else {
        eprintln!("SKIPPED: nELISA alignment; set MORPHOSPACE_DATA to the data folder");
        return;
    };
    let path = std::path::PathBuf::from(data).join("profiles/nelisa/nelisa_profiles.parquet");
    let wells = read_profiles(&path).unwrap();
    let rule = ControlRule::new("Metadata_control_type", ["negcon"]);
    for (method, _) in methods() {
        // Secreted proteins depend on each other too much to be sphered.
        if method.name() == "spherize" {
            continue;
        }
        let fitted = fit_profiles(&wells, "Metadata_Plate", &rule, &method).unwrap();
        assert_eq!(fitted.report().controls_per_batch.len(), 4);
        let aligned = transform_profiles(&fitted, &wells, "Metadata_Plate").unwrap();
        assert_eq!(aligned.num_rows(), 1525);
        aligned.check_finite().unwrap();
        eprintln!(
            "{}: {} features; {:?}",
            method.name(),
            aligned.num_features(),
            fitted.warnings()
        );
    }
}
