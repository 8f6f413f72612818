//! A network meets the channels it was trained on, or refuses the screen.

use std::path::Path;

use morphospace::profiles::{Profiles, read_profiles};

use crate::support::{Run, morphospace, tiny_screen};

fn embed(folder: &Path, channels: &[&str]) -> Run {
    let mut args = vec![
        "embed",
        "screen",
        "--network",
        "run",
        "--output",
        "out.parquet",
    ];
    args.extend(channels);
    morphospace(folder, &args)
}

fn profiles(folder: &Path) -> Profiles {
    read_profiles(&folder.join("out.parquet")).unwrap()
}

#[test]
fn channels_are_matched_by_stain() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let train = |channels: &str| {
        let set = "length=1 steps";
        let args = [
            "train",
            "screen",
            "--config",
            "train.toml",
            "--set",
            set,
            "--output",
            "run",
        ];
        morphospace(folder, &[&args[..], &["--channels", channels]].concat())
    };
    train("DNA,ER,Actin,RNA,Mito,Golgi").expect_status(0);
    embed(folder, &[]).expect_status(0);
    let plain = profiles(folder);
    let listed = plain.provenance().unwrap().settings["channels"].clone();
    assert_eq!(
        listed,
        "w1 (DNA), w2 (ER), w3 (Actin), w4 (RNA), w5 (Mito), w6 (Golgi)"
    );

    // The order of the screen does not matter, its stains do.
    embed(folder, &["--channels", "Golgi,Mito,RNA,Actin,ER,DNA"]).expect_status(0);
    assert_eq!(profiles(folder).values(), plain.values());
    embed(
        folder,
        &["--channels", "DNA,ER,Tubulin=Actin,RNA,Mito,Golgi"],
    )
    .expect_status(2)
    .expect_stderr(&[
        "trained on channels DNA, ER, Actin, RNA, Mito, Golgi",
        "no channel 'Actin'",
        "Tubulin, w4",
        "--channels Actin=NAME",
    ]);
    embed(
        folder,
        &["--channels", "DNA,ER,Actin,RNA,Mito,Golgi,DNA=w6"],
    )
    .expect_status(2)
    .expect_stderr(&["'DNA' could be w1 (DNA) or DNA", "hint:"]);
    // A run does not go on with other images.
    train("ER,DNA,Actin,RNA,Mito,Golgi")
        .expect_status(2)
        .expect_stderr(&["trained on channels DNA, ER", "the screen has ER, DNA"]);
}
