//! What networks cost, told before anything is computed.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{TINY_TRAINING, morphospace, tiny_screen};

/// Runs `plan` in a folder where nothing is.
fn plan(args: &str) -> crate::support::Run {
    let folder = tempfile::tempdir().unwrap();
    plan_in(folder.path(), args)
}

fn plan_in(folder: &Path, args: &str) -> crate::support::Run {
    let args: Vec<&str> = ["plan"]
        .into_iter()
        .chain(args.split_whitespace())
        .collect();
    morphospace(folder, &args)
}

fn json(args: &str) -> Value {
    let run = plan(&format!("{args} --json")).expect_status(0);
    serde_json::from_str(&run.stdout).expect("JSON")
}

#[test]
fn the_largest_published_network_on_the_largest_published_screen() {
    let run = plan(
        "mae_vit_gigantic_patch8 --wells 2200000 --crops-per-site 36 --epochs 100 --precision bf16 \
         --optimiser lion",
    );
    insta::assert_snapshot!(run.expect_status(0).stdout);
}

#[test]
fn several_networks_make_a_table() {
    let run = plan(
        "vit_small_patch16 mae_vit_small_patch16 camae_vit_small_patch16 dino_vit_small_patch16 \
         dinov2_vit_giant_patch14_reg4 densenet161 resnet50 munet_l --batch 8 --wells 1000",
    );
    insta::assert_snapshot!(run.expect_status(0).stdout);
}

#[test]
fn json_has_every_number() {
    let plan = json("mae_vit_large_patch8 --wells 10 --batch 2");
    let network = &plan["networks"][0];
    assert_eq!(network["parameters"]["encoder"]["trained"], 302_614_528);
    assert_eq!(network["screen"]["num_crops"], 640);
    assert_eq!(network["batches"][0]["batch_size"], 2);
    assert_eq!(network["network"]["kind"], "mae");
    let flops = network["embedding"]["flops"].as_u64().unwrap();
    let l4 = &network["machines"][0];
    assert_eq!(l4["accelerator"]["name"], "L4");
    let speed = 0.35 * 60e12 / flops as f64;
    let told = l4["embedding_images_per_second"].as_f64().unwrap();
    assert!((told / speed - 1.0).abs() < 1e-12);
    let hours = l4["embedding_hours"].as_f64().unwrap();
    assert!((hours * 3600.0 * speed / 640.0 - 1.0).abs() < 1e-12);
}

#[test]
fn a_speed_that_was_measured_gives_hours() {
    let plan = json("vit_small_patch16 --images-per-second 2 --wells 3600 --site-px 512");
    let machines = plan["networks"][0]["machines"].as_array().unwrap();
    assert_eq!(machines.len(), 1);
    assert_eq!(machines[0]["name"], "measured");
    assert_eq!(machines[0]["embedding_hours"], 2.0);
}

#[test]
fn runs_checkpoints_and_training_settings_are_planned() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let train = "train screen --config train.toml --output run";
    let args: Vec<&str> = train.split_whitespace().collect();
    let done = morphospace(folder, &args).expect_status(0);
    let checkpoint = done.stdout.trim();
    let from_toml = plan_in(folder, "train.toml").expect_status(0).stdout;
    assert!(from_toml.contains("all, batch of 4"), "{from_toml}");
    assert!(from_toml.contains("AdamW"), "{from_toml}");
    let numbers = |name: &str| {
        let run = plan_in(folder, &format!("{name} --json")).expect_status(0);
        let plan: Value = serde_json::from_str(&run.stdout).expect("JSON");
        let plan = &plan["networks"][0];
        (
            plan["parameters"].clone(),
            plan["training_step_flops"].clone(),
        )
    };
    let expected = numbers("train.toml");
    assert_eq!(numbers("run"), expected);
    assert_eq!(numbers(checkpoint), expected);
    assert_eq!(numbers(&format!("{checkpoint}/config.json")), expected);
}

#[test]
fn every_training_configuration_of_the_repository_is_planned() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/train");
    let mut num_planned = 0;
    for entry in fs::read_dir(configs).expect("there") {
        let path: PathBuf = entry.expect("readable").path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let path = path.to_str().expect("a plain name");
            morphospace(Path::new("."), &["plan", path]).expect_status(0);
            num_planned += 1;
        }
    }
    assert!(num_planned > 0);
}

#[test]
fn every_named_size_is_planned() {
    for size in ["tiny", "small", "base", "large", "gigantic"] {
        for patch in [8, 16] {
            for prefix in ["", "mae_", "camae_"] {
                plan(&format!("{prefix}vit_{size}_patch{patch}")).expect_status(0);
            }
        }
    }
}

#[test]
fn channels_are_part_of_most_networks() {
    // 64 kernels of 7 x 7 for each channel more.
    let trained = |args: &str| {
        let plan = json(args);
        let parameters = &plan["networks"][0]["parameters"]["encoder"]["trained"];
        parameters.as_u64().unwrap()
    };
    let (six, five) = (trained("resnet18"), trained("resnet18 --channels 5"));
    assert_eq!(six - five, 64 * 49);
    // Of channel-agnostic ones, of what is embedded.
    let agnostic = "camae_vit_small_patch16";
    assert_eq!(
        trained(agnostic),
        trained(&format!("{agnostic} --channels 3"))
    );
}

#[test]
fn what_cannot_be_planned_is_refused_with_the_fix() {
    let refuses = |args: &str, parts: &[&str]| {
        plan(args).expect_status(2).expect_stderr(parts);
    };
    refuses(
        "mae_vit_giant_patch8",
        &[
            "unknown network variant 'mae_vit_giant_patch8'",
            "did you mean 'mae_vit_gigantic_patch8'?",
        ],
    );
    refuses("densenet116", &["did you mean 'densenet161'?"]);
    refuses(
        "runs/first",
        &["'runs/first' does not exist", "checkpoint folder"],
    );
    refuses("first.toml", &["first.toml"]);
    refuses("first.json", &["first.json", "config.json"]);
    refuses("resnet18 --accelerator H100", &["H100-SXM, H100-PCIe"]);
    refuses("resnet18 --accelerator cpu", &["--images-per-second"]);
    refuses(".", &["neither a checkpoint folder", "./config.json"]);
    refuses("resnet18 --accelerator A100-90GB", &["did you mean 'A100-"]);
    refuses(
        "resnet18 --utilisation 35",
        &["--utilisation 35 is not in 0..1", "e.g. 0.35"],
    );
    refuses("resnet18 --utilisation 0", &["is not in 0..1"]);
    refuses("resnet18 --images-per-second 0", &["not a positive number"]);
    refuses("resnet18 --batch 0", &["--batch", "0"]);
    refuses("resnet18 --wells 0", &["--wells"]);
    refuses("resnet18 --crops-per-site 36", &["--wells"]);
    refuses("resnet18 --channels 0", &["in_chans 0 is not in 1..=1024"]);
    refuses(
        "camae_vit_small_patch16 --channels 12",
        &["1 to 11 channels"],
    );
    refuses("vit_small_patch16 --img-size 0", &["1 to 16384"]);
    refuses("vit_small_patch16_250", &["img_size 250", "240, 256"]);
    refuses("", &["NETWORK"]);
}

#[test]
fn settings_that_cannot_be_are_refused_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = TINY_TRAINING.replace("patch_size = 16", "patch_size = 15");
    fs::write(folder.path().join("train.toml"), text).unwrap();
    plan_in(folder.path(), "train.toml")
        .expect_status(2)
        .expect_stderr(&[
            "train.toml",
            "img_size 64 is not a multiple of patch_size 15",
        ]);
}

/// The most of everything: nothing wraps, nothing panics.
#[test]
fn the_largest_screen_is_planned() {
    let plan = json(
        "mae_vit_gigantic_patch8 --wells 1000000000000 --sites-per-well 1000000 \
         --crops-per-site 1000000 --site-px 1000000 --bytes-per-pixel 8 --epochs 1000000 \
         --batch 1000000000",
    );
    let hours = &plan["networks"][0]["machines"][0]["training_hours"];
    assert!(hours.as_f64().unwrap().is_finite());
}
