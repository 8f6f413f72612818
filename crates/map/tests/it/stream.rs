//! Fitting and transforming tables that come in chunks.

use morphospace_map::{
    AlignError, AlignMethod, Aligner, CenterScale, Combat, Components, ControlRule, FittedAligner,
    Harmony, Pca, Reference, Shrinkage, Sphering, Spherize, Tvn, fit_profiles, fit_profiles_stream,
    transform_profiles, transform_profiles_stream,
};
use morphospace_profiles::{Column, Features, Profiles, ProfilesError};

use crate::tables::Screen;

fn wells(num_rows: usize, num_features: usize) -> Profiles {
    let screen = Screen::new(num_rows, num_features, 3, 11);
    let role = |&is_control: &bool| if is_control { "negcon" } else { "trt" };
    let roles: Vec<&str> = screen.is_control.iter().map(role).collect();
    let values =
        (0..num_rows * num_features).map(|i| screen.values[(i / num_features, i % num_features)]);
    Profiles::new(
        vec![
            ("Metadata_Batch".into(), Column::from(screen.batch.clone())),
            ("Metadata_control_role".into(), Column::from(roles)),
        ],
        (0..num_features).map(|j| format!("feature_{j}")).collect(),
        Features::F64(values.collect()),
    )
    .unwrap()
}

fn chunks(wells: &Profiles, size: usize) -> impl Iterator<Item = Result<Profiles, ProfilesError>> {
    let rows: Vec<usize> = (0..wells.num_rows()).collect();
    rows.chunks(size)
        .map(|rows| Ok(wells.select_rows(rows)))
        .collect::<Vec<_>>()
        .into_iter()
}

fn fit(
    wells: &Profiles,
    size: usize,
    method: &AlignMethod,
    bound_mib: usize,
) -> Result<FittedAligner, AlignError> {
    let open = || Ok(chunks(wells, size));
    fit_profiles_stream(
        open,
        "Metadata_Batch",
        &ControlRule::default(),
        method,
        bound_mib,
    )
}

#[test]
fn chunks_give_what_the_whole_gives() {
    let wells = wells(240, 4);
    for name in AlignMethod::NAMES {
        let method: AlignMethod = name.parse().unwrap();
        let whole =
            fit_profiles(&wells, "Metadata_Batch", &ControlRule::default(), &method).unwrap();
        // 2 rows: chunks without any control, and without some batches.
        for size in [2, 37, 240] {
            let streamed = fit(&wells, size, &method, 1).unwrap();
            assert_eq!(streamed, whole, "{name}, chunks of {size}");
        }
        let aligned = transform_profiles(&whole, &wells, "Metadata_Batch").unwrap();
        let parts = transform_profiles_stream(&whole, chunks(&wells, 100), "Metadata_Batch");
        let mut row = 0;
        for part in parts {
            let part = part.unwrap();
            for (found, expect) in part
                .values()
                .iter()
                .zip(&aligned.values()[row * part.num_features()..])
            {
                assert!(
                    (found - expect).abs() < 1e-12 * expect.abs().max(1.0),
                    "{name}"
                );
            }
            row += part.num_rows();
        }
        assert_eq!(row, 240);
    }
}

#[test]
fn moments_of_chunks_are_those_of_the_whole() {
    // 1.9 MiB of values, 0.6 of controls, with a bound of 0: all by moments.
    let wells = wells(12_000, 20);
    let all = Reference::All;
    let methods = [
        AlignMethod::from(CenterScale::default()),
        CenterScale {
            reference: all,
            per_batch: false,
        }
        .into(),
        Pca::default().into(),
        Pca {
            components: Components::Variance(0.9),
            reference: Reference::Controls,
        }
        .into(),
        Spherize::default().into(),
        Spherize {
            sphering: Sphering::PcaCor,
            reference: all,
            ..Spherize::default()
        }
        .into(),
        Spherize {
            shrinkage: Shrinkage::Amount(0.2),
            ..Spherize::default()
        }
        .into(),
    ];
    for method in &methods {
        let whole = fit_profiles(&wells, "Metadata_Batch", &ControlRule::default(), method);
        let whole = whole.unwrap();
        let expect = transform_profiles(&whole, &wells, "Metadata_Batch").unwrap();
        for size in [700, 5000] {
            let fitted = fit(&wells, size, method, 0).unwrap();
            assert_ne!(fitted, whole, "moments were not taken");
            assert_eq!(
                fitted.report().controls_per_batch,
                whole.report().controls_per_batch
            );
            assert_eq!(fitted.report().num_rows, 12_000);
            let found = transform_profiles(&fitted, &wells, "Metadata_Batch").unwrap();
            assert_eq!(found.feature_names(), expect.feature_names());
            for (found, expect) in found.values().iter().zip(expect.values().iter()) {
                let difference = (found - expect).abs();
                assert!(
                    difference < 1e-8 * expect.abs().max(1.0),
                    "{}",
                    method.name()
                );
            }
        }
    }
}

#[test]
fn too_many_rows_are_refused_with_a_way_out() {
    let wells = wells(300, 4);
    let message = |method: AlignMethod| fit(&wells, 50, &method, 0).unwrap_err().to_string();
    let tvn = message(Tvn::default().into());
    assert!(tvn.contains("negative controls to fit tvn on"), "{tvn}");
    assert!(
        tvn.contains("0 MiB") && tvn.contains("take fewer features"),
        "{tvn}"
    );
    let combat = message(Combat::default().into());
    assert!(combat.contains("reference = \"controls\""), "{combat}");
    let harmony = message(Harmony::default().into());
    assert!(harmony.contains("the rows to fit harmony on"), "{harmony}");
    let shrunk = Spherize {
        shrinkage: Shrinkage::LedoitWolf,
        ..Spherize::default()
    };
    assert!(message(shrunk.into()).contains("set shrinkage to a number"));
}

#[test]
fn streamed_tables_are_refused_as_whole_ones() {
    let wells = wells(60, 2);
    let both = |wells: &Profiles, method: AlignMethod| {
        let rule = ControlRule::default();
        let whole = fit_profiles(wells, "Metadata_Batch", &rule, &method).unwrap_err();
        let streamed = fit(wells, 7, &method, 1).unwrap_err();
        assert_eq!(streamed.to_string(), whole.to_string());
        streamed.to_string()
    };
    // A batch that has no control in any chunk, and one that has a single one.
    let few: Vec<usize> = (0..60)
        .filter(|&row| {
            let is_control = row / 3 % 3 == 0;
            !is_control || row % 3 == 0 || row == 1
        })
        .collect();
    let few = wells.select_rows(&few);
    let message = both(&few, Tvn::default().into());
    assert!(
        message.contains("'b1'") && message.contains("one more batch"),
        "{message}"
    );
    both(&few, CenterScale::default().into());
    let treated: Vec<usize> = (0..60).filter(|&row| row / 3 % 3 != 0).collect();
    let treated = wells.select_rows(&treated);
    assert!(both(&treated, Tvn::default().into()).contains("'trt'"));
    both(
        &treated.clone().without_column("Metadata_control_role"),
        Tvn::default().into(),
    );
    both(
        &treated.without_column("Metadata_Batch"),
        Harmony::default().into(),
    );
}

#[test]
fn chunks_of_other_features_and_broken_ones_are_refused() {
    let wells = wells(60, 2);
    let other = wells
        .with_values(
            vec!["feature_0".into(), "other".into()],
            wells.values().into_owned(),
        )
        .unwrap();
    let method = AlignMethod::from(Tvn::default());
    let rule = ControlRule::default();
    let open = || Ok([Ok(wells.clone()), Ok(other.clone())].into_iter());
    let error = fit_profiles_stream(open, "Metadata_Batch", &rule, &method, 1).unwrap_err();
    let expect = "feature 2 was 'feature_1' and is 'other'";
    assert!(error.to_string().contains(expect), "{error}");
    let none = || Ok(std::iter::empty());
    let error = fit_profiles_stream(none, "Metadata_Batch", &rule, &method, 1).unwrap_err();
    assert!(matches!(error, AlignError::Empty { .. }), "{error}");
    let broken = || Err::<std::iter::Empty<_>, _>(wells.column("Metadata_x").unwrap_err());
    let error = fit_profiles_stream(broken, "Metadata_Batch", &rule, &method, 1).unwrap_err();
    assert!(matches!(error, AlignError::Profiles(_)), "{error}");
}
