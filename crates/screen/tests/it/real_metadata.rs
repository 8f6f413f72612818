//! RxRx1's whole table of metadata, where it is at hand, and a table of its
//! size in which every label is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Instant;

use morphospace_core::{ControlRole, Experiment, PlateKey, Seed, Site};
use morphospace_screen::sampler::{
    Batches, CrossDomain, CrossDomainConfig, Domain, OnUnpaired, Remainder, SingleDomain,
    SingleDomainConfig,
};
use morphospace_screen::split::{
    Part, Split, SplitConfig, SplitLevel, SplitScheme, SplitSummary, WildsTest, make_split,
    read_split, write_split,
};
use morphospace_screen::{Rxrx1Screen, Screen};

use crate::support::data;
use crate::support::{assert_names, designed_sites, message, rxrx1_experiments};

/// The table alone, in a folder without images, opened once for all tests.
static REAL_SCREEN: LazyLock<Option<Rxrx1Screen>> = LazyLock::new(|| {
    let folder = data("metadata/rxrx1")?;
    let start = Instant::now();
    let screen = Rxrx1Screen::open(&folder).expect("opens");
    eprintln!(
        "{} sites opened and checked in {:?}",
        screen.sites().len(),
        start.elapsed()
    );
    Some(screen)
});

fn real_sites() -> Option<&'static [Site]> {
    let screen = REAL_SCREEN.as_ref();
    if screen.is_none() {
        // Says that the test is skipped, each time.
        data("metadata/rxrx1");
    }
    screen.map(Screen::sites)
}

/// 51 experiments of 4 plates of 277 treatments, 30 positive controls and an
/// untreated well, two sites each, all labelled.
fn labelled_table() -> Vec<Site> {
    let sites = designed_sites(&rxrx1_experiments(), 4, 277, 30);
    assert_eq!(sites.len(), 51 * 4 * 308 * 2);
    sites
}

fn split_with(sites: &[Site], scheme: SplitScheme, only_labelled: bool) -> Split {
    let config = SplitConfig {
        scheme,
        seed: Seed::new(1),
        only_labelled,
    };
    make_split(sites, &config).expect("can be split")
}

fn summary(sites: &[Site], split: &Split) -> SplitSummary {
    SplitSummary::of(sites, &split.parts(sites).expect("of this screen"))
}

/// Sites of each part.
fn num_sites(summary: &SplitSummary) -> [usize; 3] {
    Part::ALL.map(|part| {
        summary
            .parts
            .get(&part)
            .map_or(0, |part| part.total.num_sites)
    })
}

/// Experiments of HEPG2, HUVEC, RPE and U2OS in a part.
fn num_experiments(summary: &SplitSummary, part: Part) -> [usize; 4] {
    ["HEPG2", "HUVEC", "RPE", "U2OS"].map(|cell_type| {
        let counts = summary.parts[&part].cell_types.get(cell_type);
        counts.map_or(0, |counts| counts.num_experiments)
    })
}

fn batch_stratified(level: SplitLevel) -> SplitScheme {
    SplitScheme::BatchStratified {
        train_fraction: SplitScheme::BATCH_STRATIFIED_TRAIN_FRACTION,
        level,
    }
}

#[test]
fn the_table_is_as_published() {
    let Some(sites) = real_sites() else {
        return;
    };
    assert_eq!(sites.len(), 125_510);
    let experiments: BTreeSet<&Experiment> = sites
        .iter()
        .map(|site| &site.key.plate.experiment)
        .collect();
    assert_eq!(experiments.len(), 51);
    // A blank siRNA is an unknown label of a treatment, and nothing else is.
    let unlabelled = || sites.iter().filter(|site| site.well.label().is_none());
    assert_eq!(unlabelled().count(), 39_794);
    assert!(unlabelled().all(|site| site.well.control_role == ControlRole::Treatment));
    let mut classes: BTreeMap<ControlRole, BTreeSet<String>> = BTreeMap::new();
    for site in sites {
        classes
            .entry(site.well.control_role)
            .or_default()
            .extend(site.well.label());
    }
    assert_eq!(classes[&ControlRole::Treatment].len(), 1108);
    assert_eq!(classes[&ControlRole::PositiveControl].len(), 30);
    assert_eq!(
        classes[&ControlRole::Untreated],
        ["EMPTY".to_owned()].into()
    );
    assert_eq!(classes.len(), 3);
    assert_eq!(
        classes.values().flatten().collect::<BTreeSet<_>>().len(),
        1139
    );
}

#[test]
fn the_rule_of_the_official_split_is_the_dataset_column() {
    let (Some(sites), Some(table)) = (real_sites(), data("metadata/rxrx1/metadata.csv.gz")) else {
        return;
    };
    let file = std::fs::File::open(table).expect("there");
    let mut reader = csv::Reader::from_reader(flate2::read::MultiGzDecoder::new(file));
    let headers = reader.headers().expect("a header").clone();
    let column = |name| headers.iter().position(|found| found == name).expect(name);
    let (site_id, dataset) = (column("site_id"), column("dataset"));
    let mut expected = BTreeMap::new();
    for record in reader.records() {
        let record = record.expect("a row");
        let part: Part = record[dataset].parse().expect("train or test");
        expected.insert(record[site_id].to_owned(), part);
    }
    let split = split_with(sites, SplitScheme::BatchSeparated, false);
    assert_eq!(split.rows.into_iter().collect::<BTreeMap<_, _>>(), expected);
}

#[test]
fn the_official_split_has_the_published_counts() {
    let Some(sites) = real_sites() else {
        return;
    };
    let split = split_with(sites, SplitScheme::BatchSeparated, false);
    let counted = summary(sites, &split);
    assert_eq!(num_experiments(&counted, Part::Train), [7, 16, 7, 3]);
    assert_eq!(num_experiments(&counted, Part::Test), [4, 8, 4, 2]);
    assert_eq!(num_sites(&counted), [81_224, 0, 44_286]);
    let test = counted.parts[&Part::Test].total;
    assert_eq!(test.num_unlabelled_sites, 39_794);
    assert_eq!(counted.parts[&Part::Train].total.num_unlabelled_sites, 0);
    assert_eq!(counted.leaks.num_shared_wells, 0);
    assert_eq!(counted.leaks.shared_layouts.len(), 1);

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("split.parquet");
    write_split(&path, &split).expect("written");
    assert_eq!(read_split(&path).expect("read"), split);
}

#[test]
fn plates_hold_one_of_four_groups_of_277_treatments() {
    let Some(sites) = real_sites() else {
        return;
    };
    let mut plates: BTreeMap<&PlateKey, BTreeSet<String>> = BTreeMap::new();
    for site in sites {
        if site.well.control_role == ControlRole::Treatment
            && let Some(label) = site.well.label()
        {
            plates.entry(&site.key.plate).or_default().insert(label);
        }
    }
    assert_eq!(plates.len(), 33 * 4);
    // Treatments that ever share a plate are of one group.
    let mut groups: Vec<BTreeSet<String>> = Vec::new();
    for treatments in plates.values() {
        let (sharing, others) = groups
            .into_iter()
            .partition(|group: &BTreeSet<String>| !group.is_disjoint(treatments));
        groups = others;
        let sharing: Vec<BTreeSet<String>> = sharing;
        groups.push(
            sharing
                .into_iter()
                .flatten()
                .chain(treatments.clone())
                .collect(),
        );
    }
    let sizes: Vec<usize> = groups.iter().map(BTreeSet::len).collect();
    assert_eq!(sizes, [277; 4]);
    for (plate, treatments) in &plates {
        let holding = groups
            .iter()
            .filter(|group| treatments.is_subset(group))
            .count();
        assert_eq!(holding, 1, "{plate}");
    }
}

#[test]
fn wilds_has_the_published_numbers_of_images() {
    let Some(sites) = real_sites() else {
        return;
    };
    let official = |test| SplitScheme::WildsOfficial {
        validation: vec![],
        test,
    };
    let counted = summary(
        sites,
        &split_with(sites, official(WildsTest::OutOfDistribution), false),
    );
    assert_eq!(num_sites(&counted), [40_612, 9_854, 34_432]);
    assert_eq!(num_experiments(&counted, Part::Validation), [1; 4]);
    let counted = summary(
        sites,
        &split_with(sites, official(WildsTest::InDistribution), false),
    );
    assert_eq!(num_sites(&counted), [40_612, 9_854, 40_612]);
    assert_eq!(counted.leaks.num_shared_wells, 40_612);
    let mixed = SplitScheme::WildsMixedToTest { validation: vec![] };
    let counted = summary(sites, &split_with(sites, mixed, false));
    assert_eq!(num_experiments(&counted, Part::Train), [7, 16, 7, 3]);
    assert_eq!(num_experiments(&counted, Part::Test), [3, 7, 3, 1]);
    assert_eq!(num_sites(&counted)[1..], [9_854, 17_216]);
}

#[test]
fn schemes_that_need_labels_refuse_the_table_with_its_count() {
    let Some(sites) = real_sites() else {
        return;
    };
    for level in [SplitLevel::Well, SplitLevel::Site] {
        let config = SplitConfig {
            scheme: batch_stratified(level),
            seed: Seed::new(1),
            only_labelled: false,
        };
        assert_names(
            &message(make_split(sites, &config)),
            &[
                "39794 of 125510 sites have an unknown label",
                "hint:",
                "--only-labelled",
            ],
        );
    }
    let config = SplitConfig {
        scheme: SplitScheme::BatchSeparated,
        seed: Seed::new(1),
        only_labelled: true,
    };
    assert_names(
        &message(make_split(sites, &config)),
        &["the labelled part of the screen lacks HEPG2-08, HEPG2-09"],
    );
}

#[test]
fn the_labelled_experiments_are_stratified() {
    let Some(sites) = real_sites() else {
        return;
    };
    let split = split_with(sites, batch_stratified(SplitLevel::Well), true);
    check_batch_stratified(sites, &split, 33);

    let scheme = SplitScheme::Stratified8020 {
        cell_type: Some("HUVEC".into()),
        level: SplitLevel::Well,
    };
    let counted = summary(sites, &split_with(sites, scheme, true));
    for part in [Part::Train, Part::Test] {
        assert_eq!(num_experiments(&counted, part), [0, 16, 0, 0]);
    }
    let total = num_sites(&counted).iter().sum::<usize>() as f64;
    assert!((num_sites(&counted)[2] as f64 / total - 0.2).abs() < 1e-3);
}

/// Shares of 18/51 to test in every class and experiment, give or take one
/// well.
fn check_batch_stratified(sites: &[Site], split: &Split, num_experiments: usize) {
    let parts = split.parts(sites).expect("of this screen");
    let mut by_class: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    let mut by_experiment: BTreeMap<&Experiment, [usize; 2]> = BTreeMap::new();
    for (site, part) in sites.iter().zip(&parts) {
        let (Some(part), Some(label)) = (part, site.well.label()) else {
            continue;
        };
        let is_test = usize::from(*part == Part::Test);
        let of_experiment = by_experiment.entry(&site.key.plate.experiment).or_default();
        for counts in [by_class.entry(label).or_default(), of_experiment] {
            counts[0] += 1;
            counts[1] += is_test;
        }
    }
    assert_eq!(
        (by_class.len(), by_experiment.len()),
        (1139, num_experiments)
    );
    for [all, test] in by_class.values().chain(by_experiment.values()) {
        // Wells of two sites.
        let exact = *all as f64 / 2.0 * 18.0 / 51.0;
        assert!((*test as f64 / 2.0 - exact).abs() < 1.0, "{test} of {all}");
    }
    let counted = SplitSummary::of(sites, &parts);
    assert_eq!(counted.leaks.num_shared_wells, 0);
    assert_eq!(counted.leaks.shared_experiments.len(), num_experiments);
}

#[test]
fn a_fully_labelled_table_is_split_by_every_scheme() {
    let sites = labelled_table();
    let start = Instant::now();
    let split = split_with(&sites, batch_stratified(SplitLevel::Well), false);
    eprintln!(
        "batch-stratified split of 125,664 sites in {:?}",
        start.elapsed()
    );
    check_batch_stratified(&sites, &split, 51);
    // 18 of the 51 wells of each treatment, exactly.
    let mut test_sites: BTreeMap<String, usize> = BTreeMap::new();
    for (site, part) in sites
        .iter()
        .zip(split.parts(&sites).expect("of this screen"))
    {
        if site
            .well
            .label()
            .is_some_and(|label| label.starts_with("sirna"))
        {
            let count = test_sites
                .entry(site.well.label().expect("known"))
                .or_default();
            *count += usize::from(part == Some(Part::Test));
        }
    }
    assert_eq!(test_sites.len(), 1108);
    assert!(test_sites.values().all(|&count| count == 36));

    let by_site = split_with(&sites, batch_stratified(SplitLevel::Site), false);
    assert!(summary(&sites, &by_site).leaks.num_shared_wells > 10_000);
    let separated = summary(
        &sites,
        &split_with(&sites, SplitScheme::BatchSeparated, false),
    );
    assert_eq!(num_sites(&separated), [33 * 2464, 0, 18 * 2464]);
    for fold in 1..=6 {
        let cell_type = SplitScheme::CROSS_VALIDATION_CELL_TYPE.to_owned();
        let scheme = SplitScheme::CrossValidation { fold, cell_type };
        let rows = split_with(&sites, scheme, false).rows;
        let num_in = |part| rows.iter().filter(|(_, found)| *found == part).count();
        assert_eq!(Part::ALL.map(num_in), [16 * 2464, 4 * 2464, 4 * 2464]);
    }
    let scheme = SplitScheme::Stratified8020 {
        cell_type: Some("HUVEC".into()),
        level: SplitLevel::Well,
    };
    // A fifth of 1,232 wells is 246.4.
    let counted = summary(&sites, &split_with(&sites, scheme, false));
    assert_eq!(num_sites(&counted), [24 * 1972, 0, 24 * 492]);
    let scheme = SplitScheme::ExperimentsOfOneCellType {
        cell_type: "U2OS".into(),
        num_experiments: 3,
    };
    let counted = summary(&sites, &split_with(&sites, scheme, false));
    assert_eq!(num_sites(&counted), [3 * 2464, 0, 2 * 2464]);
}

#[test]
fn an_epoch_of_the_training_set_is_planned() {
    let Some(sites) = real_sites() else {
        return;
    };
    let split = split_with(sites, SplitScheme::BatchSeparated, false);
    let parts = split.parts(sites).expect("of this screen");
    let train: Vec<usize> = (0..parts.len())
        .filter(|&index| parts[index] == Some(Part::Train))
        .collect();
    let config = SingleDomainConfig {
        domain: Domain::Experiment,
        ghost_batch_size: 64,
        ghosts_per_step: 8,
        remainder: Remainder::Drop,
    };
    let sampler = SingleDomain::new(sites, &train, config, Seed::new(1)).expect("valid");
    // 38 ghost batches of 64 from each of 33 experiments, 8 per step.
    let start = Instant::now();
    let mut run = Batches::new(&sampler);
    let num_sites: usize = run
        .by_ref()
        .take(156)
        .map(|batch| batch.site_indices.len())
        .sum();
    assert_eq!(num_sites, 156 * 512);
    let position = run.position();
    assert_eq!((position.epoch, position.step), (1, 0));
    eprintln!(
        "an epoch of ghost batches planned in {:?}",
        start.elapsed() / 2
    );

    let config = CrossDomainConfig {
        batch_size: 64,
        other_cell_type: true,
        on_unpaired: OnUnpaired::Refuse,
        remainder: Remainder::Drop,
    };
    let start = Instant::now();
    let sampler = CrossDomain::new(sites, &train, config, Seed::new(1)).expect("all have partners");
    let mut run = Batches::new(&sampler);
    let batch = run.next().expect("never ends");
    eprintln!("an epoch of pairs planned in {:?}", start.elapsed());
    assert_eq!(
        (batch.partner_indices.len(), sampler.num_left_out()),
        (64, 0)
    );
    let all: Vec<usize> = (0..sites.len()).collect();
    assert_names(
        &message(CrossDomain::new(sites, &all, config, Seed::new(1))),
        &["39794 of 125510 sites have an unknown label"],
    );
}
