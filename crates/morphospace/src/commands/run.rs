//! Follows a recipe: commands one after the other, those that are done left out.

mod step_record;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use morphospace::recipe::{Recipe, Repetition, RunFolder, StepCommand};
use morphospace::recipe_run::{RecipeRun, RunState};
use morphospace::result_table::ResultTable;
use morphospace_core::{remove_abandoned, write_atomically};
use morphospace_screen::store::is_url;

use self::step_record::{StepRecord, version};
use crate::cli::{Cli, Command, RunArgs};
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::warn_each;

/// Options before the name of a file or folder that a command writes.
const OUTPUT_OPTIONS: [&str; 12] = [
    "--output",
    "--save-aligner",
    "--figure",
    "--summary",
    "--manifest",
    "--qc",
    "--page",
    "--json",
    "--experiments",
    "--coordinates",
    "--perturbations",
    "--histograms",
];

/// The steps of a repetition, each of which the command line understands.
struct Planned {
    repetition: Repetition,
    steps: Vec<StepCommand>,
}

impl Planned {
    /// The files of scores that the steps write, below the run's folder.
    fn scores(&self, folder: &RunFolder) -> Vec<PathBuf> {
        let of_scores = folder.scores(&self.repetition);
        let written = self
            .steps
            .iter()
            .flat_map(|step| Paths::of(&step.words, &folder.0).written);
        let is_one = |path: &PathBuf| {
            path.starts_with(&of_scores) && path.extension().is_some_and(|end| end == "json")
        };
        let mut files: Vec<PathBuf> = written
            .filter(is_one)
            .filter_map(|path| Some(path.strip_prefix(&folder.0).ok()?.to_owned()))
            .collect();
        files.sort();
        files.dedup();
        files
    }
}

pub(crate) fn run(args: &RunArgs) -> Result<Outcome, Failure> {
    if let Some(url) = args
        .output
        .as_deref()
        .and_then(Path::to_str)
        .filter(|text| is_url(text))
    {
        return Err(Failure::Refused(anyhow!(
            "'{url}': the folder of a run is on disk\nhint: steps may write into buckets, e.g. --set \
             with the URL of a folder for `embed`"
        )));
    }
    let whatever = Path::new("OUTPUT");
    let output = &plain(args.output.as_deref().unwrap_or(whatever));
    let recipe = match args.dry_run {
        true => Recipe::read_for_show(&args.recipe, &args.set, &args.inputs),
        false => Recipe::read(&args.recipe, &args.set, &args.inputs),
    };
    let recipe = recipe.or_refuse()?;
    let folder = RunFolder(output.to_owned());
    let plan = plan(args, &recipe, &folder).or_refuse()?;
    if args.dry_run {
        crate::print_line!("{}", script(&plan).or_refuse()?.trim_end());
        return Ok(Outcome::Done);
    }
    check_given(&recipe).or_refuse()?;
    refuse_other_folder(output, &recipe).or_refuse()?;
    let _lock = lock(output).or_refuse()?;
    let scores = plan.iter().map(|planned| planned.scores(&folder));
    let mut run = RecipeRun::new(recipe, scores.collect(), args.set.clone());
    run.write(output).or_refuse()?;
    let path = output.join("commands.sh");
    let script = script(&plan).or_refuse()?;
    write_atomically(&path, |file| file.write_all(script.as_bytes()))
        .with_context(|| format!("cannot write '{}'", path.display()))
        .or_refuse()?;

    let num_steps: usize = plan.iter().map(|planned| planned.steps.len()).sum();
    let mut incomplete = Vec::new();
    let mut index = 0;
    for planned in &plan {
        for step in &planned.steps {
            index += 1;
            let name = name_of(&planned.repetition, step);
            let at = format!("[{index}/{num_steps}] {name}");
            let is_complete = follow(output, step, &at).map_err(|failure| {
                let what = || format!("step '{name}' of recipe '{}'", args.recipe.display());
                match failure {
                    // Nothing was done by this step, but by others.
                    Failure::Refused(error) if index == 1 => {
                        Failure::Refused(error.context(what()))
                    }
                    Failure::Refused(error) | Failure::Stopped(error) => {
                        Failure::Stopped(error.context(what()))
                    }
                }
            })?;
            if !is_complete {
                incomplete.push(name);
            }
        }
    }
    // What kills have left of files within steps that were done since.
    remove_abandoned(output)
        .with_context(|| format!("cannot tidy '{}'", output.display()))
        .or_stop()?;
    run.state = match &incomplete[..] {
        [] => RunState::Complete,
        steps => RunState::Incomplete(steps.to_vec()),
    };
    run.write(output).or_stop()?;
    let rows = run.scored_rows(output).or_stop()?;
    let tables = ResultTable::of_rows(&rows).or_stop()?;
    for table in &tables {
        crate::print_line!("{}", table.to_markdown());
    }
    let gaps: Vec<String> = tables.iter().flat_map(|table| table.gaps(&rows)).collect();
    warn_each("gaps in the tables", &gaps);
    warn_each("steps that left something out", &incomplete);
    crate::print_line!("{}", output.display());
    Ok(Outcome::with_failures(!incomplete.is_empty()))
}

/// `./a//b/` as `a/b`: steps that were done are told by their words.
fn plain(path: &Path) -> PathBuf {
    let parts = path.components();
    let plain: PathBuf = parts.filter(|part| *part != Component::CurDir).collect();
    match plain.as_os_str().is_empty() {
        true => path.to_owned(),
        false => plain,
    }
}

fn name_of(repetition: &Repetition, step: &StepCommand) -> String {
    let repeated = repetition.0.iter();
    let repeated: Vec<String> = repeated
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    match repeated.is_empty() {
        true => step.name.clone(),
        false => format!("{} ({})", step.name, repeated.join(", ")),
    }
}

/// All commands, understood and in an order in which each finds what it reads.
fn plan(args: &RunArgs, recipe: &Recipe, folder: &RunFolder) -> Result<Vec<Planned>> {
    let mut plan = Vec::new();
    let mut written: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for repetition in recipe.repetitions() {
        let steps = recipe.commands(&args.recipe, &repetition, folder)?;
        for step in &steps {
            let named = || {
                let name = name_of(&repetition, step);
                format!("step '{name}' of recipe '{}'", args.recipe.display())
            };
            let cli = parsed(&step.words).with_context(named)?;
            if matches!(cli.command, Command::Run(_) | Command::Submit(_)) {
                bail!("{}: a recipe can neither `run` nor `submit`", named());
            }
            let paths = Paths::of(&step.words, &folder.0);
            let leaves = |path: &&PathBuf| {
                let below = path.strip_prefix(&folder.0).unwrap_or(path);
                below.components().any(|part| part == Component::ParentDir)
            };
            if let Some(path) = paths.read.iter().chain(&paths.written).find(leaves) {
                bail!(
                    "{}: '{}' leads out of the run's folder\nhint: leave '..' out",
                    named(),
                    path.display()
                );
            }
            let unwritten = paths.read.iter().find(|path| {
                let mut written = written.keys();
                !written.any(|there| path.starts_with(there))
            });
            if let Some(path) = unwritten {
                bail!("{}: no step before it writes '{}'", named(), path.display());
            }
            for path in paths.written {
                let before = written.insert(path.clone(), step.words.clone());
                if before.is_some_and(|before| before != step.words) {
                    bail!(
                        "{}: another step writes '{}' already\nhint: a file of its own, e.g. one \
                         of scores for each step, tells what is done",
                        named(),
                        path.display()
                    );
                }
            }
        }
        plan.push(Planned { repetition, steps });
    }
    recipe.refuse_unused(&args.recipe)?;
    Ok(plan)
}

fn parsed(words: &[String]) -> Result<Cli> {
    let program = std::iter::once("morphospace");
    let words = program.chain(words.iter().map(String::as_str));
    Cli::try_parse_from(words).map_err(|error| {
        let text = error.render().to_string();
        let text = text.trim_start_matches("error: ").trim_end();
        anyhow!("{text}")
    })
}

/// What a command's words name below the run's folder.
struct Paths {
    read: Vec<PathBuf>,
    written: Vec<PathBuf>,
}

impl Paths {
    fn of(words: &[String], folder: &Path) -> Self {
        let (mut read, mut written) = (Vec::new(), Vec::new());
        let mut option = "";
        for word in words {
            let (before, path) = split_path(word);
            let option_of_word = match before.starts_with("--") {
                true => before,
                false => option,
            };
            let path = Path::new(path);
            if path.starts_with(folder) && path != folder {
                match is_of_output(&words[0], option_of_word) {
                    true => written.push(path.to_owned()),
                    false => read.push(path.to_owned()),
                }
            }
            if word.starts_with('-') {
                option = word;
            }
        }
        Self { read, written }
    }
}

/// Whether an option of a command is followed by what it writes.
fn is_of_output(command: &str, option: &str) -> bool {
    let is_one = OUTPUT_OPTIONS.contains(&option);
    match (command, option) {
        // Elsewhere it is a switch.
        (command, "--json") => command == "inspect",
        // What other commands write, figures are drawn of.
        ("figure", option) => is_one && matches!(option, "--output" | "--coordinates"),
        _ => is_one,
    }
}

/// `NAME=PATH` and `--option=PATH` in two; of others the first part is empty.
fn split_path(word: &str) -> (&str, &str) {
    word.rsplit_once('=').unwrap_or(("", word))
}

/// What the user gave is there, before hours are spent that lead to it.
fn check_given(recipe: &Recipe) -> Result<()> {
    for (name, word) in recipe.given() {
        let is_name = word.contains(':') || word == "intensity";
        if !is_name && !Path::new(word).exists() {
            bail!("--input {name}={word}: there is no '{word}'");
        }
    }
    Ok(())
}

/// A run has a folder of its own.
fn refuse_other_folder(folder: &Path, recipe: &Recipe) -> Result<()> {
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let holds_something =
        entries.any(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    // Parts of it may be filled before, by array jobs.
    let mut names: Vec<PathBuf> = vec![RecipeRun::FILE.into(), "shared".into()];
    names.push("embeddings".into());
    names.extend(recipe.repetitions().iter().map(Repetition::folder));
    let is_run = names
        .iter()
        .any(|name| *name != PathBuf::new() && folder.join(name).exists());
    if holds_something && !is_run {
        bail!(
            "'{}' is not empty and holds no run\nhint: name a new folder",
            folder.display()
        );
    }
    Ok(())
}

/// Nobody else follows a recipe into this folder meanwhile.
fn lock(folder: &Path) -> Result<File> {
    let cannot = || format!("cannot write into '{}'", folder.display());
    fs::create_dir_all(folder).with_context(cannot)?;
    let file = File::create(folder.join(".lock")).with_context(cannot)?;
    if let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
        bail!("another `run` is at work in '{}'", folder.display());
    }
    Ok(file)
}

/// The commands as a shell takes them.
fn script(plan: &[Planned]) -> Result<String> {
    let mut text = String::from(
        "#!/bin/sh\n# The commands of the recipe, in order, for the folder that `run` was started in. A\n\
         # step that leaves something out ends with status 1 and ends this script, but not\n\
         # `run`.\nset -e\n",
    );
    let mut seen = BTreeSet::new();
    for planned in plan {
        for step in &planned.steps {
            // What repetitions have in common is done once.
            if seen.insert(&step.words) {
                let words = shlex::try_join(step.words.iter().map(String::as_str))?;
                let name = name_of(&planned.repetition, step);
                text.push_str(&format!("\n# {name}\nmorphospace {words}\n"));
            }
        }
    }
    Ok(text)
}

/// Does a step, if it is not done; whether it left nothing out.
fn follow(run: &Path, step: &StepCommand, at: &str) -> Result<bool, Failure> {
    let paths = Paths::of(&step.words, run);
    let inputs = inputs(&step.words, &paths).or_stop()?;
    let record_path = StepRecord::path(run, &step.words);
    let before = StepRecord::read(&record_path);
    if before.is_some_and(|record| record.stands_for(&step.words, &inputs)) {
        crate::say!("{at}: done before");
        return Ok(true);
    }
    crate::say!("{at}");
    for path in &paths.written {
        let parent = path.parent().unwrap_or(run);
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot make folder '{}'", parent.display()))
            .or_stop()?;
    }
    let started = Instant::now();
    let cli = parsed(&step.words).or_refuse()?;
    match &cli.command {
        // They write into nothing but a new folder.
        Command::Trim(_) | Command::Import(_) | Command::Simulate(_) => {
            remove_all(&paths.written).or_stop()?;
        }
        // Files are made anew, whatever they have become; scores would be added to.
        _ => {
            let files = paths.written.iter().filter(|path| path.is_file());
            let files: Vec<PathBuf> = files.cloned().collect();
            remove_all(&files).or_stop()?;
        }
    }
    let outcome = super::run(cli)?;
    let mut outputs = BTreeMap::new();
    for path in paths.written {
        let found = version(&path).with_context(|| format!("cannot read '{}'", path.display()));
        if let Some(found) = found.or_stop()? {
            outputs.insert(path, found);
        }
    }
    let record = StepRecord {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        command: step.words.clone(),
        inputs,
        outputs,
        is_complete: outcome == Outcome::Done,
        seconds: started.elapsed().as_secs_f64(),
    };
    record
        .write(&record_path)
        .with_context(|| format!("cannot write '{}'", record_path.display()))
        .or_stop()?;
    Ok(record.is_complete)
}

/// Takes away what a step wrote before, below the run's folder.
fn remove_all(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        let removed = match path.is_dir() {
            true => fs::remove_dir_all(path),
            false if path.exists() => fs::remove_file(path),
            false => Ok(()),
        };
        removed.with_context(|| format!("cannot remove '{}'", path.display()))?;
    }
    Ok(())
}

/// Versions of what a command's words name and that is there, but for what it writes.
fn inputs(words: &[String], paths: &Paths) -> Result<BTreeMap<PathBuf, String>> {
    // The command's own name is no file, whatever lies there.
    let num_names = match words[0].as_str() {
        "benchmark" | "figure" => 2,
        _ => 1,
    };
    let mut inputs = BTreeMap::new();
    for word in words.iter().skip(num_names) {
        let whole = (!word.starts_with('-')).then_some(word.as_str());
        let behind = word.rsplit_once('=').map(|(_, path)| path);
        for path in whole.into_iter().chain(behind).map(Path::new) {
            if paths.written.iter().any(|written| written == path) {
                continue;
            }
            let found = version(path).with_context(|| format!("cannot read '{}'", path.display()));
            if let Some(found) = found? {
                inputs.insert(path.to_owned(), found);
            }
        }
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_what_is_read_and_written() {
        let switch = ["benchmark", "--json", "run/a.csv"].map(str::to_owned);
        assert!(Paths::of(&switch, Path::new("run")).written.is_empty());
        assert!(!is_of_output("figure", "--perturbations") && is_of_output("figure", "--output"));
        let words = "align run/a.parquet --method tvn --output run/b.parquet --settings x \
                     --save-aligner=run/c NAME=run/d run";
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let paths = Paths::of(&words, Path::new("run"));
        let names = |paths: &[PathBuf]| -> Vec<String> {
            paths
                .iter()
                .map(|path| path.display().to_string())
                .collect()
        };
        assert_eq!(names(&paths.written), ["run/b.parquet", "run/c"]);
        assert_eq!(names(&paths.read), ["run/a.parquet", "run/d"]);
    }

    #[test]
    fn a_folder_has_one_name() {
        for (given, expected) in [
            ("./a//b/", "a/b"),
            ("a", "a"),
            ("/a/./b", "/a/b"),
            ("../a", "../a"),
            (".", "."),
        ] {
            assert_eq!(plain(Path::new(given)).to_str(), Some(expected));
        }
    }

    #[test]
    fn what_is_read_is_told_from_names_of_commands() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["in.csv", "arms.csv", "out.csv"] {
            fs::write(path(name), name).expect("a file");
        }
        let words = [
            "src".to_owned(),
            path("in.csv"),
            format!("--arms={}", path("arms.csv")),
            format!("--output={}", path("out.csv")),
        ];
        let paths = Paths::of(&words, folder.path());
        let found = inputs(&words, &paths).expect("versions");
        let names: Vec<String> = found
            .keys()
            .map(|path| path.display().to_string())
            .collect();
        assert_eq!(names, [path("arms.csv"), path("in.csv")]);
    }

    #[test]
    fn options_of_outputs_are_options_of_commands() {
        fn options(command: &clap::Command, found: &mut BTreeSet<String>) {
            let longs = command
                .get_arguments()
                .filter_map(|argument| argument.get_long());
            found.extend(longs.map(|long| format!("--{long}")));
            command
                .get_subcommands()
                .for_each(|command| options(command, found));
        }
        let mut found = BTreeSet::new();
        options(&<Cli as clap::CommandFactory>::command(), &mut found);
        for option in OUTPUT_OPTIONS {
            assert!(found.contains(option), "{option}");
        }
    }
}
