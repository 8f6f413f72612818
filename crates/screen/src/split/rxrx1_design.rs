use morphospace_core::Experiment;

use super::candidates::Candidates;
use super::error::SplitError;
use super::part::Part;

/// RxRx1's cell types, their experiments, numbered from 1, and how many of
/// these, the first, are the official training set.
///
/// Sypetkowski et al. 2023, section 2.2, prints five test experiments of RPE
/// and of HEPG2, which do not add up to its 18; the `dataset` column of the
/// official metadata has four of each, as here
/// (`tests/it/real_metadata.rs`).
const DESIGN: [(&str, u64, u64); 4] = [
    ("HEPG2", 11, 7),
    ("HUVEC", 24, 16),
    ("RPE", 11, 7),
    ("U2OS", 5, 3),
];

/// The part of an experiment in the official split; `None` where it is none
/// of RxRx1's.
pub(super) fn official_part(experiment: &Experiment) -> Option<Part> {
    let (_, num_experiments, num_train) = DESIGN
        .into_iter()
        .find(|(cell_type, _, _)| *cell_type == experiment.series())?;
    match experiment.number()? {
        number if number == 0 || number > num_experiments => None,
        number if number <= num_train => Some(Part::Train),
        _ => Some(Part::Test),
    }
}

/// All experiments, or those of one cell type, sorted.
pub(super) fn experiments(cell_type: Option<&str>) -> Vec<Experiment> {
    DESIGN
        .into_iter()
        .filter(|(name, _, _)| cell_type.is_none_or(|wanted| wanted.eq_ignore_ascii_case(name)))
        .flat_map(|(name, num_experiments, _)| {
            (1..=num_experiments).map(move |number| Experiment::new(format!("{name}-{number:02}")))
        })
        .collect()
}

/// Refuses candidates that are not RxRx1's experiments, all of them or those
/// of one cell type.
pub(super) fn check(
    candidates: &Candidates<'_>,
    scheme: &'static str,
    cell_type: Option<&str>,
) -> Result<(), SplitError> {
    let expected = experiments(cell_type);
    let found = candidates.experiments();
    let missing: Vec<String> = expected
        .iter()
        .filter(|experiment| !found.contains(experiment))
        .map(ToString::to_string)
        .collect();
    let unexpected: Vec<String> = found
        .into_iter()
        .filter(|experiment| !expected.contains(experiment))
        .map(ToString::to_string)
        .collect();
    if missing.is_empty() && unexpected.is_empty() {
        return Ok(());
    }
    Err(SplitError::NotRxrx1 {
        scheme,
        cell_type: cell_type.map(str::to_owned),
        of: candidates.name,
        missing,
        unexpected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_three_train_and_eighteen_test() {
        let all = experiments(None);
        let parts: Vec<Part> = all.iter().filter_map(official_part).collect();
        assert_eq!(parts.len(), 51);
        let num_train = parts.iter().filter(|part| **part == Part::Train).count();
        assert_eq!(num_train, 33);
        assert!(all.is_sorted());
    }

    #[test]
    fn the_rule_reads_numbers_and_not_spellings() {
        for (name, part) in [
            ("HUVEC-16", Some(Part::Train)),
            ("HUVEC-17", Some(Part::Test)),
            ("HUVEC-024", Some(Part::Test)),
            ("U2OS-3", Some(Part::Train)),
            ("U2OS-6", None),
            ("RPE-0", None),
            ("HEPG2", None),
            ("gene-001", None),
        ] {
            assert_eq!(official_part(&Experiment::new(name)), part, "{name}");
        }
    }
}
