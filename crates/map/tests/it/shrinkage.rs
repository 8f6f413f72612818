//! Shrinkage: the amount of Ledoit and Wolf, and what methods do with it.

use faer::{Mat, MatRef, mat};
use morphospace_map::{
    Align, AlignError, Aligner, Shrinkage, Sphering, Spherize, Tvn, ledoit_wolf_amount,
};

use crate::tables::{Screen, covariance, mean};

fn centred(rows: &Mat<f64>) -> Mat<f64> {
    let mean = mean(rows.as_ref());
    Mat::from_fn(rows.nrows(), rows.ncols(), |i, j| rows[(i, j)] - mean[j])
}

/// scikit-learn 1.9.1: `ledoit_wolf_shrinkage(rows)`.
#[test]
fn amounts_are_those_of_scikit_learn() {
    let check = |rows: Mat<f64>, expect: f64| {
        let found = ledoit_wolf_amount(centred(&rows).as_ref());
        assert!((found - expect).abs() < 1e-12, "{found} {expect}");
    };
    check(
        mat![
            [1.0, 2.0, 0.0],
            [3.0, 1.0, 1.0],
            [0.0, 5.0, 2.0],
            [4.0, 4.0, 7.0],
            [2.0, 0.0, 3.0f64]
        ],
        1.0,
    );
    // Fewer rows than features.
    check(
        mat![
            [1.0, 2.0, 0.0, 5.0, 1.0],
            [3.0, 1.0, 1.0, 0.0, 2.0],
            [0.0, 5.0, 2.0, 1.0, 8.0f64]
        ],
        0.4033960092095167,
    );
    let many = Mat::from_fn(200, 3, |i, j| {
        let x = i as f64;
        [x.sin(), x.sin() + 0.1 * (3.0 * x).cos(), (7.0 * x).cos()][j]
    });
    check(many, 0.01653592926528769);
    check(mat![[1.0], [2.0], [4.0f64]], 0.0);
}

#[test]
fn rows_that_are_all_alike_need_no_shrinkage() {
    let same: Mat<f64> = Mat::zeros(4, 3);
    assert_eq!(ledoit_wolf_amount(same.as_ref()), 0.0);
}

#[test]
fn tvn_shrunk_all_the_way_scales_each_batch_alike() {
    let screen = Screen::new(90, 4, 3, 1);
    let transform = |method: Tvn| {
        let fitted = method.fit(&screen.input()).unwrap();
        let aligned = fitted
            .transform(screen.values.as_ref(), &screen.batch)
            .unwrap();
        (fitted, aligned)
    };
    let (_, whitened) = transform(Tvn {
        per_batch: false,
        ..Tvn::default()
    });
    let (fitted, shrunk) = transform(Tvn {
        shrinkage: Shrinkage::Amount(1.0),
        ..Tvn::default()
    });
    assert_eq!(fitted.report().shrinkage_per_batch["b1"], 1.0);
    for batch in ["b0", "b1", "b2"] {
        // (m I + I / 2)^(-1/2) with m the mean variance of the batch's
        // whitened controls.
        let spread = covariance(screen.controls(&whitened, Some(batch)).as_ref(), 1);
        let mean_variance = (0..4).map(|j| spread[(j, j)]).sum::<f64>() / 4.0;
        let factor = (mean_variance + 0.5).sqrt().recip();
        for row in (0..90).filter(|&row| screen.batch[row] == batch) {
            for (found, before) in shrunk.row(row).iter().zip(whitened.row(row)) {
                assert!((found - factor * before).abs() < 1e-12);
            }
        }
    }
    let contradiction = Tvn {
        per_batch: false,
        shrinkage: Shrinkage::LedoitWolf,
        ..Tvn::default()
    };
    let message = contradiction.check().unwrap_err().to_string();
    assert!(
        message.contains("shrinkage") && message.contains("per_batch"),
        "{message}"
    );
}

#[test]
fn tvn_with_fewer_controls_than_components_shrinks_as_the_formula() {
    // 4 controls per batch, 6 components: the small matrix of inner products
    // tells the inverse root.
    let screen = Screen::new(36, 6, 3, 2);
    let whitened = Tvn {
        per_batch: false,
        ..Tvn::default()
    };
    let whitened = whitened.fit(&screen.input()).unwrap();
    let whitened = whitened
        .transform(screen.values.as_ref(), &screen.batch)
        .unwrap();
    let method = Tvn {
        shrinkage: Shrinkage::LedoitWolf,
        ..Tvn::default()
    };
    let fitted = method.fit(&screen.input()).unwrap();
    let aligned = fitted
        .transform(screen.values.as_ref(), &screen.batch)
        .unwrap();
    let warnings = fitted.warnings().join("; ");
    assert!(warnings.contains("the shrinkage stands in"), "{warnings}");
    for batch in ["b0", "b1", "b2"] {
        let controls = screen.controls(&whitened, Some(batch));
        let amount = ledoit_wolf_amount(centred(&controls).as_ref());
        let amount_told = fitted.report().shrinkage_per_batch[batch];
        assert!((amount_told - amount).abs() < 1e-12 && amount > 0.0);
        let mut expect = covariance(controls.as_ref(), 1);
        let mean_variance = (0..6).map(|j| expect[(j, j)]).sum::<f64>() / 6.0;
        expect *= faer::Scale(1.0 - amount);
        for j in 0..6 {
            expect[(j, j)] += amount * mean_variance + 0.5;
        }
        // aligned = whitened * M with M * M * expect = I, so that products of
        // aligned rows are those of whitened ones about the inverse.
        let inverse = expect.self_adjoint_eigen(faer::Side::Lower).unwrap();
        let rows: Vec<usize> = (0..36).filter(|&row| screen.batch[row] == batch).collect();
        let of = |from: &[f64], row: usize| Mat::from_fn(1, 6, |_, j| from[row * 6 + j]);
        for &a in &rows {
            for &b in &rows {
                let found = &of(&aligned.values, a) * of(&aligned.values, b).transpose();
                let (u, s) = (inverse.U(), inverse.S());
                let turned = |row| &of(&whitened.values, row) * u;
                let (x, y) = (turned(a), turned(b));
                let expect: f64 = (0..6).map(|j| x[(0, j)] * y[(0, j)] / s[j]).sum();
                assert!((found[(0, 0)] - expect).abs() < 1e-10 * expect.abs().max(1.0));
            }
        }
    }
}

fn sphered(rows: MatRef<'_, f64>, method: &Spherize) -> Result<Mat<f64>, AlignError> {
    let batch = vec!["a".to_owned(); rows.nrows()];
    let is_control = vec![true; rows.nrows()];
    let input = morphospace_map::AlignInput::new(rows, &batch, &is_control)?;
    Ok(method
        .fit(&input)?
        .transform(rows, &batch)?
        .as_mat()
        .to_owned())
}

#[test]
fn sphered_controls_have_the_identity_as_covariance() {
    for seed in 0..5 {
        let rows = Screen::new(80, 5, 2, seed).values;
        for sphering in [
            Sphering::Zca,
            Sphering::Pca,
            Sphering::ZcaCor,
            Sphering::PcaCor,
        ] {
            let method = Spherize {
                sphering,
                epsilon: 0.0,
                ..Spherize::default()
            };
            let found = covariance(sphered(rows.as_ref(), &method).unwrap().as_ref(), 1);
            let difference = found - Mat::<f64>::identity(5, 5);
            assert!(difference.norm_max() < 1e-11, "{sphering:?}");
        }
    }
}

#[test]
fn shrunk_sphering_takes_out_the_shrunk_covariance() {
    // With S the covariance and M the sphering, M (shrunk S) M' is the
    // identity: enough rows, few rows, and features that depend on each other.
    let mut dependent = Screen::new(40, 5, 2, 3).values;
    for i in 0..40 {
        dependent[(i, 4)] = dependent[(i, 0)] - dependent[(i, 1)];
    }
    for rows in [
        Screen::new(40, 5, 2, 3).values,
        Screen::new(4, 5, 1, 3).values,
        dependent,
    ] {
        let method = Spherize {
            epsilon: 0.0,
            shrinkage: Shrinkage::Amount(0.3),
            ..Spherize::default()
        };
        let batch = vec!["a".to_owned(); rows.nrows()];
        let is_control = vec![true; rows.nrows()];
        let input = morphospace_map::AlignInput::new(rows.as_ref(), &batch, &is_control).unwrap();
        let fitted = method.fit(&input).unwrap();
        let mut shrunk = covariance(rows.as_ref(), 1);
        let mean_variance = (0..5).map(|j| shrunk[(j, j)]).sum::<f64>() / 5.0;
        shrunk *= faer::Scale(0.7);
        for j in 0..5 {
            shrunk[(j, j)] += 0.3 * mean_variance;
        }
        let turned = fitted.projection().unwrap().transpose() * shrunk;
        let found = turned * fitted.projection().unwrap();
        assert!((found - Mat::<f64>::identity(5, 5)).norm_max() < 1e-11);
        assert!(fitted.warnings().join("; ").contains("drawn by 0.300"));
    }
}

#[test]
fn few_rows_to_sphere_are_told() {
    let rows = Screen::new(4, 5, 1, 3).values;
    let batch = vec!["a".to_owned(); 4];
    let input = morphospace_map::AlignInput::new(rows.as_ref(), &batch, &[true; 4]).unwrap();
    let warnings = Spherize::default()
        .fit(&input)
        .unwrap()
        .warnings()
        .join("; ");
    assert!(
        warnings.contains("4 negative controls for 5 features"),
        "{warnings}"
    );
    assert!(warnings.contains("2 directions"), "{warnings}");
}

#[test]
fn two_controls_are_told() {
    use morphospace_map::{AlignMethod, CenterScale, MadRobustize, PcaCenterScale};
    let screen = Screen::new(18, 2, 3, 4);
    for method in [
        AlignMethod::from(CenterScale::default()),
        PcaCenterScale::default().into(),
        MadRobustize::default().into(),
    ] {
        let warnings = method.fit(&screen.input()).unwrap().warnings().join("; ");
        assert!(
            warnings.contains("3 of 3 batches have only two negative controls ('b0')"),
            "{}: {warnings}",
            method.name()
        );
    }
}
