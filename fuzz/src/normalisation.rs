use morphospace_screen::NormalisationStatistics;

use super::allocation::{PARQUET_BOUND, within};

/// Statistics of a normalisation in Parquet.
pub(super) fn normalisation(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder for the table");
    let path = folder.path().join("normalisation.parquet");
    std::fs::write(&path, bytes).expect("written");
    let Ok(statistics) = within(PARQUET_BOUND, || NormalisationStatistics::load(&path)) else {
        return;
    };
    let again = folder.path().join("again.parquet");
    statistics
        .save(&again)
        .expect("what was read can be written");
    let again = NormalisationStatistics::load(&again).expect("what is written reads");
    assert_eq!(again, statistics);
}
