//! A run that is killed goes on as if nothing had happened.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use burn::tensor::Device;
use morphospace_core::Provenance;
use morphospace_models::{CaMaeConfig, MaeDecoderConfig, NetworkConfig, Precision, VitConfig};
use morphospace_screen::sampler::{Batches, Domain, Remainder, SamplerChoice, SamplerPosition};
use morphospace_screen::{LoaderOptions, Screen, open_screen, sites_sha256};
use morphospace_train::{
    Observer, Schedule, Span, StepReport, TrainConfig, TrainError, TrainingData, latest_checkpoint,
    train,
};

use crate::support::{adam_w, tiny_mae, tiny_run, tiny_screen, walk};

/// Panics at a step, if it is to.
struct Killer(Option<u64>);

impl Observer for Killer {
    fn on_step(&mut self, report: &StepReport) {
        assert!(self.0 != Some(report.step), "killed, as the test asks");
    }
}

fn only(screen: &dyn Screen) -> TrainingData<'_> {
    TrainingData {
        training: screen,
        validation: None,
    }
}

/// Runs until `kill_at` or the end, and says from where.
fn run(
    screen: &dyn Screen,
    config: TrainConfig,
    folder: &Path,
    kill_at: Option<u64>,
) -> Option<u64> {
    let config = config.check().unwrap();
    // What is loaded must not depend on who loads it.
    let loader = LoaderOptions {
        num_threads: if kill_at.is_some() { 3 } else { 1 },
        num_ahead: 2,
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        train(
            &config,
            only(screen),
            folder,
            &Device::default(),
            loader,
            &mut Killer(kill_at),
        )
        .unwrap()
    }));
    outcome.ok().map(|summary| summary.first_step)
}

/// Why a run is not gone on with.
fn refused(screen: &dyn Screen, config: TrainConfig, folder: &Path) -> TrainError {
    train(
        &config.check().unwrap(),
        only(screen),
        folder,
        &Device::default(),
        LoaderOptions::default(),
        &mut (),
    )
    .unwrap_err()
}

fn losses(folder: &Path) -> Vec<(u64, f64)> {
    fs::read_to_string(folder.join("metrics.jsonl"))
        .unwrap()
        .lines()
        .map(|line| {
            let report: StepReport = serde_json::from_str(line).unwrap();
            (report.step, report.loss)
        })
        .collect()
}

#[test]
fn a_killed_run_ends_where_an_undisturbed_one_does() {
    check_killed(tiny_run());
}

#[test]
fn a_killed_run_in_half_floats_does_too() {
    check_killed(TrainConfig {
        precision: Precision::F16,
        ..tiny_run()
    });
}

#[test]
fn a_killed_run_of_single_domain_batches_does_too() {
    check_killed(TrainConfig {
        sampler: SamplerChoice::SingleDomain {
            domain: Domain::Plate,
            ghost_batch_size: 2,
            remainder: Remainder::Wrap,
        },
        ..tiny_run()
    });
}

#[test]
fn a_killed_run_of_balanced_classes_does_too() {
    check_killed(TrainConfig {
        sampler: SamplerChoice::ClassBalanced {
            remainder: Remainder::Drop,
        },
        ..tiny_run()
    });
}

fn check_killed(undisturbed: TrainConfig) {
    let sampler = undisturbed.sampler;
    let folder = tempfile::tempdir().unwrap();
    let screen = tiny_screen(&folder.path().join("screen"));
    let after_every_step = TrainConfig {
        checkpoint_minutes: 1e-9,
        ..undisturbed.clone()
    };

    let whole = folder.path().join("whole");
    assert_eq!(run(&*screen, undisturbed, &whole, None), Some(0));
    let killed = folder.path().join("killed");
    assert_eq!(
        run(&*screen, after_every_step.clone(), &killed, Some(3)),
        None
    );
    // Step 3 was done and reported, but not in a checkpoint.
    assert_eq!(losses(&killed).len(), 4);
    // A kill may leave half a line and half a checkpoint.
    let metrics = killed.join("metrics.jsonl");
    let text = fs::read_to_string(&metrics).unwrap();
    fs::write(&metrics, format!("{text}{{\"step\": 4, \"lo")).unwrap();
    fs::create_dir_all(killed.join("checkpoints/.step-00000004.tmp")).unwrap();
    assert_eq!(run(&*screen, after_every_step, &killed, None), Some(3));

    assert_eq!(losses(&killed), losses(&whole));
    assert_eq!(losses(&whole).len(), 6);
    let last = |run: &Path| latest_checkpoint(run).unwrap().unwrap().folder;
    let files = [
        "model.safetensors",
        "optimiser.safetensors",
        "config.json",
        "state.json",
    ];
    for file in files {
        assert!(
            fs::read(last(&whole).join(file)).unwrap()
                == fs::read(last(&killed).join(file)).unwrap(),
            "{file} differs"
        );
    }
    // Where the sampler stood, and whether it looked at labels.
    let json = |file: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(last(&killed).join(file)).unwrap()).unwrap()
    };
    let position: SamplerPosition =
        serde_json::from_value(json("state.json")["sampler"].clone()).unwrap();
    let sites: Vec<usize> = (0..screen.sites().len()).collect();
    let seed = tiny_run().check().unwrap().seed().split("sites");
    let sampler = sampler.open(screen.sites(), &sites, 4, seed).unwrap();
    let mut batches = Batches::new(&*sampler);
    batches.by_ref().take(6).for_each(drop);
    assert_eq!(position, batches.position());
    assert!(position.epoch > 0);
    assert_eq!(json("config.json")["uses_labels"], sampler.uses_labels());
    // Only the last two checkpoints are kept.
    assert_eq!(fs::read_dir(killed.join("checkpoints")).unwrap().count(), 2);
}

#[test]
fn a_finished_run_has_nothing_left_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let screen = tiny_screen(&folder.path().join("screen"));
    let run_folder = folder.path().join("run");
    run(&*screen, tiny_run(), &run_folder, None).unwrap();
    let before = losses(&run_folder);
    assert_eq!(run(&*screen, tiny_run(), &run_folder, None), Some(6));
    assert_eq!(losses(&run_folder), before);
}

#[test]
fn a_folder_of_other_settings_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let screen = tiny_screen(&folder.path().join("screen"));
    let run_folder = folder.path().join("run");
    run(&*screen, tiny_run(), &run_folder, None).unwrap();
    let other = TrainConfig {
        optimiser: adam_w(2e-3),
        ..tiny_run()
    };
    let error = refused(&*screen, other, &run_folder);
    assert!(matches!(error, TrainError::ForeignCheckpoint { .. }));
    let error = error.to_string();
    assert!(
        error.contains("it was written with optimiser.learning_rate 0.001, now 0.002")
            && error.contains("give the run a new folder"),
        "{error}"
    );
    // A run that is refused leaves the folder as it was.
    let config = fs::read_to_string(run_folder.join("config.toml")).unwrap();
    assert!(config.contains("learning_rate = 0.001"), "{config}");
    let provenance = fs::read_to_string(run_folder.join("provenance.json")).unwrap();
    let provenance = Provenance::from_json(&provenance).unwrap();
    assert_eq!(provenance.inputs[0].sha256, sites_sha256(screen.sites()));

    // Fewer sites.
    let metadata = folder.path().join("screen/metadata.csv");
    let text = fs::read_to_string(&metadata).unwrap();
    let kept: Vec<&str> = text.lines().collect();
    fs::write(&metadata, kept[..kept.len() - 1].join("\n")).unwrap();
    let fewer = open_screen(&folder.path().join("screen"), None).unwrap();
    let error = refused(&*fewer, tiny_run(), &run_folder).to_string();
    let num_sites = screen.sites().len();
    assert!(
        error.contains(&format!("trained on {num_sites} sites")),
        "{error}"
    );
    assert!(
        error.contains("another screen, split, part or label"),
        "{error}"
    );

    // What another version left.
    let state = latest_checkpoint(&run_folder)
        .unwrap()
        .unwrap()
        .folder
        .join("state.json");
    let text = fs::read_to_string(&state).unwrap();
    fs::write(
        &state,
        text.replace("\"schema_version\": 4", "\"schema_version\": 1"),
    )
    .unwrap();
    let error = refused(&*screen, tiny_run(), &run_folder).to_string();
    assert!(error.contains("its state is of version 1"), "{error}");
}

#[test]
fn a_state_that_is_not_what_was_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let screen = tiny_screen(&folder.path().join("screen"));
    let run_folder = folder.path().join("run");
    run(&*screen, tiny_run(), &run_folder, None).unwrap();
    let last = latest_checkpoint(&run_folder).unwrap().unwrap().folder;
    let text = fs::read_to_string(last.join("state.json")).unwrap();
    let edited = text.replace("\"num_steps_done\": 6", "\"num_steps_done\": 5");
    assert_ne!(edited, text);
    fs::write(last.join("state.json"), edited).unwrap();
    let error = refused(&*screen, tiny_run(), &run_folder);
    assert!(
        matches!(error, TrainError::CorruptCheckpoint { .. }),
        "{error}"
    );
    fs::write(last.join("state.json"), &text[..text.len() / 2]).unwrap();
    let error = refused(&*screen, tiny_run(), &run_folder).to_string();
    assert!(error.contains("'state.json' is not whole"), "{error}");
}

#[test]
fn other_images_and_other_sites_to_validate_with_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let screen_folder = folder.path().join("screen");
    let screen = tiny_screen(&screen_folder);
    let unseen = tiny_screen(&folder.path().join("unseen"));
    let run_folder = folder.path().join("run");
    run(&*screen, tiny_run(), &run_folder, None).unwrap();
    let error = train(
        &tiny_run().check().unwrap(),
        TrainingData {
            training: &*screen,
            validation: Some(&*unseen),
        },
        &run_folder,
        &Device::default(),
        LoaderOptions::default(),
        &mut (),
    );
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("it was validated with other sites"),
        "{error}"
    );

    // The same sites, every image another one.
    let mut images: Vec<_> = walk(&screen_folder)
        .filter(|path| path.extension().is_some_and(|e| e == "png"))
        .collect();
    images.sort();
    let first = fs::read(&images[0]).unwrap();
    for image in &images {
        fs::write(image, &first).unwrap();
    }
    let changed = open_screen(&screen_folder, None).unwrap();
    let error = refused(&*changed, tiny_run(), &run_folder).to_string();
    assert!(error.contains("have other pixels now"), "{error}");
}

#[test]
fn a_channel_agnostic_network_trains_on_fewer_channels_than_it_can_take() {
    let folder = tempfile::tempdir().unwrap();
    let screen = tiny_screen(&folder.path().join("screen"));
    let encoder = VitConfig {
        channel_agnostic: true,
        in_chans: 11,
        ..tiny_mae().encoder
    };
    let network = CaMaeConfig {
        encoder,
        decoder: MaeDecoderConfig {
            num_heads: 8,
            ..tiny_mae().decoder
        },
        ..CaMaeConfig::default()
    };
    let config = TrainConfig {
        length: Span::Steps(1),
        schedule: Schedule::Constant,
        network: NetworkConfig::CaMae(network),
        ..tiny_run()
    };
    let summary = train(
        &config.check().unwrap(),
        only(&*screen),
        &folder.path().join("run"),
        &Device::default(),
        LoaderOptions::default(),
        &mut (),
    )
    .unwrap();
    assert_eq!(summary.steps.len(), 1);
}
