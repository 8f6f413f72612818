//! Real screens, where they are at hand: `MORPHOSPACE_DATA` names the folder
//! that holds `images/`.

use std::path::Path;

use morphospace_core::{ControlRole, Stain};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{
    InspectDepth, OnIncomplete, ReadSite, ScreenFormat, Tiling, inspect, open_screen, read_site,
};

use crate::support::{assert_names, data, message};

#[test]
fn rxrx1_sample_has_36_sites_of_which_18_are_incomplete() {
    let Some(root) = data("images/rxrx1_sample") else {
        return;
    };
    let screen = open_screen(&root, None).expect("opens");
    check_screen(&*screen).expect("conforms");
    let found = inspect(&*screen, InspectDepth::Decode);
    assert_eq!(
        (found.num_experiments, found.num_plates, found.num_sites),
        (5, 18, 36)
    );
    assert_eq!(found.num_incomplete_sites, 18);
    assert_eq!((found.missing.len(), found.unreadable.len()), (36, 0));
    assert!(
        found
            .missing
            .iter()
            .all(|image| image.site.ends_with("site 2"))
    );
    assert_eq!(found.image_forms["512 x 512, 8 bit"], 180);
    assert_eq!(found.control_roles[&ControlRole::Untreated], 18);
    let mut num_read = 0;
    for site_index in 0..36 {
        if let ReadSite::Image(image) =
            read_site(&*screen, site_index, OnIncomplete::Skip).expect("never fails")
        {
            num_read += 1;
            let plan = Tiling::default()
                .plan(image.width(), image.height())
                .expect("fits");
            assert_eq!(plan.tiles().len(), 4);
        }
    }
    assert_eq!(num_read, 18);
    let error = message(read_site(&*screen, 1, OnIncomplete::Fail));
    assert_names(
        &error,
        &[
            "HEPG2-01 plate 1 well B02 site 2 channel w5 (Mito)",
            "missing",
        ],
    );
}

#[test]
fn imagehts_submorph_reads_through_its_description() {
    let Some(root) = data("images/imagehts_submorph") else {
        return;
    };
    let description =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/screens/imagehts_submorph.toml");
    let screen = open_screen(&root, Some(&ScreenFormat::Described(description))).expect("opens");
    check_screen(&*screen).expect("conforms");
    let found = inspect(&*screen, InspectDepth::Decode);
    assert_eq!(
        (found.num_plates, found.num_wells, found.num_sites),
        (2, 12, 12)
    );
    assert_eq!(found.image_forms["1024 x 510, 8 bit"], 36);
    assert!(found.is_sound());
    assert_eq!(found.control_roles[&ControlRole::NegativeControl], 4);
    assert_eq!(found.control_roles[&ControlRole::PositiveControl], 4);
    assert_eq!(found.control_roles[&ControlRole::Treatment], 4);
    assert_eq!(found.min_negative_controls_per_plate, 2);
    let stains: Vec<_> = screen
        .channels()
        .iter()
        .map(|channel| channel.stain.clone())
        .collect();
    assert_eq!(stains, [Stain::Dna, Stain::Actin, Stain::Tubulin]);
    let well = &screen.sites()[1].well;
    assert_eq!(well.address.to_string(), "A05");
    assert_eq!(well.label().as_deref(), Some("M-005300-00"));
    assert_eq!(well.perturbations[0].target(), "AAK1");
    let ReadSite::Image(image) = read_site(&*screen, 0, OnIncomplete::Fail).expect("whole") else {
        panic!("complete")
    };
    assert_eq!(
        Tiling::default()
            .plan(image.width(), image.height())
            .expect("fits")
            .tiles()
            .len(),
        8
    );
}
