//! Every scheme on screens small enough to work out by hand.

use std::collections::{BTreeMap, BTreeSet};

use morphospace_core::{Experiment, Seed, Site};
use morphospace_screen::split::{
    Leaks, Part, Split, SplitConfig, SplitError, SplitLevel, SplitScheme, SplitSummary, WildsTest,
    make_split,
};

use crate::support::{assert_names, designed_sites, message, rxrx1_experiments, sites_of_well};

/// RxRx1's experiments with one plate of five wells each: 510 sites.
fn tiny_rxrx1() -> Vec<Site> {
    designed_sites(&rxrx1_experiments(), 1, 3, 1)
}

fn named(names: &[&str]) -> Vec<Experiment> {
    names.iter().map(|name| Experiment::from(*name)).collect()
}

fn with_seed(sites: &[Site], scheme: SplitScheme, seed: u64) -> Result<Split, SplitError> {
    let config = SplitConfig {
        scheme,
        seed: Seed::new(seed),
        only_labelled: false,
    };
    make_split(sites, &config)
}

fn split(sites: &[Site], scheme: SplitScheme) -> Split {
    with_seed(sites, scheme, 1).expect("can be split")
}

fn refusal(sites: &[Site], scheme: SplitScheme) -> String {
    message(with_seed(sites, scheme, 1))
}

fn parts(sites: &[Site], split: &Split) -> Vec<Option<Part>> {
    split.parts(sites).expect("of this screen")
}

/// Names of the experiments that have a site in a part.
fn experiments_in(sites: &[Site], split: &Split, part: Part) -> BTreeSet<String> {
    let is_in = |pair: &(&Site, Option<Part>)| pair.1 == Some(part);
    let in_part = sites.iter().zip(parts(sites, split)).filter(is_in);
    in_part
        .map(|(site, _)| site.key.plate.experiment.to_string())
        .collect()
}

fn num_sites(split: &Split) -> [usize; 3] {
    Part::ALL.map(|part| {
        split
            .rows
            .iter()
            .filter(|(_, found)| *found == part)
            .count()
    })
}

/// `HUVEC-05`, `HUVEC-06`, ...
fn huvec(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<String> {
    numbers
        .into_iter()
        .map(|number| format!("HUVEC-{number:02}"))
        .collect()
}

#[test]
fn batch_separated_is_33_and_18_experiments() {
    let sites = tiny_rxrx1();
    let made = split(&sites, SplitScheme::BatchSeparated);
    assert_eq!(num_sites(&made), [330, 0, 180]);
    let test = experiments_in(&sites, &made, Part::Test);
    let mut expected = huvec(17..=24);
    for name in [
        "HEPG2-08", "HEPG2-09", "HEPG2-10", "HEPG2-11", "U2OS-04", "U2OS-05",
    ] {
        expected.insert(name.into());
    }
    expected.extend((8..=11).map(|number| format!("RPE-{number:02}")));
    assert_eq!(test, expected);
    assert_eq!(experiments_in(&sites, &made, Part::Train).len(), 33);
    assert_eq!(made.fold, None);
    let provenance = made.provenance.as_ref().expect("always made");
    assert_eq!(provenance.settings["scheme"], "batch-separated");
    assert_eq!(made.rows[0], ("HEPG2-01_1_B02_1".to_owned(), Part::Train));

    // Seeds draw nothing here.
    let again = with_seed(&sites, SplitScheme::BatchSeparated, 2).expect("split");
    assert_eq!(again.rows, made.rows);
}

#[test]
fn schemes_of_rxrx1_name_what_other_screens_lack() {
    let mut sites = tiny_rxrx1();
    sites.retain(|site| site.key.plate.experiment != Experiment::new("HUVEC-24"));
    sites.extend(sites_of_well(
        "VERO-01",
        "1",
        "B02".parse().expect("a well"),
        Some("s1"),
        1,
    ));
    let schemes = [
        SplitScheme::BatchSeparated,
        SplitScheme::WildsOfficial {
            validation: vec![],
            test: WildsTest::OutOfDistribution,
        },
        SplitScheme::WildsMixedToTest { validation: vec![] },
    ];
    for scheme in schemes {
        let error = refusal(&sites, scheme.clone());
        assert_names(
            &error,
            &[
                scheme.name(),
                "the screen lacks HUVEC-24 and has VERO-01",
                "hint:",
                "'leave-experiment-out'",
            ],
        );
    }
    let scheme = SplitScheme::ExperimentsOfOneCellType {
        cell_type: "HUVEC".into(),
        num_experiments: 3,
    };
    let error = refusal(&sites, scheme);
    assert_names(
        &error,
        &["experiments of HUVEC, but the screen lacks HUVEC-24\n"],
    );
}

#[test]
fn leave_experiment_out_takes_names_in_any_spelling() {
    let sites = designed_sites(&["A-01".into(), "A-02".into(), "A-03".into()], 1, 2, 0);
    let scheme = SplitScheme::LeaveExperimentOut {
        test: named(&["A-3"]),
        validation: named(&["A-01"]),
    };
    let made = split(&sites, scheme);
    assert_eq!(num_sites(&made), [6, 6, 6]);
    assert_eq!(made.rows[0], ("A-01_1_B02_1".to_owned(), Part::Validation));
    assert_eq!(made.rows[6], ("A-02_1_B02_1".to_owned(), Part::Train));
    assert_eq!(made.rows[17], ("A-03_1_B04_2".to_owned(), Part::Test));

    let refused = |test: &[&str], validation: &[&str], parts: &[&str]| {
        let scheme = SplitScheme::LeaveExperimentOut {
            test: named(test),
            validation: named(validation),
        };
        assert_names(&refusal(&sites, scheme), parts);
    };
    refused(
        &[],
        &[],
        &[
            "no experiment to test on",
            "hint: name them with --experiments",
        ],
    );
    refused(
        &["B-03"],
        &[],
        &["no experiment 'B-03'", "hint: did you mean 'A-0"],
    );
    refused(
        &["A-1"],
        &["gene-17"],
        &["'gene-17'", "hint: it has A-01, A-02, A-03"],
    );
    refused(
        &["A-1"],
        &["A-01"],
        &["A-1 is to be tested on and validated on", "hint:"],
    );
    refused(
        &["A-1", "A-2", "A-3"],
        &[],
        &["no site to train on", "hint:"],
    );
}

#[test]
fn leave_plate_out_takes_plates_of_every_experiment() {
    let sites = designed_sites(&["A-01".into(), "A-02".into(), "A-03".into()], 2, 2, 0);
    let scheme = |plates: &[&str], test: &[&str]| SplitScheme::LeavePlateOut {
        plates: plates.iter().map(ToString::to_string).collect(),
        test: named(test),
    };
    let made = split(&sites, scheme(&["2"], &["A-3"]));
    let is_test = |row: &(String, Part)| row.1 == Part::Test;
    for row in &made.rows {
        let expected = row.0.starts_with("A-03") || row.0.contains("_2_B");
        assert_eq!(is_test(row), expected, "{row:?}");
    }
    let refused = |scheme, parts: &[&str]| assert_names(&refusal(&sites, scheme), parts);
    refused(scheme(&[], &[]), &["no plate to test on", "--plates"]);
    refused(scheme(&["7"], &[]), &["has a plate '7'", "plates are 1, 2"]);
    refused(scheme(&["1"], &["B-01"]), &["no experiment 'B-01'"]);
    refused(scheme(&["1", "2"], &[]), &["no site to train on"]);
}

#[test]
fn cross_validation_turns_a_ring_of_six_blocks() {
    let sites = tiny_rxrx1();
    let fold = |fold| {
        let cell_type = "HUVEC".to_owned();
        let made = split(&sites, SplitScheme::CrossValidation { fold, cell_type });
        assert_eq!(made.fold, Some(fold));
        Part::ALL.map(|part| experiments_in(&sites, &made, part))
    };
    assert_eq!(fold(1), [huvec(1..=16), huvec(17..=20), huvec(21..=24)]);
    assert_eq!(fold(2), [huvec(5..=20), huvec(21..=24), huvec(1..=4)]);
    assert_eq!(fold(3), [huvec(9..=24), huvec(1..=4), huvec(5..=8)]);
    let sixth = [
        huvec((21..=24).chain(1..=12)),
        huvec(13..=16),
        huvec(17..=20),
    ];
    assert_eq!(fold(6), sixth);
    for part in [1, 2] {
        let once: Vec<String> = (1..=6).flat_map(|k| fold(k)[part].clone()).collect();
        assert_eq!(once.len(), 24);
        assert_eq!(BTreeSet::from_iter(once), huvec(1..=24));
    }

    let refused = |fold, cell_type: &str, parts: &[&str]| {
        let cell_type = cell_type.to_owned();
        assert_names(
            &refusal(&sites, SplitScheme::CrossValidation { fold, cell_type }),
            parts,
        );
    };
    refused(
        0,
        "HUVEC",
        &["no fold 0", "hint: folds are numbered from 1 to 6"],
    );
    refused(7, "HUVEC", &["no fold 7"]);
    refused(
        1,
        "RPE",
        &["11 experiments of RPE", "not 6 blocks", "hint:"],
    );
    refused(
        1,
        "VERO",
        &[
            "no site of cell type 'VERO'",
            "hint: it has HEPG2, HUVEC, RPE, U2OS",
        ],
    );
}

#[test]
fn stratified_80_20_draws_a_fifth_of_the_wells_of_every_experiment() {
    let mut sites = designed_sites(&["HUVEC-01".into(), "HUVEC-02".into()], 1, 9, 0);
    sites.extend(designed_sites(&["RPE-01".into()], 1, 12, 0));
    let scheme = |cell_type: Option<&str>, level| SplitScheme::Stratified8020 {
        cell_type: cell_type.map(str::to_owned),
        level,
    };
    // 10, 10 and 13 wells of two sites: 2, 2 and 3 to test.
    let made = split(&sites, scheme(None, SplitLevel::Well));
    assert_eq!(num_sites(&made), [52, 0, 14]);
    let summary = SplitSummary::of(&sites, &parts(&sites, &made));
    assert_eq!(summary.parts[&Part::Test].total.num_wells, 7);
    assert_eq!(summary.parts[&Part::Test].cell_types["RPE"].num_wells, 3);
    assert_eq!(summary.leaks.num_shared_wells, 0);
    assert_eq!(summary.leaks.shared_experiments.len(), 3);

    let huvec_only = split(&sites, scheme(Some("huvec"), SplitLevel::Well));
    assert_eq!(num_sites(&huvec_only), [32, 0, 8]);
    // What is drawn of an experiment depends on nothing else.
    assert_eq!(huvec_only.rows, made.rows[..40]);

    // 20, 20 and 26 sites: 4, 4 and 5 to test.
    let by_site = split(&sites, scheme(None, SplitLevel::Site));
    assert_eq!(num_sites(&by_site), [53, 0, 13]);
    assert!(Leaks::of(&sites, &parts(&sites, &by_site)).num_shared_wells > 0);
    assert_names(
        &refusal(&sites, scheme(Some("U2OS"), SplitLevel::Well)),
        &["'U2OS'", "hint: it has HUVEC, RPE"],
    );
}

#[test]
fn batch_stratified_draws_one_of_three_of_each_class_and_experiment() {
    let names = ["A-1".to_owned(), "A-2".to_owned(), "A-3".to_owned()];
    let address = |row, column| {
        morphospace_core::WellAddress::from_indices(row, column).expect("on the plate")
    };
    // Three treatments once per experiment, and a control four times.
    let mut sites = Vec::new();
    for name in &names {
        for (column, label) in ["s0", "s1", "s2", "c", "c", "c", "c"].iter().enumerate() {
            sites.extend(sites_of_well(name, "1", address(1, column), Some(label), 2));
        }
    }
    let scheme = SplitScheme::BatchStratified {
        train_fraction: 2.0 / 3.0,
        level: SplitLevel::Well,
    };
    for seed in 0..20 {
        let made = with_seed(&sites, scheme.clone(), seed).expect("can be split");
        let mut tested: BTreeMap<(&str, String), usize> = BTreeMap::new();
        for (site, part) in sites.iter().zip(parts(&sites, &made)) {
            let label = site.well.label().expect("known");
            let key = (site.key.plate.experiment.as_str(), label);
            *tested.entry(key).or_default() += usize::from(part == Some(Part::Test));
        }
        for label in ["s0", "s1", "s2"] {
            let of_class: usize = names
                .iter()
                .map(|name| tested[&(&name[..], label.into())])
                .sum();
            assert_eq!(of_class, 2, "one well of two sites");
        }
        let controls: Vec<usize> = names
            .iter()
            .map(|name| tested[&(&name[..], "c".into())])
            .collect();
        // A third of 4 wells is 1 or 2, a third of all 12 is 4.
        assert!(
            controls.iter().all(|count| [2, 4].contains(count)),
            "{controls:?}"
        );
        assert_eq!(controls.iter().sum::<usize>(), 8);
        // A third of 7 wells is 2 or 3.
        for name in &names {
            let of_experiment: usize = tested
                .iter()
                .filter(|((found, _), _)| found == name)
                .map(|(_, n)| n)
                .sum();
            assert!([4, 6].contains(&of_experiment));
        }
        assert_eq!(Leaks::of(&sites, &parts(&sites, &made)).num_shared_wells, 0);
    }

    for fraction in [0.0, 1.0, -0.1, f64::NAN] {
        let scheme = SplitScheme::BatchStratified {
            train_fraction: fraction,
            level: SplitLevel::Well,
        };
        assert_names(
            &refusal(&sites, scheme),
            &["train fraction", "hint:", "0.647"],
        );
    }
}

#[test]
fn wilds_takes_site_1_to_train() {
    let sites = tiny_rxrx1();
    let scheme = |validation: &[&str], test| SplitScheme::WildsOfficial {
        validation: named(validation),
        test,
    };
    let official = split(&sites, scheme(&[], WildsTest::OutOfDistribution));
    // 33 x 5 first sites; 4 and 14 experiments of 10 sites.
    assert_eq!(num_sites(&official), [165, 40, 140]);
    let assumed = ["HEPG2-08", "HUVEC-17", "RPE-08", "U2OS-04"];
    assert_eq!(
        experiments_in(&sites, &official, Part::Validation),
        assumed.map(str::to_owned).into()
    );
    let provenance = official.provenance.as_ref().expect("always made");
    assert_names(&provenance.settings["validation"], &["HUVEC-17", "assumed"]);
    assert_eq!(
        Leaks::of(&sites, &parts(&sites, &official)).num_shared_wells,
        0
    );

    let in_distribution = split(&sites, scheme(&[], WildsTest::InDistribution));
    assert_eq!(num_sites(&in_distribution), [165, 40, 165]);
    let leaks = Leaks::of(&sites, &parts(&sites, &in_distribution));
    assert_eq!(leaks.num_shared_wells, 165);
    assert_eq!(
        leaks.first_shared_well.as_deref(),
        Some("HEPG2-01 plate 1 well B02")
    );

    let named_ones = split(
        &sites,
        scheme(&["HUVEC-24", "HUVEC-23"], WildsTest::default()),
    );
    assert_eq!(num_sites(&named_ones), [165, 20, 160]);
    assert_eq!(
        named_ones.provenance.expect("always made").settings["validation"],
        "HUVEC-24, HUVEC-23"
    );
    assert_names(
        &refusal(&sites, scheme(&["HUVEC-16"], WildsTest::default())),
        &["HUVEC-16 is an official training experiment", "hint:"],
    );
    assert_names(
        &refusal(&sites, scheme(&["HUVEC-25"], WildsTest::default())),
        &["no experiment 'HUVEC-25'", "did you mean"],
    );
}

#[test]
fn wilds_mixed_to_test_trades_experiments_of_each_cell_type() {
    let sites = tiny_rxrx1();
    let mixed = split(&sites, SplitScheme::WildsMixedToTest { validation: vec![] });
    // (33 - 14 + 14) x 5 first sites, 14 x 5 second sites.
    assert_eq!(num_sites(&mixed), [165, 40, 70]);
    let train = experiments_in(&sites, &mixed, Part::Train);
    let huvec_train: BTreeSet<String> = train
        .iter()
        .filter(|name| name.starts_with("HUVEC"))
        .cloned()
        .collect();
    assert_eq!(huvec_train, huvec((8..=16).chain(18..=24)));
    for (name, is_in) in [
        ("HEPG2-03", false),
        ("HEPG2-04", true),
        ("RPE-03", false),
        ("RPE-04", true),
        ("U2OS-01", false),
        ("U2OS-02", true),
        ("U2OS-05", true),
        ("HEPG2-08", false),
    ] {
        assert_eq!(train.contains(name), is_in, "{name}");
    }
    let rows: BTreeMap<&str, Part> = mixed
        .rows
        .iter()
        .map(|(key, part)| (key.as_str(), *part))
        .collect();
    assert_eq!(rows["U2OS-05_1_B02_1"], Part::Train);
    assert_eq!(rows["U2OS-05_1_B02_2"], Part::Test);
    assert_eq!(rows["U2OS-02_1_B02_1"], Part::Train);
    assert!(!rows.contains_key("U2OS-02_1_B02_2"));
    let leaks = Leaks::of(&sites, &parts(&sites, &mixed));
    assert_eq!(
        (leaks.num_shared_wells, leaks.shared_experiments.len()),
        (70, 14)
    );
}

#[test]
fn experiments_of_one_cell_type_are_drawn_by_the_seed() {
    let sites = tiny_rxrx1();
    let drawn = |cell_type: &str, num_experiments, seed| {
        let scheme = SplitScheme::ExperimentsOfOneCellType {
            cell_type: cell_type.to_owned(),
            num_experiments,
        };
        let made = with_seed(&sites, scheme, seed).expect("can be split");
        let test = experiments_in(&sites, &made, Part::Test);
        (experiments_in(&sites, &made, Part::Train), test)
    };
    let (train, test) = drawn("u2os", 3, 1);
    assert_eq!(
        train,
        ["U2OS-01", "U2OS-02", "U2OS-03"].map(str::to_owned).into()
    );
    assert_eq!(test, ["U2OS-04", "U2OS-05"].map(str::to_owned).into());
    let draws: BTreeSet<_> = (0..10).map(|seed| drawn("HUVEC", 3, seed).0).collect();
    assert!(draws.len() > 5);
    assert!(
        draws
            .iter()
            .all(|train| train.len() == 3 && train.is_subset(&huvec(1..=16)))
    );
    assert_eq!(drawn("HUVEC", 3, 4), drawn("HUVEC", 3, 4));

    for (cell_type, num_experiments, parts) in [
        ("U2OS", 4, ["4 of 3 training experiments of U2OS", "hint:"]),
        ("U2OS", 0, ["0 of 3 training experiments", "hint:"]),
        ("VERO", 1, ["'VERO'", "hint: it has"]),
    ] {
        let scheme = SplitScheme::ExperimentsOfOneCellType {
            cell_type: cell_type.to_owned(),
            num_experiments,
        };
        assert_names(&refusal(&sites, scheme), &parts);
    }
}

#[test]
fn unknown_labels_are_counted_and_can_be_left_out() {
    let mut sites = designed_sites(&["A-1".into(), "A-2".into()], 1, 3, 0);
    let address = "C05".parse().expect("a well");
    sites.extend(sites_of_well("A-3", "1", address, None, 2));
    sites.extend(sites_of_well(
        "A-3",
        "1",
        "C06".parse().expect("a well"),
        Some("sirna_0"),
        2,
    ));
    let mut config = SplitConfig {
        scheme: SplitScheme::BatchStratified {
            train_fraction: 0.5,
            level: SplitLevel::Well,
        },
        seed: Seed::new(1),
        only_labelled: false,
    };
    assert_names(
        &message(make_split(&sites, &config)),
        &[
            "2 of 20 sites have an unknown label",
            "batch-stratified",
            "hint:",
            "--only-labelled",
        ],
    );
    config.only_labelled = true;
    let made = make_split(&sites, &config).expect("two experiments are labelled");
    assert_eq!(made.rows.len(), 16);
    let summary = SplitSummary::of(&sites, &parts(&sites, &made));
    assert_eq!(summary.num_unassigned_sites, 4);

    let hidden = &sites[16..];
    assert_names(
        &message(make_split(hidden, &config)),
        &[
            "every experiment has sites with an unknown label (2 of 4 sites)",
            "hint:",
        ],
    );
    config.scheme = SplitScheme::LeaveExperimentOut {
        test: named(&["A-3"]),
        validation: vec![],
    };
    assert_names(
        &message(make_split(&sites, &config)),
        &["the labelled part of the screen has no experiment 'A-3'"],
    );
    config.only_labelled = false;
    let made = make_split(&sites, &config).expect("no label is needed");
    let summary = SplitSummary::of(&sites, &parts(&sites, &made));
    assert_eq!(summary.parts[&Part::Test].total.num_unlabelled_sites, 2);
    assert_eq!(summary.parts[&Part::Train].total.num_unlabelled_sites, 0);
}

#[test]
fn experiments_of_one_name_in_two_sources_are_not_shared() {
    let mut sites = Vec::new();
    for source in ["source_1", "source_2"] {
        let of_source = designed_sites(&["Batch1".into()], 1, 1, 0).into_iter();
        sites.extend(of_source.map(|mut site| {
            site.key.plate.source = Some(source.into());
            site
        }));
    }
    let (train, test) = (Some(Part::Train), Some(Part::Test));
    let num_of_source = sites.len() / 2;
    let apart: Vec<Option<Part>> = (0..sites.len())
        .map(|index| if index < num_of_source { train } else { test })
        .collect();
    let summary = SplitSummary::of(&sites, &apart);
    assert!(summary.leaks.shared_experiments.is_empty());
    assert_eq!(summary.parts[&Part::Train].total.num_experiments, 1);
    let mut together = apart;
    together[num_of_source] = train;
    together[num_of_source + 1] = train;
    let summary = SplitSummary::of(&sites, &together);
    assert_eq!(summary.leaks.shared_experiments, ["source_2 Batch1"]);
    assert_eq!(summary.parts[&Part::Train].total.num_experiments, 2);
}

#[test]
fn what_parts_share_is_said() {
    let mut sites = designed_sites(&["HUVEC-18".into()], 1, 1, 0);
    sites.extend(designed_sites(&["RPE-03".into()], 1, 1, 0));
    let (train, test) = (Some(Part::Train), Some(Part::Test));
    let leaks = Leaks::of(&sites, &[train, test, train, train, None, test, test, test]);
    assert_eq!(leaks.num_shared_wells, 1);
    assert_eq!(leaks.shared_experiments, ["HUVEC-18"]);
    assert_eq!(leaks.shared_layouts.len(), 1);
    assert_names(
        &leaks.to_string(),
        &[
            "1 (first HUVEC-18 plate 1 well B02)",
            "1 (first HUVEC-18)",
            "HUVEC-18 and RPE-03",
        ],
    );
    assert_names(
        &message(leaks.refuse_shared_wells()),
        &[
            "1 wells",
            "HUVEC-18 plate 1 well B02",
            "hint: keep the sites of a well together",
        ],
    );
    let apart = Leaks::of(
        &sites,
        &[train, train, train, train, test, test, test, test],
    );
    assert_eq!(
        (apart.num_shared_wells, apart.shared_experiments.len()),
        (0, 0)
    );
    assert_eq!(apart.shared_layouts.len(), 1);
    apart.refuse_shared_wells().expect("no well is shared");
    let together = Leaks::of(&sites, &[train; 8]);
    assert_eq!(together.shared_layouts, []);
    assert_names(
        &together.to_string(),
        &[
            "wells in several parts: none",
            "experiments in several parts: none",
        ],
    );
}

#[test]
fn the_summary_counts_by_part_and_cell_type() {
    let sites = tiny_rxrx1();
    let made = split(&sites, SplitScheme::BatchSeparated);
    let summary = SplitSummary::of(&sites, &parts(&sites, &made));
    let test = &summary.parts[&Part::Test];
    assert_eq!((test.total.num_experiments, test.total.num_wells), (18, 90));
    assert_eq!(test.cell_types["HUVEC"].num_sites, 80);
    let json = serde_json::to_string(&summary).expect("serialises");
    let read: SplitSummary = serde_json::from_str(&json).expect("deserialises");
    assert_eq!(read, summary);
    let expected = "\
part        cell type    experiments    wells    sites  unknown labels
train       all                   33      165      330               0
            HEPG2                  7       35       70               0
            HUVEC                 16       80      160               0
            RPE                    7       35       70               0
            U2OS                   3       15       30               0
test        all                   18       90      180               0
            HEPG2                  4       20       40               0
            HUVEC                  8       40       80               0
            RPE                    4       20       40               0
            U2OS                   2       10       20               0
sites in no part: 0
wells in several parts: none
experiments in several parts: none
same layout in different parts: HUVEC-18 and RPE-03; do not use plate positions
";
    assert_eq!(summary.to_string(), expected);
}
