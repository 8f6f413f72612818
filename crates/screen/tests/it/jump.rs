use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use morphospace_core::{ControlRole, Perturbation};
use morphospace_screen::conformance::check_screen;
use morphospace_screen::{InspectDepth, ScreenFormat, decode_image, inspect, open_screen};
use parquet::arrow::ArrowWriter;

use crate::support::{assert_names, check_packed, data, message, png_u8, write};

const CHANNELS: [&str; 5] = ["DNA", "ER", "RNA", "AGP", "Mito"];

/// A table that lists images by URL, as the gallery's do: two wells, one of
/// them in lower case, two sites, and a brightfield channel.
fn url_table(source: &str, batch: &str, plate: &str) -> String {
    // Mito first: the order of columns is no order of channels.
    let mut header = "Metadata_Source,Metadata_Batch,Metadata_Plate,Metadata_Well,Metadata_Site,\
                      URL_OrigMito,URL_OrigBrightfield"
        .to_owned();
    for channel in &CHANNELS[..4] {
        header.push_str(&format!(",URL_Orig{channel}"));
    }
    for channel in CHANNELS {
        header.push_str(&format!(",URL_Illum{channel}"));
    }
    let folder = format!("s3://cellpainting-gallery/cpg0016-jump/{source}/images/{batch}");
    let mut rows = vec![header];
    for (well, site) in [("A01", 1), ("A01", 2), ("b2", 1)] {
        let image =
            |channel: &str| format!("{folder}/images/{plate}/Images/{well}-{site}-{channel}.tiff");
        let mut row = format!(
            "{source},{batch},{plate},{well},{site},{},{}",
            image("Mito"),
            image("BF")
        );
        for channel in &CHANNELS[..4] {
            row.push_str(&format!(",{}", image(channel)));
        }
        for channel in CHANNELS {
            row.push_str(&format!(
                ",{folder}/illum/{plate}/{plate}_Illum{channel}.npy"
            ));
        }
        rows.push(row);
    }
    rows.join("\n")
}

/// A mirror of two sources that share a plate's barcode.
pub(crate) fn write_screen(root: &Path) {
    let mut seed = 0;
    for (source, batch) in [
        ("source_4", "2021_04_26_Batch1"),
        ("source_5", "JUMPCPE-20210702"),
    ] {
        let plate = "BR 0011";
        let table =
            format!("{source}/workspace/load_data_csv/{batch}/{plate}/load_data_with_illum.csv");
        write(root, &table, url_table(source, batch, plate));
        for (well, site) in [("A01", 1), ("A01", 2), ("b2", 1)] {
            for channel in CHANNELS {
                seed += 1;
                let image = format!(
                    "{source}/images/{batch}/images/{plate}/Images/{well}-{site}-{channel}.tiff"
                );
                write(root, &image, png_u8(4, 4, seed));
            }
        }
        for channel in CHANNELS {
            let path = format!("{source}/images/{batch}/illum/{plate}/{plate}_Illum{channel}.npy");
            write(root, &path, format!("{source} {channel}"));
        }
    }
    write_metadata(root);
}

fn write_metadata(root: &Path) {
    write(
        root,
        "metadata/well.csv",
        "Metadata_Source,Metadata_Plate,Metadata_Well,Metadata_JCP2022\n\
         source_4,BR 0011,A01,JCP2022_805264\n\
         source_4,BR 0011,B02,JCP2022_800002\n\
         source_5,BR 0011,A01,JCP2022_900002\n\
         source_5,BR 0011,B02,JCP2022_033924\n\
         source_6,BR 0012,A01,JCP2022_999999\n",
    );
    write(
        root,
        "metadata/crispr.csv",
        "Metadata_JCP2022,Metadata_NCBI_Gene_ID,Metadata_Symbol\n\
         JCP2022_800001,,no-guide\nJCP2022_800002,,non-targeting\nJCP2022_805264,5347,PLK1\n",
    );
    write(
        root,
        "metadata/orf.csv",
        "Metadata_JCP2022,Metadata_broad_sample,Metadata_Symbol,Metadata_pert_type\n\
         JCP2022_900002,ccsbBroad304_00001,NAT1,trt\n",
    );
    write(
        root,
        "metadata/perturbation_control.csv",
        "Metadata_JCP2022,Metadata_pert_type,Metadata_Name,Metadata_modality\n\
         JCP2022_999999,empty,Empty,any\nJCP2022_033924,negcon,DMSO,compound\n\
         JCP2022_800002,negcon,non-targeting,crispr\nJCP2022_805264,poscon,PLK1,crispr\n",
    );
}

#[test]
fn a_mirror_of_two_sources_reads_with_its_labels() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path());
    let screen = check_packed(folder.path(), &ScreenFormat::Jump);
    let channels: Vec<String> = screen.channels().iter().map(ToString::to_string).collect();
    assert_eq!(channels, CHANNELS);
    let sites: Vec<String> = screen
        .sites()
        .iter()
        .map(|site| site.key.to_string())
        .collect();
    assert_eq!(
        sites,
        [
            "source_4 2021_04_26_Batch1 plate BR 0011 well A01 site 1",
            "source_4 2021_04_26_Batch1 plate BR 0011 well A01 site 2",
            "source_4 2021_04_26_Batch1 plate BR 0011 well B02 site 1",
            "source_5 JUMPCPE-20210702 plate BR 0011 well A01 site 1",
            "source_5 JUMPCPE-20210702 plate BR 0011 well A01 site 2",
            "source_5 JUMPCPE-20210702 plate BR 0011 well B02 site 1",
        ]
    );
    let wells = [0, 2, 3, 5].map(|site: usize| &screen.sites()[site].well);
    assert_eq!(wells[1].original_address, "b2");
    let plk1 = Perturbation::Crispr {
        guide: "JCP2022_805264".into(),
        gene: "PLK1".into(),
    };
    assert_eq!(
        (wells[0].control_role, &wells[0].perturbations[..]),
        (ControlRole::PositiveControl, &[plk1][..])
    );
    assert_eq!(wells[1].control_role, ControlRole::NegativeControl);
    assert_eq!(wells[1].perturbations[0].target(), "non-targeting");
    let nat1 = Perturbation::Orf {
        reagent: "JCP2022_900002".into(),
        gene: "NAT1".into(),
    };
    assert_eq!(
        (wells[2].control_role, &wells[2].perturbations[..]),
        (ControlRole::Treatment, &[nat1][..])
    );
    let dmso = Perturbation::Compound {
        name: "JCP2022_033924".into(),
        concentration_micromolar: None,
    };
    assert_eq!(
        (wells[3].control_role, &wells[3].perturbations[..]),
        (ControlRole::NegativeControl, &[dmso][..])
    );
    assert_names(
        &screen.notes()[0],
        &["brightfield channels are left out: Brightfield"],
    );

    // Images by name of their channel, whatever the order of columns: Mito
    // of the first site was written fifth.
    let mito = decode_image(&png_u8(4, 4, 5)).expect("a PNG");
    assert_eq!(screen.read_plane(0, 4).expect("decodes"), mito);
    let path = screen.illumination_path(3, 1).expect("listed");
    assert!(path.ends_with("BR 0011_IllumER.npy"), "{path}");
    assert_eq!(
        screen.read_illumination(3, 1).expect("read"),
        Some(b"source_5 ER".to_vec())
    );
}

#[test]
fn every_root_of_a_mirror_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    write_screen(folder.path());
    let batch = "2021_04_26_Batch1";
    for root in [
        "source_4".to_owned(),
        "source_4/workspace".to_owned(),
        "source_4/workspace/load_data_csv".to_owned(),
        format!("source_4/workspace/load_data_csv/{batch}"),
        format!("source_4/workspace/load_data_csv/{batch}/BR 0011"),
    ] {
        let screen = open_screen(&folder.path().join(&root), None).expect(&root);
        assert_eq!(screen.sites().len(), 3, "{root}");
        assert_eq!(screen.sites()[0].key.plate.experiment.as_str(), batch);
        // The first holds the images; elsewhere they would be asked of the bucket.
        if root == "source_4" {
            check_screen(&*screen).expect("conforms");
            assert!(screen.is_present(0, 0));
        }
    }
}

const NAMES: &str = "Metadata_Plate,Metadata_Well,Metadata_Site,FileName_OrigDNA,PathName_OrigDNA";

/// Opens a screen whose one image is listed under a folder and lies in
/// another.
#[track_caller]
fn check_found(listed: &str, files: &[&str], expected: Option<&str>) {
    let folder = tempfile::tempdir().expect("a folder");
    let table = format!("{NAMES}\nP1,A01,1,x.tif,{listed}\n");
    write(folder.path(), "load_data.csv", table);
    for (seed, file) in files.iter().enumerate() {
        write(folder.path(), file, png_u8(4, 4, seed as u8));
    }
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    let location = screen
        .plane_location(0, 0)
        .expect("is listed")
        .replace('\\', "/");
    match expected {
        Some(expected) => {
            assert!(screen.is_present(0, 0), "{listed}: {location}");
            assert!(location.ends_with(expected), "{listed}: {location}");
            assert!(screen.notes().is_empty());
        }
        None => {
            assert!(!screen.is_present(0, 0), "{listed}: {location}");
            assert_names(
                &screen.notes()[0],
                &["1 listed files were not found", listed],
            );
            let error = message(screen.read_plane(0, 0));
            assert_names(
                &error,
                &["plate P1 well A01 site 1 channel DNA", "missing", "x.tif"],
            );
        }
    }
}

#[test]
fn folders_of_other_computers_are_found_below_the_root() {
    let nested = "batch/P1__2020/Images/x.tif";
    check_found("batch/P1__2020/Images", &[nested], Some(nested));
    check_found(
        "/home/ubuntu/bucket/batch/P1__2020/Images/",
        &[nested],
        Some(nested),
    );
    check_found(
        r"C:\My Data\batch\P1__2020\Images\",
        &[nested],
        Some(nested),
    );
    check_found(
        r"\\server\share\P1__2020\Images",
        &["P1__2020/Images/x.tif"],
        Some("P1__2020/Images/x.tif"),
    );
    // No end of the folder is there: the only file of that name is.
    check_found(
        "/data/plates",
        &["elsewhere/x.tif"],
        Some("elsewhere/x.tif"),
    );
    check_found("", &["x.tif"], Some("x.tif"));
    // Of several, the one below a folder of the plate's name.
    check_found(
        "/data/plates",
        &["P1__2/x.tif", "Q1/x.tif"],
        Some("P1__2/x.tif"),
    );
    check_found("/data/plates", &["Q2/x.tif", "Q1/x.tif"], None);
    check_found("/data/plates", &["Q2/y.tif"], None);
    // A step up leads nowhere out of the root.
    check_found("../../../../etc", &["Q2/y.tif"], None);
}

#[test]
fn absolute_folders_that_exist_are_taken_as_they_are() {
    let images = tempfile::tempdir().expect("a folder");
    write(images.path(), "x.tif", png_u8(4, 4, 1));
    let folder = tempfile::tempdir().expect("a folder");
    let table = format!("{NAMES}\nP1,A01,1,x.tif,{}\n", images.path().display());
    write(folder.path(), "load_data.csv", &table);
    let screen = open_screen(folder.path(), None).expect("opens");
    assert!(screen.is_present(0, 0));
    let url = table
        .replace("FileName_OrigDNA,PathName_OrigDNA", "URL_DNA")
        .replace(
            &format!("x.tif,{}", images.path().display()),
            &format!("file:{}/x.tif", images.path().display()),
        );
    write(folder.path(), "load_data.csv", url);
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    assert!(screen.is_present(0, 0));
}

#[test]
fn the_best_form_of_a_table_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let table = |name: &str| format!("Metadata_Plate,Metadata_Well,FileName_DNA\nP1,A01,{name}\n");
    for name in ["a.tif", "b.tif", "c.tif", "d.tif"] {
        write(root, name, png_u8(4, 4, 1));
    }
    let read = || {
        let screen = open_screen(root, None).expect("opens");
        assert_eq!(screen.sites()[0].key.site, 1);
        screen
            .plane_location(0, 0)
            .expect("listed")
            .chars()
            .rev()
            .nth(4)
    };
    write(root, "load_data.csv", table("a.tif"));
    assert_eq!(read(), Some('a'));
    let columns: [(&str, ArrayRef); 3] = [
        ("Metadata_Plate", "P1"),
        ("Metadata_Well", "A01"),
        ("FileName_DNA", "b.tif"),
    ]
    .map(|(name, value)| (name, Arc::new(StringArray::from(vec![value])) as ArrayRef));
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let file = File::create(root.join("load_data.parquet")).expect("created");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    assert_eq!(read(), Some('b'));
    write(root, "load_data_with_illum.csv", table("c.tif"));
    assert_eq!(read(), Some('c'));
    // A table of another plate in the same folder is read as well.
    write(root, "P2_load_data.csv", table("d.tif").replace("P1", "P2"));
    let screen = open_screen(root, None).expect("opens");
    assert_eq!(screen.sites().len(), 2);
}

#[test]
fn platemaps_label_wells_that_the_tables_do_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let mut table = "Metadata_Plate,Metadata_Well,URL_OrigDNA\n".to_owned();
    for well in ["A01", "A02", "A03", "A04", "A05", "A06", "A07"] {
        table.push_str(&format!("SQ1,{well},s3://b/images/{well}.tif\n"));
    }
    write(
        root,
        "workspace/load_data_csv/Batch1/SQ1/load_data.csv",
        table,
    );
    let maps = "workspace/metadata/platemaps/Batch1";
    write(
        root,
        &format!("{maps}/barcode_platemap.csv"),
        "Assay_Plate_Barcode,Plate_Map_Name\nSQ1,map 1\n",
    );
    write(
        root,
        &format!("{maps}/platemap/map 1.txt"),
        "plate_map_name\twell_position\tbroad_sample\tmmoles_per_liter\n\
         map 1\ta01\tBRD-K1\t0.005\nmap 1\tA02\t\t\nmap 1\tA03\tDMSO\t0\n\
         map 1\tA04\tccsbBroad304_1\t\nmap 1\tA05\tBRDN0001\t\nmap 1\tA06\tBRDN0002\t\n",
    );
    write(
        root,
        "workspace/metadata/external_metadata.tsv",
        "broad_sample\tgene\tpert_type\tcontrol_type\n\
         BRD-K1\t\ttrt\t\nccsbBroad304_1\tNAT1\tcontrol\tposcon_orf\n\
         BRDN0001\tPLK1\ttrt\t\nBRDN0002\t\tcontrol\tnegcon\n",
    );
    let screen = open_screen(root, None).expect("opens");
    let found: Vec<_> = screen
        .sites()
        .iter()
        .map(|site| {
            let target = site.well.perturbations.first().map(Perturbation::target);
            (
                site.well.control_role,
                site.well.label(),
                target.map(str::to_owned),
            )
        })
        .collect();
    let expected = [
        (ControlRole::Treatment, Some("BRD-K1 @ 5"), Some("BRD-K1")),
        (ControlRole::NegativeControl, Some("DMSO"), Some("DMSO")),
        (ControlRole::NegativeControl, Some("DMSO @ 0"), Some("DMSO")),
        (
            ControlRole::PositiveControl,
            Some("ccsbBroad304_1"),
            Some("NAT1"),
        ),
        (ControlRole::Treatment, Some("BRDN0001"), Some("PLK1")),
        (
            ControlRole::NegativeControl,
            Some("BRDN0002"),
            Some("BRDN0002"),
        ),
        (ControlRole::Treatment, None, None),
    ]
    .map(|(role, label, target)| (role, label.map(str::to_owned), target.map(str::to_owned)));
    assert_eq!(found, expected);
    assert_eq!(screen.sites()[0].key.plate.experiment.as_str(), "Batch1");
}

/// A source with a plate P1 of batch B1 that has well A01 only.
fn write_source(root: &Path, source: &str, barcodes: &str, reagents: &str) {
    let workspace = format!("{source}/workspace");
    write(
        root,
        &format!("{workspace}/load_data_csv/B1/P1/load_data.csv"),
        format!("Metadata_Plate,Metadata_Well,URL_OrigDNA\nP1,A01,s3://b/{source}.tif\n"),
    );
    write(
        root,
        &format!("{workspace}/metadata/external_metadata.tsv"),
        format!("broad_sample\tgene\tpert_type\n{reagents}"),
    );
    let maps = format!("{workspace}/metadata/platemaps/B1");
    write(
        root,
        &format!("{maps}/barcode_platemap.csv"),
        format!("Assay_Plate_Barcode,Plate_Map_Name\n{barcodes}"),
    );
    for map in ["M1", "M2"] {
        write(
            root,
            &format!("{maps}/platemap/{map}.txt"),
            format!("well_position\tbroad_sample\nA01\tBRDN-{map}\n"),
        );
    }
}

#[test]
fn platemaps_and_reagents_of_a_source_are_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let reagents = ["PLK1", "TP53", "MTOR"].map(|gene| format!("BRDN-M1\t{gene}\ttrt\n"));
    write_source(root, "source_1", "P1,M1\n", &reagents[0]);
    write_source(root, "source_2", "P1,M2\n", &reagents[1]);
    // One that says nothing of its own is described by the root's.
    write_source(root, "source_3", "", "");
    write(
        root,
        "metadata/platemaps/B1/barcode_platemap.csv",
        "Assay_Plate_Barcode,Plate_Map_Name\nP1,all\n",
    );
    write(
        root,
        "metadata/platemaps/B1/platemap/all.txt",
        "well_position\tbroad_sample\nA01\tBRDN-M1\n",
    );
    write(
        root,
        "metadata/external_metadata.tsv",
        format!("broad_sample\tgene\tpert_type\n{}", reagents[2]),
    );
    let screen = open_screen(root, None).expect("opens");
    let described: Vec<_> = screen
        .sites()
        .iter()
        .map(|site| {
            let source = site.key.plate.source.clone().expect("has one");
            let added = site.well.perturbations[0].clone();
            (source, added)
        })
        .collect();
    let expected = [
        ("source_1", "BRDN-M1", "PLK1"),
        ("source_2", "BRDN-M2", "BRDN-M2"),
        ("source_3", "BRDN-M1", "MTOR"),
    ]
    .map(|(source, guide, gene)| {
        let (guide, gene) = (guide.to_owned(), gene.to_owned());
        (source.to_owned(), Perturbation::Crispr { guide, gene })
    });
    assert_eq!(described, expected);
}

#[test]
fn barcodes_and_reagents_that_are_said_two_ways_are_refused() {
    let open = |barcodes: &str, reagents: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        write_source(folder.path(), "source_1", barcodes, reagents);
        open_screen(folder.path(), None)
            .map(|screen| screen.sites()[0].well.perturbations[0].target().to_owned())
    };
    let reagents = "BRDN-M1\tPLK1\ttrt\n";
    let repeated = open("P1,M1\nP1,M1\n", &reagents.repeat(2)).expect("opens");
    assert_eq!(repeated, "PLK1");
    assert_names(
        &message(open("P1,M1\nP2,M2\nP1,M2\n", reagents)),
        &[
            "barcode_platemap.csv' line 4, column 'Plate_Map_Name'",
            "plate P1 has the platemap 'M2' here and 'M1' in",
            "line 2",
            "hint",
        ],
    );
    assert_names(
        &message(open("P1,M1\n", "BRDN-M1\tPLK1\ttrt\nBRDN-M1\tTP53\ttrt\n")),
        &[
            "external_metadata.tsv' line 3, column 'gene'",
            "'BRDN-M1' has 'TP53' here and 'PLK1' in line 2",
            "hint",
        ],
    );
    assert_names(
        &message(open("P1,M1\nP2,M7\n", reagents)),
        &[
            "barcode_platemap.csv' line 3, column 'Plate_Map_Name'",
            "plate P2",
            "no 'platemap/M7.txt'",
            "hint",
        ],
    );
}

#[track_caller]
fn check_refused(table: &str, parts: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "load_data.csv", table);
    assert_names(&message(open_screen(folder.path(), None)), parts);
}

#[test]
fn refused_tables_say_why() {
    check_refused("", &["load_data.csv", "the file is empty"]);
    check_refused(
        &format!("{NAMES}\n"),
        &["has no site", "no row below its header"],
    );
    check_refused(
        "Metadata_Plate,Metadata_Well\nP1,A01\n",
        &["names no image", "hint", "URL_Orig<channel>"],
    );
    check_refused(
        "Metadata_Plate,Metadata_wel,URL_OrigDNA\n",
        &["no column 'Metadata_Well'", "did you mean"],
    );
    check_refused(
        &format!("{NAMES}\nP1,Q99,1,x,y\n"),
        &["unknown well", "'Q99'", "line 2"],
    );
    check_refused(
        &format!("{NAMES}\nP1,A01,f1,x,y\n"),
        &["column 'Metadata_Site'", "'f1'"],
    );
    check_refused(
        &format!("{NAMES}\nP1,A01,1,x,y\nP1,a1,1,x,z\n"),
        &["plate P1 well A01 site 1 occurs twice", "line 2", "line 3"],
    );
    check_refused(
        "Metadata_Plate,Metadata_Well,URL_OrigDNA,URL_OrigDNA\nP1,A01,a,b\n",
        &["two columns 'URL_OrigDNA'"],
    );
    let mut bytes = format!("{NAMES}\n").into_bytes();
    bytes.extend(b"P1,A01,1,\xff\xfe.tif,y\n");
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "load_data.csv", bytes);
    assert_names(
        &message(open_screen(folder.path(), None)),
        &["UTF-8", "hint"],
    );
}

#[test]
fn images_that_no_table_names_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let header = "Metadata_Plate,Metadata_Well,PathName_OrigDNA,FileName_OrigDNA,\
                  PathName_OrigBrightfield,FileName_OrigBrightfield\n";
    let row = "P1,A01,/data/x/Images,a.tif,/data/x/Images,bright.tif\n";
    write(root, "load_data.csv", format!("{header}{row}"));
    for name in ["a.tif", "bright.tif", "notes.txt"] {
        write(root, &format!("x/Images/{name}"), "");
    }
    let screen = open_screen(root, None).expect("opens");
    assert_eq!(screen.unlisted_images(), Vec::<String>::new());
    write(root, "x/Images/other.TIFF", "");
    let screen = open_screen(root, None).expect("opens");
    let unlisted = screen.unlisted_images();
    assert_eq!(unlisted.len(), 1, "{unlisted:?}");
    assert!(unlisted[0].ends_with("x/Images/other.TIFF"), "{unlisted:?}");
}

#[test]
fn a_form_of_a_table_that_is_not_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = "Metadata_Plate,Metadata_Well,URL_OrigDNA\nP1,A01,a.tif\n";
    write(
        folder.path(),
        "load_data.csv",
        format!("{rows}P1,A02,b.tif\n"),
    );
    let screen = open_screen(folder.path(), None).expect("opens");
    assert_eq!(screen.sites().len(), 2);
    assert!(!screen.notes().join(" ").contains("not read"));
    write(folder.path(), "load_data_with_illum.csv", rows);
    let screen = open_screen(folder.path(), None).expect("opens");
    assert_eq!(screen.sites().len(), 1);
    assert_names(
        &screen.notes().join(" "),
        &["not read", ": 1", "'load_data.csv'"],
    );
}

#[test]
fn tables_of_the_collection_that_contradict_themselves_are_refused() {
    let open = |file: &str, rows: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        write(
            folder.path(),
            "load_data.csv",
            "Metadata_Plate,Metadata_Well,URL_OrigDNA\nP1,A01,a.tif\n",
        );
        write(folder.path(), &format!("metadata/{file}"), rows);
        open_screen(folder.path(), None)
    };
    for (file, header, row, other) in [
        (
            "plate.csv",
            "Metadata_Source,Metadata_Plate,Metadata_Batch",
            "source_1,P1,B1",
            "source_1,P1,B2",
        ),
        (
            "crispr.csv",
            "Metadata_JCP2022,Metadata_Symbol",
            "JCP2022_800001,PLK1",
            "JCP2022_800001,TP53",
        ),
        (
            "orf.csv",
            "Metadata_JCP2022,Metadata_Symbol",
            "JCP2022_900001,PLK1",
            "JCP2022_900001,TP53",
        ),
        (
            "perturbation_control.csv",
            "Metadata_JCP2022,Metadata_pert_type",
            "JCP2022_000001,poscon",
            "JCP2022_000001,trt",
        ),
    ] {
        let last = |row: &str| row.rsplit(',').next().expect("a value").to_owned();
        assert!(open(file, &format!("{header}\n{row}\n{row}\n")).is_ok());
        let error = message(open(file, &format!("{header}\n{row}\n{row}\n{other}\n")));
        let column = last(header);
        assert_names(
            &error,
            &[file, "line 4", &column, "has '", "in a line before", "hint"],
        );
        if file != "perturbation_control.csv" {
            assert_names(&error, &[&last(row), &last(other)]);
        }
    }
}

#[test]
fn labels_that_contradict_each_other_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write(
        root,
        "load_data.csv",
        "Metadata_Plate,Metadata_Well,URL_OrigDNA\nBR 0011,A01,a.tif\n",
    );
    write_metadata(root);
    let error = message(open_screen(root, None));
    assert_names(
        &error,
        &[
            "well.csv",
            "line 4",
            "plate BR 0011 well A01",
            "Metadata_Source",
        ],
    );
    fs::remove_file(root.join("metadata/orf.csv")).expect("removed");
    write(
        root,
        "load_data.csv",
        "Metadata_Source,Metadata_Plate,Metadata_Well,URL_OrigDNA\nsource_5,BR 0011,A01,a.tif\n",
    );
    let error = message(open_screen(root, None));
    assert_names(
        &error,
        &["'JCP2022_900002' needs a gene", "orf.csv", "hint"],
    );
    write(
        root,
        "load_data.csv",
        "Metadata_Source,Metadata_Plate,Metadata_Well,URL_OrigDNA\nsource_9,BR 0011,A01,a.tif\n",
    );
    let screen = open_screen(root, None).expect("opens");
    assert_names(
        &screen.notes().join("\n"),
        &["no well of the screen occurs in", "well.csv"],
    );
}

/// The published tables with wells made up here, one for each reagent.
#[test]
fn published_tables_label_every_reagent() {
    let Some(source) = data("metadata/jump") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for name in [
        "crispr.csv.gz",
        "orf.csv.gz",
        "plate.csv.gz",
        "perturbation_control.csv",
    ] {
        write(
            root,
            &format!("metadata/{name}"),
            fs::read(source.join(name)).expect("read"),
        );
    }
    let numbers = |name: &str| {
        let file = File::open(source.join(name)).expect("opens");
        let mut reader = csv::Reader::from_reader(flate2::read::MultiGzDecoder::new(file));
        let records = reader
            .records()
            .map(|record| record.expect("a row")[0].to_owned());
        records.collect::<Vec<_>>()
    };
    let (guides, constructs) = (numbers("crispr.csv.gz"), numbers("orf.csv.gz"));
    assert_eq!((guides.len(), constructs.len()), (7_977, 15_132));
    // What tells guides and constructs whose table is not at hand.
    assert!(guides.iter().all(|number| number.starts_with("JCP2022_8")));
    assert!(
        constructs
            .iter()
            .all(|number| number.starts_with("JCP2022_9"))
    );
    let mut wells = "Metadata_Source,Metadata_Plate,Metadata_Well,Metadata_JCP2022\n".to_owned();
    let mut table = "Metadata_Source,Metadata_Plate,Metadata_Well,URL_OrigDNA\n".to_owned();
    let others = [
        "JCP2022_999999",
        "JCP2022_033924",
        "JCP2022_037716",
        "JCP2022_000007",
        "JCP2022_UNKNOWN",
    ];
    let numbers = guides
        .iter()
        .chain(&constructs)
        .map(String::as_str)
        .chain(others);
    for (index, number) in numbers.enumerate() {
        let well = morphospace_core::WellAddress::from_indices(index % 1_536 / 48, index % 48)
            .expect("on the plate");
        // The first plate is in the table of plates.
        let plate = match index / 1_536 {
            0 => "UL000109".to_owned(),
            plate => format!("P{plate}"),
        };
        wells.push_str(&format!("source_1,{plate},{well},{number}\n"));
        table.push_str(&format!("source_1,{plate},{well},images/{index}.tif\n"));
    }
    write(root, "metadata/well.csv", wells);
    write(root, "load_data.csv", table);
    let screen = open_screen(root, None).expect("opens");
    let found = inspect(&*screen, InspectDepth::Presence);
    assert_eq!(found.num_wells, 7_977 + 15_132 + 5);
    // Negative: no-guide, non-targeting, four constructs, DMSO.
    assert_eq!(
        found.control_roles[&ControlRole::NegativeControl],
        2 + 4 + 1
    );
    // Positive: PLK1, eGFP, AMG900.
    assert_eq!(found.control_roles[&ControlRole::PositiveControl], 3);
    assert_eq!(found.control_roles[&ControlRole::Untreated], 1);
    assert_eq!(found.num_unlabelled_wells, 1);
    let batch = screen
        .sites()
        .iter()
        .find(|site| site.key.plate.plate == "UL000109")
        .expect("there");
    assert_eq!(batch.key.plate.experiment.as_str(), "Batch1_20221004");
}

/// A real field through a table with its folder.
#[test]
fn a_real_field_is_found_through_a_table() {
    let Some(images) = data("images/jump_field") else {
        return;
    };
    let mut header = "Metadata_Plate,Metadata_Well,Metadata_Site".to_owned();
    let mut row = "P1,A02,1".to_owned();
    for (index, channel) in ["Mito", "AGP", "RNA", "ER", "DNA", "Brightfield"]
        .iter()
        .enumerate()
    {
        header.push_str(&format!(",FileName_Orig{channel},PathName_Orig{channel}"));
        row.push_str(&format!(
            ",r01c02f01p01-ch{}sk1fk1fl1.tiff,{}",
            index + 1,
            images.display()
        ));
    }
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "load_data.csv", format!("{header}\n{row}\n"));
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    let channels: Vec<String> = screen.channels().iter().map(ToString::to_string).collect();
    assert_eq!(channels, CHANNELS);
    for (channel, number) in [5, 4, 3, 2, 1].into_iter().enumerate() {
        assert!(screen.is_present(0, channel));
        let location = screen.plane_location(0, channel).expect("listed");
        assert!(location.contains(&format!("-ch{number}sk1")), "{location}");
    }
}
