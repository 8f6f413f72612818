//! CORAL, ComBat and Harmony: what they promise, and what they refuse.

use faer::{Mat, mat};
use morphospace_core::Seed;
use morphospace_map::{
    Align, AlignError, AlignInput, AlignMethod, Aligned, Aligner, Combat, CombatPrior, ControlRule,
    Coral, CoralTarget, FittedAligner, Harmony, Reference, Shrinkage, Verdict, align_profiles,
};
use morphospace_profiles::{Column, Features, Profiles};
use proptest::prelude::*;

use crate::tables::{Screen, covariance, mean};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn align(method: &impl Align, values: &Mat<f64>, batch: &[String]) -> Aligned {
    let no_controls = vec![false; batch.len()];
    let input = AlignInput::new(values.as_ref(), batch, &no_controls).unwrap();
    let fitted = method.fit(&input).unwrap();
    fitted.transform(values.as_ref(), batch).unwrap()
}

fn refused(method: &AlignMethod, values: &Mat<f64>, batch: &[String], words: &[&str]) {
    let no_controls = vec![false; batch.len()];
    let input = AlignInput::new(values.as_ref(), batch, &no_controls).unwrap();
    let message = method.fit(&input).unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
}

/// Distance between the mean rows of the first two batches.
fn apart(aligned: &Aligned, batch: &[String]) -> f64 {
    let center = |name: &str| -> Vec<f64> {
        let rows: Vec<usize> = (0..batch.len()).filter(|&row| batch[row] == name).collect();
        (0..aligned.num_features)
            .map(|j| rows.iter().map(|&row| aligned.row(row)[j]).sum::<f64>() / rows.len() as f64)
            .collect()
    };
    let pairs = center("b0").into_iter().zip(center("b1"));
    pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn combat_of_means_by_hand() {
    // Means over all rows 5 and 3, standard deviations within batches 1 and 2.
    // In those units batch b is shifted by 5 and 1.5: mean 3.25, variance
    // 6.125. Drawn towards it: (6.125 * 5 + 3.25) / 7.125 and
    // (6.125 * 1.5 + 3.25) / 7.125.
    let values = mat![[-1.0, -2.0], [1.0, 2.0], [9.0, 4.0], [11.0, 8.0f64]];
    let batch = names(&["a", "a", "b", "b"]);
    let method = Combat {
        mean_only: true,
        ..Combat::default()
    };
    let aligned = align(&method, &values, &batch);
    let expect = [9.0 - 33.875 / 7.125, 4.0 - 2.0 * 12.4375 / 7.125];
    for (found, expect) in aligned.row(2).iter().zip(expect) {
        assert!((found - expect).abs() < 1e-12, "{found} {expect}");
    }
}

#[test]
fn combat_leaves_the_reference_batch_and_flat_features() {
    let mut screen = Screen::new(60, 4, 3, 1);
    for row in 0..60 {
        // Constant in one batch only.
        if row % 3 == 1 {
            screen.values[(row, 2)] = 7.0;
        }
    }
    let method = Combat {
        reference_batch: Some("b1".into()),
        ..Combat::default()
    };
    let fitted = method.fit(&screen.input()).unwrap();
    let warnings = fitted.warnings().join("; ");
    assert!(
        warnings.contains("1 of 4 features do not vary"),
        "{warnings}"
    );
    let aligned = fitted
        .transform(screen.values.as_ref(), &screen.batch)
        .unwrap();
    for row in 0..60 {
        for j in 0..4 {
            let is_same = (aligned.row(row)[j] - screen.values[(row, j)]).abs() < 1e-12;
            assert_eq!(is_same, row % 3 == 1 || j == 2, "row {row}, feature {j}");
        }
    }
}

/// Two perturbations that are spread unevenly over two batches, 6 apart; the
/// batches 10 apart and one twice as wide.
fn uneven() -> (Mat<f64>, Vec<String>, Vec<String>) {
    use rand::RngExt;
    let mut rng = Seed::new(3).rng();
    let batch: Vec<usize> = (0..200).map(|row| row / 100).collect();
    let treated: Vec<bool> = (0..200)
        .map(|row| row % 10 < if row < 100 { 8 } else { 2 })
        .collect();
    let values = Mat::from_fn(200, 8, |row, _| {
        let noise = rng.random_range(-1.0..1.0) * [1.0, 2.0][batch[row]];
        noise + 10.0 * batch[row] as f64 + 6.0 * f64::from(u8::from(treated[row]))
    });
    (
        values,
        batch.iter().map(|b| format!("b{b}")).collect(),
        treated
            .iter()
            .map(|&t| if t { "drug" } else { "dmso" }.to_owned())
            .collect(),
    )
}

#[test]
fn combat_keeps_what_the_covariate_says() {
    let (values, batch, treatment) = uneven();
    let no_controls = vec![false; 200];
    let input = AlignInput::new(values.as_ref(), &batch, &no_controls).unwrap();
    let effect = |aligned: &Aligned| {
        let of = |name: &str| {
            let rows: Vec<usize> = (0..200).filter(|&row| treatment[row] == name).collect();
            rows.iter().map(|&row| aligned.row(row)[0]).sum::<f64>() / rows.len() as f64
        };
        of("drug") - of("dmso")
    };
    let blind = Combat::default().fit(&input).unwrap();
    let blind = blind.transform(values.as_ref(), &batch).unwrap();
    let method = Combat {
        covariate: Some("Metadata_drug".into()),
        ..Combat::default()
    };
    let input = input.with_covariate(&treatment).unwrap();
    let fitted = method.fit(&input).unwrap();
    let seeing = fitted
        .transform_with_covariate(values.as_ref(), &batch, Some(&treatment))
        .unwrap();
    assert!((effect(&seeing) - 6.0).abs() < 0.3, "{}", effect(&seeing));
    assert!(effect(&blind) < 4.5, "{}", effect(&blind));

    // Saved, loaded and applied to one further row.
    let folder = tempfile::tempdir().unwrap();
    fitted.save(folder.path()).unwrap();
    let loaded = FittedAligner::load(folder.path()).unwrap();
    assert_eq!(loaded, fitted);
    let one = loaded
        .transform_with_covariate(
            values.as_ref().subrows(150, 1),
            &batch[150..151],
            Some(&treatment[150..151]),
        )
        .unwrap();
    for (one, whole) in one.row(0).iter().zip(seeing.row(150)) {
        assert!((one - whole).abs() < 1e-12);
    }

    let message = |covariate: Option<&[String]>| {
        let values = values.as_ref().subrows(0, 1);
        let result = loaded.transform_with_covariate(values, &batch[..1], covariate);
        result.unwrap_err().to_string()
    };
    assert!(message(None).contains("'Metadata_drug', which was not given"));
    let strange = message(Some(&names(&["drugs"])));
    assert!(
        strange.contains("'drugs'") && strange.contains("nearest name is 'drug'"),
        "{strange}"
    );
    assert!(message(Some(&[])).contains("covariate has 0 entries for 1 rows"));
}

#[test]
fn combat_reads_the_covariate_of_a_table() {
    let (values, batch, treatment) = uneven();
    let wells = Profiles::new(
        vec![
            ("Metadata_Batch".into(), Column::from(batch)),
            ("Metadata_drug".into(), Column::from(treatment)),
        ],
        (0..8).map(|j| format!("feature_{j}")).collect(),
        Features::F64((0..200 * 8).map(|i| values[(i / 8, i % 8)]).collect()),
    )
    .unwrap();
    let align = |covariate: &str| {
        let method = Combat {
            covariate: Some(covariate.into()),
            ..Combat::default()
        };
        align_profiles(
            &wells,
            "Metadata_Batch",
            &ControlRule::default(),
            &method.into(),
        )
    };
    assert_eq!(
        align("Metadata_drug").unwrap().feature_names(),
        wells.feature_names()
    );
    let error = align("Metadata_drugs").unwrap_err().to_string();
    assert!(error.contains("did you mean 'Metadata_drug'"), "{error}");
}

#[test]
fn combat_draws_small_batches_further() {
    // The same shift of one feature in a batch of 4 and in one of 40: other
    // features say there is none.
    let remaining = |num_rows: usize| {
        let values = Mat::from_fn(2 * num_rows, 20, |i, j| {
            let noise = ((i * 7 + j * 13) % 11) as f64 / 11.0 - 0.45;
            noise + if i >= num_rows && j == 0 { 1.0 } else { 0.0 }
        });
        let batch: Vec<String> = (0..2 * num_rows)
            .map(|i| format!("b{}", i / num_rows))
            .collect();
        let aligned = align(&Combat::default(), &values, &batch);
        let mean = |from: usize| {
            (from..from + num_rows)
                .map(|row| aligned.row(row)[0])
                .sum::<f64>()
                / num_rows as f64
        };
        mean(num_rows) - mean(0)
    };
    let (few, many) = (remaining(4), remaining(40));
    assert!(many > 0.0 && few > 2.0 * many, "{few} {many}");
}

#[test]
fn combat_refusals() {
    let values = Mat::from_fn(5, 3, |i, j| ((i * i + 3 * j * i) % 7) as f64);
    let combat = AlignMethod::from(Combat::default());
    let two = names(&["a", "a", "a", "b", "b"]);
    refused(
        &combat,
        &values,
        &names(&["a"; 5]),
        &["batch 'a'", "combat has nothing to align"],
    );
    let lonely = names(&["a", "a", "a", "a", "b"]);
    refused(
        &combat,
        &values,
        &lonely,
        &["'b' has one row", "mean_only = true"],
    );
    let mean_only = Combat {
        mean_only: true,
        ..Combat::default()
    };
    assert!(
        align(&mean_only, &values, &lonely)
            .values
            .iter()
            .all(|v| v.is_finite())
    );
    let unknown = Combat {
        reference_batch: Some("plate2".into()),
        ..Combat::default()
    };
    refused(
        &unknown.into(),
        &values,
        &names(&["plate 1", "plate 1", "plate 1", "plate 2", "plate 2"]),
        &["reference batch 'plate2'", "nearest name is 'plate 2'"],
    );
    let narrow = values.subcols(1, 1).to_owned();
    refused(&combat, &narrow, &two, &["1 features vary", "at least 2"]);
    let method = Combat {
        covariate: Some("drug".into()),
        ..Combat::default()
    };
    refused(
        &method.clone().into(),
        &values,
        &two,
        &["covariate 'drug', which was not given"],
    );

    let covariate = names(&["x", "x", "y", "z", "z"]);
    let input = AlignInput::new(values.as_ref(), &two, &[false; 5]).unwrap();
    let input = input.with_covariate(&covariate).unwrap();
    let message = method.fit(&input).unwrap_err().to_string();
    assert!(
        message.contains("batch 'b'") && message.contains("batch 'a'") && message.contains("hint"),
        "{message}"
    );
    // One value in common is enough to tell shifts; of scales, the two rows of
    // batch b say nothing once batch and covariate are taken out.
    let covariate = names(&["x", "x", "y", "y", "z"]);
    let input = AlignInput::new(values.as_ref(), &two, &[false; 5]).unwrap();
    let input = input.with_covariate(&covariate).unwrap();
    let message = method.fit(&input).unwrap_err().to_string();
    assert!(
        message.contains("0 features vary within every batch"),
        "{message}"
    );
    let shifts = Combat {
        mean_only: true,
        ..method
    };
    assert!(shifts.fit(&input).is_ok());
    let empty = Combat {
        covariate: Some(String::new()),
        ..Combat::default()
    };
    assert!(empty.check().unwrap_err().to_string().contains("covariate"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() })]

    #[test]
    fn coral_without_regularisation_makes_covariances_equal(
        seed in 0u64..1000,
        other_batches in any::<bool>(),
    ) {
        let screen = Screen::new(90, 4, 3, seed);
        let method = Coral {
            reference: Reference::Controls,
            target: if other_batches {
                CoralTarget::Batch("b1".into())
            } else {
                CoralTarget::Pooled
            },
            regularisation: 0.0,
            shrinkage: Shrinkage::None,
        };
        let fitted = method.fit(&screen.input()).unwrap();
        let aligned = fitted.transform(screen.values.as_ref(), &screen.batch).unwrap();
        let of = |batch: &str| screen.controls(&aligned, Some(batch));
        let first = covariance(of("b0").as_ref(), 1);
        for batch in ["b1", "b2"] {
            let difference = covariance(of(batch).as_ref(), 1) - &first;
            prop_assert!(difference.norm_max() < 1e-9 * first.norm_max().max(1.0));
            for (a, b) in mean(of("b0").as_ref()).iter().zip(mean(of(batch).as_ref())) {
                prop_assert!((a - b).abs() < 1e-10 * (1.0 + a.abs()));
            }
        }
    }

    #[test]
    fn harmony_does_not_depend_on_the_order_of_rows(
        order in Just((0..60usize).collect::<Vec<_>>()).prop_shuffle(),
        seed in 0u64..1000,
    ) {
        let screen = Screen::new(60, 4, 3, seed);
        let permuted = screen.permuted(&order);
        let method = Harmony { nclust: 3, seed: Seed::new(seed), ..Harmony::default() };
        let fit = |screen: &Screen| method.fit(&screen.input()).unwrap();
        let (here, there) = (fit(&screen), fit(&permuted));
        prop_assert_eq!(&here.report().convergence, &there.report().convergence);
    }
}

#[test]
fn coral_refusals() {
    let screen = Screen::new(30, 6, 3, 5);
    let singular = Coral {
        regularisation: 0.0,
        ..Coral::default()
    };
    // 3 or 4 controls of 6 features in each batch.
    let message = singular.fit(&screen.input()).unwrap_err().to_string();
    assert!(
        message.contains("batch 'b0'") && message.contains("shrinkage = \"ledoit_wolf\""),
        "{message}"
    );
    let fitted = Coral::default().fit(&screen.input()).unwrap();
    let warnings = fitted.warnings().join("; ");
    assert!(
        warnings.contains("3 of 3 batches have no more rows"),
        "{warnings}"
    );
    assert!(
        warnings.contains("the regularisation stands in"),
        "{warnings}"
    );
    let shrunk = Coral {
        shrinkage: Shrinkage::LedoitWolf,
        ..singular
    };
    let fitted = shrunk.fit(&screen.input()).unwrap();
    assert!(
        fitted
            .warnings()
            .join("; ")
            .contains("the shrinkage stands in")
    );
    assert_eq!(fitted.report().shrinkage_per_batch.len(), 3);

    let one = names(&["a"; 30]);
    refused(
        &Coral {
            reference: Reference::All,
            ..Coral::default()
        }
        .into(),
        &screen.values,
        &one,
        &["batch 'a'", "coral has nothing to align"],
    );
    refused(
        &Coral::default().into(),
        &screen.values,
        &screen.batch,
        &["no negative controls in batch 'b0'", "2 more batches"],
    );
    let bad = Coral {
        shrinkage: Shrinkage::Amount(1.5),
        ..Coral::default()
    };
    assert!(
        bad.check()
            .unwrap_err()
            .to_string()
            .contains("shrinkage is 1.5")
    );
}

#[test]
fn harmony_brings_batches_together_and_keeps_clusters_apart() {
    // Two groups 20 apart across, batches 3 apart along.
    let values = Mat::from_fn(240, 3, |i, j| {
        let noise = ((i * 37 + j * 101) % 97) as f64 / 97.0;
        let group = (i / 2 % 2) as f64;
        let batch = (i % 2) as f64;
        noise + [10.0 + 20.0 * group, 10.0 - 8.0 * group, 3.0 * batch][j]
    });
    let batch: Vec<String> = (0..240).map(|i| format!("b{}", i % 2)).collect();
    let no_controls = vec![false; 240];
    let input = AlignInput::new(values.as_ref(), &batch, &no_controls).unwrap();
    let fitted = Harmony::default().fit(&input).unwrap();
    let aligned = fitted.transform(values.as_ref(), &batch).unwrap();
    let before = Aligned {
        values: (0..720).map(|i| values[(i / 3, i % 3)]).collect(),
        num_rows: 240,
        num_features: 3,
    };
    assert!(apart(&before, &batch) > 2.9);
    assert!(apart(&aligned, &batch) < 0.3, "{}", apart(&aligned, &batch));
    let of_group = |group: usize| -> f64 {
        let rows = (0..240).filter(|i| i / 2 % 2 == group);
        rows.map(|row| aligned.row(row)[0]).sum::<f64>() / 120.0
    };
    assert!(of_group(1) - of_group(0) > 19.0);

    // A further row lands where its neighbours did.
    let further = Mat::from_fn(1, 3, |_, j| values[(5, j)] + 1e-6);
    let moved = fitted.transform(further.as_ref(), &batch[5..6]).unwrap();
    for (moved, known) in moved.row(0).iter().zip(aligned.row(5)) {
        assert!((moved - known).abs() < 0.05, "{moved} {known}");
    }
}

#[test]
fn harmony_says_how_it_ended() {
    let screen = Screen::new(120, 4, 3, 8);
    let fit = |method: Harmony| method.fit(&screen.input()).unwrap();
    let short = fit(Harmony {
        max_iter_harmony: 1,
        epsilon_harmony: 0.0,
        ..Harmony::default()
    });
    let convergence = short.report().convergence.clone().unwrap();
    assert_eq!(convergence.verdict, Verdict::ReachedLimit);
    assert_eq!(
        (convergence.num_iterations(), convergence.max_iterations),
        (1, 1)
    );
    let warnings = short.warnings().join("; ");
    assert!(
        warnings.contains("did not converge in 1 iterations"),
        "{warnings}"
    );
    assert!(warnings.contains("raise max_iter_harmony"), "{warnings}");

    let easy = fit(Harmony {
        epsilon_harmony: 0.5,
        ..Harmony::default()
    });
    let convergence = easy.report().convergence.clone().unwrap();
    assert_ne!(convergence.verdict, Verdict::ReachedLimit);
    let fell = convergence.objective.windows(2).last().unwrap();
    let rose = fell[1] > fell[0];
    assert_eq!(convergence.verdict == Verdict::ObjectiveRose, rose);
    assert_eq!(easy.warnings().join("; ").contains("objective rose"), rose);
}

#[test]
fn harmony_takes_a_row_of_zeros_and_distant_clusters() {
    let mut screen = Screen::new(60, 3, 2, 9);
    for j in 0..3 {
        screen.values[(7, j)] = 0.0;
    }
    // So hard an assignment that exp(-distance / sigma) is 0 for every
    // cluster of most rows.
    let method = Harmony {
        sigma: 1e-6,
        nclust: 5,
        theta: 4.0,
        tau: 1.0,
        ..Harmony::default()
    };
    let fitted = method.fit(&screen.input()).unwrap();
    let aligned = fitted
        .transform(screen.values.as_ref(), &screen.batch)
        .unwrap();
    assert!(aligned.values.iter().all(|value| value.is_finite()));
}

#[test]
fn harmony_refusals() {
    let screen = Screen::new(30, 3, 2, 10);
    let check = |method: Harmony, words: &[&str]| {
        let message = method.fit(&screen.input()).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "'{word}' is not in: {message}");
        }
    };
    let base = Harmony::default;
    check(
        Harmony {
            sigma: 0.0,
            ..base()
        },
        &["sigma is 0", "above 0"],
    );
    check(
        Harmony {
            lambda: f64::NAN,
            ..base()
        },
        &["lambda is NaN"],
    );
    check(
        Harmony {
            theta: -1.0,
            ..base()
        },
        &["theta is -1"],
    );
    check(
        Harmony {
            block_size: 0.0,
            ..base()
        },
        &["block_size is 0"],
    );
    check(
        Harmony {
            max_iter_kmeans: 0,
            ..base()
        },
        &["max_iter_kmeans is 0"],
    );
    check(
        Harmony {
            nclust: 31,
            ..base()
        },
        &["nclust is 31", "number of rows"],
    );
    check(
        Harmony {
            num_components: 4,
            ..base()
        },
        &["4 components", "at most 3"],
    );
    refused(
        &base().into(),
        &screen.values,
        &names(&["a"; 30]),
        &["batch 'a'", "harmony has nothing to align"],
    );
    let initial = Mat::<f64>::zeros(3, 3);
    let method = Harmony {
        nclust: 2,
        ..base()
    };
    let error = method
        .fit_from(&screen.input(), Some(initial.as_ref()))
        .unwrap_err();
    assert!(
        matches!(
            error,
            AlignError::WrongCentroids {
                found_rows: 3,
                num_clusters: 2,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn methods_are_read_with_all_their_settings() {
    let method: AlignMethod = toml::from_str(
        "method = 'coral'\nreference = 'all'\ntarget = { batch = 'b1' }\nshrinkage = 0.5\n",
    )
    .unwrap();
    let expect = Coral {
        reference: Reference::All,
        target: CoralTarget::Batch("b1".into()),
        shrinkage: Shrinkage::Amount(0.5),
        ..Coral::default()
    };
    assert_eq!(method, expect.into());
    let method: AlignMethod =
        toml::from_str("method = 'combat'\ncovariate = 'Metadata_gene'\nprior = 'non_parametric'")
            .unwrap();
    let expect = Combat {
        covariate: Some("Metadata_gene".into()),
        prior: CombatPrior::NonParametric,
        ..Combat::default()
    };
    assert_eq!(method, expect.into());
    let method: AlignMethod =
        toml::from_str("method = 'harmony'\nseed = 3\nnum_components = 50").unwrap();
    let expect = Harmony {
        seed: Seed::new(3),
        num_components: 50,
        ..Harmony::default()
    };
    assert_eq!(method, expect.into());
    for unknown in [
        "method = 'harmony'\nthetta = 1.0",
        "method = 'combat'\ncovariates = 'x'",
        "method = 'coral'\nshrinkage = 'some'",
        "method = 'coral'\ntarget = 'all'",
    ] {
        assert!(toml::from_str::<AlignMethod>(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn damaged_clusters_and_levels_are_refused() {
    let screen = Screen::new(60, 3, 2, 2);
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("aligner.toml");
    let refused = |from: &str, to: &str, word: &str| {
        let good = std::fs::read_to_string(&settings).unwrap();
        assert!(good.contains(from), "{good}");
        std::fs::write(&settings, good.replace(from, to)).unwrap();
        let message = FittedAligner::load(folder.path()).unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    };
    let harmony = Harmony::default().fit(&screen.input()).unwrap();
    harmony.save(folder.path()).unwrap();
    refused(
        "[\"b0\", \"b1\"]",
        "[\"b0\", \"b1\", \"b2\"]",
        "harmony tensors do not fit",
    );
    // Tensors of another method.
    let coral = Coral::default().fit(&screen.input()).unwrap();
    coral.save(folder.path()).unwrap();
    let method = "method = \"coral\"\nreference = \"controls\"\ntarget = \"pooled\"\n\
                  regularisation = 1.0\nshrinkage = \"none\"";
    refused(method, "method = \"harmony\"", "'harmony.round' is missing");
    coral.save(folder.path()).unwrap();
    refused(
        method,
        "method = \"combat\"\ncovariate = \"drug\"",
        "levels are missing",
    );
}
