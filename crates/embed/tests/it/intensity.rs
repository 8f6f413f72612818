use morphospace_embed::intensity_profiles;
use morphospace_screen::{IntensityStatistics, OnIncomplete, open_screen};

use crate::support::{remove_image, simulated};

#[test]
fn a_well_is_the_mean_of_its_sites() {
    let folder = tempfile::tempdir().unwrap();
    let screen = simulated(&folder.path().join("screen"));
    let (profiles, skipped) = intensity_profiles(&*screen, OnIncomplete::Fail).unwrap();
    assert!(skipped.is_empty());
    assert_eq!((profiles.num_rows(), profiles.num_features()), (8, 30));
    assert_eq!(profiles.feature_names()[4], "feature_w1_median");
    let statistics = [0, 1].map(|site| {
        let plane = screen.read_plane(site, 1).unwrap();
        IntensityStatistics::of(&plane.pixels).to_array()
    });
    let row = profiles.row(0);
    for (feature, value) in row[5..10].iter().enumerate() {
        let expected = (statistics[0][feature] + statistics[1][feature]) / 2.0;
        assert!((value - expected).abs() < 1e-4 * expected.abs().max(1.0));
    }
}

#[test]
fn sites_left_out_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let screen = simulated(&folder.path().join("screen"));
    remove_image(&*screen, 0, 0);
    let screen = open_screen(&folder.path().join("screen"), None).unwrap();
    let (profiles, skipped) = intensity_profiles(&*screen, OnIncomplete::Skip).unwrap();
    assert_eq!((profiles.num_rows(), skipped.len()), (8, 1));
    assert!(intensity_profiles(&*screen, OnIncomplete::Fail).is_err());
}
