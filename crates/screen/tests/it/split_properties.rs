//! What holds for every screen and every seed.

use std::collections::{BTreeMap, BTreeSet};

use morphospace_core::{Seed, Site, WellAddress, sha256_hex};
use morphospace_screen::split::{
    Leaks, Part, Split, SplitConfig, SplitError, SplitLevel, SplitScheme, make_split, read_split,
    write_split,
};
use proptest::prelude::*;

use crate::support::{designed_sites, rxrx1_experiments, sites_of_well};

/// Screens of up to 5 experiments whose wells have any of 6 labels and up to
/// 3 sites.
fn any_screen() -> impl Strategy<Value = Vec<Site>> {
    let wells = proptest::collection::btree_map((0u32..5, 0usize..30), (0u32..6, 1u32..4), 4..80);
    wells.prop_map(|wells| {
        let sites_of = |((experiment, place), (label, num_sites))| {
            let address = WellAddress::from_indices(place / 6, place % 6).expect("on the plate");
            let label = format!("s{label}");
            sites_of_well(
                &format!("A-{experiment}"),
                "1",
                address,
                Some(&label),
                num_sites,
            )
        };
        wells.into_iter().flat_map(sites_of).collect()
    })
}

fn any_level() -> impl Strategy<Value = SplitLevel> {
    prop_oneof![Just(SplitLevel::Well), Just(SplitLevel::Site)]
}

/// Units, wells or sites, by what `group` says of a site: how many there are,
/// and how many are in a part.
fn counts<K: Ord>(
    sites: &[Site],
    parts: &[Option<Part>],
    level: SplitLevel,
    part: Part,
    group: impl Fn(&Site) -> K,
) -> BTreeMap<K, (usize, usize)> {
    let mut seen = BTreeSet::new();
    let mut counts: BTreeMap<K, (usize, usize)> = BTreeMap::new();
    for (site, found) in sites.iter().zip(parts) {
        let unit = match level {
            SplitLevel::Well => site.key.well_id(),
            SplitLevel::Site => site.key.site_id(),
        };
        if seen.insert(unit) {
            let entry = counts.entry(group(site)).or_default();
            entry.0 += 1;
            entry.1 += usize::from(*found == Some(part));
        }
    }
    counts
}

/// Whether a count is a share of another, rounded down or up.
fn is_share(num: usize, of: usize, share: f64) -> bool {
    let exact = of as f64 * share;
    // A millionth of each is what shares are rounded to.
    (num as f64 - exact).abs() < 1.0 + 1e-6 * of as f64
}

/// The split; `None` where a few wells have all come to one part.
fn split_unless_empty(sites: &[Site], config: &SplitConfig) -> Option<Split> {
    match make_split(sites, config) {
        Err(SplitError::EmptyPart { .. }) if sites.len() < 30 => None,
        split => Some(split.expect("nothing else is wrong")),
    }
}

proptest! {
    #[test]
    fn batch_stratified_keeps_every_share_within_one(
        sites in any_screen(),
        level in any_level(),
        train_fraction in 0.2f64..0.8,
        seed: u64,
    ) {
        let scheme = SplitScheme::BatchStratified { train_fraction, level };
        let config = SplitConfig { scheme, seed: Seed::new(seed), only_labelled: false };
        let Some(split) = split_unless_empty(&sites, &config) else { return Ok(()) };
        prop_assert_eq!(split.rows.len(), sites.len());
        let parts = split.parts(&sites).expect("of this screen");
        let label = |site: &Site| site.well.label();
        let experiment = |site: &Site| site.key.plate.experiment.clone();
        let test = Part::Test;
        for (num, of) in [
            counts(&sites, &parts, level, test, label).into_values().collect::<Vec<_>>(),
            counts(&sites, &parts, level, test, experiment).into_values().collect(),
            counts(&sites, &parts, level, test, |site| (label(site), experiment(site)))
                .into_values()
                .collect(),
        ]
        .into_iter()
        .flatten()
        .map(|(of, num)| (num, of))
        {
            prop_assert!(is_share(num, of, 1.0 - train_fraction), "{num} of {of}");
        }
        if level == SplitLevel::Well {
            prop_assert_eq!(Leaks::of(&sites, &parts).num_shared_wells, 0);
        }
    }

    #[test]
    fn stratified_80_20_keeps_every_experiment_within_one(
        sites in any_screen(),
        level in any_level(),
        seed: u64,
    ) {
        let scheme = SplitScheme::Stratified8020 { cell_type: None, level };
        let config = SplitConfig { scheme, seed: Seed::new(seed), only_labelled: false };
        let Some(split) = split_unless_empty(&sites, &config) else { return Ok(()) };
        let parts = split.parts(&sites).expect("of this screen");
        let experiment = |site: &Site| site.key.plate.experiment.clone();
        for (of, num) in counts(&sites, &parts, level, Part::Test, experiment).into_values() {
            prop_assert!((num as f64 - of as f64 / 5.0).abs() <= 0.5, "{num} of {of}");
        }
        if level == SplitLevel::Well {
            prop_assert_eq!(Leaks::of(&sites, &parts).num_shared_wells, 0);
        }
    }

    #[test]
    fn a_split_is_the_same_again_and_in_its_file(
        sites in any_screen(),
        level in any_level(),
        seed: u64,
    ) {
        let scheme = SplitScheme::BatchStratified { train_fraction: 0.5, level };
        let config = SplitConfig { scheme, seed: Seed::new(seed), only_labelled: false };
        let Some(split) = split_unless_empty(&sites, &config) else { return Ok(()) };
        prop_assert_eq!(&make_split(&sites, &config).expect("again"), &split);
        let keys: BTreeSet<&String> = split.rows.iter().map(|(key, _)| key).collect();
        prop_assert_eq!(keys.len(), split.rows.len(), "each site once");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("split.parquet");
        write_split(&path, &split).expect("written");
        prop_assert_eq!(read_split(&path).expect("read"), split);
    }
}

#[test]
fn seeds_change_what_is_drawn_and_nothing_else() {
    let sites = designed_sites(&rxrx1_experiments(), 1, 6, 1);
    let drawn = [
        SplitScheme::BatchStratified {
            train_fraction: SplitScheme::BATCH_STRATIFIED_TRAIN_FRACTION,
            level: SplitLevel::Well,
        },
        SplitScheme::Stratified8020 {
            cell_type: None,
            level: SplitLevel::Well,
        },
        SplitScheme::ExperimentsOfOneCellType {
            cell_type: "HUVEC".into(),
            num_experiments: 3,
        },
    ];
    for scheme in drawn {
        let rows = |seed| {
            let config = SplitConfig {
                scheme: scheme.clone(),
                seed: Seed::new(seed),
                only_labelled: false,
            };
            make_split(&sites, &config).expect("can be split").rows
        };
        assert_ne!(rows(1), rows(2), "{}", scheme.name());
        assert_eq!(rows(1).len(), rows(2).len(), "{}", scheme.name());
    }
}

#[test]
fn draws_are_frozen() {
    // A change here changes every split that is made anew: if it is meant,
    // CHANGELOG.md says so.
    let sites = designed_sites(&rxrx1_experiments(), 1, 6, 1);
    let schemes = [
        SplitScheme::BatchStratified {
            train_fraction: SplitScheme::BATCH_STRATIFIED_TRAIN_FRACTION,
            level: SplitLevel::Well,
        },
        SplitScheme::Stratified8020 {
            cell_type: None,
            level: SplitLevel::Well,
        },
    ];
    let digests = schemes.map(|scheme| {
        let config = SplitConfig {
            scheme,
            seed: Seed::new(1),
            only_labelled: false,
        };
        let split = make_split(&sites, &config).expect("can be split");
        let parts: String = split.rows.iter().map(|(_, part)| part.as_str()).collect();
        sha256_hex(parts.as_bytes())[..16].to_owned()
    });
    assert_eq!(digests, ["ea66b2f7041a32a0", "37071982b0d65c9c"]);
}

#[test]
fn every_well_has_the_same_chance_to_be_tested_on() {
    // 12 classes once in each of 6 experiments, a third to test.
    let names: Vec<String> = (1..=6).map(|number| format!("A-{number}")).collect();
    let sites = designed_sites(&names, 1, 11, 0);
    let mut times = vec![0u32; sites.len()];
    for seed in 0..400 {
        let scheme = SplitScheme::BatchStratified {
            train_fraction: 2.0 / 3.0,
            level: SplitLevel::Well,
        };
        let config = SplitConfig {
            scheme,
            seed: Seed::new(seed),
            only_labelled: false,
        };
        let parts = make_split(&sites, &config).and_then(|split| split.parts(&sites));
        for (count, part) in times.iter_mut().zip(parts.expect("can be split")) {
            *count += u32::from(part == Some(Part::Test));
        }
    }
    // Mean 133, standard deviation 9.4; 72 wells stay within four.
    assert!(
        times.iter().all(|count| (96..=171).contains(count)),
        "{times:?}"
    );
}
