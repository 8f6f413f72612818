//! What is refused before any work.

use burn::tensor::Device;
use morphospace_models::{MaeConfig, NetworkConfig, VitConfig};
use morphospace_screen::sampler::{Domain, OnUnpaired, Remainder, SamplerChoice};
use morphospace_screen::{LoaderOptions, open_screen};
use morphospace_train::{OptimiserConfig, Span, TrainConfig, TrainingData, train};

use crate::support::{adam_w, tiny_mae, tiny_run, tiny_screen, walk};

fn ghosts_of(ghost_batch_size: usize) -> SamplerChoice {
    SamplerChoice::SingleDomain {
        domain: Domain::Experiment,
        ghost_batch_size,
        remainder: Remainder::Drop,
    }
}

/// [`tiny_run`] with what a text adds.
fn of_text(text: &str) -> TrainConfig {
    let mut table = toml::Table::try_from(tiny_run()).unwrap();
    table.extend(text.parse::<toml::Table>().unwrap());
    table.try_into().unwrap()
}

#[test]
fn settings_out_of_range_are_named() {
    let cases: [(TrainConfig, &str); 15] = [
        (
            TrainConfig {
                length: Span::Steps(0),
                ..tiny_run()
            },
            "length is \"0 steps\"",
        ),
        (
            TrainConfig {
                batch_size: 0,
                ..tiny_run()
            },
            "batch_size is 0",
        ),
        (
            TrainConfig {
                checkpoint_minutes: f64::NAN,
                ..tiny_run()
            },
            "checkpoint_minutes NaN",
        ),
        (
            TrainConfig {
                accumulation: 0,
                ..tiny_run()
            },
            "accumulation is 0",
        ),
        (
            TrainConfig {
                optimiser: adam_w(-1.0),
                ..tiny_run()
            },
            "optimiser.learning_rate -1",
        ),
        (
            TrainConfig {
                optimiser: OptimiserConfig {
                    betas: [0.9, 1.0],
                    ..adam_w(1e-3)
                },
                ..tiny_run()
            },
            "optimiser.betas contain 1",
        ),
        (
            TrainConfig {
                network: NetworkConfig::Vit(tiny_mae().encoder),
                ..tiny_run()
            },
            "made for nothing in particular",
        ),
        (
            TrainConfig {
                sampler: SamplerChoice::CrossDomain {
                    other_cell_type: false,
                    on_unpaired: OnUnpaired::Refuse,
                    remainder: Remainder::Drop,
                },
                ..tiny_run()
            },
            "sampler kind 'cross_domain' makes pairs",
        ),
        (
            of_text("[views]\npreset = 'simple'\ncrop_px = 64\nlocal_px = 96"),
            "local_px 96 is larger than crop_px 64",
        ),
        (
            of_text("[objective]\nkind = 'dino'"),
            "objective 'dino' trains a backbone alone",
        ),
        (
            of_text("[cutmix]\nconvention = 'kaggle'"),
            "cutmix mixes labels with images",
        ),
        (
            of_text("[clip]\nkind = 'global'\nlength = -1.0"),
            "clip.length -1",
        ),
        (
            of_text("[evaluation]\npatience = 0"),
            "evaluation.patience is 0",
        ),
        (
            TrainConfig {
                sampler: ghosts_of(3),
                ..tiny_run()
            },
            "batch_size 4 is no multiple of sampler.ghost_batch_size 3",
        ),
        (
            TrainConfig {
                sampler: ghosts_of(0),
                ..tiny_run()
            },
            "sampler.ghost_batch_size is 0",
        ),
    ];
    for (config, expected) in cases {
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_comparison_needs_more_than_one_image() {
    let text = "seed = 5\nlength = '6 steps'\nbatch_size = 1\n\
        [optimiser]\nrule = 'adam_w'\nlearning_rate = 1e-3\n\
        [objective]\nkind = 'contrastive'\n[network]\nkind = 'plain_vit'\n\
        config = { img_size = 32, patch_size = 8, embed_dim = 24, depth = 1, num_heads = 2 }";
    let config: TrainConfig = toml::from_str(text).unwrap();
    let error = config.check().unwrap_err().to_string();
    assert!(
        error.contains("from the others of its batch, and batch_size is 1"),
        "{error}"
    );
}

#[test]
fn a_folder_of_other_files_is_no_runs() {
    let folder = tempfile::tempdir().unwrap();
    let screen = tiny_screen(&folder.path().join("screen"));
    let error = train(
        &tiny_run().check().unwrap(),
        TrainingData {
            training: &*screen,
            validation: None,
        },
        &folder.path().join("screen"),
        &Device::default(),
        LoaderOptions::default(),
        &mut (),
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("holds folders and no run"), "{error}");
    assert!(!folder.path().join("screen/checkpoints").exists());
}

#[test]
fn patience_needs_sites_to_validate_with() {
    let folder = tempfile::tempdir().unwrap();
    let screen = tiny_screen(&folder.path().join("screen"));
    let mut config = tiny_run();
    config.evaluation.patience = Some(3);
    let error = train(
        &config.check().unwrap(),
        TrainingData {
            training: &*screen,
            validation: None,
        },
        &folder.path().join("run"),
        &Device::default(),
        LoaderOptions::default(),
        &mut (),
    );
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("there are no sites to validate with"),
        "{error}"
    );
}

#[test]
fn a_screen_that_does_not_fit_is_refused_before_the_run_has_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let screen_folder = folder.path().join("screen");
    tiny_screen(&screen_folder);
    let run_folder = folder.path().join("run");
    let refused_in = |encoder: VitConfig, batch_size: usize| {
        let mae = MaeConfig {
            encoder,
            ..tiny_mae()
        };
        let config = TrainConfig {
            network: NetworkConfig::Mae(mae),
            batch_size,
            ..tiny_run()
        };
        let screen = open_screen(&screen_folder, None).unwrap();
        let error = train(
            &config.check().unwrap(),
            TrainingData {
                training: &*screen,
                validation: None,
            },
            &run_folder,
            &Device::default(),
            LoaderOptions::default(),
            &mut (),
        )
        .unwrap_err();
        assert!(!run_folder.exists());
        error.to_string()
    };
    let refused = |encoder: VitConfig| refused_in(encoder, 4);
    let error = refused_in(tiny_mae().encoder, 1000);
    assert!(
        error.contains("do not fill a batch of 1000") && error.contains("remainder = \"wrap\""),
        "{error}"
    );
    let error = refused(VitConfig {
        in_chans: 5,
        ..tiny_mae().encoder
    });
    assert!(
        error.contains("it has 6 channels, the network is trained on 5")
            && error.contains("set network.config.encoder.in_chans = 6"),
        "{error}"
    );
    let error = refused(VitConfig {
        img_size: 48,
        ..tiny_mae().encoder
    });
    assert!(
        error.contains("its images are 32 x 32") && error.contains("smaller crop_px in [views]"),
        "{error}"
    );

    // A screen in which every site lacks an image.
    for image in walk(&screen_folder).filter(|path| path.to_string_lossy().ends_with("_w3.png")) {
        std::fs::remove_file(image).unwrap();
    }
    let error = refused(tiny_mae().encoder);
    assert!(error.contains("sites has all 6 images"), "{error}");
}
