//! Curation: steps by hand, properties, and what is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use morphospace_core::{
    ControlRole, Perturbation, PlateKey, Seed, Site, SiteKey, Well, WellAddress,
};
use morphospace_map::{
    Bound, CurateError, CurateSettings, CurateStep, Curated, CurationRow, CurationTable, Draw,
    PhenoprintTable, QualityRules, UnderSampling, curate, curate_profiles,
};
use morphospace_profiles::{Column, Features, Profiles, read_metadata};
use proptest::prelude::*;

fn row(experiment: &str, well: usize, role: ControlRole, conditions: &[&str]) -> CurationRow {
    CurationRow {
        plate: PlateKey::new(experiment, (well / 100).to_string()),
        well: format!("well {well:03}"),
        control_role: role,
        conditions: Some(conditions.iter().map(|name| (*name).to_owned()).collect()),
    }
}

/// So many experiments, each with 7 wells of A and B, 2 of C and of C with B, 30
/// negative controls, 20 positive ones, 10 untreated wells.
fn screen(num_experiments: usize) -> Vec<CurationRow> {
    use ControlRole::{NegativeControl, PositiveControl, Treatment, Untreated};
    let groups: [(usize, ControlRole, &[&str]); 7] = [
        (7, Treatment, &["A"]),
        (7, Treatment, &["B"]),
        (2, Treatment, &["C"]),
        (2, Treatment, &["C", "B"]),
        (30, NegativeControl, &["scrambled"]),
        (20, PositiveControl, &["PLK1"]),
        (10, Untreated, &[]),
    ];
    let mut rows = Vec::new();
    for experiment in 1..=num_experiments {
        let wells = groups.iter().flat_map(|group| vec![*group; group.0]);
        rows.extend(wells.enumerate().map(|(well, (_, role, conditions))| {
            row(&format!("HUVEC-{experiment:02}"), well, role, conditions)
        }));
    }
    rows
}

/// Conditions of what is kept, and in how many rows.
fn kept(rows: &[CurationRow], curated: &Curated) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (row, _) in rows.iter().zip(&curated.keep).filter(|(_, keep)| **keep) {
        let name = row.conditions.clone().unwrap_or_default().join("+");
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn phenoprints(conditions: &[(&str, bool)]) -> PhenoprintTable {
    let conditions = conditions
        .iter()
        .map(|(name, has)| ((*name).to_owned(), *has));
    PhenoprintTable::new("made up", conditions)
}

#[test]
fn steps_by_hand() {
    let rows = screen(3);
    let table = CurationTable::new(rows.clone()).unwrap();
    let models = [
        phenoprints(&[("A", false), ("B", true), ("PLK1", false)]),
        phenoprints(&[("A", false), ("PLK1", true)]),
    ];
    let curated = curate(&table, &models, &CurateSettings::default()).unwrap();
    // C is in 4 wells of 3 experiments: 12 of 20 wells. With B it stays, which is in
    // 27. A is in 21 and has no phenoprint by either model.
    let expected = [
        ("", 3),
        ("B", 21),
        ("C+B", 6),
        ("PLK1", 6),
        ("scrambled", 27),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(kept(&rows, &curated), BTreeMap::from(expected));
    let reasons: Vec<(CurateStep, &str, usize)> = curated
        .summary
        .rows
        .iter()
        .map(|row| (row.step, row.reason.as_str(), row.num_dropped))
        .collect();
    assert_eq!(
        reasons,
        [
            (CurateStep::Quality, "nothing dropped", 0),
            (CurateStep::Perturbations, "nothing dropped", 0),
            (CurateStep::Spread, "conditions in fewer than 20 wells", 6),
            (
                CurateStep::UnderSampling,
                "a share of 0.3 of negative controls is kept",
                63
            ),
            (
                CurateStep::UnderSampling,
                "a share of 0.1 of positive controls is kept",
                54
            ),
            (
                CurateStep::UnderSampling,
                "a share of 0.1 of wells without perturbation is kept",
                27
            ),
            (CurateStep::Phenoprints, "no phenoprint", 21),
        ]
    );
    let last = curated.summary.rows.last().unwrap();
    let num_kept = curated.keep.iter().filter(|keep| **keep).count();
    assert_eq!(last.rows_left, num_kept);
    assert_eq!((last.wells_left, last.conditions_left), (num_kept, 3));
    let of_c = rows
        .iter()
        .position(|row| row.conditions == Some(vec!["C".to_owned()]));
    assert_eq!(
        curated.reasons[of_c.unwrap()].as_deref(),
        Some("spread: 'C' is in 12 of at least 20 wells")
    );
    let table = curated.summary.to_table();
    assert_eq!(table.keys("rows_dropped").unwrap()[2], "6");
}

#[test]
fn quality_counts_sites_and_perturbations_wells() {
    let mut rows = Vec::new();
    for well in 0..4 {
        let conditions: &[&str] = match well {
            0 => &["A", "B", "C", "D"],
            _ => &["A"],
        };
        let of_well = row("E-1", well, ControlRole::Treatment, conditions);
        rows.extend([of_well.clone(), of_well]);
    }
    let mut unknown = row("E-1", 9, ControlRole::Treatment, &[]);
    unknown.conditions = None;
    rows.push(unknown);
    let num_rows = rows.len();
    let bad = |at: usize| (0..num_rows).map(|row| Some(row == at)).collect();
    let mut measures = vec![Some(5.0); num_rows];
    (measures[3], measures[4]) = (Some(0.5), None);
    let mut sizes = vec![Some([512, 512]); num_rows];
    sizes[6] = Some([1024, 512]);
    let mut channels = vec![6; num_rows];
    channels[7] = 5;
    let table = CurationTable::new(rows)
        .unwrap()
        .with_flag("qc_blank", bad(2))
        .unwrap()
        .with_flag("qc_duplicate", bad(5))
        .unwrap()
        .with_measure("focus", measures)
        .unwrap()
        .with_image_sizes_px(sizes)
        .unwrap()
        .with_num_channels(channels)
        .unwrap();
    let settings = CurateSettings {
        quality: QualityRules {
            ignore: vec!["qc_duplicate".to_owned()],
            bounds: vec![Bound {
                column: "focus".to_owned(),
                min: Some(1.0),
                max: None,
            }],
            ..QualityRules::default()
        },
        min_experiments: 1,
        min_wells: 1,
        ..CurateSettings::default()
    };
    let curated = curate(&table, &[], &settings).unwrap();
    let reasons: Vec<&str> = curated
        .reasons
        .iter()
        .map(|reason| reason.as_deref().unwrap_or("kept"))
        .collect();
    assert_eq!(
        reasons,
        [
            "perturbations: 4 perturbations, more than 3",
            "perturbations: 4 perturbations, more than 3",
            "quality: 'qc_blank' is true",
            "quality: 'focus' is 0.5, below 1",
            "quality: 'focus' has no value",
            "kept",
            "perturbations: images of 1024 x 512 pixels, not 512 x 512",
            "perturbations: 5 channels, not 6",
            "perturbations: the perturbation is not known",
        ]
    );
    // Without tables of phenoprints the step is not taken, and says so.
    let last = curated.summary.rows.last().unwrap();
    assert!(
        last.reason.starts_with("not taken: no table"),
        "{}",
        last.reason
    );
}

#[test]
fn all_sites_of_a_well_share_its_draw() {
    let mut rows = screen(2);
    rows.extend(rows.clone());
    let table = CurationTable::new(rows.clone()).unwrap();
    let mut settings = CurateSettings {
        min_experiments: 2,
        min_wells: 1,
        ..CurateSettings::default()
    };
    for draw in [Draw::Exact, Draw::Bernoulli] {
        settings.under_sampling.draw = draw;
        let curated = curate(&table, &[], &settings).unwrap();
        let (first, second) = curated.keep.split_at(rows.len() / 2);
        assert_eq!(first, second);
        assert!(first.contains(&false));
    }
}

#[test]
fn bernoulli_keeps_about_the_share() {
    let rows = (0..4000).map(|well| row("E-1", well, ControlRole::NegativeControl, &["x"]));
    let treated = row("E-1", 9999, ControlRole::Treatment, &["A"]);
    let table = CurationTable::new(rows.chain([treated])).unwrap();
    let settings = CurateSettings {
        min_experiments: 1,
        min_wells: 1,
        under_sampling: UnderSampling {
            draw: Draw::Bernoulli,
            ..UnderSampling::default()
        },
        ..CurateSettings::default()
    };
    let curated = curate(&table, &[], &settings).unwrap();
    let num_kept = curated.keep.iter().filter(|keep| **keep).count();
    // Five standard deviations of a binomial of 4000 and 0.3: 145.
    assert!((1055..=1346).contains(&num_kept), "{num_kept}");
    let mut other = settings.clone();
    other.under_sampling.seed = Seed::new(1);
    assert_ne!(curate(&table, &[], &other).unwrap().keep, curated.keep);
}

#[test]
fn steps_can_be_left_out() {
    let rows = screen(2);
    let table = CurationTable::new(rows.clone()).unwrap();
    let settings = CurateSettings {
        skip: CurateStep::ALL.to_vec(),
        ..CurateSettings::default()
    };
    let curated = curate(&table, &[phenoprints(&[("Z", true)])], &settings).unwrap();
    assert!(curated.keep.iter().all(|keep| *keep));
    assert!(
        curated
            .summary
            .rows
            .iter()
            .all(|row| row.reason == "not taken")
    );
}

#[test]
fn controls_need_phenoprints_if_asked() {
    let rows = screen(3);
    let table = CurationTable::new(rows.clone()).unwrap();
    let models = [phenoprints(&[("A", true), ("scrambled", false)])];
    let settings = CurateSettings {
        controls_need_phenoprints: true,
        ..CurateSettings::default()
    };
    let curated = curate(&table, &models, &settings).unwrap();
    assert_eq!(
        kept(&rows, &curated),
        BTreeMap::from([("A".to_owned(), 21)])
    );
}

#[test]
fn two_experiments_are_too_few_and_the_message_says_how_to_go_on() {
    let table = CurationTable::new(screen(2)).unwrap();
    let error = curate(&table, &[], &CurateSettings::default()).unwrap_err();
    assert!(matches!(
        error,
        CurateError::NothingLeft {
            step: CurateStep::Spread,
            ..
        }
    ));
    let message = error.to_string();
    for words in [
        "none of the 4 conditions",
        "in 2 experiments at most",
        "in 60 wells at most",
        "at least 3 and 20 are asked for",
        "min_experiments",
        "skip 'spread'",
    ] {
        assert!(message.contains(words), "'{words}' is not in: {message}");
    }
}

#[test]
fn phenoprints_of_other_conditions_are_refused_with_examples() {
    let table = CurationTable::new(screen(3)).unwrap();
    let others = phenoprints(&[("TP53_1", true), ("TP53_2", false)]);
    let message = curate(&table, &[others], &CurateSettings::default())
        .unwrap_err()
        .to_string();
    for words in ["none of the 4 conditions", "among the 2", "'A'", "'TP53_1'"] {
        assert!(message.contains(words), "'{words}' is not in: {message}");
    }
    // Some in common is enough, and is told.
    let some = phenoprints(&[("A", true)]);
    let curated = curate(&table, &[some], &CurateSettings::default()).unwrap();
    let note = curated.summary.notes.last().unwrap();
    assert!(note.contains("3 of 4"), "{note}");
}

#[test]
fn experiments_that_lose_all_controls_are_told() {
    // 0.1 of 4 rounds to 0.
    let rows = (0..3).flat_map(|experiment| {
        (0..5).map(move |well| {
            let role = [ControlRole::Untreated, ControlRole::Treatment][usize::from(well == 4)];
            let conditions: &[&str] = if well == 4 { &["A"] } else { &[] };
            row(&format!("E-{experiment}"), well, role, conditions)
        })
    });
    let table = CurationTable::new(rows).unwrap();
    let settings = CurateSettings {
        min_wells: 1,
        ..CurateSettings::default()
    };
    let curated = curate(&table, &[], &settings).unwrap();
    assert_eq!(
        curated.summary.notes,
        ["experiments that keep none of their wells without perturbation, having too few: 3"]
    );
}

#[test]
fn sites_of_a_screen_are_read_as_their_wells_are() {
    let plate = PlateKey::new("HUVEC-01", "1");
    let address = |index: usize| WellAddress::from_indices(0, index).unwrap();
    let site = |index: usize, role, perturbations: Vec<Perturbation>| Site {
        key: SiteKey::new(plate.clone(), address(index), 1),
        well: Arc::new(Well {
            plate: plate.clone(),
            address: address(index),
            original_address: address(index).to_string(),
            perturbations,
            background: None,
            control_role: role,
            cell_type: None,
        }),
    };
    let dose = Perturbation::Compound {
        name: "Nocodazole".to_owned(),
        concentration_micromolar: Some(0.25),
    };
    let guide = |guide: &str| Perturbation::Crispr {
        guide: guide.to_owned(),
        gene: "PLK1".to_owned(),
    };
    let sites = [
        site(0, ControlRole::Treatment, vec![dose]),
        site(1, ControlRole::Treatment, vec![]),
        site(2, ControlRole::NegativeControl, vec![]),
        site(3, ControlRole::Untreated, vec![]),
        site(4, ControlRole::Treatment, vec![guide("a"), guide("b")]),
    ];
    let table = CurationTable::of_sites(&sites).unwrap();
    let models = [phenoprints(&[
        ("Nocodazole @ 0.25", true),
        ("a", false),
        ("b", false),
    ])];
    let settings = CurateSettings {
        skip: vec![CurateStep::Spread, CurateStep::UnderSampling],
        ..CurateSettings::default()
    };
    let curated = curate(&table, &models, &settings).unwrap();
    assert_eq!(curated.keep, [true, false, true, true, false]);
    assert_eq!(
        curated.reasons[1].as_deref(),
        Some("perturbations: the perturbation is not known")
    );
    assert_eq!(
        curated.reasons[4].as_deref(),
        Some("phenoprints: no phenoprint of 'a', 'b'")
    );
}

fn metadata(columns: Vec<(&str, Column)>) -> Profiles {
    let columns = columns
        .into_iter()
        .map(|(name, column)| (name.to_owned(), column));
    Profiles::new(columns.collect(), vec![], Features::F64(vec![])).unwrap()
}

/// Two experiments of three wells in the names of RxRx.
fn rxrx_table() -> Vec<(&'static str, Column)> {
    vec![
        (
            "experiment",
            Column::from(vec!["E-1", "E-1", "E-1", "E-2", "E-2", "E-2"]),
        ),
        ("plate", Column::from(vec![1i64; 6])),
        (
            "well",
            Column::from(vec!["B02", "B03", "B04", "B2", "B3", "B4"]),
        ),
        (
            "well_type",
            Column::from(["treatment", "treatment", "empty"].repeat(2)),
        ),
        ("treatment", Column::from(["A", "B", "EMPTY"].repeat(2))),
    ]
}

fn small() -> CurateSettings {
    CurateSettings {
        min_experiments: 2,
        min_wells: 2,
        skip: vec![CurateStep::UnderSampling],
        ..CurateSettings::default()
    }
}

#[test]
fn tables_of_either_schema_are_curated_alike() {
    let mut columns = rxrx_table();
    columns.push((
        "qc_blank",
        Column::from(vec![false, true, false, false, false, false]),
    ));
    columns.push((
        "passed",
        Column::from(vec!["True", "1", "true", "TRUE", "0", "1"]),
    ));
    let table = metadata(columns);
    let mut settings = small();
    settings.quality.pass_columns = vec!["passed".to_owned()];
    let (curated, summary) = curate_profiles(&table, &[], &settings).unwrap();
    assert_eq!(
        curated.column("keep").unwrap(),
        &Column::from(vec![true, false, true, true, false, true])
    );
    let reasons = curated.text("reason").unwrap();
    assert_eq!(reasons[4].as_deref(), Some("quality: 'passed' is false"));
    let cytomining = table.to_schema(morphospace_profiles::Schema::Cytomining);
    settings.quality.pass_columns = vec!["Metadata_passed".to_owned()];
    let (other, other_summary) = curate_profiles(&cytomining, &[], &settings).unwrap();
    assert_eq!(
        other.column("keep").unwrap(),
        curated.column("keep").unwrap()
    );
    assert_eq!(other_summary.rows.len(), summary.rows.len());
}

#[test]
fn tables_that_cannot_be_read_are_refused_by_name() {
    let check = |columns: Vec<(&str, Column)>, settings: &CurateSettings, words: &[&str]| {
        let message = curate_profiles(&metadata(columns), &[], settings)
            .unwrap_err()
            .to_string();
        for word in words {
            assert!(message.contains(word), "'{word}' is not in: {message}");
        }
    };
    let mut settings = small();
    let mut columns = rxrx_table();
    columns[2].1 = Column::from(vec!["B02", "B02", "B04", "B2", "B3", "B4"]);
    check(
        columns,
        &settings,
        &["rows 1 and 2", "E-1 plate 1 well B02", "'A'", "'B'"],
    );

    let mut columns = rxrx_table();
    columns[2].1 = Column::from(vec!["B02", "B03", "B02", "B2", "B3", "B4"]);
    columns[3].1 = Column::from(vec!["treatment"; 6]);
    columns[4].1 = Column::from(vec!["A", "B", "A", "A", "B", "C"]);
    columns.push(("site", Column::from(vec![1i64; 6])));
    check(
        columns,
        &settings,
        &["rows 1 and 3", "well B02 site 1", "drop one"],
    );

    let columns = rxrx_table()
        .into_iter()
        .filter(|(name, _)| *name != "plate");
    check(
        columns.collect(),
        &settings,
        &["no column 'Metadata_Plate'"],
    );

    let mut columns = rxrx_table();
    columns.push(("qc_focus", Column::from(vec![0.5; 6])));
    check(
        columns,
        &settings,
        &["'qc_focus'", "0.5", "neither true nor false"],
    );

    let mut columns = rxrx_table();
    columns.push(("focus", Column::from(vec!["sharp"; 6])));
    settings.quality.bounds = vec![Bound {
        column: "focus".to_owned(),
        min: Some(1.0),
        max: None,
    }];
    check(columns, &settings, &["'focus'", "'sharp'", "not a number"]);
    check(rxrx_table(), &settings, &["no column 'focus'"]);

    settings.quality = QualityRules {
        ignore: vec!["qc_blnk".to_owned()],
        ..QualityRules::default()
    };
    let mut columns = rxrx_table();
    columns.push(("qc_blank", Column::from(vec![false; 6])));
    check(
        columns,
        &settings,
        &["no column 'qc_blnk'", "did you mean 'qc_blank'"],
    );

    settings.quality = QualityRules {
        bounds: vec![Bound {
            column: "focus".to_owned(),
            min: Some(2.0),
            max: Some(1.0),
        }],
        ..QualityRules::default()
    };
    check(
        rxrx_table(),
        &settings,
        &["quality.bounds", "2 to 1 of 'focus'"],
    );
    assert!(matches!(CurationTable::new([]), Err(CurateError::Empty)));
}

#[test]
fn a_table_all_of_whose_rows_are_flagged_says_which_step() {
    let mut columns = rxrx_table();
    columns.push(("qc_blank", Column::from(vec![true; 6])));
    let message = curate_profiles(&metadata(columns), &[], &small())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("'quality' leaves none of the 2"),
        "{message}"
    );
    assert!(message.contains("'qc_blank' is true (6 rows)"), "{message}");
}

#[test]
fn settings_are_written_and_read_back_and_unknown_ones_refused() {
    let settings = CurateSettings {
        skip: vec![CurateStep::UnderSampling],
        num_channels: Some(6),
        ..CurateSettings::default()
    };
    let text = toml::to_string(&settings).unwrap();
    assert_eq!(toml::from_str::<CurateSettings>(&text).unwrap(), settings);
    assert_eq!(
        toml::from_str::<CurateSettings>("").unwrap(),
        CurateSettings::default()
    );
    assert!(toml::from_str::<CurateSettings>("min_experiment = 2").is_err());
    assert_eq!("under-sampling".parse(), Ok(CurateStep::UnderSampling));
    assert!(
        "sampling"
            .parse::<CurateStep>()
            .unwrap_err()
            .contains("spread")
    );
}

#[test]
fn errors_stay_small() {
    assert!(
        size_of::<CurateError>() <= 128,
        "{}",
        size_of::<CurateError>()
    );
    let conditions = size_of::<morphospace_map::ConditionsError>();
    assert!(conditions <= 128, "{conditions}");
}

proptest! {
    #[test]
    fn neither_order_of_rows_nor_names_of_conditions_matter(seed in 0u64..1000) {
        let rows = screen(3);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let key = |row: &usize| Seed::new(seed).split_index(*row as u64).value();
        order.sort_by_key(key);
        let models = [phenoprints(&[("A", true), ("B", false)])];
        let mut settings = CurateSettings::default();
        settings.under_sampling.seed = Seed::new(seed);
        let table = CurationTable::new(rows.clone()).unwrap();
        let curated = curate(&table, &models, &settings).unwrap();
        let reordered = order.iter().map(|&row| rows[row].clone());
        let table = CurationTable::new(reordered).unwrap();
        let other = curate(&table, &models, &settings).unwrap();
        for (place, &row) in order.iter().enumerate() {
            prop_assert_eq!(&other.reasons[place], &curated.reasons[row]);
        }
        prop_assert_eq!(&other.summary, &curated.summary);
        // A and B change their names, and with them their phenoprints.
        let swapped = rows.iter().cloned().map(|mut row| {
            for name in row.conditions.iter_mut().flatten() {
                match name.as_str() {
                    "A" => *name = "B".to_owned(),
                    "B" => *name = "A".to_owned(),
                    _ => {}
                }
            }
            row
        });
        let models = [phenoprints(&[("B", true), ("A", false)])];
        let table = CurationTable::new(swapped).unwrap();
        prop_assert_eq!(curate(&table, &models, &settings).unwrap().keep, curated.keep);
    }

    #[test]
    fn kept_rows_have_no_reason_and_exact_draws_are_exact(
        share in 0.0f64..=1.0,
        num_wells in 1usize..60,
        seed in 0u64..100,
    ) {
        let rows = (0..num_wells).map(|well| row("E-1", well, ControlRole::PositiveControl, &["x"]));
        let table = CurationTable::new(rows).unwrap();
        let settings = CurateSettings {
            skip: vec![CurateStep::Spread],
            under_sampling: UnderSampling {
                positive_controls: share,
                seed: Seed::new(seed),
                ..UnderSampling::default()
            },
            ..CurateSettings::default()
        };
        let expected = (share * num_wells as f64).round() as usize;
        match curate(&table, &[], &settings) {
            Ok(curated) => {
                let num_kept = curated.keep.iter().filter(|keep| **keep).count();
                prop_assert_eq!(num_kept, expected);
                for (keep, reason) in curated.keep.iter().zip(&curated.reasons) {
                    prop_assert_eq!(*keep, reason.is_none());
                }
            }
            Err(CurateError::NothingLeft { step, .. }) => {
                prop_assert_eq!((step, expected), (CurateStep::UnderSampling, 0));
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
    }
}

/// RxRx1, whose table hides the siRNAs of test wells: counts by pandas.
#[test]
fn a_published_screen_is_curated_as_it_is() {
    let Ok(data) = std::env::var("MORPHOSPACE_DATA") else {
        eprintln!("SKIPPED: curation of RxRx1; set MORPHOSPACE_DATA to the data folder");
        return;
    };
    let path = std::path::PathBuf::from(data).join("metadata/rxrx1/metadata.csv.gz");
    let table = read_metadata(&path).unwrap();
    let mut settings = CurateSettings::default();
    settings.columns.condition = "sirna".to_owned();
    let (curated, summary) = curate_profiles(&table, &[], &settings).unwrap();
    eprint!("{summary}");
    let Column::Boolean(keep) = curated.column("keep").unwrap() else {
        panic!("verdicts");
    };
    // Two sites of 36,515 treatments, 612 positive and 70 negative controls.
    let num_kept = keep.iter().filter(|keep| **keep == Some(true)).count();
    assert_eq!(num_kept, 2 * (36_515 + 612 + 70));
    let dropped: Vec<usize> = summary.rows.iter().map(|row| row.num_dropped).collect();
    assert_eq!(
        dropped,
        [0, 39_794, 0, 2 * (6_097 - 612), 2 * (246 - 70), 0]
    );
    assert_eq!(summary.rows.last().unwrap().conditions_left, 1138);
}
