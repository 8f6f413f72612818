//! Aggregation by hand-worked tables.

use morphospace_map::{Aggregate, Average, ControlRule, aggregate};
use morphospace_profiles::{Column, Features, Profiles};

fn table(genes: &[Option<&str>], values: &[f64]) -> Profiles {
    let num_features = values.len() / genes.len();
    let genes = genes.iter().map(|gene| gene.map(str::to_owned)).collect();
    Profiles::new(
        vec![("gene".into(), Column::Text(genes))],
        (0..num_features)
            .map(|index| format!("feature_{index}"))
            .collect(),
        Features::F64(values.to_vec()),
    )
    .unwrap()
}

/// One group of rows, averaged.
fn check(average: Average, rows: &[[f64; 2]], expect: [f64; 2]) {
    let profiles = table(&vec![Some("g"); rows.len()], &rows.concat());
    let settings = Aggregate {
        average,
        ..Aggregate::by(["gene"])
    };
    let found = aggregate(&profiles, &settings).unwrap();
    for (found, expect) in found.values().iter().zip(expect) {
        let same = (found - expect).abs() < 1e-12 || (found.is_nan() && expect.is_nan());
        assert!(same, "{average:?} of {rows:?}: {found} and not {expect}");
    }
}

#[test]
fn averages_by_hand() {
    let rows = [[1.0, 0.0], [3.0, 0.0], [8.0, 6.0]];
    check(Average::Mean, &rows, [4.0, 2.0]);
    check(Average::Median, &rows, [3.0, 0.0]);
    check(Average::Median, &rows[1..], [5.5, 3.0]);
    // Directions (1,0), (1,0), (0.8,0.6): their sum is (2.8, 0.6).
    let length = (2.8f64 * 2.8 + 0.6 * 0.6).sqrt();
    check(Average::Spherical, &rows, [2.8 / length, 0.6 / length]);
    // On a circle the Fréchet mean is the mean angle.
    let angle = 0.6f64.atan2(0.8) / 3.0;
    check(Average::SphericalFrechet, &rows, [angle.cos(), angle.sin()]);
}

#[test]
fn directions_that_are_none_or_cancel() {
    let with_zero = [[0.0, 0.0], [0.0, 2.0]];
    check(Average::Spherical, &with_zero, [0.0, 1.0]);
    check(Average::SphericalFrechet, &with_zero, [0.0, 1.0]);
    let opposite = [[0.1, 0.7], [-0.2, -1.4]];
    check(Average::Spherical, &opposite, [0.0, 0.0]);
    check(Average::SphericalFrechet, &opposite, [f64::NAN, f64::NAN]);
    check(Average::Spherical, &[[0.0, 0.0]], [0.0, 0.0]);
}

#[test]
fn the_origin_is_the_mean_of_the_controls() {
    let profiles = table(
        &[Some("EMPTY"), Some("EMPTY"), Some("g")],
        &[9.0, 10.0, 11.0, 10.0, 10.0, 13.0],
    );
    let settings = Aggregate {
        average: Average::Spherical,
        keys_to_remove: vec!["EMPTY".into()],
        origin: Some(ControlRule::new("gene", ["EMPTY"])),
        ..Aggregate::by(["gene"])
    };
    let found = aggregate(&profiles, &settings).unwrap();
    assert_eq!(found.values(), [0.0, 1.0].as_slice());
    assert_eq!(found.keys("gene").unwrap(), ["g"]);
}

#[test]
fn groups_are_sorted_by_code_point_and_missing_doses_come_last() {
    let genes = [
        Some("b"),
        Some("B"),
        Some("a"),
        Some("a"),
        Some("a"),
        Some("é"),
    ];
    let dose = Column::Float(vec![None, None, None, Some(0.5), Some(0.25), None]);
    let profiles = table(&genes, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        .with_column("dose", dose)
        .unwrap();
    let found = aggregate(&profiles, &Aggregate::by(["gene", "dose"])).unwrap();
    assert_eq!(found.keys("gene").unwrap(), ["B", "a", "a", "a", "b", "é"]);
    let doses = Column::Float(vec![None, Some(0.25), Some(0.5), None, None, None]);
    assert_eq!(found.column("dose").unwrap(), &doses);
    assert_eq!(found.values(), [2.0, 5.0, 4.0, 3.0, 1.0, 6.0].as_slice());
    let counts: Vec<String> = found.keys("Metadata_count").unwrap();
    assert_eq!(counts, ["1"; 6]);
    // A gene must be there.
    let error = aggregate(
        &table(&[Some("a"), None], &[1.0, 2.0]),
        &Aggregate::by(["gene"]),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("'gene' has no value in row 2")
    );
}
