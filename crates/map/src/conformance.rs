//! What every alignment method has to keep, as one function for the tests of
//! each.

use std::path::Path;

use faer::{Mat, MatRef};

use crate::{Align, AlignError, AlignInput, Aligner};

/// Checks a method on a made-up screen of three batches: rows keep their
/// order and number, everything is finite, fitting twice gives the same,
/// transforming a part gives that part of the whole, a saved aligner does
/// what the fitted one does, and what must be refused is refused.
///
/// `folder` is an empty folder to save into. `needs_batches` says whether
/// the method treats batches apart, and so has to refuse an unknown one.
///
/// # Panics
/// With the promise that was broken.
pub fn check_align<M: Align>(method: &M, needs_batches: bool, folder: &Path) {
    method.check().expect("settings under test are valid");
    let screen = MadeUpScreen::new(5, 3, 60);
    let input = screen.input();
    let fitted = method.fit(&input).expect("the screen can be fitted");
    let whole = fitted
        .transform(input.values, input.batch)
        .expect("what was fitted on");
    assert_eq!(whole.num_rows, input.values.nrows(), "rows are kept");
    assert_eq!(whole.values.len(), whole.num_rows * whole.num_features);
    assert!(
        whole.values.iter().all(|value| value.is_finite()),
        "everything is finite"
    );
    assert_eq!(
        fitted.report().num_components,
        whole.num_features,
        "the report is true"
    );

    let again = method.fit(&input).expect("fitted before");
    let again = again
        .transform(input.values, input.batch)
        .expect("transformed before");
    assert_eq!(again, whole, "fitting twice gives the same");

    // Every third row from the last: order and neighbours must not matter.
    let rows: Vec<usize> = (0..input.values.nrows()).rev().step_by(3).collect();
    let part = Mat::from_fn(rows.len(), input.values.ncols(), |i, j| {
        input.values[(rows[i], j)]
    });
    let part_batch: Vec<String> = rows.iter().map(|&row| input.batch[row].clone()).collect();
    let part = fitted
        .transform(part.as_ref(), &part_batch)
        .expect("known batches");
    let scale = whole
        .values
        .iter()
        .fold(1.0f64, |largest, value| largest.max(value.abs()));
    for (i, &row) in rows.iter().enumerate() {
        for (found, expect) in part.row(i).iter().zip(whole.row(row)) {
            assert!(
                (found - expect).abs() <= 1e-12 * scale,
                "a row does not depend on others"
            );
        }
    }

    // The other order of the matrix in memory.
    let row_major: Vec<f64> = (0..input.values.nrows())
        .flat_map(|i| input.values.row(i).iter().copied())
        .collect();
    let row_major =
        MatRef::from_row_major_slice(&row_major, input.values.nrows(), input.values.ncols());
    let other_order = fitted
        .transform(row_major, input.batch)
        .expect("same values");
    assert_eq!(other_order, whole, "the order in memory does not matter");

    fitted.save(folder).expect("the folder can be written");
    let loaded = M::Fitted::load(folder).expect("just written");
    let reloaded = loaded
        .transform(input.values, input.batch)
        .expect("as before");
    assert_eq!(reloaded, whole, "saved and loaded is the same");
    assert_eq!(loaded.report(), fitted.report());

    let strange = vec!["a batch never seen".to_owned(); input.batch.len()];
    match fitted.transform(input.values, &strange) {
        Err(error @ AlignError::UnknownBatch { .. }) if needs_batches => {
            assert!(error.to_string().contains("a batch never seen"), "{error}");
        }
        Ok(_) if !needs_batches => {}
        other => panic!("an unknown batch gave {:?}", other.map(|_| "a result")),
    }
    let narrow = input.values.subcols(0, 3);
    assert!(
        matches!(
            fitted.transform(narrow, input.batch),
            Err(AlignError::OtherFeatures { .. })
        ),
        "another number of features is refused"
    );
    let mut holed = screen.values.clone();
    holed[(7, 2)] = f64::NAN;
    assert!(
        matches!(
            fitted.transform(holed.as_ref(), input.batch),
            Err(AlignError::NotFinite {
                row_index: 7,
                feature_index: 2,
                ..
            })
        ),
        "NaN is refused by its place"
    );
}

/// Rows whose features depend on each other, on the batch and on being a
/// control. Numbers come from a small congruential generator, so that the
/// suite needs no crate of its own.
struct MadeUpScreen {
    values: Mat<f64>,
    batch: Vec<String>,
    is_control: Vec<bool>,
}

impl MadeUpScreen {
    fn new(num_features: usize, num_batches: usize, num_rows: usize) -> Self {
        let mut state = 0x2545_f491_4f6c_dd1du64;
        let mut draw = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        let mixing = Mat::from_fn(num_features, num_features, |_, _| draw());
        let noise = Mat::from_fn(num_rows, num_features, |_, _| draw());
        let mut values = &noise * &mixing;
        for row in 0..num_rows {
            for feature in 0..num_features {
                values[(row, feature)] += (row % num_batches) as f64 * (feature as f64 - 1.5);
            }
        }
        Self {
            values,
            batch: (0..num_rows)
                .map(|row| format!("batch {}", row % num_batches))
                .collect(),
            is_control: (0..num_rows)
                .map(|row| (row / num_batches).is_multiple_of(2))
                .collect(),
        }
    }

    fn input(&self) -> AlignInput<'_> {
        AlignInput::new(self.values.as_ref(), &self.batch, &self.is_control)
            .expect("lengths agree and values are finite")
    }
}
