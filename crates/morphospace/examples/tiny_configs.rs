//! Runs every row of `configs/train` at `scale = "tiny"` on a simulated screen,
//! and writes a table of what came out:
//!
//! ```sh
//! cargo run --release -p morphospace --example tiny_configs -- tiny-configs
//! ```
//!
//! What a row needs is made as its header says: the split and the table of
//! statistics of its `morphospace split` and `morphospace normalise` commands,
//! the channels of its `morphospace train`. A second argument runs only rows
//! whose names contain it. Rows that are in the output folder already are not
//! run again.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a table and how far it is are all it is for"
)]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use morphospace::core::{Experiment, Seed, Site, read_config};
use morphospace::screen::simulator::{SimulatorConfig, simulate};
use morphospace::screen::split::{
    Part, SplitConfig, SplitLevel, SplitScheme, make_split, write_split,
};
use morphospace::screen::{
    ChannelChoice, LoaderOptions, NormalisationOptions, NormalisationScheme,
    NormalisationStatistics, Screen, SelectedScreen, Selection, choose_channels, open_screen,
};
use morphospace::train::{TrainConfig, TrainSummary, TrainingData, train};
use serde::{Deserialize, Serialize};

// As the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let output = PathBuf::from(args.next().ok_or("give a folder for screen and runs")?);
    let filter = args.next().unwrap_or_default();
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let screen = output.join("screen");
    // The table by which a screen is known is written last.
    if open_screen(&screen, None).is_err() {
        eprintln!("simulating '{}'", screen.display());
        let simulator = configs.join("simulators/tiny_training.toml");
        let simulator = SimulatorConfig::read(&simulator, &[])?.check()?;
        simulate(&simulator, &screen, &|_, _| {})?;
    }

    let mut rows = rows(&configs.join("train"))?;
    rows.retain(|row| row.name.contains(&filter));
    let mut num_failed = 0;
    for row in &rows {
        let result = output.join(&row.name).join("result.json");
        if result.exists() {
            continue;
        }
        eprint!("{} ... ", row.name);
        let started = Instant::now();
        match run(row, &screen, &output) {
            Ok(found) => {
                fs::write(&result, serde_json::to_string_pretty(&found)?)?;
                eprintln!("{:.0} s", started.elapsed().as_secs_f64());
            }
            Err(error) => {
                num_failed += 1;
                eprintln!("failed: {error}");
            }
        }
    }
    let table = table(&rows, &output)?;
    fs::write(output.join("table.md"), &table)?;
    println!("{table}");
    match num_failed {
        0 => Ok(()),
        _ => Err(format!("{num_failed} of {} rows failed", rows.len()).into()),
    }
}

/// A configuration that is run.
struct Row {
    /// Folder and name, as `rxrx1/table1_baseline`.
    name: String,
    path: PathBuf,
    recipe: Recipe,
    /// What its network begins with, as the file has it.
    init: Option<String>,
}

/// What a header's commands say.
#[derive(Default)]
struct Recipe {
    split: Option<Vec<String>>,
    normalise: Option<Vec<String>>,
    train: Vec<String>,
}

impl Recipe {
    /// Of the first `split`, `normalise` and `train`; later ones are of heads
    /// and of other parts.
    fn of(text: &str) -> Self {
        let mut recipe = Self::default();
        for command in commands(text) {
            let Some((name, rest)) = command.split_first() else {
                continue;
            };
            match name.as_str() {
                "split" if recipe.split.is_none() => recipe.split = Some(rest.to_vec()),
                "normalise" if recipe.normalise.is_none() => {
                    recipe.normalise = Some(rest.to_vec());
                }
                "train" if recipe.train.is_empty() => recipe.train = rest.to_vec(),
                _ => {}
            }
        }
        recipe
    }
}

/// The arguments of a header's commands, each of which begins with
/// `morphospace` and goes on where a line ends in a backslash.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut commands: Vec<Vec<String>> = Vec::new();
    let mut goes_on = false;
    for line in text.lines().take_while(|line| line.starts_with('#')) {
        let line = line
            .trim_start_matches("# Run:")
            .trim_start_matches('#')
            .trim();
        let begun = line.strip_prefix("morphospace ");
        let words = match begun {
            Some(words) => {
                commands.push(Vec::new());
                words
            }
            None if goes_on => line,
            None => continue,
        };
        goes_on = words.ends_with('\\');
        let words = words.trim_end_matches('\\').split_whitespace();
        if let Some(command) = commands.last_mut() {
            command.extend(words.map(str::to_owned));
        }
    }
    commands
}

/// The value of a flag.
fn flag<'a>(words: &'a [String], name: &str) -> Option<&'a str> {
    let place = words.iter().position(|word| word == name)?;
    words.get(place + 1).map(String::as_str)
}

/// All configurations but those that others extend; last those that begin with
/// what others leave.
fn rows(folder: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(entry.path())? {
            let path = file?.path();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            if path.extension().is_none_or(|end| end != "toml") || stem.starts_with('_') {
                continue;
            }
            let folder = entry.file_name();
            let config: TrainConfig = read_config(&path, &["scale=tiny".to_owned()])?;
            let init = config.init.map(|init| init.checkpoint);
            rows.push(Row {
                name: format!("{}/{stem}", folder.to_string_lossy()),
                recipe: Recipe::of(&fs::read_to_string(&path)?),
                init: init.map(|path| path.to_string_lossy().into_owned()),
                path,
            });
        }
    }
    rows.sort_by(|a, b| (a.init.is_some(), &a.name).cmp(&(b.init.is_some(), &b.name)));
    Ok(rows)
}

/// What is said of a run in the table.
#[derive(Serialize, Deserialize)]
struct Found {
    objective: String,
    steps: usize,
    first_loss: f64,
    last_loss: f64,
    scores: Vec<(String, f64)>,
    seconds: f64,
}

fn run(row: &Row, screen: &Path, output: &Path) -> Result<Found, Box<dyn Error>> {
    let recipe = &row.recipe;
    let folder = output.join(&row.name);
    // Begun and not finished: the table wants all of its steps.
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let channels = flag(&recipe.train, "--channels");
    let whole = open(screen, channels, None)?;
    let split = make_split(
        whole.sites(),
        &SplitConfig {
            scheme: scheme(recipe, whole.sites())?,
            seed: Seed::new(1),
            only_labelled: false,
        },
    )?;
    fs::create_dir_all(&folder)?;
    write_split(&folder.join("split.parquet"), &split)?;
    let parts = split.parts(whole.sites())?;
    let sites_of = |part: Part| -> Vec<usize> {
        (0..parts.len())
            .filter(|site| parts[*site] == Some(part))
            .collect()
    };

    let mut overrides = vec!["scale=tiny".to_owned()];
    if let Some(words) = &recipe.normalise {
        let scheme: NormalisationScheme = flag(words, "--scheme").ok_or("no scheme")?.parse()?;
        let sites = match flag(words, "--part") {
            Some(_) => sites_of(Part::Train),
            None => (0..whole.sites().len()).collect(),
        };
        let table = folder.join("normalisation.parquet");
        let options = NormalisationOptions::new(scheme);
        NormalisationStatistics::cached(&table, &*whole, &sites, &options, &|_| {})?;
        overrides.push(format!("normalisation={}", table.display()));
    }
    if let Some(init) = &row.init {
        // What does not come from a row comes from elsewhere: any network of
        // that shape serves.
        let before = init.strip_prefix("runs/");
        let before = output.join(before.unwrap_or("self_supervised/table4_a"));
        overrides.push(format!("init.checkpoint={}", before.display()));
    }
    let config: TrainConfig = read_config(&row.path, &overrides)?;
    let config = config.check()?;

    let training = open(screen, channels, Some(sites_of(Part::Train)))?;
    let part = match flag(&recipe.train, "--validation-part") {
        Some("test") => Part::Test,
        _ => Part::Validation,
    };
    let validation = match sites_of(part) {
        sites if sites.is_empty() => None,
        sites => Some(open(screen, channels, Some(sites))?),
    };
    let data = TrainingData {
        training: &*training,
        validation: validation.as_deref(),
    };
    let loader = LoaderOptions {
        num_threads: 2,
        num_ahead: 2,
    };
    let device = Device::flex();
    let summary = train(&config, data, &folder, &device, loader, &mut ())?;
    found(config.get(), &summary)
}

fn found(config: &TrainConfig, summary: &TrainSummary) -> Result<Found, Box<dyn Error>> {
    let first = summary.steps.first().ok_or("no step was done")?;
    let last = summary.steps.last().ok_or("no step was done")?;
    let scores = summary.evaluations.last();
    Ok(Found {
        objective: config.objective.name().to_owned(),
        steps: summary.steps.len(),
        first_loss: first.loss,
        last_loss: last.loss,
        scores: scores.map_or_else(Vec::new, |report| {
            let scores = report.scores.iter();
            scores.map(|(name, score)| (name.clone(), *score)).collect()
        }),
        seconds: summary.wall_seconds,
    })
}

fn open(
    screen: &Path,
    channels: Option<&str>,
    sites: Option<Vec<usize>>,
) -> Result<Box<dyn Screen>, Box<dyn Error>> {
    let screen = open_screen(screen, None)?;
    let channels = match channels {
        Some(names) => {
            let choices: Result<Vec<ChannelChoice>, _> = names.split(',').map(str::parse).collect();
            Some(choose_channels(screen.channels(), &choices?)?)
        }
        None => None,
    };
    let selection = Selection {
        channels,
        sites,
        ..Selection::default()
    };
    Ok(match selection.is_all() {
        true => screen,
        false => Box::new(SelectedScreen::new(screen, &selection)?),
    })
}

/// The scheme of a header's `morphospace split`; fold 1 where there are folds
/// instead. Of screens other than RxRx1 the experiments have other names: any
/// four are taken.
fn scheme(recipe: &Recipe, sites: &[Site]) -> Result<SplitScheme, Box<dyn Error>> {
    let Some(words) = &recipe.split else {
        return Ok(SplitScheme::CrossValidation {
            fold: 1,
            cell_type: SplitScheme::CROSS_VALIDATION_CELL_TYPE.to_owned(),
        });
    };
    let cell_type = flag(words, "--cell-type").map(str::to_owned);
    let level = SplitLevel::default();
    Ok(match flag(words, "--scheme").ok_or("no scheme")? {
        "batch-separated" => SplitScheme::BatchSeparated,
        "batch-stratified" => SplitScheme::BatchStratified {
            train_fraction: SplitScheme::BATCH_STRATIFIED_TRAIN_FRACTION,
            level,
        },
        "stratified-80-20" => SplitScheme::Stratified8020 { cell_type, level },
        "f0" => SplitScheme::CrossValidation {
            fold: 1,
            cell_type: SplitScheme::CROSS_VALIDATION_CELL_TYPE.to_owned(),
        },
        "experiments-of-one-cell-type" => SplitScheme::ExperimentsOfOneCellType {
            cell_type: cell_type.ok_or("no cell type")?,
            num_experiments: flag(words, "--num-experiments")
                .ok_or("no number")?
                .parse()?,
        },
        "leave-experiment-out" => {
            let names = |name: &str, otherwise: &str| -> Vec<Experiment> {
                let named = flag(words, name).unwrap_or_default().split(',');
                let named: Vec<Experiment> = named
                    .filter(|name| !name.is_empty())
                    .map(Experiment::new)
                    .collect();
                let is_there = |experiment: &Experiment| {
                    let mut sites = sites.iter();
                    sites.any(|site| site.key.plate.experiment == *experiment)
                };
                match named.iter().all(is_there) {
                    true => named,
                    false => otherwise.split(',').map(Experiment::new).collect(),
                }
            };
            SplitScheme::LeaveExperimentOut {
                test: names("--experiments", "HUVEC-21,HUVEC-22"),
                validation: names("--validation-experiments", "HUVEC-17,HUVEC-18"),
            }
        }
        other => return Err(format!("scheme '{other}' is not known here").into()),
    })
}

/// Rows that were run, now or before, as Markdown.
fn table(rows: &[Row], output: &Path) -> Result<String, Box<dyn Error>> {
    let mut table = String::from(
        "| configuration | objective | steps | first loss | last loss | validation | seconds |\n\
         |---|---|---:|---:|---:|---|---:|\n",
    );
    for row in rows {
        let Ok(text) = fs::read_to_string(output.join(&row.name).join("result.json")) else {
            writeln!(table, "| {} | failed | | | | | |", row.name)?;
            continue;
        };
        let found: Found = serde_json::from_str(&text)?;
        let scores: Vec<String> = found
            .scores
            .iter()
            .map(|(name, score)| {
                let name = name.strip_prefix("validation/").unwrap_or(name);
                format!("{name} {score:.3}")
            })
            .collect();
        writeln!(
            table,
            "| {} | {} | {} | {:.4} | {:.4} | {} | {:.0} |",
            row.name,
            found.objective,
            found.steps,
            found.first_loss,
            found.last_loss,
            scores.join(", "),
            found.seconds
        )?;
    }
    Ok(table)
}
