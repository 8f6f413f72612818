use insta::assert_snapshot;
use morphospace_report::{
    CountTable, GridPlate, GridWell, InspectedPlate, InspectedWell, InspectionPage, Notes,
    PanelSection, PlateGrid, PlatePanel,
};

use crate::block_html;
use crate::well_formed::check_well_formed;

fn well(address: &str, value: Option<f64>, is_marked: bool) -> GridWell {
    GridWell {
        address: address.parse().expect("a well"),
        value,
        is_marked,
    }
}

#[test]
fn plate_grid() {
    let plate = |title: &str, wells: Vec<GridWell>| GridPlate {
        title: title.into(),
        wells,
    };
    let grid = PlateGrid::new("w1 (DNA)", "mean, in grey levels")
        .with_range(10.0, 50.0)
        .with_plate(plate(
            "HUVEC-01 plate 1",
            vec![
                well("B02", Some(10.0), false),
                well("B03", Some(50.0), false),
                well("C02", Some(99.0), true),
                well("C04", None, false),
            ],
        ))
        .with_plate(plate(
            "HUVEC-01 plate 2",
            vec![well("B02", Some(10.0), true)],
        ));
    assert_snapshot!(block_html(grid));
}

#[test]
fn count_table() {
    let table = CountTable::new("Sites with each flag", ["sites", "blank"])
        .with_row("HUVEC-01 plate 1", vec![1232, 0])
        .with_row("<plate> 2", vec![4, 2]);
    assert_snapshot!(block_html(table));
}

/// `num_plates` plates of two wells, of which those in `flagged` have flags.
fn page(num_plates: usize, flagged: &[usize]) -> InspectionPage {
    let plate = |index: usize| InspectedPlate {
        title: format!("plate {index}."),
        num_flagged_sites: usize::from(flagged.contains(&index)),
        wells: ["A01", "A02"]
            .into_iter()
            .map(|address| InspectedWell {
                address: address.parse().expect("a well"),
                values: vec![(Some(index as f64), false), (None, true)],
            })
            .collect(),
    };
    InspectionPage {
        sections: ["Presence", "Focus"]
            .into_iter()
            .map(|heading| PanelSection {
                heading: heading.into(),
                intro: format!("About {heading}."),
                panels: vec![PlatePanel::new(format!("all of {heading}"), "share")],
            })
            .collect(),
        plates: (0..num_plates).map(plate).collect(),
        ..InspectionPage::new("Screen")
    }
}

#[test]
fn every_plate_is_drawn_once_per_panel() {
    let html = page(5, &[]).to_page().to_html();
    check_well_formed(&html);
    for index in 0..5 {
        assert_eq!(html.matches(&format!(">plate {index}.<")).count(), 2);
    }
    assert!(!html.contains("are drawn"));
    // Only the second panel's wells are framed.
    let (presence, focus) = html.split_once("About Focus.").expect("two sections");
    assert!(!presence.contains("class=\"marked\""));
    assert_eq!(focus.matches("<path class=\"marked\"").count(), 5 + 1);
}

#[test]
fn of_too_many_plates_those_with_flags_are_drawn() {
    let html = page(40, &[17, 39]).to_page().to_html();
    check_well_formed(&html);
    assert!(html.contains("12 of 40 plates are drawn: those with the most flagged sites."));
    let drawn: Vec<usize> = (0..40)
        .filter(|index| html.contains(&format!(">plate {index}.<")))
        .collect();
    assert_eq!(drawn, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 39]);
}

#[test]
fn the_screens_own_notes_stand_with_what_it_holds() {
    let table = CountTable::new("By class", ["wells"]).with_row("class <7>", vec![4]);
    let page = InspectionPage {
        screen_notes: Notes::default()
            .with_warning("no negative controls in RPE-01")
            .with_note("channel 'Brightfield' was left out"),
        holdings: vec![table],
        ..page(1, &[])
    };
    let html = page.to_page().to_html();
    check_well_formed(&html);
    let (holdings, _) = html.split_once("A flag is a hint").expect("two sections");
    for part in [
        "controls in RPE-01",
        "Brightfield",
        "By class",
        "class &lt;7&gt;",
    ] {
        assert!(holdings.contains(part), "no '{part}'");
    }
}

#[test]
fn a_page_of_nothing_is_a_page() {
    check_well_formed(&InspectionPage::new("<empty>").to_page().to_html());
}
