use std::collections::BTreeMap;

use morphospace_core::Experiment;

use super::candidates::Candidates;
use super::error::SplitError;
use super::part::Part;
use super::rxrx1_design::{check, experiments, official_part};
use super::scheme::{WildsTest, joined};

/// See [`SplitScheme::WildsOfficial`](super::SplitScheme::WildsOfficial).
pub(super) fn official(
    candidates: &Candidates<'_>,
    scheme: &'static str,
    validation: &[Experiment],
    test: WildsTest,
) -> Result<Vec<Option<Part>>, SplitError> {
    let domains = Domains::new(candidates, scheme, validation)?;
    Ok(candidates.assign(|site| {
        let domain = domains.of(&site.key.plate.experiment)?;
        match (domain, site.key.site, test) {
            (Domain::Train, 1, _) => Some(Part::Train),
            (Domain::Train, 2, WildsTest::InDistribution) => Some(Part::Test),
            (Domain::Validation, _, _) => Some(Part::Validation),
            (Domain::Test, _, WildsTest::OutOfDistribution) => Some(Part::Test),
            _ => None,
        }
    }))
}

/// See [`SplitScheme::WildsMixedToTest`](super::SplitScheme::WildsMixedToTest).
pub(super) fn mixed_to_test(
    candidates: &Candidates<'_>,
    scheme: &'static str,
    validation: &[Experiment],
) -> Result<Vec<Option<Part>>, SplitError> {
    let domains = Domains::new(candidates, scheme, validation)?;
    let mut num_test: BTreeMap<&str, u64> = BTreeMap::new();
    let all = experiments(None);
    for experiment in &all {
        let is_test = domains.of(experiment) == Some(Domain::Test);
        *num_test.entry(experiment.series()).or_default() += u64::from(is_test);
    }
    // The first experiments of a cell type give way.
    let gives_way =
        |experiment: &Experiment| experiment.number() <= num_test.get(experiment.series()).copied();
    Ok(candidates.assign(|site| {
        let experiment = &site.key.plate.experiment;
        match (domains.of(experiment)?, site.key.site) {
            (Domain::Train, 1) if !gives_way(experiment) => Some(Part::Train),
            (Domain::Validation, _) => Some(Part::Validation),
            (Domain::Test, 1) => Some(Part::Train),
            (Domain::Test, 2) => Some(Part::Test),
            _ => None,
        }
    }))
}

/// The experiments to validate on, and whether that was assumed.
pub(super) fn described(validation: &[Experiment]) -> String {
    if validation.is_empty() {
        let assumed = joined(&assumed_validation());
        return format!("{assumed} (assumed: the first official test experiment per cell type)");
    }
    joined(validation)
}

/// What WILDS takes an experiment for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    Train,
    Validation,
    Test,
}

struct Domains {
    validation: Vec<Experiment>,
}

impl Domains {
    fn new(
        candidates: &Candidates<'_>,
        scheme: &'static str,
        validation: &[Experiment],
    ) -> Result<Self, SplitError> {
        check(candidates, scheme, None)?;
        candidates.check_experiments(validation)?;
        let is_no_test = |experiment: &&Experiment| official_part(experiment) != Some(Part::Test);
        if let Some(experiment) = validation.iter().find(is_no_test) {
            return Err(SplitError::InvalidSetting {
                scheme,
                message: format!(
                    "{experiment} is an official training experiment\nhint: WILDS validates on 4 \
                     of the 18 official test experiments"
                ),
            });
        }
        let validation = if validation.is_empty() {
            assumed_validation()
        } else {
            validation.to_vec()
        };
        Ok(Self { validation })
    }

    fn of(&self, experiment: &Experiment) -> Option<Domain> {
        match official_part(experiment)? {
            Part::Train => Some(Domain::Train),
            _ if self.validation.contains(experiment) => Some(Domain::Validation),
            _ => Some(Domain::Test),
        }
    }
}

/// The first official test experiment of each cell type.
fn assumed_validation() -> Vec<Experiment> {
    let mut tests: Vec<Experiment> = experiments(None)
        .into_iter()
        .filter(|experiment| official_part(experiment) == Some(Part::Test))
        .collect();
    tests.dedup_by(|later, first| later.series() == first.series());
    tests
}
