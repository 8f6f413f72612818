//! Weights of other programs, and networks cut behind a block.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{TINY_SIMULATOR, TINY_TRAINING, morphospace};

/// Tiny networks as other programs write them.
fn foreign(name: &str) -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    crates.join("models/tests/foreign").join(name)
}

/// Our configuration of one, as `config.json` in a folder.
fn config(folder: &Path, name: &str) {
    let case = fs::read_to_string(foreign(name).join("case.json")).unwrap();
    let case: Value = serde_json::from_str(&case).unwrap();
    fs::create_dir_all(folder.join("sizes")).unwrap();
    fs::write(
        folder.join("sizes/config.json"),
        case["network"].to_string(),
    )
    .unwrap();
}

#[test]
fn a_checkpoint_of_another_program_becomes_one_of_ours_that_embeds() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| morphospace(folder.path(), args);
    config(folder.path(), "dino_checkpoint");
    let file = foreign("dino_checkpoint").join("checkpoint.pth");
    let file = file.to_str().unwrap();
    let import = [
        "import",
        file,
        "--network",
        "sizes/config.json",
        "--output",
        "dino",
        "--input-size",
        "32",
    ];
    let imported = run(&import).expect_status(0);
    insta::assert_snapshot!("imported", imported.stdout);
    let provenance = fs::read_to_string(folder.path().join("dino/provenance.json")).unwrap();
    assert!(provenance.contains("checkpoint.pth"), "{provenance}");
    fs::write(folder.path().join("sim.toml"), TINY_SIMULATOR).unwrap();
    run(&["simulate", "--config", "sim.toml", "--output", "screen"]).expect_status(0);
    let embed = [
        "embed",
        "screen",
        "--network",
        "dino",
        "--output",
        "p.parquet",
    ];
    run(&[&embed[..], &["--pooling", "cls"]].concat()).expect_status(0);
    // And cut behind its first block.
    run(&["trim", "dino", "--blocks", "1", "--output", "cut"]).expect_status(0);
    let config = fs::read_to_string(folder.path().join("cut/config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["config"]["depth"], 1);
    let embed = [
        "embed",
        "screen",
        "--network",
        "cut",
        "--output",
        "q.parquet",
    ];
    run(&embed).expect_status(0);
    let provenance = fs::read_to_string(folder.path().join("cut/provenance.json")).unwrap();
    assert!(provenance.contains("\"blocks\":\"1\""), "{provenance}");
    // Nothing is written over.
    for output in ["dino", "cut"] {
        run(&["trim", "dino", "--blocks", "1", "--output", output])
            .expect_status(2)
            .expect_stderr(&["holds a network", "another folder"]);
        run(&[
            "import",
            file,
            "--network",
            "sizes/config.json",
            "--output",
            output,
        ])
        .expect_status(2)
        .expect_stderr(&["holds a network"]);
    }
    run(&["trim", "dino", "--blocks", "3", "--output", "long"])
        .expect_status(2)
        .expect_stderr(&["dino", "3 blocks to keep is not in 1..=2"]);
}

#[test]
fn a_run_of_train_is_trimmed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| morphospace(folder.path(), args);
    fs::write(folder.path().join("sim.toml"), TINY_SIMULATOR).unwrap();
    fs::write(folder.path().join("train.toml"), TINY_TRAINING).unwrap();
    run(&["simulate", "--config", "sim.toml", "--output", "screen"]).expect_status(0);
    run(&[
        "train",
        "screen",
        "--config",
        "train.toml",
        "--output",
        "run",
    ])
    .expect_status(0);
    run(&["trim", "run", "--blocks", "1", "--output", "cut"]).expect_status(0);
    run(&[
        "embed",
        "screen",
        "--network",
        "cut",
        "--output",
        "p.parquet",
    ])
    .expect_status(0);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    config(folder.path(), "timm_dinov2");
    let file = foreign("timm_dinov2").join("pytorch_model.bin");
    let file = file.to_str().unwrap();
    let refused = |args: &[&str]| {
        let import = ["import", "--output", "new"];
        let run = morphospace(folder.path(), &[&import[..], args].concat()).expect_status(2);
        assert!(!folder.path().join("new/model.safetensors").exists());
        run
    };
    let of_other = refused(&[file, "--network", "imagenet_vit_tiny_patch16"]);
    insta::assert_snapshot!(
        "of_another_network",
        of_other.stderr.replace(file, "[file]")
    );
    refused(&[file, "--network", "imagenet_vit_tinny_patch16"])
        .expect_stderr(&["did you mean 'imagenet_vit_tiny_patch16'"]);
    refused(&["lost.pth", "--network", "sizes/config.json"]).expect_stderr(&["lost.pth"]);
    refused(&["sizes", "--network", "sizes/config.json"]).expect_stderr(&["is a folder"]);
    refused(&["hf://lab", "--network", "sizes/config.json"]).expect_stderr(&["hf://owner/name"]);
    refused(&["s3://lab/x", "--network", "sizes/config.json"])
        .expect_stderr(&["is not a location of weights"]);
    refused(&[file, "--network", "openphenom", "--in-chans", "5"])
        .expect_stderr(&["takes any channels"]);
    refused(&[
        file,
        "--network",
        "vit_small_patch16",
        "--input-size",
        "224",
    ])
    .expect_stderr(&["vit_small_patch16_224"]);
    refused(&[file, "--network", "densenet161", "--norm-eps", "1e-12"])
        .expect_stderr(&["only vision transformers"]);
    refused(&[file, "--network", "resnet"]).expect_stderr(&["'resnet'", "resnet18"]);
    fs::write(folder.path().join("page.bin"), "<html>").unwrap();
    refused(&["page.bin", "--network", "sizes/config.json"])
        .expect_stderr(&["page.bin", "not a valid safetensors file"]);
}

#[cfg(feature = "buckets")]
#[test]
fn weights_come_from_a_server_into_the_cache_once() {
    let folder = tempfile::tempdir().unwrap();
    config(folder.path(), "timm_dinov2");
    let bytes = fs::read(foreign("timm_dinov2").join("pytorch_model.bin")).unwrap();
    let sha256 = morphospace_core::sha256_hex(&bytes);
    let url = format!("{}/pytorch_model.bin", crate::fetch::server(bytes.leak()));
    let import = |url: &str, output: &str| {
        let args = [
            "import",
            url,
            "--network",
            "sizes/config.json",
            "--output",
            output,
            "--cache",
            "cache",
        ];
        morphospace(folder.path(), &args)
    };
    import(&format!("{url}#sha256={}", "0".repeat(64)), "wrong")
        .expect_status(2)
        .expect_stderr(&["SHA-256", &sha256]);
    import(&format!("{url}#sha256={sha256}"), "first").expect_status(0);
    import(&url, "second").expect_status(0);
    let read = |name: &str| fs::read(folder.path().join(name).join("model.safetensors")).unwrap();
    assert_eq!(read("first"), read("second"));
}
