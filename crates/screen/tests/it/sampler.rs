//! Samplers: what an epoch holds, and that a run goes on where it stopped.

use std::collections::{BTreeMap, BTreeSet};

use morphospace_core::{Seed, Site};
use morphospace_screen::sampler::{
    Batch, Batches, ClassBalanced, CrossDomain, CrossDomainConfig, Domain, OnUnpaired, Remainder,
    Sampler, SamplerChoice, SamplerPosition, SingleDomain, SingleDomainConfig, Uniform,
};
use proptest::prelude::*;
use rand::seq::SliceRandom;

use crate::support::{assert_names, designed_sites, message, sites_of_well};

/// Three experiments of two plates, two of them of one cell type; five wells
/// and ten sites on each plate: 60 sites.
fn screen() -> Vec<Site> {
    let names = ["HUVEC-01", "HUVEC-02", "RPE-01"].map(str::to_owned);
    designed_sites(&names, 2, 3, 1)
}

fn all(sites: &[Site]) -> Vec<usize> {
    (0..sites.len()).collect()
}

fn single_domain(domain: Domain, remainder: Remainder) -> SingleDomainConfig {
    SingleDomainConfig {
        domain,
        ghost_batch_size: 3,
        ghosts_per_step: 2,
        remainder,
    }
}

fn cross_domain(other_cell_type: bool, on_unpaired: OnUnpaired) -> CrossDomainConfig {
    CrossDomainConfig {
        batch_size: 8,
        other_cell_type,
        on_unpaired,
        remainder: Remainder::Wrap,
    }
}

/// One of each, with either remainder.
fn samplers(sites: &[Site], remainder: Remainder, seed: Seed) -> Vec<Box<dyn Sampler>> {
    let indices = all(sites);
    let config = CrossDomainConfig {
        remainder,
        ..cross_domain(false, OnUnpaired::Refuse)
    };
    let single =
        |domain| SingleDomain::new(sites, &indices, single_domain(domain, remainder), seed);
    vec![
        Box::new(Uniform::new(sites, &indices, 7, remainder, seed).expect("valid")),
        Box::new(single(Domain::Plate).expect("valid")),
        Box::new(single(Domain::Experiment).expect("valid")),
        Box::new(ClassBalanced::new(sites, &indices, 7, remainder, seed).expect("valid")),
        Box::new(CrossDomain::new(sites, &indices, config, seed).expect("valid")),
    ]
}

fn used(batches: &[Batch]) -> Vec<usize> {
    let mut used: Vec<usize> = batches
        .iter()
        .flat_map(|batch| batch.site_indices.iter().copied())
        .collect();
    used.sort_unstable();
    used
}

#[test]
fn uniform_takes_every_site_once() {
    let screen = screen();
    let sites: Vec<usize> = (40..50).collect();
    let seed = Seed::new(5);
    let dropping = Uniform::new(&screen, &sites, 5, Remainder::Drop, seed).expect("valid");
    assert_eq!(used(&dropping.plan(0)), sites);
    assert_ne!(dropping.plan(0), dropping.plan(1));
    assert!(!dropping.uses_labels());
    let mut order = sites.clone();
    order.shuffle(&mut seed.split("epoch").split_index(3).rng());
    assert_eq!(dropping.order(3), order);

    let dropping = Uniform::new(&screen, &sites, 4, Remainder::Drop, seed).expect("valid");
    let plan = dropping.plan(3);
    assert_eq!(
        [&plan[0].site_indices[..], &plan[1].site_indices].concat(),
        order[..8]
    );
    assert_eq!(plan.len(), 2);
    let wrapping = Uniform::new(&screen, &sites, 4, Remainder::Wrap, seed).expect("valid");
    let plan = wrapping.plan(3);
    assert_eq!(plan[2].site_indices, [&order[8..], &order[..2]].concat());
}

#[test]
fn ghost_batches_are_of_one_domain_each() {
    let sites = screen();
    for domain in [Domain::Experiment, Domain::Plate] {
        let domain_of = |index: usize| {
            let plate = &sites[index].key.plate;
            match domain {
                Domain::Experiment => plate.experiment.to_string(),
                Domain::Plate => plate.to_string(),
            }
        };
        let config = single_domain(domain, Remainder::Drop);
        let sampler = SingleDomain::new(&sites, &all(&sites), config, Seed::new(1)).expect("valid");
        let plan = sampler.plan(0);
        // 3 experiments of 20 sites are 6 ghosts each, 6 plates of 10 are 3.
        assert_eq!(plan.len(), 9);
        let mut ghosts: BTreeMap<String, usize> = BTreeMap::new();
        for batch in &plan {
            assert_eq!(
                (batch.site_indices.len(), batch.ghost_batch_size),
                (6, Some(3))
            );
            for ghost in batch.site_indices.chunks(3) {
                let domains: BTreeSet<String> = ghost.iter().map(|&site| domain_of(site)).collect();
                assert_eq!(domains.len(), 1);
                *ghosts
                    .entry(domains.into_iter().next().expect("one"))
                    .or_default() += 1;
            }
        }
        let per_domain = if domain == Domain::Experiment { 6 } else { 3 };
        assert!(
            ghosts.values().all(|&count| count == per_domain),
            "{ghosts:?}"
        );
        let once: BTreeSet<usize> = used(&plan).into_iter().collect();
        assert_eq!(once.len(), 54, "no site twice");
        assert!(
            plan.iter().any(|batch| {
                domain_of(batch.site_indices[0]) != domain_of(batch.site_indices[3])
            })
        );

        let config = single_domain(domain, Remainder::Wrap);
        let sampler = SingleDomain::new(&sites, &all(&sites), config, Seed::new(1)).expect("valid");
        let plan = sampler.plan(0);
        let once: BTreeSet<usize> = used(&plan).into_iter().collect();
        assert_eq!(once.len(), 60, "every site");
        // 21 or 24 ghosts, two per step.
        assert_eq!(
            plan.len(),
            if domain == Domain::Experiment { 11 } else { 12 }
        );
    }
}

#[test]
fn classes_take_turns() {
    let sites = screen();
    let sampler =
        ClassBalanced::new(&sites, &all(&sites), 10, Remainder::Drop, Seed::new(1)).expect("valid");
    assert!(sampler.uses_labels());
    for epoch in 0..3 {
        let mut by_class: BTreeMap<String, BTreeMap<usize, usize>> = BTreeMap::new();
        for index in used(&sampler.plan(epoch)) {
            let label = sites[index].well.label().expect("known");
            *by_class.entry(label).or_default().entry(index).or_default() += 1;
        }
        // 60 draws of 8 classes: 7 or 8 of each, where the screen has 6
        // sites of a treatment and 12 of each control.
        assert_eq!(by_class.len(), 8);
        for times in by_class.values() {
            let total: usize = times.values().sum();
            assert!([7, 8].contains(&total), "{by_class:?}");
            assert!(times.values().all(|&count| count <= 2));
        }
        assert_eq!(by_class["sirna_0"].len(), 6, "all sites before any twice");
        assert!(by_class["EMPTY"].values().all(|&count| count == 1));
    }
    let other = ClassBalanced::new(&sites, &all(&sites), 10, Remainder::Drop, Seed::new(2));
    assert_ne!(other.expect("valid").plan(0), sampler.plan(0));
}

#[test]
fn pairs_share_their_perturbation_and_not_their_experiment() {
    let sites = screen();
    let config = cross_domain(false, OnUnpaired::Refuse);
    let sampler = CrossDomain::new(&sites, &all(&sites), config, Seed::new(1)).expect("valid");
    assert!(sampler.uses_labels());
    assert_eq!(sampler.num_left_out(), 0);
    let mut partners_of_first = BTreeMap::new();
    for epoch in 0..600 {
        for batch in sampler.plan(epoch) {
            assert_eq!(batch.site_indices.len(), batch.partner_indices.len());
            for (&site, &partner) in batch.site_indices.iter().zip(&batch.partner_indices) {
                let (a, b) = (&sites[site], &sites[partner]);
                assert_eq!(a.well.label(), b.well.label());
                assert_ne!(a.key.plate.experiment, b.key.plate.experiment);
                if site == 0 && epoch < 400 {
                    *partners_of_first.entry(partner).or_insert(0u32) += 1;
                }
            }
        }
    }
    // Two sites in each of two other experiments. Where the batch of the last
    // sites is filled up, the first may occur twice.
    assert_eq!(partners_of_first.len(), 4);
    assert!(
        partners_of_first.values().all(|&count| count > 60),
        "{partners_of_first:?}"
    );
}

#[test]
fn pairs_of_another_cell_type() {
    let sites = screen();
    let config = cross_domain(true, OnUnpaired::Refuse);
    let sampler = CrossDomain::new(&sites, &all(&sites), config, Seed::new(1)).expect("valid");
    for batch in sampler.plan(0) {
        for (&site, &partner) in batch.site_indices.iter().zip(&batch.partner_indices) {
            assert_ne!(sites[site].well.cell_type, sites[partner].well.cell_type);
        }
    }
    let of_huvec: Vec<usize> = (0..40).collect();
    let error = message(CrossDomain::new(&sites, &of_huvec, config, Seed::new(1)));
    assert_names(
        &error,
        &[
            "40 of 40 sites have no partner",
            "of another cell type",
            "HUVEC-01 plate 1 well B02",
            "hint:",
        ],
    );
}

#[test]
fn sites_without_label_or_partner_are_refused_or_left_out() {
    let mut sites = designed_sites(&["A-1".into(), "A-2".into()], 1, 2, 0);
    let well = |address: &str, label| {
        sites_of_well("A-3", "1", address.parse().expect("a well"), label, 2)
    };
    sites.extend(well("B02", None));
    sites.extend(well("B03", Some("only here")));
    let refuse = cross_domain(false, OnUnpaired::Refuse);
    let seed = Seed::new(1);
    assert_names(
        &message(CrossDomain::new(&sites, &all(&sites), refuse, seed)),
        &[
            "2 of 16 sites have an unknown label",
            "A-3 plate 1 well B02 site 1",
            "hint:",
        ],
    );
    let labelled: Vec<usize> = (0..16).filter(|index| ![12, 13].contains(index)).collect();
    assert_names(
        &message(CrossDomain::new(&sites, &labelled, refuse, seed)),
        &[
            "2 of 14 sites have no partner",
            "first A-3 plate 1 well B03 site 1",
            "hint:",
        ],
    );
    let skip = cross_domain(false, OnUnpaired::Skip);
    let sampler = CrossDomain::new(&sites, &all(&sites), skip, seed).expect("12 are paired");
    assert_eq!(sampler.num_left_out(), 4);
    let once: BTreeSet<usize> = used(&sampler.plan(0)).into_iter().collect();
    assert_eq!(once, (0..12).collect());
    assert_names(
        &message(CrossDomain::new(&sites, &[14, 15], skip, seed)),
        &["no site to sample"],
    );
    assert_names(
        &message(ClassBalanced::new(
            &sites,
            &all(&sites),
            4,
            Remainder::Drop,
            seed,
        )),
        &["2 of 16 sites have an unknown label", "hint:"],
    );
}

#[test]
fn impossible_batches_are_refused_with_the_numbers() {
    let sites = screen();
    let (drop, seed) = (Remainder::Drop, Seed::new(1));
    for (indices, batch_size, parts) in [
        (vec![], 3, ["no site", "hint:"]),
        (vec![1, 2], 0, ["batch size is 0", "hint: give at least 1"]),
        (vec![1, 2], 3, ["2 sites do not fill a batch of 3", "hint:"]),
    ] {
        assert_names(
            &message(Uniform::new(&sites, &indices, batch_size, drop, seed)),
            &parts,
        );
        let balanced = ClassBalanced::new(&sites, &indices, batch_size, drop, seed);
        assert_names(&message(balanced), &parts);
    }
    let refused = |indices: &[usize], ghost_batch_size, ghosts_per_step, parts: &[&str]| {
        let config = SingleDomainConfig {
            domain: Domain::Plate,
            ghost_batch_size,
            ghosts_per_step,
            remainder: drop,
        };
        assert_names(
            &message(SingleDomain::new(&sites, indices, config, seed)),
            parts,
        );
    };
    refused(&[], 1, 1, &["no site"]);
    refused(&[0], 0, 1, &["size of ghost batches is 0"]);
    refused(&[0], 1, 0, &["ghost batches per step is 0"]);
    refused(
        &all(&sites)[..12],
        3,
        1,
        &["HUVEC-01 plate 2 has 2 sites", "ghost batch of 3", "hint:"],
    );
    refused(
        &all(&sites),
        5,
        13,
        &["12 ghost batches", "a step of 13", "hint:"],
    );
    let wrapping = Uniform::new(&sites, &[1, 2], 5, Remainder::Wrap, seed).expect("wraps around");
    assert_eq!(wrapping.plan(0)[0].site_indices.len(), 5);
}

#[test]
fn a_position_past_the_end_is_the_next_epoch() {
    let sites = screen();
    let indices: Vec<usize> = (0..6).collect();
    let sampler = Uniform::new(&sites, &indices, 3, Remainder::Drop, Seed::new(1)).expect("valid");
    let resume = |epoch, step| {
        let position = SamplerPosition {
            epoch,
            step,
            sampler: sampler.identity().clone(),
        };
        Batches::resume(&sampler, &position).expect("of this sampler")
    };
    for step in [2, u64::MAX] {
        let position = resume(4, step).position();
        assert_eq!((position.epoch, position.step), (5, 0));
    }
    assert_eq!(
        resume(u64::MAX, 7).next(),
        sampler.plan(0).into_iter().next()
    );
}

#[test]
fn a_position_of_another_sampler_is_refused() {
    let sites = screen();
    let saved_by = |sampler: &dyn Sampler| Batches::new(sampler).position();
    let uniform = |sites: &[Site], indices: &[usize], batch_size, seed| {
        let seed = Seed::new(seed);
        Uniform::new(sites, indices, batch_size, Remainder::Drop, seed).expect("valid")
    };
    let run = uniform(&sites, &all(&sites), 7, 1);
    let refused = |position: &SamplerPosition, parts: &[&str]| {
        assert_names(&message(Batches::resume(&run, position).map(|_| ())), parts);
    };
    let other = samplers(&sites, Remainder::Drop, Seed::new(1)).remove(3);
    refused(
        &saved_by(&*other),
        &["kind class_balanced", "uniform", "hint:"],
    );
    let other = uniform(&sites, &all(&sites), 8, 1);
    refused(
        &saved_by(&other),
        &["settings", "\"batch_size\":8", "\"batch_size\":7"],
    );
    refused(
        &saved_by(&uniform(&sites, &all(&sites), 7, 2)),
        &["seed 2", "seed 1"],
    );
    refused(
        &saved_by(&uniform(&sites, &all(&sites)[1..], 7, 1)),
        &["sites 59 sites", "60 sites"],
    );
    let mut renamed = sites.clone();
    renamed[0].key.site = 9;
    let position = saved_by(&uniform(&renamed, &all(&sites), 7, 1));
    refused(&position, &["sites 60 sites (SHA-256 "]);

    // Labels count where the plan depends on them, and only there.
    let relabelled = {
        let names = ["HUVEC-01", "HUVEC-02", "RPE-01"].map(str::to_owned);
        designed_sites(&names, 2, 4, 0)
    };
    let same_keys = |sites: &[Site]| {
        sites
            .iter()
            .map(|site| site.key.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(same_keys(&relabelled), same_keys(&sites));
    let of_relabelled = uniform(&relabelled, &all(&sites), 7, 1);
    Batches::resume(&run, &saved_by(&of_relabelled)).expect("the same plan");
    let balanced = |sites: &[Site]| {
        ClassBalanced::new(sites, &all(sites), 7, Remainder::Drop, Seed::new(1)).expect("valid")
    };
    let (one, two) = (balanced(&sites), balanced(&relabelled));
    let error = message(Batches::resume(&one, &saved_by(&two)).map(|_| ()));
    assert_names(&error, &["sites 60 sites (SHA-256 "]);
}

/// Two imaging centres of three experiments each, named alike: 60 sites each.
fn two_sources() -> Vec<Site> {
    let mut sites = Vec::new();
    for source in ["source_1", "source_2"] {
        sites.extend(screen().into_iter().map(|mut site| {
            site.key.plate.source = Some(source.into());
            site
        }));
    }
    sites
}

#[test]
fn experiments_of_two_sources_are_two_domains() {
    let sites = two_sources();
    let domain_of = |index: usize| sites[index].key.plate.experiment_name();
    let config = single_domain(Domain::Experiment, Remainder::Drop);
    let sampler = SingleDomain::new(&sites, &all(&sites), config, Seed::new(1)).expect("valid");
    for batch in sampler.plan(0) {
        for ghost in batch.site_indices.chunks(3) {
            let domains: BTreeSet<String> = ghost.iter().map(|&site| domain_of(site)).collect();
            assert_eq!(domains.len(), 1, "{domains:?}");
        }
    }
    let config = SingleDomainConfig {
        ghost_batch_size: 21,
        ..config
    };
    let error = message(SingleDomain::new(
        &sites,
        &all(&sites),
        config,
        Seed::new(1),
    ));
    assert_names(&error, &["experiment source_1 HUVEC-01 has 20 sites"]);

    // One experiment name of each source, and partners in the other source.
    let of_one_name: Vec<usize> = (0..sites.len())
        .filter(|&index| sites[index].key.plate.experiment.as_str() == "HUVEC-01")
        .collect();
    let config = cross_domain(false, OnUnpaired::Refuse);
    let sampler = CrossDomain::new(&sites, &of_one_name, config, Seed::new(1)).expect("paired");
    for batch in sampler.plan(0) {
        for (&site, &partner) in batch.site_indices.iter().zip(&batch.partner_indices) {
            assert_ne!(
                sites[site].key.plate.source,
                sites[partner].key.plate.source
            );
        }
    }
}

proptest! {
    #[test]
    fn a_run_that_stops_goes_on_as_if_it_had_not(
        num_before in 0usize..60,
        seed: u64,
        wraps: bool,
    ) {
        let sites = screen();
        let remainder = if wraps { Remainder::Wrap } else { Remainder::Drop };
        for sampler in samplers(&sites, remainder, Seed::new(seed)) {
            let mut unbroken = Batches::new(&*sampler);
            unbroken.by_ref().take(num_before).for_each(drop);
            let saved = serde_json::to_string(&unbroken.position()).expect("serialises");
            let position: SamplerPosition = serde_json::from_str(&saved).expect("deserialises");
            let after: Vec<Batch> = unbroken.take(25).collect();
            let resumed: Vec<Batch> = Batches::resume(&*sampler, &position)
                .expect("of this sampler")
                .take(25)
                .collect();
            prop_assert_eq!(resumed, after);
        }
    }

    #[test]
    fn plans_depend_on_seed_and_epoch_alone(seed: u64, epoch: u64) {
        let sites = screen();
        let one = samplers(&sites, Remainder::Drop, Seed::new(seed));
        let two = samplers(&sites, Remainder::Drop, Seed::new(seed));
        let other = samplers(&sites, Remainder::Drop, Seed::new(!seed));
        for ((one, two), other) in one.iter().zip(&two).zip(&other) {
            two.plan(epoch ^ 1);
            let plan = one.plan(epoch);
            prop_assert_eq!(&plan, &two.plan(epoch));
            prop_assert_ne!(&plan, &one.plan(epoch ^ 1));
            prop_assert_ne!(&plan, &other.plan(epoch));
            let num_sites = plan[0].site_indices.len();
            prop_assert!(plan.iter().all(|batch| batch.site_indices.len() == num_sites));
        }
    }
}

#[test]
fn configurations_name_samplers() {
    let sites = screen();
    let indices = all(&sites);
    let seed = Seed::new(8);
    let opened = |text: &str| {
        let choice: SamplerChoice = toml::from_str(text).expect("valid");
        choice.open(&sites, &indices, 6, seed)
    };
    let drop = Remainder::Drop;
    let uniform = Uniform::new(&sites, &indices, 6, drop, seed).expect("valid");
    let single = SingleDomain::new(&sites, &indices, single_domain(Domain::Plate, drop), seed);
    let wrap = Remainder::Wrap;
    let balanced = ClassBalanced::new(&sites, &indices, 6, wrap, seed).expect("valid");
    let pairs = CrossDomainConfig {
        batch_size: 6,
        remainder: drop,
        ..cross_domain(true, OnUnpaired::Skip)
    };
    let pairs = CrossDomain::new(&sites, &indices, pairs, seed).expect("valid");
    let expected: [(&str, Box<dyn Sampler>); 4] = [
        ("kind = 'uniform'", Box::new(uniform)),
        (
            "kind = 'single_domain'\ndomain = 'plate'\nghost_batch_size = 3",
            Box::new(single.expect("valid")),
        ),
        (
            "kind = 'class_balanced'\nremainder = 'wrap'",
            Box::new(balanced),
        ),
        (
            "kind = 'cross_domain'\nother_cell_type = true\non_unpaired = 'skip'",
            Box::new(pairs),
        ),
    ];
    for (text, expected) in expected {
        let found = opened(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(found.identity(), expected.identity(), "{text}");
        assert_eq!(found.plan(2), expected.plan(2), "{text}");
    }
    assert_names(
        &message(opened("kind = 'single_domain'\nghost_batch_size = 4")),
        &["a batch of 6", "ghost batches of 4", "hint:"],
    );
    assert_names(
        &message(opened("kind = 'single_domain'\nghost_batch_size = 0")),
        &["the size of ghost batches is 0"],
    );
    for text in ["kind = 'unifrom'", "kind = 'uniform'\nremaindr = 'wrap'"] {
        assert!(toml::from_str::<SamplerChoice>(text).is_err(), "{text}");
    }
}
