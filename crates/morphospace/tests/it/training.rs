//! Training from the command line: kills, faults, repeats, what comes after.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use morphospace_core::Seed;
use morphospace_profiles::read_predictions;
use rand::RngExt;

use crate::support::{morphospace, tiny_screen};

/// Two networks, centres, accumulation: all that a checkpoint may hold.
const DINO: &str = "
seed = 5
length = '8 steps'
batch_size = 6
accumulation = 2
checkpoint_minutes = 0.0

[views]
preset = 'simple'
resize_px = 64
crop_px = 64
local_px = 32
num_local = 2

[network]
kind = 'plain_vit'
config = { img_size = 64, patch_size = 16, embed_dim = 96, depth = 3, num_heads = 3 }

[objective]
kind = 'dino'
head = { out_dim = 512, hidden_dim = 128, bottleneck_dim = 64 }

[optimiser]
rule = 'adam_w'
learning_rate = 1e-3

[schedule]
kind = 'warmup_cosine'
warmup = '2 steps'
";

/// Tells perturbations, with a head for experiments.
const SUPERVISED: &str = "
seed = 5
length = '4 steps'
batch_size = 6

[network]
kind = 'supervised'
config.backbone.kind = 'densenet'
config.backbone.config = { img_size = 64, growth_rate = 4, block_config = [1, 1], num_init_features = 8 }
config.head.embed_dim = 12

[optimiser]
rule = 'sgd'
learning_rate = 0.05

[evaluation]
every = '2 steps'
probe_sites = 30
metric = 'validation/accuracy'
goal = 'max'
";

/// Kills of the long test; the short one has fewer.
const NUM_KILLS: usize = 20;
const NUM_KILLS_OF_THE_SHORT_TEST: usize = 6;

/// When the program is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after its start.
    After(Duration),
    /// While a checkpoint is written, from the n-th on.
    InCheckpoint(u32),
    /// A while after the n-th checkpoint is done: in the middle of a step.
    BehindCheckpoint(u32, Duration),
}

fn start(folder: &Path, output: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_morphospace"))
        .args([
            "train",
            "screen",
            "--config",
            "dino.toml",
            "--output",
            output,
        ])
        .current_dir(folder)
        .env_remove("MORPHOSPACE_DEVICE")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

/// Starts, kills, and says what the kill left behind.
fn kill_at(folder: &Path, moment: Moment) -> &'static str {
    let mut child = start(folder, "killed");
    let started = Instant::now();
    let checkpoints = folder.join("killed/checkpoints");
    let names = || -> Vec<String> {
        let entries = fs::read_dir(&checkpoints).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    };
    let is_unfinished = |name: &String| name.ends_with(".tmp");
    let (mut num_written, mut num_begun) = (0, 0);
    let (mut last, mut was_writing) = (names(), false);
    last.retain(|name| !is_unfinished(name));
    let mut since = None;
    while child.try_wait().expect("it can be asked").is_none() {
        let mut now = names();
        let is_writing = now.iter().any(is_unfinished);
        now.retain(|name| !is_unfinished(name));
        num_begun += u32::from(is_writing && !was_writing);
        was_writing = is_writing;
        if now.iter().any(|name| !last.contains(name)) {
            num_written += 1;
            since = Some(Instant::now());
            last = now;
        }
        let is_due = match moment {
            Moment::After(time) => started.elapsed() >= time,
            Moment::InCheckpoint(number) => is_writing && num_begun >= number,
            Moment::BehindCheckpoint(number, time) => {
                num_written >= number && since.is_some_and(|since| since.elapsed() >= time)
            }
        };
        if is_due {
            child.kill().expect("it can be killed");
            break;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    let status = child.wait().expect("it ends");
    match (status.success(), names().iter().any(is_unfinished)) {
        (true, _) => "done before",
        (false, true) => "half a checkpoint",
        (false, false) => "no half checkpoint",
    }
}

/// Every file of a run's last checkpoint.
fn last_checkpoint(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let checkpoints = fs::read_dir(run.join("checkpoints")).unwrap();
    let folders = checkpoints.map(|entry| entry.unwrap().path());
    let is_step = |path: &std::path::PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("step-")
    };
    let last = folders.filter(is_step).max().expect("there is one");
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(last).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        files.insert(name, fs::read(&path).unwrap());
    }
    files
}

#[expect(
    clippy::print_stderr,
    reason = "how kills fell is told with --nocapture"
)]
fn check_kills(num_kills: usize) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    fs::write(folder.join("dino.toml"), DINO).unwrap();
    let started = Instant::now();
    assert!(start(folder, "whole").wait().unwrap().success());
    let whole_time = started.elapsed();
    let seed = Seed::new(11);
    let mut left = BTreeMap::new();
    for kill in 0..num_kills {
        let mut rng = seed.split_index(kill as u64).rng();
        let time = whole_time.mul_f64(rng.random::<f64>());
        let number = rng.random_range(1..=2);
        let moment = match kill % 3 {
            0 => Moment::After(time),
            1 => Moment::InCheckpoint(number),
            _ => Moment::BehindCheckpoint(number, time.div_f64(16.0)),
        };
        let outcome = kill_at(folder, moment);
        *left.entry(outcome).or_insert(0) += 1;
        if outcome == "done before" {
            // What is done cannot be killed: the rest of the kills are of
            // another run.
            assert_eq!(
                last_checkpoint(&folder.join("killed")),
                last_checkpoint(&folder.join("whole"))
            );
            fs::remove_dir_all(folder.join("killed")).unwrap();
        }
    }
    assert!(start(folder, "killed").wait().unwrap().success());
    eprintln!("{num_kills} kills of a run of {whole_time:.1?}: {left:?}");
    assert!(left.contains_key("half a checkpoint"), "{left:?}");
    let (whole, killed) = (
        last_checkpoint(&folder.join("whole")),
        last_checkpoint(&folder.join("killed")),
    );
    assert!(whole.contains_key("objective.safetensors"));
    assert_eq!(
        whole.keys().collect::<Vec<_>>(),
        killed.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in whole {
        assert!(killed[&name] == bytes, "{name} differs");
    }
    // Nor do the metrics tell that anything happened, but for times.
    let steps = |run: &str| -> Vec<(u64, f64)> {
        let text = fs::read_to_string(folder.join(run).join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .map(|line: serde_json::Value| {
                (
                    line["step"].as_u64().unwrap(),
                    line["loss"].as_f64().unwrap(),
                )
            })
            .collect()
    };
    assert_eq!(steps("whole"), steps("killed"));
    // What kills leave behind is cleared away.
    let entries = fs::read_dir(folder.join("killed/checkpoints")).unwrap();
    let names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(
        !names.iter().any(|name| name.ends_with(".tmp")),
        "{names:?}"
    );
}

#[test]
fn a_run_that_is_killed_ends_as_one_that_is_not() {
    check_kills(NUM_KILLS_OF_THE_SHORT_TEST);
}

#[test]
#[ignore = "the long form of the test above: cargo test --workspace --test it -- --ignored killed"]
fn a_run_that_is_killed_twenty_times_ends_as_one_that_is_not() {
    check_kills(NUM_KILLS);
}

#[test]
fn a_full_disk_leaves_the_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    fs::write(folder.join("dino.toml"), DINO).unwrap();
    let whole = [
        "train",
        "screen",
        "--config",
        "dino.toml",
        "--output",
        "whole",
    ];
    morphospace(folder, &whole).expect_status(0);
    let short = [
        "train",
        "screen",
        "--config",
        "dino.toml",
        "--set",
        "checkpoint_minutes=0.0",
    ];
    // Files of more than 100 KiB cannot be written.
    let script = format!(
        "trap '' XFSZ; ulimit -f 200; exec {} {} --output full",
        env!("CARGO_BIN_EXE_morphospace"),
        short.join(" ")
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .output()
        .expect("bash is there");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("model.safetensors"), "{stderr}");
    // With room again, the same command goes on.
    let again = [
        "train",
        "screen",
        "--config",
        "dino.toml",
        "--output",
        "full",
    ];
    morphospace(folder, &again).expect_status(0);
    assert_eq!(
        last_checkpoint(&folder.join("full")),
        last_checkpoint(&folder.join("whole"))
    );
}

#[test]
fn a_broken_checkpoint_is_refused_and_left_out_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    fs::write(folder.join("dino.toml"), DINO).unwrap();
    let train = [
        "train",
        "screen",
        "--config",
        "dino.toml",
        "--output",
        "run",
    ];
    morphospace(folder, &train).expect_status(0);
    let whole = last_checkpoint(&folder.join("run"));
    let last = folder.join("run/checkpoints/step-00000008");
    let break_file = |name: &str, at: usize| {
        let mut bytes = fs::read(last.join(name)).unwrap();
        bytes[at] ^= 1;
        fs::write(last.join(name), bytes).unwrap();
    };
    break_file("optimiser.safetensors", 5000);
    morphospace(folder, &train)
        .expect_status(2)
        .expect_stderr(&[
            "'optimiser.safetensors' is not what was written",
            "--drop-corrupt",
        ]);
    let drop = [&train[..], &["--drop-corrupt"]].concat();
    morphospace(folder, &drop)
        .expect_status(0)
        .expect_stderr(&["was broken and is removed", "from step 7 on"]);
    assert_eq!(last_checkpoint(&folder.join("run")), whole);
    // A state that was cut.
    let state = fs::read_to_string(last.join("state.json")).unwrap();
    fs::write(last.join("state.json"), &state[..state.len() / 2]).unwrap();
    morphospace(folder, &train)
        .expect_status(2)
        .expect_stderr(&["'state.json' is not whole"]);
    fs::remove_file(last.join("objective.safetensors")).unwrap();
    fs::write(last.join("state.json"), state).unwrap();
    morphospace(folder, &train)
        .expect_status(2)
        .expect_stderr(&["'objective.safetensors' is gone"]);
}

#[test]
fn two_processes_do_not_train_in_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    fs::create_dir(folder.join("run")).unwrap();
    let lock = File::create(folder.join("run/.lock")).unwrap();
    lock.lock().unwrap();
    let train = [
        "train",
        "screen",
        "--config",
        "train.toml",
        "--output",
        "run",
    ];
    morphospace(folder, &train)
        .expect_status(2)
        .expect_stderr(&["in use by another process"]);
    drop(lock);
    morphospace(folder, &train).expect_status(0);
}

/// A screen, its split into an experiment to train on and one to validate
/// with, and the configuration of heads.
fn split_screen(folder: &Path) {
    tiny_screen(folder);
    fs::write(folder.join("supervised.toml"), SUPERVISED).unwrap();
    let split = [
        "split",
        "screen",
        "--scheme",
        "leave-experiment-out",
        "--experiments",
        "HUVEC-02",
        "--output",
        "split.parquet",
    ];
    morphospace(folder, &split).expect_status(0);
}

#[test]
fn heads_are_trained_validated_and_predict() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    split_screen(folder);
    let train = [
        "train",
        "screen",
        "--split",
        "split.parquet",
        "--validation-part",
        "test",
        "--config",
        "supervised.toml",
        "--output",
        "run",
    ];
    let done = morphospace(folder, &train).expect_status(0);
    let metrics = fs::read_to_string(folder.join("run/metrics.jsonl")).unwrap();
    for score in [
        "validation/loss",
        "validation/accuracy",
        "probe/knn_accuracy",
        "probe/linear_balanced_accuracy",
    ] {
        assert!(
            metrics.contains(score),
            "{score}: {metrics}\n{}",
            done.stderr
        );
    }
    let entries = fs::read_dir(folder.join("run/checkpoints")).unwrap();
    let names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(
        names.iter().any(|name| name.starts_with("best-step-")),
        "{names:?}"
    );
    assert!(fs::metadata(folder.join("run/tensorboard")).is_ok());

    let predict = |output: &str, rest: &[&str]| {
        let args = ["predict", "screen", "--network", "run", "--output", output];
        morphospace(folder, &[&args[..], rest].concat()).expect_status(0)
    };
    let told = predict("predictions.parquet", &[]);
    assert!(told.stderr.contains("perturbation"), "{}", told.stderr);
    let predictions = read_predictions(&folder.join("predictions.parquet")).unwrap();
    let of_head = |head: &str| {
        predictions
            .rows
            .iter()
            .filter(|row| row.head == head)
            .count()
    };
    let table = fs::read_to_string(folder.join("screen/metadata.csv")).unwrap();
    let num_sites = table.lines().count() - 1;
    assert_eq!([of_head("perturbation"), of_head("batch")], [num_sites; 2]);
    for row in &predictions.rows {
        assert_eq!(row.predicted, row.top5[0]);
        assert!(row.log_prob <= 0.0);
    }
    // Experiments that were not trained on are no class of the batches' head.
    let batches = predictions.rows.iter().filter(|row| row.head == "batch");
    assert!(batches.clone().all(|row| row.predicted == "HUVEC-01"));
    assert!(
        batches
            .clone()
            .any(|row| row.label.as_deref() == Some("HUVEC-02"))
    );
    predict(
        "best.parquet",
        &["--checkpoint", "best", "--norm", "domain"],
    );
    predict(
        "part.parquet",
        &[
            "--split",
            "split.parquet",
            "--part",
            "test",
            "--norm",
            "batch",
        ],
    );
    let part = read_predictions(&folder.join("part.parquet")).unwrap();
    // Both heads, of one of two experiments.
    assert_eq!(part.rows.len(), num_sites);

    // What channels are worth adds up to what all of them tell.
    let args = ["channel-importance", "screen", "--network", "run", "--json"];
    let run = morphospace(folder, &[&args[..], &["--figure", "channels.svg"]].concat());
    let scores: serde_json::Value = serde_json::from_str(&run.expect_status(0).stdout).unwrap();
    let scores = scores["scores"].as_array().unwrap();
    let worth: f64 = scores
        .iter()
        .map(|score| score["value"].as_f64().unwrap())
        .sum();
    let setting = |name: &str| -> f64 {
        scores[0]["settings"][name]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    let (all, none) = (
        setting("accuracy with all channels"),
        setting("accuracy with none"),
    );
    assert!((worth - (all - none)).abs() < 1e-3, "{worth} {all} {none}");
    let right = predictions
        .rows
        .iter()
        .filter(|row| row.head == "perturbation");
    let right = right
        .filter(|row| row.label.as_ref() == Some(&row.predicted))
        .count();
    assert!(
        (all - right as f64 / num_sites as f64).abs() < 1e-3,
        "{all} {right}"
    );
    let figure = fs::read_to_string(folder.join("channels.svg")).unwrap();
    assert!(figure.contains("DNA") && figure.contains("Shapley value"));
}

#[test]
fn what_has_no_heads_does_not_predict() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny_screen(folder);
    let train = [
        "train",
        "screen",
        "--config",
        "train.toml",
        "--output",
        "run",
    ];
    morphospace(folder, &train).expect_status(0);
    let predict = [
        "predict",
        "screen",
        "--network",
        "run",
        "--output",
        "p.parquet",
    ];
    morphospace(folder, &predict)
        .expect_status(2)
        .expect_stderr(&["'masked_modelling', which tells no classes"]);
    let best = [&predict[..], &["--checkpoint", "best"]].concat();
    morphospace(folder, &best)
        .expect_status(2)
        .expect_stderr(&["has no best checkpoint"]);
    let page = [
        "reconstruct",
        "screen",
        "--network",
        "run",
        "--output",
        "page.html",
    ];
    morphospace(folder, &page)
        .expect_status(0)
        .expect_stderr(&["mean squared error"]);
    let html = fs::read_to_string(folder.join("page.html")).unwrap();
    for part in ["original", "what the network sees", "reconstruction"] {
        assert!(html.contains(part), "{part}");
    }
    let picture = [
        "reconstruct",
        "screen",
        "--network",
        "run",
        "--output",
        "page.png",
    ];
    morphospace(folder, &picture)
        .expect_status(2)
        .expect_stderr(&["does not end in .html"]);
}

#[test]
fn seeds_and_folds_come_to_a_mean_and_a_spread() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    split_screen(folder);
    let train = [
        "train",
        "screen",
        "--split",
        "split.parquet",
        "--validation-part",
        "test",
        "--config",
        "supervised.toml",
        "--set",
        "evaluation.probe_sites=0",
        "--seeds",
        "2",
        "--output",
        "runs",
    ];
    let done = morphospace(folder, &train).expect_status(0);
    assert!(
        done.stdout.contains("seed-5") && done.stdout.contains("seed-6"),
        "{}",
        done.stdout
    );
    let summary = fs::read_to_string(folder.join("runs/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let accuracy = &summary["scores"]["validation/accuracy"];
    assert_eq!(accuracy["num_runs"], 2);
    assert!(accuracy["sd"].as_f64().is_some());
    // Done runs are not done again.
    let again = morphospace(folder, &train).expect_status(0);
    assert_eq!(again.stdout, done.stdout);
    // Two experiments are not six blocks.
    let folds = [
        "train",
        "screen",
        "--config",
        "supervised.toml",
        "--folds",
        "6",
        "--output",
        "folds",
    ];
    morphospace(folder, &folds)
        .expect_status(2)
        .expect_stderr(&["not 6 blocks"]);
}

#[test]
fn each_fold_begins_with_its_own_network() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    split_screen(folder);
    let six = "experiments=[\"HUVEC-01\",\"HUVEC-02\",\"HUVEC-03\",\"HUVEC-04\",\"HUVEC-05\",\"HUVEC-06\"]";
    let simulate = [
        "simulate",
        "--config",
        "simulator.toml",
        "--set",
        six,
        "--set",
        "test_experiments=[\"HUVEC-06\"]",
        "--output",
        "six",
    ];
    morphospace(folder, &simulate).expect_status(0);
    let train = |rest: &[&str]| {
        let args = [
            "train",
            "six",
            "--config",
            "supervised.toml",
            "--folds",
            "6",
        ];
        let done = morphospace(folder, &[&args[..], rest].concat());
        done.expect_status(0)
    };
    let short = [
        "--set",
        "evaluation.probe_sites=0",
        "--set",
        "length=1 steps",
    ];
    train(&[&short[..], &["--output", "folds"]].concat());
    let init = [
        "--set",
        "init.checkpoint=folds/fold-{fold}",
        "--output",
        "heads",
    ];
    let done = train(&[&short[..], &init].concat());
    assert!(done.stdout.contains("fold-6"), "{}", done.stdout);
    let config = fs::read_to_string(folder.join("heads/fold-3/config.toml")).unwrap();
    assert!(config.contains("folds/fold-3"), "{config}");
    let summary = fs::read_to_string(folder.join("heads/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["scores"]["validation/accuracy"]["num_runs"], 6);
}

#[test]
fn what_cannot_be_validated_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    split_screen(folder);
    let train = |rest: &[&str]| {
        let args = [
            "train",
            "screen",
            "--config",
            "supervised.toml",
            "--output",
            "run",
        ];
        morphospace(folder, &[&args[..], rest].concat())
    };
    let split = ["--split", "split.parquet"];
    train(&[&split[..], &["--validation-part", "train"]].concat())
        .expect_status(2)
        .expect_stderr(&["cannot be both trained on and validated with"]);
    train(&[&split[..], &["--validation-part", "validation"]].concat())
        .expect_status(2)
        .expect_stderr(&["has no site in part 'validation'", "it has train and test"]);
    train(&["--set", "labels.num_classes=7"])
        .expect_status(2)
        .expect_stderr(&["labels.num_classes asks for 7"]);
    train(&[
        "--set",
        "objective.kind=supervised",
        "--set",
        "objective.adabn=true",
    ])
    .expect_status(2)
    .expect_stderr(&["set sampler.kind to 'single_domain'"]);
    // Perturbations that only the other experiment has.
    let table = fs::read_to_string(folder.join("screen/metadata.csv")).unwrap();
    let mut lines: Vec<Vec<String>> = table
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect();
    let column = |name: &str| lines[0].iter().position(|column| column == name).unwrap();
    let (sirna, sirna_id) = (column("sirna"), column("sirna_id"));
    let (kind, experiment) = (column("well_type"), column("experiment"));
    for line in &mut lines {
        if line[experiment] == "HUVEC-02" && line[kind] == "treatment" {
            line[sirna] = format!("t{}", line[sirna]);
            line[sirna_id] = format!("9{}", line[sirna_id]);
        }
    }
    let lines: Vec<String> = lines.iter().map(|line| line.join(",")).collect();
    fs::write(folder.join("screen/metadata.csv"), lines.join("\n")).unwrap();
    train(&[&split[..], &["--validation-part", "test"]].concat())
        .expect_status(2)
        .expect_stderr(&["is to be validated with, and no training site has it"]);
    assert!(!folder.join("run").exists());
}
