//! What curation says of a screen is written and read back.

use std::sync::Arc;

use morphospace_core::{
    Channel, ControlRole, Perturbation, PlateKey, Provenance, Site, SiteKey, Stain, Well,
};
use morphospace_screen::{Manifest, read_curation, read_manifest, write_curation, write_manifest};

fn manifest(num_sites: u32) -> Manifest {
    let plate = PlateKey::new("HUVEC-01", "1");
    let well = Arc::new(Well {
        plate: plate.clone(),
        address: "B02".parse().expect("a well"),
        original_address: "B02".into(),
        perturbations: vec![Perturbation::Sirna {
            name: "s1".into(),
            gene: None,
        }],
        background: None,
        control_role: ControlRole::Treatment,
        cell_type: None,
    });
    let site = |site| Site {
        key: SiteKey::new(plate.clone(), well.address, site),
        well: Arc::clone(&well),
    };
    Manifest {
        channels: vec![Channel::new("w1", Stain::Dna)],
        sites: (1..=num_sites).map(site).collect(),
        paths: (1..=num_sites)
            .map(|site| vec![Some(format!("{site}.png"))])
            .collect(),
        quality: None,
        provenance: Some(Provenance::new("curate")),
    }
}

#[test]
fn kept_sites_come_back_and_the_manifest_with_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("curated.parquet");
    let manifest = manifest(4);
    let keep = [true, false, true, false];
    let reasons = keep.map(|keep| (!keep).then(|| "quality: 'qc_blank' is true".to_owned()));
    write_curation(&path, &manifest, &keep, &reasons).expect("written");
    let found = read_curation(&path).expect("read");
    assert_eq!(found.kept(&manifest.sites).expect("of this screen"), [0, 2]);
    assert_eq!(found.provenance, manifest.provenance);
    assert_eq!(read_manifest(&path).expect("read"), manifest);
}

#[test]
fn tables_of_other_screens_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("curated.parquet");
    let curated = manifest(3);
    write_curation(&path, &curated, &[true; 3], &vec![None; 3]).expect("written");
    let found = read_curation(&path).expect("read");
    let message = found
        .kept(&manifest(2).sites)
        .expect_err("one less")
        .to_string();
    assert!(message.contains("1 of its 3 sites"), "{message}");
    assert!(message.contains("HUVEC-01_1_B02_3"), "{message}");
    // A screen of more sites: what is not listed is not kept.
    assert_eq!(found.kept(&manifest(5).sites).expect("more").len(), 3);

    write_manifest(&path, &curated).expect("written");
    let message = read_curation(&path).expect_err("no column").to_string();
    assert!(message.contains("no column 'keep'"), "{message}");
    let error = write_curation(&path, &curated, &[true; 2], &vec![None; 3]);
    let message = error.expect_err("too short").to_string();
    assert!(message.contains("2 verdicts"), "{message}");
}
