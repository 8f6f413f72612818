//! Relations of a map: by hand, against all pairs sorted, and what is refused.

use morphospace_core::Seed;
use morphospace_map::{
    KnownPairs, RelateError, RelateSettings, RelationLimit, RelationMap, Relations, Tails,
};
use morphospace_profiles::{Column, Features, Profiles};
use proptest::prelude::*;
use rand::RngExt;

fn labels(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("G{index:04}")).collect()
}

fn known(source: &str, pairs: &[(&str, &str)]) -> KnownPairs {
    let pairs = pairs
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    KnownPairs {
        source: source.to_owned(),
        pairs: pairs.collect(),
    }
}

/// Directions of which many are equal: five corners, of which three share a plane.
fn tied_map(count: usize, num_features: usize) -> RelationMap {
    let mut rng = Seed::new(3).rng();
    let corners: Vec<Vec<f64>> = (0..40)
        .map(|_| {
            (0..num_features)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect()
        })
        .collect();
    let values = (0..count).flat_map(|_| corners[rng.random_range(0..40)].clone());
    RelationMap::new(labels(count), values.collect(), num_features).unwrap()
}

fn names(found: &Relations) -> Vec<(&str, &str, u64)> {
    let rows = found.rows.iter();
    rows.map(|row| (row.entity1.as_str(), row.entity2.as_str(), row.rank))
        .collect()
}

#[test]
fn relations_by_hand() {
    // Angles 0, 60, 90, 180 degrees.
    let half = 3.0_f64.sqrt() / 2.0;
    let values = vec![-1.0, 0.0, 0.0, 7.0, 0.5, half, 2.0, 0.0];
    let entities = ["d", "c", "b", "a"].map(str::to_owned).to_vec();
    let map = RelationMap::new(entities, values, 2).unwrap();
    let settings = RelateSettings {
        tails: Tails::Both,
        limit: RelationLimit::Count(2),
    };
    let sources = [
        known("one", &[("c", "b"), ("b", "c"), ("a", "a"), ("a", "zz")]),
        known("two", &[("b", "c"), ("d", "a")]),
    ];
    let found = map.relations(&sources, &settings).unwrap();
    // b-c 30 degrees, a-b 60; a-c and c-d 90; b-d 120; a-d 180.
    assert_eq!(
        names(&found),
        [("b", "c", 1), ("a", "b", 2), ("b", "d", 5), ("a", "d", 6)]
    );
    assert_eq!(found.rows[0].known_in, ["one", "two"]);
    assert!(found.rows[1].known_in.is_empty());
    assert_eq!(found.rows[3].known_in, ["two"]);
    assert_eq!(found.rows[3].cosine, -1.0);
    let percentiles: Vec<f64> = found.rows.iter().map(|row| row.percentile).collect();
    assert_eq!(percentiles, [100.0, 80.0, 20.0, 0.0]);
    assert_eq!((found.num_pairs, found.sources[0].num_pairs), (6, 2));
    assert_eq!(found.sources[0].num_in_map, 1);
    let table = found.to_table();
    assert_eq!(
        table.text("known_in").unwrap(),
        [
            Some("one|two".to_owned()),
            None,
            None,
            Some("two".to_owned())
        ]
    );
    // More than there are: each pair once.
    let all = RelateSettings {
        limit: RelationLimit::Count(4),
        ..settings
    };
    let found = map.relations(&[], &all).unwrap();
    let ranks: Vec<u64> = found.rows.iter().map(|row| row.rank).collect();
    assert_eq!(ranks, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn neighbours_by_hand_and_equal_ones_by_name() {
    let entities = ["x", "b", "a", "far"].map(str::to_owned).to_vec();
    let values = vec![1.0, 0.0, 1.0, 1.0, 1.0, -1.0, -1.0, 0.0];
    let map = RelationMap::new(entities, values, 2).unwrap();
    let found = map.nearest_neighbours("x", 5).unwrap();
    let found: Vec<(&str, usize)> = found.iter().map(|n| (n.entity.as_str(), n.rank)).collect();
    assert_eq!(found, [("a", 1), ("b", 2), ("far", 3)]);
    let table = map
        .neighbour_table(&["a".to_owned(), "x".to_owned()], 2)
        .unwrap();
    assert_eq!(table.keys("entity").unwrap(), ["a", "a", "x", "x"]);
    assert_eq!(table.keys("neighbour").unwrap(), ["x", "b", "a", "b"]);
    assert_eq!(table.keys("rank").unwrap(), ["1", "2", "1", "2"]);
    let message = map.nearest_neighbours("fart", 5).unwrap_err().to_string();
    assert!(message.contains("did you mean 'far'"), "{message}");
}

/// Three blocks, most cosines in ties: the listed pairs are the ends of all pairs
/// sorted by cosine and name, on any number of threads.
#[test]
fn ties_across_blocks_are_broken_by_name() {
    let count = 1100;
    let map = tied_map(count, 37);
    let all = RelateSettings {
        limit: RelationLimit::Percent(100.0),
        ..RelateSettings::default()
    };
    let every = map.relations(&[], &all).unwrap();
    assert_eq!(every.rows.len(), count * (count - 1) / 2);
    let mut sorted = every.rows.clone();
    sorted.sort_by(|a, b| {
        let by_cosine = b.cosine.total_cmp(&a.cosine);
        by_cosine.then_with(|| (&a.entity1, &a.entity2).cmp(&(&b.entity1, &b.entity2)))
    });
    assert!(sorted == every.rows);
    // 40 corners have 780 cosines and 1: were equal rows not equal everywhere, there
    // would be more.
    let mut cosines: Vec<u64> = every.rows.iter().map(|row| row.cosine.to_bits()).collect();
    cosines.dedup();
    assert!(cosines.len() <= 40 * 41 / 2, "{} cosines", cosines.len());
    for (limit, num_threads) in [(1, 1), (777, 1), (777, 5), (50_000, 3)] {
        let settings = RelateSettings {
            tails: Tails::Both,
            limit: RelationLimit::Count(limit),
        };
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(num_threads)
            .build();
        let found = threads
            .unwrap()
            .install(|| map.relations(&[], &settings).unwrap());
        let (first, last) = found.rows.split_at(limit);
        assert!(first == &every.rows[..limit]);
        assert!(last == &every.rows[every.rows.len() - limit..]);
    }
}

#[test]
fn a_share_of_pairs_is_listed() {
    let map = tied_map(21, 5);
    let settings = RelateSettings {
        tails: Tails::Farthest,
        limit: RelationLimit::Percent(5.0),
    };
    // 5 percent of 210.
    let rows = map.relations(&[], &settings).unwrap().rows;
    assert_eq!(rows.len(), 11);
    assert_eq!((rows[0].rank, rows[10].rank), (200, 210));
    assert_eq!(rows[10].percentile, 0.0);
}

#[test]
fn maps_without_directions_are_refused_by_name() {
    let check = |labels: &[&str], values: &[f64], words: &[&str]| {
        let labels = labels.iter().map(|name| (*name).to_owned()).collect();
        let message = RelationMap::new(labels, values.to_vec(), 2)
            .unwrap_err()
            .to_string();
        for word in words {
            assert!(message.contains(word), "'{word}' is not in: {message}");
        }
    };
    check(&[], &[], &["0 entities"]);
    check(&["a"], &[1.0, 2.0], &["1 entities", "needs two"]);
    check(&["a", "b"], &[1.0, 2.0], &["do not have 2 values"]);
    check(
        &["a", "b"],
        &[1.0, 2.0, f64::NAN, 1.0],
        &["feature 0 of 'b'", "NaN"],
    );
    check(
        &["a", "b", "a"],
        &[1.0; 6],
        &["'a'", "rows 1 and 3", "aggregate"],
    );
    let zeros = [1.0, 2.0, 0.0, 0.0, -0.0, 0.0];
    check(&["a", "b", "c"], &zeros, &["'b'", "1 more rows", "origin"]);
    assert!(size_of::<RelateError>() <= 128);
}

#[test]
fn known_pairs_of_other_names_are_refused_with_examples() {
    let map = tied_map(4, 3);
    let settings = RelateSettings::default();
    let message = map
        .relations(&[known("CORUM", &[("tp53", "mdm2")])], &settings)
        .unwrap_err()
        .to_string();
    for word in ["the 1 known pairs of 'CORUM'", "'mdm2', 'tp53'", "'G0000'"] {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
    // A source without pairs says nothing about names.
    assert!(map.relations(&[known("empty", &[])], &settings).is_ok());
}

#[test]
fn tables_are_read_by_their_entities() {
    let table = Profiles::new(
        vec![("Metadata_gene".to_owned(), Column::from(vec!["B", "A"]))],
        vec!["feature_0".to_owned()],
        Features::F32(vec![1.0, 2.0]),
    )
    .unwrap();
    let map = RelationMap::of_profiles(&table, "gene").unwrap();
    assert_eq!(map.labels(), ["A", "B"]);
    assert!(RelationMap::of_profiles(&table, "compound").is_err());
}

proptest! {
    #[test]
    fn order_of_rows_and_units_do_not_matter(
        values in prop::collection::vec(-3i8..=3, 12 * 3),
        seed in 0u64..1000,
        limit in 1usize..30,
    ) {
        let mut values: Vec<f64> = values.into_iter().map(f64::from).collect();
        // No row of zeros.
        values.chunks_mut(3).for_each(|row| row[0] += 0.5);
        let map = RelationMap::new(labels(12), values.clone(), 3).unwrap();
        let mut order: Vec<usize> = (0..12).collect();
        order.sort_by_key(|&row| Seed::new(seed).split_index(row as u64).value());
        let names = order.iter().map(|&row| labels(12)[row].clone()).collect();
        let moved = order.iter().flat_map(|&row| {
            // A power of two changes no bit of a direction.
            values[row * 3..][..3].iter().map(|x| x * 1024.0).collect::<Vec<_>>()
        });
        let other = RelationMap::new(names, moved.collect(), 3).unwrap();
        let settings = RelateSettings {
            tails: Tails::Both,
            limit: RelationLimit::Count(limit),
        };
        let found = map.relations(&[], &settings).unwrap();
        prop_assert_eq!(&other.relations(&[], &settings).unwrap(), &found);
        // The first relation is the nearest neighbour of both.
        let first = &found.rows[0];
        let nearest = map.nearest_neighbours(&first.entity1, 1).unwrap();
        prop_assert!((nearest[0].cosine - first.cosine).abs() < 1e-12);
    }
}
