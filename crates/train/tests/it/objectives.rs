//! Every objective: it learns, it goes on after a kill as if nothing had
//! happened, and what it holds still stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use burn::tensor::Device;
use morphospace_core::parse_config;
use morphospace_models::Precision;
use morphospace_screen::{LoaderOptions, Screen};
use morphospace_train::{
    Observer, StepReport, TrainConfig, TrainSummary, TrainingData, latest_checkpoint, train,
};
use safetensors::SafeTensors;

use crate::support::screen_of;

/// What all of them have in common.
const RUN: &str = "
seed = 3
length = '4 steps'
batch_size = 6
checkpoint_minutes = 1e3

[optimiser]
rule = 'adam_w'
learning_rate = 2e-3
";

const PLAIN_VIT: &str = "
[network]
kind = 'plain_vit'
config = { img_size = 32, patch_size = 8, embed_dim = 24, depth = 2, num_heads = 2 }
";

const SUPERVISED: &str = "
[network]
kind = 'supervised'
config.backbone.kind = 'densenet'
config.backbone.config = { img_size = 32, growth_rate = 4, block_config = [1, 1], num_init_features = 8 }
config.head.in_dim = 10
config.head.embed_dim = 12
";

const VIEWS: &str = "
[views]
preset = 'simple'
resize_px = 32
crop_px = 32
local_px = 16
num_local = 2
";

/// Name, and what its configuration has besides [`RUN`].
fn objectives() -> Vec<(&'static str, String)> {
    let all: [(&str, &[&str]); 14] = [
        (
            "munet",
            &["
[network]
kind = 'munet'
config = { img_size = 32, depths = [4, 8], kernel = 3 }
[objective]
kind = 'masked_modelling'
patch_size = 8
"],
        ),
        ("supervised", &[SUPERVISED]),
        (
            "supervised, adabn, reversal, cutmix",
            &[
                "
accumulation = 2
[sampler]
kind = 'single_domain'
ghost_batch_size = 3
[cutmix]
convention = 'kaggle'
[objective]
kind = 'supervised'
adabn = true
ramp_reversal = true
cross_entropy = { label_smoothing = 0.1 }
",
                SUPERVISED,
                "config.head.batch_head = { kind = 'gradient_reversal', lambda = 1.0 }\n",
            ],
        ),
        ("frozen head", &[PLAIN_VIT, "[objective]\nkind = 'classifier'"]),
        (
            "tuned head of cell types",
            &[
                PLAIN_VIT,
                "
[labels]
class = 'cell_type'
[objective]
kind = 'classifier'
frozen = false
pooling = 'patch_mean'
",
            ],
        ),
        (
            "simclr",
            &[PLAIN_VIT, "[objective]\nkind = 'contrastive'\nhead = { hidden_dim = 16, out_dim = 8 }"],
        ),
        (
            "simclr, decorrelated",
            &[
                PLAIN_VIT,
                "
[objective]
kind = 'contrastive'
[objective.batch_decorrelation]
weight = 0.5
loss = { variant = 'described' }
",
            ],
        ),
        (
            "simclr, adversary",
            &[
                "accumulation = 2\n",
                PLAIN_VIT,
                "
[objective]
kind = 'contrastive'
adversary = { hidden_dim = 8, bounded = true, moves_per_step = 2 }
",
            ],
        ),
        (
            "barlow on a resnet",
            &["
[network]
kind = 'resnet'
config = { img_size = 32, block = 'basic', layers = [1, 1, 1, 1], width = 4 }
[objective]
kind = 'contrastive'
pooling = 'patch_mean'
head = { norm = 'hidden_and_output', dropout = 0.2 }
comparison = { kind = 'barlow', variant = 'zbontar', lambda = 0.0051 }
"],
        ),
        (
            "dino",
            &[
                PLAIN_VIT,
                VIEWS,
                "
[objective]
kind = 'dino'
head = { out_dim = 20, hidden_dim = 16, bottleneck_dim = 8 }
freeze_last_layer = '2 steps'
",
            ],
        ),
        (
            "dino, barlow, cross-domain, a centre per experiment",
            &[
                "accumulation = 2\n",
                PLAIN_VIT,
                VIEWS,
                "
[sampler]
kind = 'cross_domain'
on_unpaired = 'skip'
[objective]
kind = 'dino'
head = { out_dim = 20, hidden_dim = 16, bottleneck_dim = 8 }
loss = { barlow_weight = 0.75 }
center_per_domain = true
network_of = 'student'
[clip]
kind = 'per_parameter'
length = 3.0
",
            ],
        ),
        (
            "cdcl",
            &[
                PLAIN_VIT,
                VIEWS,
                "
[sampler]
kind = 'cross_domain'
on_unpaired = 'skip'
[objective]
kind = 'dino'
head = { out_dim = 20, hidden_dim = 16, bottleneck_dim = 8 }
pairing = 'cdcl'
only_cross_domain = true
",
            ],
        ),
        (
            "dinov2",
            &["
[network]
kind = 'plain_vit'
config = { img_size = 32, patch_size = 8, embed_dim = 24, depth = 2, num_heads = 2, mask_token = true }
[views]
preset = 'dinov2'
resize_px = 32
crop_px = 32
local_px = 16
num_local = 2
[objective]
kind = 'dinov2'
head = { out_dim = 20, hidden_dim = 16, bottleneck_dim = 8 }
"],
        ),
        (
            "dinov2 of an autoencoder's encoder",
            &["
[network]
kind = 'vit'
config = { img_size = 32, patch_size = 8, in_chans = 6, embed_dim = 24, depth = 2, num_heads = 2 }
[views]
preset = 'dinov2'
resize_px = 32
crop_px = 32
local_px = 16
num_local = 2
[objective]
kind = 'dinov2'
head = { out_dim = 20, hidden_dim = 16, bottleneck_dim = 8 }
"],
        ),
    ];
    let joined = all.into_iter().map(|(name, parts)| (name, parts.concat()));
    joined.collect()
}

/// Settings before tables come first in TOML.
fn config(text: &str) -> TrainConfig {
    let (settings, tables) = match text.split_once("\n[") {
        Some((settings, tables)) => (settings, format!("\n[{tables}")),
        None => (text, String::new()),
    };
    let (run, optimiser) = RUN.split_once("\n[").unwrap();
    let text = format!("{run}\n{settings}\n[{optimiser}{tables}");
    parse_config("the test's", &text, &[]).unwrap()
}

struct Killer(Option<u64>);

impl Observer for Killer {
    fn on_step(&mut self, report: &StepReport) {
        assert!(self.0 != Some(report.step), "killed, as the test asks");
    }
}

/// Runs until `kill_at` or the end.
fn run(
    screen: &dyn Screen,
    validation: Option<&dyn Screen>,
    config: TrainConfig,
    folder: &Path,
    kill_at: Option<u64>,
) -> Option<TrainSummary> {
    let config = config.check().unwrap();
    let data = TrainingData {
        training: screen,
        validation,
    };
    let loader = LoaderOptions {
        num_threads: 2,
        num_ahead: 2,
    };
    let observer = &mut Killer(kill_at);
    let run = || train(&config, data, folder, &Device::default(), loader, observer).unwrap();
    catch_unwind(AssertUnwindSafe(run)).ok()
}

/// Files of a run's last checkpoint by name.
fn files(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let folder = latest_checkpoint(run).unwrap().unwrap().folder;
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn each_goes_on_after_a_kill_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen_of(&["HUVEC-01", "RPE-01"], &folder.path().join("screen"));
    let unseen = screen_of(&["HUVEC-02"], &folder.path().join("unseen"));
    for (index, (name, text)) in objectives().into_iter().enumerate() {
        // Cell types of one experiment are one class, and pairs need two.
        let is_alone = text.contains("cross_domain");
        let validation = (!is_alone).then_some(&*unseen);
        let place = |what: &str| folder.path().join(format!("{index}-{what}"));
        let undisturbed = config(&text);
        let every_step = TrainConfig {
            checkpoint_minutes: 0.0,
            ..undisturbed.clone()
        };
        let whole = run(&*screen, validation, undisturbed, &place("whole"), None);
        let whole = whole.unwrap_or_else(|| panic!("{name} does not run"));
        assert_eq!(whole.steps.len(), 4, "{name}");
        assert_eq!(whole.evaluations.is_empty(), is_alone, "{name}");
        assert!(
            run(
                &*screen,
                validation,
                every_step.clone(),
                &place("killed"),
                Some(2)
            )
            .is_none()
        );
        let resumed = run(&*screen, validation, every_step, &place("killed"), None).unwrap();
        assert_eq!(resumed.first_step, 2, "{name}");
        let (whole, killed) = (files(&place("whole")), files(&place("killed")));
        assert_eq!(
            whole.keys().collect::<Vec<_>>(),
            killed.keys().collect::<Vec<_>>(),
            "{name}"
        );
        for (file, bytes) in whole {
            assert!(killed[&file] == bytes, "{name}: {file} differs");
        }
    }
}

/// Names of the tensors that differ between two checkpoints of a run.
fn moved(
    before: &BTreeMap<String, Vec<u8>>,
    after: &BTreeMap<String, Vec<u8>>,
) -> BTreeSet<String> {
    let mut moved = BTreeSet::new();
    for file in ["model.safetensors", "objective.safetensors"] {
        let (Some(before), Some(after)) = (before.get(file), after.get(file)) else {
            continue;
        };
        let before = SafeTensors::deserialize(before).unwrap();
        let after = SafeTensors::deserialize(after).unwrap();
        for (name, view) in before.tensors() {
            if after.tensor(&name).unwrap().data() != view.data() {
                moved.insert(name);
            }
        }
    }
    moved
}

/// All tensors of a checkpoint.
fn all(files: &BTreeMap<String, Vec<u8>>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for file in ["model.safetensors", "objective.safetensors"] {
        if let Some(bytes) = files.get(file) {
            all.extend(
                SafeTensors::deserialize(bytes)
                    .unwrap()
                    .names()
                    .iter()
                    .map(ToString::to_string),
            );
        }
    }
    all
}

#[test]
fn each_moves_what_it_trains_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen_of(&["HUVEC-01", "RPE-01"], &folder.path().join("screen"));
    for (index, (name, text)) in objectives().into_iter().enumerate() {
        let run_folder = folder.path().join(index.to_string());
        let config = TrainConfig {
            length: "3 steps".parse().unwrap(),
            checkpoint_minutes: 0.0,
            keep_last: 10,
            ..config(&text)
        };
        run(&*screen, None, config, &run_folder, None).unwrap();
        let at = |step: u64| {
            let folder = run_folder.join(format!("checkpoints/step-{step:08}"));
            let entries = fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            entries
                .map(|path| {
                    let name = path.file_name().unwrap().to_string_lossy().into_owned();
                    (name, fs::read(path).unwrap())
                })
                .collect::<BTreeMap<_, _>>()
        };
        let (first, last) = (at(1), at(3));
        let moved = moved(&first, &last);
        let stays = |parameter: &str| {
            parameter.ends_with("num_batches_tracked")
                // Fixed tables of positions.
                || (name.contains("autoencoder") && parameter.ends_with("pos_embed"))
                || parameter.ends_with("last_layer.weight_g")
                || (name == "frozen head" && !parameter.starts_with("head."))
        };
        for parameter in all(&last) {
            let expected = !stays(&parameter);
            assert_eq!(
                moved.contains(&parameter),
                expected,
                "{name}: '{parameter}' {}",
                if expected { "did not move" } else { "moved" }
            );
        }
    }
}

#[test]
fn each_learns_about_the_same_in_half_floats() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen_of(&["HUVEC-01", "RPE-01"], &folder.path().join("screen"));
    for (index, (name, text)) in objectives().into_iter().enumerate() {
        let first_loss = |precision: Precision| {
            let config = TrainConfig {
                length: "1 steps".parse().unwrap(),
                precision,
                ..config(&text)
            };
            let run_folder = folder.path().join(format!("{index}-{precision}"));
            let summary = run(&*screen, None, config, &run_folder, None);
            let summary = summary.unwrap_or_else(|| panic!("{name} does not run in {precision}"));
            let scale = summary.steps[0].loss_scale;
            assert_eq!(scale.is_some(), precision == Precision::F16, "{name}");
            summary.steps[0].loss
        };
        let exact = first_loss(Precision::F32);
        // Digits of each format, with room for what a network makes of them.
        for (precision, tolerance) in [(Precision::Bf16, 5e-2), (Precision::F16, 1e-2)] {
            let loss = first_loss(precision);
            let error = (loss - exact).abs() / exact.abs();
            assert!(
                error > 0.0 && error < tolerance,
                "{name}: {loss} in {precision}, {exact} in f32"
            );
        }
    }
}

#[test]
fn gradients_beyond_half_floats_halve_the_scale_and_move_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen_of(&["HUVEC-01", "RPE-01"], &folder.path().join("screen"));
    let text = format!(
        "{PLAIN_VIT}\n[objective]\nkind = 'contrastive'\n\
         [objective.batch_decorrelation]\nweight = 1e12\nloss = {{ variant = 'described' }}"
    );
    let trained = |precision, num_steps: u64| {
        let run_folder = folder.path().join(format!("{precision}-{num_steps}"));
        let config = TrainConfig {
            length: format!("{num_steps} steps").parse().unwrap(),
            precision,
            checkpoint_minutes: 0.0,
            keep_last: 10,
            ..config(&text)
        };
        let summary = run(&*screen, None, config, &run_folder, None).unwrap();
        (summary, files(&run_folder))
    };
    let (one, after_one) = trained(Precision::F16, 1);
    let (four, after_four) = trained(Precision::F16, 4);
    let scales = |summary: &TrainSummary| -> Vec<f64> {
        let steps = summary.steps.iter();
        steps.map(|step| step.loss_scale.unwrap()).collect()
    };
    assert_eq!(scales(&one), [65536.0]);
    assert_eq!(scales(&four), [65536.0, 32768.0, 16384.0, 8192.0]);
    // Averages that the forward pass keeps are not gradients' to move.
    let mut moved_in_half = moved(&after_one, &after_four);
    moved_in_half.retain(|name| !name.contains(".running_"));
    assert_eq!(moved_in_half, BTreeSet::new());
    // Gradients of the range of f32 move everything.
    let (_, after_one) = trained(Precision::Bf16, 1);
    let (_, after_four) = trained(Precision::Bf16, 4);
    assert!(!moved(&after_one, &after_four).is_empty());
}
