//! The main job end to end: simulate, train, embed, align, score, report.

mod page;
mod seeds;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use burn::tensor::Device;
use morphospace::evaluation::{Evaluation, RecallSettings};
use morphospace::oracle::oracle_profiles;
use morphospace_benchmark::{
    Bootstrap, EntityMap, RecallComparison, RecallOptions, Relationships, Score, Scores,
    compare_recall, random_embeddings, read_relationships,
};
use morphospace_core::{Provenance, Seed, parse_config, read_config, write_atomically};
use morphospace_embed::intensity_profiles;
use morphospace_map::{AlignMethod, ControlRule, PcaCenterScale, Tvn};
use morphospace_models::open_checkpoint;
use morphospace_profiles::{Profiles, write_profiles};
use morphospace_report::write_page;
use morphospace_screen::simulator::SimulatorConfig;
use morphospace_screen::{LoaderOptions, OnIncomplete, Screen, open_screen};
use morphospace_train::{CheckedTrainConfig, StepReport, TrainConfig, TrainingData};

use super::embed::profiles_of;
use super::train::train_under_progress;
use crate::allocator;
use crate::cli::DemoArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::Progress;

const TRAINING: &str = include_str!("../../../../configs/train/demo.toml");
const BATCH: &str = "Metadata_Batch";
const ENTITY: &str = "Metadata_gene";

/// Name of the trained network in scores.
const TRAINED: &str = "trained network";
/// Name of the oracle in scores.
const ORACLE: &str = "oracle";

/// Profiles of one kind, before and after each alignment.
struct Model {
    name: &'static str,
    /// As in [`alignments`].
    aligned: Vec<Profiles>,
}

/// What one seed came to.
struct SeedRun {
    seed: u64,
    folder: PathBuf,
    screen: Box<dyn Screen>,
    models: Vec<Model>,
    scores: Vec<Score>,
    /// The trained network against every other, per alignment.
    comparisons: Vec<Comparison>,
    training: Vec<StepReport>,
}

/// A paired comparison of recall.
struct Comparison {
    alignment: &'static str,
    other: &'static str,
    found: RecallComparison,
}

/// None, then the two of the papers.
fn alignments() -> [(&'static str, Option<AlignMethod>); 3] {
    [
        ("none", None),
        (
            "PCA-CenterScale",
            Some(AlignMethod::PcaCenterScale(PcaCenterScale::default())),
        ),
        ("TVN", Some(AlignMethod::Tvn(Tvn::default()))),
    ]
}

pub(crate) fn run(args: &DemoArgs) -> Result<Outcome, Failure> {
    allocator::keep_pages();
    let device = args.device.device.open().or_refuse()?;
    let mut configs = Vec::new();
    for seed in &args.seeds {
        configs.push((
            *seed,
            simulator_config(args, *seed)?,
            train_config(args, *seed)?,
        ));
    }
    let is_single = configs.len() == 1;
    let mut runs = Vec::new();
    for (seed, simulator, training) in configs {
        let folder = match is_single {
            true => args.folder.clone(),
            false => args.folder.join(format!("seed-{seed}")),
        };
        if !is_single {
            crate::say!("seed {seed}:");
        }
        let run = run_seed(seed, &simulator, &training, folder, &device)?;
        let page_path = run.folder.join("report.html");
        write_page(&page_path, &page::build(&run).or_stop()?).or_stop()?;
        crate::print_line!("{}", page_path.display());
        runs.push(run);
    }
    let table = seeds::Table::of(&runs);
    crate::print_line!("\n{table}");
    if !is_single {
        let path = args.folder.join("seeds.md");
        write_atomically(&path, |file| {
            use std::io::Write;
            writeln!(file, "{table}")
        })
        .context("writing the table of all seeds")
        .or_stop()?;
        crate::print_line!("{}", path.display());
    }
    Ok(Outcome::Done)
}

fn simulator_config(args: &DemoArgs, seed: u64) -> Result<SimulatorConfig, Failure> {
    let config: SimulatorConfig = match &args.simulator {
        Some(path) => read_config(path, &[]).or_refuse()?,
        None => SimulatorConfig::default(),
    };
    let config = SimulatorConfig { seed, ..config };
    config.check().or_refuse()?;
    Ok(config)
}

fn train_config(args: &DemoArgs, seed: u64) -> Result<CheckedTrainConfig, Failure> {
    let overrides = [format!("seed={seed}")];
    let config: TrainConfig = match &args.training {
        Some(path) => read_config(path, &overrides).or_refuse()?,
        None => parse_config("built-in training settings", TRAINING, &overrides).or_refuse()?,
    };
    config.check().or_refuse()
}

fn run_seed(
    seed: u64,
    simulator: &SimulatorConfig,
    training: &CheckedTrainConfig,
    folder: PathBuf,
    device: &Device,
) -> Result<SeedRun, Failure> {
    let screen_folder = simulate_once(simulator, &folder)?;
    let screen = open_screen(&screen_folder, None).or_stop()?;
    let relationships = read_relationships(&screen_folder.join("relationships.csv")).or_stop()?;

    let run_folder = folder.join("training");
    let summary = train_under_progress(
        TrainingData {
            training: &*screen,
            validation: None,
        },
        training,
        &run_folder,
        device,
        LoaderOptions::default(),
    )?;
    let trained = open_checkpoint(&summary.checkpoint.folder, device).or_stop()?;
    let init_seed = training.seed().split("init");
    let untrained = training
        .get()
        .network
        .init_encoder(device, init_seed.split("encoder"))
        .or_stop()?;

    let trained = profiles_of(&*screen, &*trained, device)?;
    let untrained = profiles_of(&*screen, &*untrained, device)?;
    let (intensity, _) = intensity_profiles(&*screen, OnIncomplete::Fail).or_stop()?;
    let random = random_profiles(&trained, Seed::new(seed)).or_stop()?;
    let oracle = oracle_profiles(&screen_folder, &trained).or_stop()?;
    let tables = [
        (TRAINED, trained),
        ("untrained network", untrained),
        ("intensity features", intensity),
        ("random", random),
        (ORACLE, oracle),
    ];

    let mut run = SeedRun {
        seed,
        folder,
        screen,
        models: Vec::new(),
        scores: Vec::new(),
        comparisons: Vec::new(),
        training: read_metrics(&run_folder).or_stop()?,
    };
    score(&mut run, tables, &relationships)?;
    let provenance = Provenance::new("demo").with_seed("run", seed);
    Scores::new(provenance, run.scores.clone())
        .write(&run.folder.join("scores.json"))
        .or_stop()?;
    Ok(run)
}

/// Simulates, unless the folder holds the whole screen of the same settings.
fn simulate_once(config: &SimulatorConfig, folder: &Path) -> Result<PathBuf, Failure> {
    let screen_folder = folder.join("screen");
    let settings_path = folder.join("simulator.toml");
    let settings = toml::to_string_pretty(config).or_refuse()?;
    if folder.exists() {
        let is_ours = fs::read_to_string(&settings_path).is_ok_and(|found| found == settings);
        let is_empty = fs::read_dir(folder).or_refuse()?.next().is_none();
        if !is_ours && !is_empty {
            return Err(Failure::Refused(anyhow::anyhow!(
                "'{}' holds something else than this demo's files\nhint: remove it, or give \
                 another --folder",
                folder.display()
            )));
        }
        if is_ours && screen_folder.join("metadata.csv").exists() {
            crate::say!(
                " simulate: the screen in '{}' is there already",
                screen_folder.display()
            );
            return Ok(screen_folder);
        }
        // What a killed simulation left: metadata.csv is written last.
        if is_ours && screen_folder.exists() {
            fs::remove_dir_all(&screen_folder).or_stop()?;
        }
    }
    write_atomically(&settings_path, |file| {
        use std::io::Write;
        file.write_all(settings.as_bytes())
    })
    .with_context(|| format!("writing '{}'", settings_path.display()))
    .or_stop()?;
    super::simulate::write(&config.check().or_refuse()?, &screen_folder)?;
    Ok(screen_folder)
}

/// Noise with the shape and metadata of `like`.
fn random_profiles(like: &Profiles, seed: Seed) -> anyhow::Result<Profiles> {
    let (rows, width) = (like.num_rows(), like.num_features());
    let values = random_embeddings(rows, width, seed.split("random embeddings"));
    Ok(like.with_values(like.feature_names().to_vec(), values)?)
}

/// Aligns, scores and writes every table.
fn score(
    run: &mut SeedRun,
    tables: [(&'static str, Profiles); 5],
    relationships: &Relationships,
) -> Result<(), Failure> {
    let progress = Progress::new("score", "tables", tables.len() * alignments().len());
    let seed = Seed::new(run.seed).split("scores");
    let relationships = std::slice::from_ref(relationships);
    let mut num_done = 0;
    // Per alignment, the map of every model.
    let mut maps: Vec<Vec<(&'static str, EntityMap)>> = vec![Vec::new(); alignments().len()];
    for (name, profiles) in tables {
        let evaluation = Evaluation {
            model: name,
            batch_column: BATCH,
            entity_column: ENTITY,
            relationships,
            controls: ControlRule::default(),
            seed,
        };
        let mut aligned_tables = Vec::new();
        for (index, (alignment, method)) in alignments().iter().enumerate() {
            let aligned = evaluation.align(&profiles, method.as_ref()).or_stop()?;
            let file = format!("{}-{}.parquet", file_name(name), file_name(alignment));
            write_profiles(&run.folder.join("profiles").join(file), &aligned).or_stop()?;
            let scores = &mut run.scores;
            scores.extend(
                evaluation
                    .relationship_recall(&aligned, alignment, &RecallSettings::default())
                    .or_stop()?,
            );
            scores.push(
                evaluation
                    .replicate_consistency(&aligned, alignment)
                    .or_stop()?,
            );
            scores.extend(evaluation.batch_prediction(&aligned, alignment).or_stop()?);
            let table = evaluation.entity_map(&aligned).or_stop()?;
            maps[index].push((name, EntityMap::from_profiles(&table, ENTITY).or_stop()?));
            aligned_tables.push(aligned);
            num_done += 1;
            progress.update(num_done, name);
        }
        run.models.push(Model {
            name,
            aligned: aligned_tables,
        });
    }
    let options = RecallOptions::default();
    let bootstrap = Bootstrap::new(seed.split("comparison"));
    for (maps, (alignment, _)) in maps.iter().zip(alignments()) {
        let (_, trained) = &maps[0];
        for (other, map) in &maps[1..] {
            let found =
                compare_recall(map, trained, relationships, &options, &bootstrap).or_stop()?;
            run.comparisons
                .extend(found.into_iter().map(|found| Comparison {
                    alignment,
                    other,
                    found,
                }));
        }
    }
    progress.finish(&format!("{} scores", run.scores.len()));
    Ok(())
}

fn file_name(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// All steps of the run, those before a kill too.
fn read_metrics(run_folder: &Path) -> anyhow::Result<Vec<StepReport>> {
    let path = run_folder.join("metrics.jsonl");
    let text =
        fs::read_to_string(&path).with_context(|| format!("reading '{}'", path.display()))?;
    let reports: Vec<StepReport> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    if reports.is_empty() {
        bail!("'{}' is empty", path.display());
    }
    Ok(reports)
}
