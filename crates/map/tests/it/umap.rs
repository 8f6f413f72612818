use faer::{Mat, MatRef};
use morphospace_core::Seed;
use morphospace_map::{NeighbourSearch, Umap, UmapError, UmapMetric, UmapStart};
use proptest::prelude::*;
use rand::RngExt;

/// Groups of rows around centres drawn at random.
fn groups(num_groups: usize, of_each: usize, num_features: usize, distance: f64) -> Mat<f64> {
    let mut rng = Seed::new(1).split("groups").rng();
    let centres = Mat::from_fn(num_groups, num_features, |_, _| {
        rng.random_range(-distance..distance)
    });
    Mat::from_fn(num_groups * of_each, num_features, |row, feature| {
        centres[(row % num_groups, feature)] + rng.random_range(-1.0..1.0)
    })
}

fn embed(settings: &Umap, values: MatRef<'_, f64>) -> Mat<f64> {
    settings.embed(values, Seed::new(1)).unwrap()
}

fn bits(map: &Mat<f64>) -> Vec<u64> {
    let places = (0..map.nrows()).flat_map(|i| (0..map.ncols()).map(move |j| (i, j)));
    places.map(|place| map[place].to_bits()).collect()
}

fn squared(map: &Mat<f64>, a: usize, b: usize) -> f64 {
    (0..map.ncols())
        .map(|j| (map[(a, j)] - map[(b, j)]).powi(2))
        .sum()
}

/// Rows whose nearest row on the map is of the same group.
fn share_with_its_group(map: &Mat<f64>, num_groups: usize) -> f64 {
    let num_rows = map.nrows();
    let right = (0..num_rows).filter(|&row| {
        let others = (0..num_rows).filter(|other| *other != row);
        let nearest = others.min_by(|a, b| squared(map, row, *a).total_cmp(&squared(map, row, *b)));
        nearest.unwrap() % num_groups == row % num_groups
    });
    right.count() as f64 / num_rows as f64
}

#[test]
fn groups_stay_together() {
    let values = groups(8, 60, 20, 5.0);
    for start in [UmapStart::Spectral, UmapStart::PrincipalComponents] {
        for num_components in [2, 3] {
            for metric in [UmapMetric::Euclidean, UmapMetric::Cosine] {
                let settings = Umap {
                    start,
                    num_components,
                    metric,
                    ..Umap::default()
                };
                let map = embed(&settings, values.as_ref());
                let share = share_with_its_group(&map, 8);
                assert!(share > 0.99, "{share} with {settings:?}");
            }
        }
    }
}

#[test]
fn a_ring_stays_a_ring() {
    // Rows on a circle in 10 dimensions: the graph is connected, its
    // spectrum is the circle, and neighbours stay neighbours.
    let num_rows = 600;
    let values = Mat::from_fn(num_rows, 10, |row, feature| {
        let angle = std::f64::consts::TAU * row as f64 / num_rows as f64;
        match feature {
            0 => angle.cos(),
            1 => angle.sin(),
            _ => 0.0,
        }
    });
    let map = embed(&Umap::default(), values.as_ref());
    let step = |row: usize| squared(&map, row, (row + 1) % num_rows).sqrt();
    let longest = (0..num_rows).map(step).fold(0.0, f64::max);
    let across = squared(&map, 0, num_rows / 2).sqrt();
    assert!(longest < across / 4.0, "{longest} of {across}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let values = groups(30, 50, 12, 3.0);
    for neighbour_search in [NeighbourSearch::Exact, NeighbourSearch::Approximate] {
        let settings = Umap {
            neighbour_search,
            num_epochs: Some(60),
            ..Umap::default()
        };
        let run = |num_threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(num_threads)
                .build()
                .unwrap();
            pool.install(|| embed(&settings, values.as_ref()))
        };
        let one = run(1);
        assert_eq!(bits(&one), bits(&run(3)), "{neighbour_search:?}");
        assert_eq!(bits(&one), bits(&run(8)), "{neighbour_search:?}");
        let other = settings.embed(values.as_ref(), Seed::new(2)).unwrap();
        assert_ne!(bits(&one), bits(&other), "the seed must matter");
    }
}

#[test]
fn a_unit_and_an_offset_change_little() {
    // Halving and adding whole numbers are exact: so is the map.
    let values = groups(5, 40, 6, 5.0);
    let coarse = Mat::from_fn(values.nrows(), values.ncols(), |i, j| {
        (values[(i, j)] * 1024.0).round() / 1024.0
    });
    let other = Mat::from_fn(values.nrows(), values.ncols(), |i, j| {
        coarse[(i, j)] * 0.5 + 64.0
    });
    let maps = [coarse, other].map(|values| embed(&Umap::default(), values.as_ref()));
    for row in 0..maps[0].nrows() {
        for component in 0..2 {
            let difference = maps[0][(row, component)] - maps[1][(row, component)];
            assert!(difference.abs() < 1e-6, "row {row}: {difference}");
        }
    }
}

#[test]
fn an_outlier_does_not_blur_the_others() {
    // Rows 1e9 nearer to each other than to the first: 32-bit numbers about
    // the mean could not tell them apart.
    let mut values = groups(4, 40, 8, 6.0);
    values[(0, 0)] = 1e9;
    let map = embed(&Umap::default(), values.as_ref());
    assert!(share_with_its_group(&map, 4) > 0.95);
}

#[test]
fn far_clumps_keep_their_inside() {
    // Two far clumps of two groups each: inner products of 32 bits lose the
    // groups, the second search finds them.
    let inner = groups(2, 80, 6, 8.0);
    let values = Mat::from_fn(inner.nrows(), 6, |row, feature| {
        inner[(row, feature)] + if row % 4 < 2 { 0.0 } else { 1e5 }
    });
    let map = embed(&Umap::default(), values.as_ref());
    assert!(share_with_its_group(&map, 4) > 0.95);
}

#[test]
fn tables_that_hold_little_are_mapped() {
    let finite = |values: &Mat<f64>, settings: &Umap| {
        let map = embed(settings, values.as_ref());
        assert!((0..map.nrows()).all(|row| (0..2).all(|j| map[(row, j)].is_finite())));
    };
    let settings = Umap::default();
    let searched = Umap {
        neighbour_search: NeighbourSearch::Approximate,
        ..Umap::default()
    };
    for settings in [&settings, &searched] {
        // Three rows, one feature; all rows the same; the largest and the
        // smallest numbers.
        finite(&Mat::from_fn(3, 1, |row, _| row as f64), settings);
        finite(&Mat::full(900, 4, 7.0), settings);
        finite(&Mat::full(5, 4, 0.0), settings);
        finite(
            &Mat::from_fn(20, 3, |row, j| [f64::MAX, f64::MIN, 0.0][(row + j) % 3]),
            settings,
        );
        finite(
            &Mat::from_fn(20, 3, |row, j| f64::MIN_POSITIVE * (row * j) as f64),
            settings,
        );
    }
    let none = Umap {
        num_epochs: Some(0),
        ..Umap::default()
    };
    finite(&groups(2, 10, 3, 3.0), &none);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |settings: Umap, setting: &str| match settings.check() {
        Err(UmapError::InvalidSetting { setting: found, .. }) => assert_eq!(found, setting),
        other => panic!("{setting}: {other:?}"),
    };
    let umap = Umap::default;
    refused(
        Umap {
            num_neighbours: 1,
            ..umap()
        },
        "num_neighbours",
    );
    refused(
        Umap {
            num_components: 1,
            ..umap()
        },
        "num_components",
    );
    refused(
        Umap {
            num_components: 4,
            ..umap()
        },
        "num_components",
    );
    refused(
        Umap {
            spread: 0.0,
            ..umap()
        },
        "spread",
    );
    refused(
        Umap {
            spread: f64::NAN,
            ..umap()
        },
        "spread",
    );
    refused(
        Umap {
            min_dist: 1.1,
            ..umap()
        },
        "min_dist",
    );
    refused(
        Umap {
            min_dist: -0.1,
            ..umap()
        },
        "min_dist",
    );
    refused(
        Umap {
            num_epochs: Some(2_000_000),
            ..umap()
        },
        "num_epochs",
    );
    refused(
        Umap {
            learning_rate: 0.0,
            ..umap()
        },
        "learning_rate",
    );
    refused(
        Umap {
            negative_sample_rate: 0,
            ..umap()
        },
        "negative_sample_rate",
    );
    refused(
        Umap {
            repulsion_strength: f64::INFINITY,
            ..umap()
        },
        "repulsion_strength",
    );
    assert!(toml::from_str::<Umap>("neighbours = 3").is_err());
    let settings: Umap = toml::from_str("metric = \"cosine\"\nnum_epochs = 3").unwrap();
    assert_eq!(settings.metric, UmapMetric::Cosine);
}

#[test]
fn tables_without_a_map_are_refused() {
    let refused = |values: Mat<f64>, metric| {
        let settings = Umap {
            metric,
            ..Umap::default()
        };
        settings.embed(values.as_ref(), Seed::new(1)).unwrap_err()
    };
    for (num_rows, num_features) in [(0, 0), (2, 5), (5, 0)] {
        assert_eq!(
            refused(Mat::zeros(num_rows, num_features), UmapMetric::Euclidean),
            UmapError::TooSmall {
                required: 3,
                num_rows,
                num_features
            }
        );
    }
    let mut values = groups(2, 5, 3, 1.0);
    values[(4, 2)] = f64::INFINITY;
    assert_eq!(
        refused(values, UmapMetric::Euclidean),
        UmapError::NotFinite {
            row_index: 4,
            feature_index: 2,
            value: f64::INFINITY
        }
    );
    let mut values = groups(2, 5, 3, 1.0);
    values.row_mut(3).fill(0.0);
    assert_eq!(
        refused(values, UmapMetric::Cosine),
        UmapError::ZeroRow { row_index: 3 }
    );
}

#[test]
fn errors_are_small() {
    assert!(size_of::<UmapError>() < 128);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_finite_table_gives_finite_coordinates(
        num_features in 1usize..5,
        cells in prop::collection::vec(-1e300f64..1e300, 12..80),
        num_neighbours in 2usize..30,
    ) {
        let num_rows = cells.len() / num_features;
        let values = MatRef::from_row_major_slice(
            &cells[..num_rows * num_features],
            num_rows,
            num_features,
        );
        let settings = Umap { num_neighbours, num_epochs: Some(20), ..Umap::default() };
        let map = embed(&settings, values);
        prop_assert_eq!((map.nrows(), map.ncols()), (num_rows, 2));
        prop_assert!(bits(&map).into_iter().all(|bits| f64::from_bits(bits).is_finite()));
    }
}
