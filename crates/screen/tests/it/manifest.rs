use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use morphospace_core::{
    Channel, ControlRole, Perturbation, PlateKey, Provenance, Site, SiteKey, Stain, Well,
    WellAddress,
};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{
    Manifest, Rxrx1Screen, Screen, open_screen, read_manifest, write_manifest,
};
use proptest::prelude::*;

use crate::support::{assert_names, message, write, write_rxrx1_site};

/// Every field of a row filled, and every field left out.
fn full_manifest() -> Manifest {
    let plate = PlateKey {
        source: Some("source_4".into()),
        ..PlateKey::new("batch-02", "BR01")
    };
    let treated = Arc::new(Well {
        plate: plate.clone(),
        address: "AF48".parse().expect("a well"),
        original_address: "af048".into(),
        perturbations: vec![
            Perturbation::Sirna {
                name: "s1".into(),
                gene: None,
            },
            Perturbation::Sirna {
                name: "s2".into(),
                gene: Some("PLK1".into()),
            },
            Perturbation::Crispr {
                guide: "MTOR_1".into(),
                gene: "MTOR".into(),
            },
            Perturbation::Orf {
                reagent: "ccsbBroad304_00001".into(),
                gene: "NAT1".into(),
            },
            Perturbation::Compound {
                name: "DMSO".into(),
                concentration_micromolar: None,
            },
            Perturbation::Compound {
                name: "x, \"y\"".into(),
                concentration_micromolar: Some(0.1),
            },
        ],
        background: Some("TNF".into()),
        control_role: ControlRole::PositiveControl,
        cell_type: Some("HUVEC".into()),
    });
    let bare = Arc::new(Well {
        plate: plate.clone(),
        address: "A01".parse().expect("a well"),
        original_address: "A01".into(),
        perturbations: vec![],
        background: None,
        control_role: ControlRole::Untreated,
        cell_type: None,
    });
    let key = |well: &Well, site| SiteKey::new(plate.clone(), well.address, site);
    let mut timed = key(&treated, 2);
    (timed.z_index, timed.time_index) = (Some(3), Some(0));
    Manifest {
        channels: vec![
            Channel::new("w1", Stain::Dna),
            Channel::new("OrigX", Stain::Other("my dye".into())),
        ],
        sites: vec![
            Site {
                key: key(&bare, 1),
                well: bare,
            },
            Site {
                key: key(&treated, 1),
                well: Arc::clone(&treated),
            },
            Site {
                key: timed,
                well: treated,
            },
        ],
        paths: vec![
            vec![None, None],
            vec![Some("a/b.png".into()), None],
            vec![Some("a/c.png".into()), Some("/d.png".into())],
        ],
        quality: None,
        provenance: Some(Provenance::new("inspect").with_seed("split", 7)),
    }
}

#[test]
fn a_manifest_comes_back_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out/manifest.parquet");
    let manifest = full_manifest();
    write_manifest(&path, &manifest).expect("written");
    let read = read_manifest(&path).expect("read");
    assert_eq!(read, manifest);
    assert!(Arc::ptr_eq(&read.sites[1].well, &read.sites[2].well));
    let empty = Manifest {
        sites: vec![],
        paths: vec![],
        ..manifest
    };
    write_manifest(&path, &empty).expect("written");
    let read = read_manifest(&path).expect("read");
    assert_eq!(read, empty);
    assert_names(
        &message(read.into_screen("m", "x".into()).map(|_| ())),
        &["no row"],
    );
}

#[test]
fn a_screen_opens_again_from_its_manifest() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write(
        root,
        "metadata.csv",
        "experiment,plate,well,site,well_type\nHUVEC-01,1,B02,1,negative_control\n\
         HUVEC-01,1,B02,2,negative_control\n",
    );
    write_rxrx1_site(root, "images/HUVEC-01/Plate1", "B02_s1");
    let screen = Rxrx1Screen::open(root).expect("opens");
    let path = root.join("manifest.parquet");
    write_manifest(&path, &Manifest::of(&screen)).expect("written");
    let manifest = read_manifest(&path).expect("read");
    let again = manifest
        .into_screen(screen.name(), root.to_owned())
        .expect("has sites");
    check_screen(&again).expect("conforms");
    assert_eq!(again.sites(), screen.sites());
    assert_eq!(again.channels(), screen.channels());
    for channel in 0..6 {
        assert_eq!(
            again.read_plane(0, channel).expect("present"),
            screen.read_plane(0, channel).expect("present")
        );
        assert!(!again.is_present(1, channel));
    }
}

#[test]
fn other_files_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    write(
        folder.path(),
        "manifest.parquet",
        b"PAR1 no such thing PAR1",
    );
    let error = message(read_manifest(&folder.path().join("manifest.parquet")));
    assert_names(&error, &["manifest.parquet"]);
    let error = message(read_manifest(&folder.path().join("gone.parquet")));
    assert_names(&error, &["cannot read", "gone.parquet"]);
    assert!(open_screen(&folder.path().join("manifest.parquet"), None).is_err());
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9_-]{1,8}",
        "\\PC{1,6}",
        Just("a,\"b\"\n".to_owned())
    ]
}

fn perturbations() -> impl Strategy<Value = Perturbation> {
    let (name, gene) = (text(), prop::option::of(text()));
    prop_oneof![
        (name, gene).prop_map(|(name, gene)| Perturbation::Sirna { name, gene }),
        (text(), text()).prop_map(|(guide, gene)| Perturbation::Crispr { guide, gene }),
        (text(), text()).prop_map(|(reagent, gene)| Perturbation::Orf { reagent, gene }),
        (text(), prop::option::of(0.0..1e6)).prop_map(|(name, concentration_micromolar)| {
            Perturbation::Compound {
                name,
                concentration_micromolar,
            }
        }),
    ]
}

/// What a row says beside its place: experiment, plate and well are drawn
/// from few, so that sites share them.
fn wells() -> impl Strategy<Value = Well> {
    let plate = (prop::option::of("s[12]"), "b-[12]", "p[12]");
    let address = (0usize..32, 0usize..48);
    let role = prop::sample::select(vec![
        ControlRole::Treatment,
        ControlRole::NegativeControl,
        ControlRole::PositiveControl,
        ControlRole::Untreated,
    ]);
    let added = prop::collection::vec(perturbations(), 0..3);
    let rest = (prop::option::of(text()), prop::option::of(text()), text());
    (plate, address, role, added, rest).prop_map(
        |((source, batch, plate), (row, column), control_role, perturbations, rest)| Well {
            plate: PlateKey {
                source,
                ..PlateKey::new(batch, plate)
            },
            address: WellAddress::from_indices(row, column).expect("on the plate"),
            original_address: rest.2,
            perturbations,
            background: rest.0,
            control_role,
            cell_type: rest.1,
        },
    )
}

fn manifests() -> impl Strategy<Value = Manifest> {
    let site = (
        any::<u32>(),
        prop::option::of(any::<u32>()),
        prop::option::of(any::<u32>()),
        prop::collection::vec(prop::option::of(text()), 2),
    );
    let sites_of_well = (wells(), prop::collection::vec(site, 1..4));
    prop::collection::vec(sites_of_well, 0..12).prop_map(|wells| {
        let mut rows = BTreeMap::new();
        let mut seen = HashSet::new();
        for (well, sites) in wells {
            if !seen.insert((well.plate.clone(), well.address)) {
                continue;
            }
            let well = Arc::new(well);
            for (number, z_index, time_index, paths) in sites {
                let mut key = SiteKey::new(well.plate.clone(), well.address, number);
                (key.z_index, key.time_index) = (z_index, time_index);
                let site = Site {
                    key: key.clone(),
                    well: Arc::clone(&well),
                };
                rows.insert(key, (site, paths));
            }
        }
        let (sites, paths) = rows.into_values().unzip();
        Manifest {
            channels: vec![
                Channel::new("DNA", Stain::Dna),
                Channel::new("w 2", Stain::Other("my dye".into())),
            ],
            sites,
            paths,
            quality: None,
            provenance: None,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_manifest_comes_back_as_it_was(manifest in manifests()) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("manifest.parquet");
        write_manifest(&path, &manifest).expect("written");
        let read = read_manifest(&path).expect("read");
        prop_assert_eq!(&read, &manifest);
    }
}
