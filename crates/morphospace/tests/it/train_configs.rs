//! The configurations of the papers' rows: they can be read and run at both
//! scales, say what the papers fix, and say where it is from.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use morphospace::core::read_config;
use morphospace::screen::simulator::{SimulatorConfig, simulate};
use morphospace::screen::{
    LoaderOptions, NormalisationOptions, NormalisationScheme, NormalisationStatistics, open_screen,
};
use morphospace::train::{CheckedTrainConfig, TrainConfig, TrainingData, train};
use toml::{Table, Value};

use crate::support::morphospace;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

/// Names such as `rxrx1/table1_baseline`, without those that only others
/// extend.
fn names() -> BTreeSet<String> {
    let train = folder().join("train");
    let entries = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let folders = entries(&train).into_iter().filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| entries(&folder));
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    files
        .map(|path| path.strip_prefix(&train).unwrap().with_extension(""))
        .map(|name| name.to_string_lossy().replace('\\', "/"))
        .filter(|name| !name.contains("/_"))
        .collect()
}

fn path_of(name: &str) -> PathBuf {
    folder().join(format!("train/{name}.toml"))
}

fn config(name: &str, overrides: &[&str]) -> CheckedTrainConfig {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let config: TrainConfig =
        read_config(&path_of(name), &overrides).unwrap_or_else(|error| panic!("{name}: {error}"));
    config
        .check()
        .unwrap_or_else(|error| panic!("{name} at {overrides:?}: {error}"))
}

/// With everything that a configuration leaves to defaults.
fn resolved(name: &str, overrides: &[&str]) -> Table {
    config(name, overrides).to_toml().parse().unwrap()
}

/// The value of a dotted key.
fn value<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let (first, rest) = match key.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    let found = table.get(first)?;
    match rest {
        Some(rest) => value(found.as_table()?, rest),
        None => Some(found),
    }
}

#[test]
fn every_configuration_is_valid_and_its_tiny_scale_runs_the_same_code() {
    const ALIKE: [&str; 10] = [
        "objective.kind",
        "network.kind",
        "sampler.kind",
        "schedule.kind",
        "optimiser.rule",
        "clip.kind",
        "views.preset",
        "objective.adabn",
        "objective.center_per_domain",
        "network.config.head.batch_head.kind",
    ];
    for name in names() {
        let full = resolved(&name, &[]);
        let tiny = resolved(&name, &["scale=tiny"]);
        for key in ALIKE {
            assert_eq!(value(&full, key), value(&tiny, key), "{name}: {key}");
        }
        let accumulates = |table| value(table, "accumulation").unwrap().as_integer() > Some(1);
        assert_eq!(
            accumulates(&full),
            accumulates(&tiny),
            "{name}: accumulation"
        );
        for key in [
            "cutmix",
            "init",
            "objective.adversary",
            "objective.batch_decorrelation",
        ] {
            assert_eq!(
                value(&full, key).is_some(),
                value(&tiny, key).is_some(),
                "{name}: {key}"
            );
        }
        assert!(
            value(&tiny, "length")
                .unwrap()
                .as_str()
                .unwrap()
                .ends_with(" steps"),
            "{name}: a tiny run lasts as long on any screen"
        );
    }
}

#[test]
fn every_header_says_paper_command_and_score() {
    for name in names() {
        let text = fs::read_to_string(path_of(&name)).unwrap();
        let header: Vec<&str> = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect();
        for word in ["# Paper:", "# Run:", "# Expect:", "# Hardware:"] {
            let says = |line: &&str| line.starts_with(word);
            assert!(header.iter().any(says), "{name}: no '{word}' in the header");
        }
        let differs = ["# Differs:", "# Ours:", "# Note:", "# Unknown:"];
        let says = |line: &&str| differs.iter().any(|word| line.starts_with(word));
        assert!(
            header.iter().any(says),
            "{name}: the header does not say what differs from the paper"
        );
        // Commands can be copied: they name this file and the run's folder.
        let commands = header.join("\n");
        for part in [
            format!("--config configs/train/{name}.toml"),
            format!("--output runs/{name}"),
        ] {
            assert!(
                commands.contains(&part),
                "{name}: no '{part}' in the header"
            );
        }
        let readme = path_of(&name).with_file_name("README.md");
        let readme = fs::read_to_string(readme).unwrap();
        let file = name.split_once('/').unwrap().1;
        assert!(
            readme.contains(&format!("`{file}.toml`")),
            "README.md lacks {name}"
        );
    }
}

/// The arguments of a header's commands, each of which begins with
/// `morphospace` and goes on where a line ends in a backslash.
fn commands(name: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path_of(name)).unwrap();
    let mut commands: Vec<Vec<String>> = Vec::new();
    let mut goes_on = false;
    for line in text.lines().take_while(|line| line.starts_with('#')) {
        let line = line
            .trim_start_matches("# Run:")
            .trim_start_matches('#')
            .trim();
        let words = match line.strip_prefix("morphospace ") {
            Some(words) => {
                commands.push(Vec::new());
                words
            }
            None if goes_on => line,
            None => continue,
        };
        goes_on = words.ends_with('\\');
        let words = words.trim_end_matches('\\').split_whitespace();
        let words = words.map(|word| word.trim_matches('\'').to_owned());
        commands.last_mut().unwrap().extend(words);
    }
    commands
}

#[test]
fn commands_of_headers_are_understood() {
    let root = folder().join("..");
    let nowhere = tempfile::tempdir().unwrap();
    let mut known = BTreeSet::new();
    for name in names() {
        let commands = commands(&name);
        assert!(
            commands.iter().any(|words| words[0] == "train"),
            "{name}: {commands:?}"
        );
        for words in commands {
            // A file of weights would be fetched.
            if words[0] == "import" || !known.insert(words.clone()) {
                continue;
            }
            let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
            if words[0] == "train" {
                words.push("--dry-run");
                morphospace(&root, &words).expect_status(0);
                continue;
            }
            // There is no such screen, which is found out after the flags.
            let run = morphospace(nowhere.path(), &words).expect_status(2);
            assert!(!run.stderr.contains("Usage:"), "{name}: {}", run.stderr);
        }
    }
}

/// What papers and their code fix, by the beginnings of names: a row is a line,
/// and lines of what rows have in common come before. `batch` is batch_size
/// times accumulation; `none` means that a key is not there.
const FIXED: &[(&str, &str)] = &[
    // Sypetkowski et al. 2023, section 4.1 and figure 5.
    (
        "rxrx1/",
        "batch = 512; batch_size = 64; length = '100 epochs'; network.kind = 'supervised'; \
         network.config.backbone.kind = 'densenet'; network.config.backbone.config.growth_rate = 48; \
         network.config.backbone.config.block_config = [6, 12, 36, 24]; \
         network.config.backbone.config.num_init_features = 96; \
         network.config.backbone.config.img_size = 512; network.config.head.embed_dim = 1024; \
         labels.num_classes = 1139; labels.class = 'perturbation'; labels.domain = 'experiment'; \
         objective.kind = 'supervised'; optimiser.rule = 'sgd'; optimiser.learning_rate = 0.1024; \
         optimiser.betas = [0.9, 0.0]; schedule.kind = 'warmup_cosine'; \
         schedule.warmup = '5 epochs'; schedule.start = 0.0; schedule.end = 0.0; \
         views.preset = 'wsl'; views.crop_px = none; cutmix.alpha = 1.0; \
         cutmix.probability = 1.0; cutmix.convention = 'kaggle'; evaluation.keep_best = false",
    ),
    ("rxrx1/table1_baseline", BASELINE),
    ("rxrx1/table1_gradient_reversal", REVERSAL),
    ("rxrx1/table1_adabn", ADABN),
    (
        "rxrx1/table1_adabn_gradient_reversal",
        "network.config.head.batch_head.kind = 'gradient_reversal'",
    ),
    ("rxrx1/table3_baseline", BASELINE),
    ("rxrx1/table3_gradient_reversal", REVERSAL),
    ("rxrx1/table3_adabn", ADABN),
    (
        "rxrx1/table3_adabn_gradient_reversal",
        "network.config.head.batch_head.kind = 'gradient_reversal'",
    ),
    ("rxrx1/table4_self_standardisation", BASELINE),
    (
        "rxrx1/table4_all_images",
        "normalisation = 'all_images.parquet'; objective.adabn = false",
    ),
    (
        "rxrx1/table4_controls_per_experiment",
        "normalisation = 'controls_per_experiment.parquet'",
    ),
    (
        "rxrx1/table4_all_per_experiment",
        "normalisation = 'all_per_experiment.parquet'",
    ),
    (
        "rxrx1/table4_controls_per_plate",
        "normalisation = 'controls_per_plate.parquet'",
    ),
    (
        "rxrx1/table4_all_per_plate",
        "normalisation = 'all_per_plate.parquet'",
    ),
    (
        "rxrx1/figure8_five_channels",
        "network.config.backbone.config.in_chans = 5",
    ),
    // Lugli et al. 2025, sections 4.1, 5.1 and 5.2.
    (
        "self_supervised/",
        "network.kind = 'plain_vit'; network.config.patch_size = 16; network.config.img_size = 224; \
         network.config.depth = 12; normalisation = 'experiments.parquet'",
    ),
    (
        "self_supervised/table2_",
        "batch = 256; batch_size = 256; objective.kind = 'contrastive'; views.preset = 'simclr'; \
         objective.comparison.kind = 'nt_xent'; objective.comparison.temperature = 0.15; \
         network.config.embed_dim = 384; network.config.num_heads = 6; optimiser.rule = 'adam'; \
         optimiser.learning_rate = 5e-3; schedule.kind = 'polynomial'; schedule.power = 1.5",
    ),
    (
        "self_supervised/table2_simclr",
        "objective.adversary = none; objective.batch_decorrelation = none",
    ),
    (
        "self_supervised/table2_decorrelation_printed",
        "objective.batch_decorrelation.loss.variant = 'printed'; \
         objective.batch_decorrelation.weight = 0.1; objective.adversary = none",
    ),
    (
        "self_supervised/table2_decorrelation_described",
        "objective.batch_decorrelation.loss.variant = 'described'; objective.adversary = none",
    ),
    (
        "self_supervised/table2_adversarial",
        "objective.adversary.bounded = false; objective.adversary.moves_per_step = 1; \
         objective.batch_decorrelation = none",
    ),
    ("self_supervised/table4_", DINO),
    (
        "self_supervised/table4_a",
        "objective.loss.barlow_weight = 0.75; objective.center_per_domain = false",
    ),
    (
        "self_supervised/table4_a",
        "batch_size = 64; accumulation = 8; length = '100 epochs'",
    ),
    (
        "self_supervised/table4_a_table3",
        "views.preset = 'paper_table3'; init = none",
    ),
    (
        "self_supervised/table4_a_as_coded",
        "views.preset = 'simple'; views.shared_draws = true; optimiser.weight_decay_end = 0.4; init = none",
    ),
    (
        "self_supervised/table4_a_imagenet",
        "init.leave_out = ['patch_embed.proj.weight']; optimiser.weight_decay_end = 0.4",
    ),
    (
        "self_supervised/table4_b",
        "objective.loss.barlow_weight = 0.0; objective.center_per_domain = false; \
         views.preset = 'simple'; optimiser.weight_decay_end = none; init = none",
    ),
    (
        "self_supervised/table4_c",
        "objective.loss.barlow_weight = 0.75; objective.center_per_domain = false",
    ),
    (
        "self_supervised/table4_c_as_coded",
        "views.preset = 'aibio_hard'",
    ),
    (
        "self_supervised/table4_d",
        "objective.loss.barlow_weight = 0.75; objective.center_per_domain = true; views.preset = 'simple'",
    ),
    (
        "self_supervised/table4_e",
        "objective.loss.barlow_weight = 0.75; objective.center_per_domain = true; \
         views.preset = 'dino_original'",
    ),
    ("self_supervised/original_without_barlow", DINO),
    (
        "self_supervised/original_without_barlow",
        "objective.loss.barlow_weight = 0.0; views.preset = 'dino_original'",
    ),
    ("self_supervised/cross_validation", DINO),
    (
        "self_supervised/cross_validation",
        "objective.loss.barlow_weight = 0.0; views.preset = 'simple'",
    ),
    ("self_supervised/stratified_80_20", DINO),
    (
        "self_supervised/stratified_80_20",
        "network.config.in_chans = 3; objective.loss.barlow_weight = 0.0",
    ),
    ("self_supervised/all_cell_types", DINO),
    (
        "self_supervised/all_cell_types",
        "batch_size = 128; network.config.embed_dim = 768; network.config.num_heads = 12; \
         network.config.in_chans = 3; objective.loss.barlow_weight = 0.5",
    ),
    (
        "self_supervised/all_cell_types_same_cell",
        "sampler.other_cell_type = false",
    ),
    ("self_supervised/reduced_classes", DINO),
    (
        "self_supervised/reduced_classes",
        "labels.leave_out = ['positive_control', 'negative_control', 'untreated']",
    ),
    (
        "self_supervised/head",
        "objective.kind = 'classifier'; objective.frozen = true; objective.pooling = 'cls'; \
         labels.num_classes = 1139; schedule.kind = 'polynomial'; views.resize_px = 224; \
         views.probabilities.rot90 = 0.0; views.probabilities.flip_horizontally = 0.0",
    ),
    (
        "self_supervised/head_as_coded",
        "batch = 128; length = '200 epochs'; optimiser.rule = 'adam'",
    ),
    (
        "self_supervised/head_as_coded",
        "optimiser.learning_rate = 5e-3; optimiser.weight_decay = 1e-5; schedule.power = 1.5",
    ),
    // Kraus et al. 2023, section 3 and appendix A.1.
    (
        "masked_autoencoders/mae_",
        "network.kind = 'mae'; objective.kind = 'masked_modelling'; views.preset = 'mae'; \
         views.crop_px = 256; network.config.encoder.img_size = 256; \
         network.config.decoder.embed_dim = 512; network.config.decoder.depth = 8; \
         network.config.decoder.num_heads = 16; network.config.loss.norm_pix_loss = false; \
         optimiser.rule = 'lion'; optimiser.betas = [0.9, 0.95]; optimiser.weight_decay = 0.05; \
         schedule.kind = 'one_cycle'; schedule.pct_start = 0.1; clip = none; init = none; \
         schedule.cycled_momentum = none; normalisation = 'instance_norm'; length = '50 epochs'",
    ),
    ("masked_autoencoders/mae_vit_small_", SMALL),
    ("masked_autoencoders/mae_vit_base_", BASE),
    ("masked_autoencoders/mae_vit_large_", LARGE),
    (
        "masked_autoencoders/mae_vit_small_patch16_rxrx3",
        PATCH16_RXRX3,
    ),
    (
        "masked_autoencoders/mae_vit_base_patch16_rxrx3",
        PATCH16_RXRX3,
    ),
    (
        "masked_autoencoders/mae_vit_large_patch16_rxrx3",
        PATCH16_RXRX3,
    ),
    (
        "masked_autoencoders/mae_vit_small_patch16_rxrx3_mask25",
        MASK25,
    ),
    (
        "masked_autoencoders/mae_vit_base_patch16_rxrx3_mask25",
        MASK25,
    ),
    (
        "masked_autoencoders/mae_vit_large_patch16_rxrx3_mask25",
        MASK25,
    ),
    (
        "masked_autoencoders/mae_vit_small_patch8_rxrx3",
        PATCH8_RXRX3,
    ),
    (
        "masked_autoencoders/mae_vit_base_patch8_rxrx3",
        PATCH8_RXRX3,
    ),
    (
        "masked_autoencoders/mae_vit_large_patch8_rxrx3",
        PATCH8_RXRX3,
    ),
    (
        "masked_autoencoders/mae_vit_base_patch8_rpi",
        "batch = 16384; network.config.encoder.patch_size = 8",
    ),
    (
        "masked_autoencoders/mae_vit_large_patch16_rpi",
        "batch = 16384; network.config.encoder.patch_size = 16",
    ),
    (
        "masked_autoencoders/mae_vit_large_patch8_rpi",
        "batch = 16384; network.config.encoder.patch_size = 8; \
         network.config.loss.fourier_weight = 0.01; network.config.loss.fourier_view = 'asis'",
    ),
    (
        "masked_autoencoders/munet_",
        "network.kind = 'munet'; network.config.kernel = 5; objective.mask_ratio = 0.25; \
         optimiser.rule = 'adam_w'; optimiser.learning_rate = 1e-3; optimiser.betas = [0.9, 0.95]; \
         optimiser.weight_decay = 0.05; schedule.kind = 'one_cycle'; clip = none; \
         views.crop_px = 256; length = '50 epochs'",
    ),
    (
        "masked_autoencoders/munet_m_rxrx3",
        "batch = 4096; network.config.depths = [32, 64, 128, 256, 512]",
    ),
    (
        "masked_autoencoders/munet_m_rpi",
        "batch = 16384; network.config.depths = [32, 64, 128, 256, 512]",
    ),
    (
        "masked_autoencoders/munet_l_rxrx3",
        "batch = 4096; network.config.depths = [32, 64, 128, 256, 512, 1024]",
    ),
    (
        "masked_autoencoders/munet_l_rpi",
        "batch = 16384; network.config.depths = [32, 64, 128, 256, 512, 1024]",
    ),
    (
        "masked_autoencoders/wsl_densenet161_",
        "batch = 4096; network.config.head.embed_dim = 128; views.crop_px = 256; \
         network.config.backbone.config.block_config = [6, 12, 36, 24]; optimiser.rule = 'sgd'; \
         objective.kind = 'supervised'; network.config.head.batch_head.kind = 'detached'",
    ),
    (
        "masked_autoencoders/wsl_densenet161_rxrx1",
        "length = '100 epochs'; labels.num_classes = 1139",
    ),
    (
        "masked_autoencoders/wsl_densenet161_rxrx3",
        "length = '50 epochs'",
    ),
    ("masked_autoencoders/wsl_densenet161_rxrx1_adabn", PLATES),
    ("masked_autoencoders/wsl_densenet161_rxrx3_adabn", PLATES),
    // Kenyon-Dean et al. 2024, table 5 and appendix A.9.
    (
        "vitally_consistent/",
        "optimiser.rule = 'lion'; optimiser.betas = [0.9, 0.95]; optimiser.weight_decay = 0.05",
    ),
    ("vitally_consistent/camae_", TABLE5),
    ("vitally_consistent/mae_", TABLE5),
    (
        "vitally_consistent/camae_vit_small_patch16_rxrx3",
        "network.kind = 'camae'; batch = 2048; length = '100 epochs'; optimiser.learning_rate = 1e-4; \
         network.config.channels = 6; network.config.encoder.channel_agnostic = true; \
         network.config.encoder.in_chans = 11; network.config.encoder.patch_size = 16; \
         network.config.encoder.embed_dim = 384; network.config.encoder.depth = 12; \
         network.config.encoder.num_heads = 6; network.config.encoder.drop_path_rate = 0.1",
    ),
    (
        "vitally_consistent/mae_vit_large_patch8_phenoprints",
        "network.kind = 'mae'; batch = 16384; length = '500 epochs'; optimiser.learning_rate = 3e-5; \
         network.config.encoder.patch_size = 8; network.config.encoder.embed_dim = 1024; \
         network.config.encoder.depth = 24; network.config.encoder.num_heads = 16; \
         network.config.encoder.drop_path_rate = 0.3",
    ),
    (
        "vitally_consistent/mae_vit_gigantic_patch8_phenoprints",
        "network.kind = 'mae'; batch = 8192; length = '500 epochs'; optimiser.learning_rate = 3e-5; \
         network.config.encoder.patch_size = 8; network.config.encoder.embed_dim = 1664; \
         network.config.encoder.depth = 48; network.config.encoder.num_heads = 16; \
         network.config.encoder.drop_path_rate = 0.6",
    ),
    (
        "vitally_consistent/dinov2_",
        "objective.kind = 'dinov2'; objective.head.out_dim = 65536; objective.loss.dino_weight = 1.0; \
         objective.loss.koleo_weight = 0.1; objective.loss.ibot_weight = 1.0; views.preset = 'dinov2'; \
         views.num_local = 4; optimiser.learning_rate = 1e-5; schedule.kind = 'warmup_cosine'; \
         network.config.embed_dim = 1024; network.config.depth = 24; network.config.num_heads = 16",
    ),
    (
        "vitally_consistent/dinov2_vit_large_patch16_rxrx3",
        "network.kind = 'plain_vit'; network.config.patch_size = 16; network.config.mask_token = true; init = none",
    ),
    (
        "vitally_consistent/dinov2_vit_large_patch8_finetuned",
        "network.kind = 'vit'; network.config.patch_size = 8; \
         init.checkpoint = 'runs/masked_autoencoders/mae_vit_large_patch8_rpi'",
    ),
];

const BASELINE: &str = "normalisation = 'std_plus_eps'; sampler.kind = 'uniform'; \
    objective.adabn = false; network.config.head.batch_head.kind = 'detached'; \
    network.config.backbone.config.in_chans = 6";
const REVERSAL: &str = "normalisation = 'std_plus_eps'; sampler.kind = 'uniform'; \
    objective.adabn = false; network.config.head.batch_head.kind = 'gradient_reversal'; \
    network.config.head.batch_head.lambda = 1.0";
const ADABN: &str = "normalisation = 'std_plus_eps'; sampler.kind = 'single_domain'; \
    sampler.domain = 'experiment'; sampler.ghost_batch_size = 64; objective.adabn = true";
const DINO: &str = "accumulation = 8; length = '100 epochs'; objective.kind = 'dino'; \
    objective.head.out_dim = 2048; objective.teacher_momentum = 0.996; \
    objective.loss.student_temp = 0.1; objective.loss.scale_by_log_k = true; \
    objective.loss.barlow.variant = 'aibio'; objective.loss.barlow.lambda = 1e-3; \
    objective.teacher_temperature.teacher_temp = 0.04; objective.centers.center_momentum = 0.9; \
    objective.pairing = 'aibio'; objective.network_of = 'student'; sampler.kind = 'cross_domain'; \
    optimiser.rule = 'adam_w'; optimiser.learning_rate = 5e-4; optimiser.weight_decay = 4e-3; \
    optimiser.betas = [0.9, 0.999]; schedule.kind = 'warmup_cosine'; \
    schedule.warmup = '10 epochs'; schedule.end = 2e-3; clip.kind = 'per_parameter'; \
    clip.length = 3.0";
const SMALL: &str = "network.config.encoder.embed_dim = 384; network.config.encoder.depth = 12; \
    network.config.encoder.num_heads = 6; network.config.encoder.drop_path_rate = 0.1; \
    optimiser.learning_rate = 1e-4";
const BASE: &str = "network.config.encoder.embed_dim = 768; network.config.encoder.depth = 12; \
    network.config.encoder.num_heads = 12; network.config.encoder.drop_path_rate = 0.1; \
    optimiser.learning_rate = 1e-4";
const LARGE: &str = "network.config.encoder.embed_dim = 1024; network.config.encoder.depth = 24; \
    network.config.encoder.num_heads = 16; network.config.encoder.drop_path_rate = 0.3; \
    optimiser.learning_rate = 3e-5";
const PATCH16_RXRX3: &str = "batch = 4096; network.config.encoder.patch_size = 16; \
    network.config.loss.fourier_weight = 0.0";
const PATCH8_RXRX3: &str = "batch = 4096; network.config.encoder.patch_size = 8; \
    network.config.loss.fourier_weight = 0.0; network.config.mask_ratio = 0.75";
const MASK25: &str = "network.config.mask_ratio = 0.25";
const PLATES: &str = "sampler.kind = 'single_domain'; sampler.domain = 'plate'; \
    sampler.ghost_batch_size = 64; objective.adabn = true";
const TABLE5: &str = "objective.kind = 'masked_modelling'; network.config.mask_ratio = 0.75; \
    network.config.loss.fourier_weight = 0.01; network.config.loss.fourier_view = 'asis'; \
    network.config.decoder.embed_dim = 512; network.config.decoder.depth = 8; \
    network.config.decoder.num_heads = 16; schedule.kind = 'one_cycle'; \
    schedule.pct_start = 0.1; views.preset = 'mae'; views.crop_px = 256; clip = none";

/// What a line fixes, as keys and values; no value where a key must be absent.
fn fixed(line: &str) -> Vec<(&str, Option<Value>)> {
    line.split("; ")
        .map(|one| {
            let (key, text) = one.split_once(" = ").unwrap();
            let parsed = || format!("v = {text}").parse::<Table>().unwrap()["v"].clone();
            (key.trim(), (text != "none").then(parsed))
        })
        .collect()
}

fn check(name: &str, table: &Table, line: &str) {
    for (key, expected) in fixed(line) {
        let found = match key {
            "batch" => {
                let count = |key| value(table, key).unwrap().as_integer().unwrap();
                Some(Value::Integer(count("batch_size") * count("accumulation")))
            }
            key => value(table, key).cloned(),
        };
        assert_eq!(found, expected, "{name}: {key}");
    }
}

#[test]
fn numbers_are_those_of_the_papers() {
    let names = names();
    for (beginning, line) in FIXED {
        let of_line = names.iter().filter(|name| name.starts_with(beginning));
        assert!(of_line.clone().count() > 0, "there is no {beginning}");
        for name in of_line {
            check(name, &resolved(name, &[]), line);
        }
    }
    // What other rows, whose names begin like these, have otherwise.
    for (name, line) in [
        (
            "self_supervised/table4_a",
            "views.preset = 'simple'; optimiser.weight_decay_end = none; init = none",
        ),
        ("self_supervised/table4_c", "views.preset = 'dino_original'"),
        (
            "self_supervised/all_cell_types",
            "sampler.other_cell_type = true",
        ),
        (
            "self_supervised/head",
            "batch = 256; optimiser.rule = 'adam_w'; optimiser.learning_rate = 5e-4",
        ),
        ("self_supervised/head", "schedule.power = 1.0"),
        (
            "rxrx1/table1_adabn",
            "network.config.head.batch_head.kind = 'detached'",
        ),
        (
            "rxrx1/table3_adabn",
            "network.config.head.batch_head.kind = 'detached'",
        ),
        (
            "masked_autoencoders/wsl_densenet161_rxrx1",
            "sampler.kind = 'uniform'; objective.adabn = false",
        ),
        (
            "masked_autoencoders/wsl_densenet161_rxrx3",
            "sampler.kind = 'uniform'; objective.adabn = false",
        ),
        (
            "masked_autoencoders/mae_vit_small_patch16_rxrx3",
            "network.config.mask_ratio = 0.75",
        ),
        (
            "masked_autoencoders/mae_vit_base_patch16_rxrx3",
            "network.config.mask_ratio = 0.75",
        ),
        (
            "masked_autoencoders/mae_vit_large_patch16_rxrx3",
            "network.config.mask_ratio = 0.75",
        ),
    ] {
        check(name, &resolved(name, &[]), line);
    }
    let without: Vec<&String> = names
        .iter()
        .filter(|name| FIXED.iter().all(|(beginning, _)| beginning != name))
        .collect();
    assert!(without.is_empty(), "no line of their own: {without:?}");
}

/// Objectives, networks and samplers, each once.
#[test]
fn one_of_each_kind_runs_from_end_to_end() {
    const ROWS: [&str; 9] = [
        "masked_autoencoders/mae_vit_large_patch8_rpi",
        "vitally_consistent/camae_vit_small_patch16_rxrx3",
        "masked_autoencoders/munet_m_rxrx3",
        "rxrx1/table1_adabn_gradient_reversal",
        "self_supervised/table2_adversarial",
        "self_supervised/table4_e",
        "vitally_consistent/dinov2_vit_large_patch16_rxrx3",
        // These begin with what rows above have left.
        "self_supervised/head",
        "vitally_consistent/dinov2_vit_large_patch8_finetuned",
    ];
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let simulator = SimulatorConfig::read(
        &self::folder().join("simulators/tiny_training.toml"),
        &[
            "experiments=['HUVEC-01','HUVEC-02','RPE-01']".to_owned(),
            "test_experiments=[]".to_owned(),
        ],
    );
    let simulator = simulator.unwrap().check().unwrap();
    simulate(&simulator, &place("screen"), &|_, _| {}).unwrap();
    let screen = open_screen(&place("screen"), None).unwrap();
    let options = NormalisationOptions::new(NormalisationScheme::AllPerExperimentUnbiased);
    let sites: Vec<usize> = (0..screen.sites().len()).collect();
    let statistics = NormalisationStatistics::of(&*screen, &sites, &options, &|_| {}).unwrap();
    let experiments = place("experiments.parquet");
    statistics.save(&experiments).unwrap();

    let mut kinds = BTreeSet::new();
    for name in ROWS {
        let mut overrides = vec!["scale=tiny".to_owned(), "length=2 steps".to_owned()];
        let tiny = resolved(name, &["scale=tiny"]);
        if value(&tiny, "schedule.warmup").is_some() {
            overrides.push("schedule.warmup=1 steps".to_owned());
        }
        if value(&tiny, "normalisation").unwrap().as_str() == Some("experiments.parquet") {
            overrides.push(format!("normalisation={}", experiments.display()));
        }
        let before = match name {
            "self_supervised/head" => Some("self_supervised/table4_e"),
            "vitally_consistent/dinov2_vit_large_patch8_finetuned" => {
                Some("masked_autoencoders/mae_vit_large_patch8_rpi")
            }
            _ => None,
        };
        overrides.extend(before.map(|name| format!("init.checkpoint={}", place(name).display())));
        let overrides: Vec<&str> = overrides.iter().map(String::as_str).collect();
        let config = config(name, &overrides);
        let data = TrainingData {
            training: &*screen,
            validation: Some(&*screen),
        };
        let loader = LoaderOptions {
            num_threads: 2,
            num_ahead: 2,
        };
        let summary = train(
            &config,
            data,
            &place(name),
            &Device::flex(),
            loader,
            &mut (),
        )
        .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(summary.steps.len(), 2, "{name}");
        assert!(
            summary.steps.iter().all(|step| step.loss.is_finite()),
            "{name}"
        );
        assert!(!summary.evaluations.is_empty(), "{name}");
        kinds.insert(config.get().objective.name());
    }
    let all: BTreeSet<String> = names()
        .iter()
        .map(|name| config(name, &[]).get().objective.name().to_owned())
        .collect();
    assert!(
        all.iter().all(|kind| kinds.contains(kind.as_str())),
        "{all:?}"
    );
}
