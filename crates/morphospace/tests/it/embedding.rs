//! Embedding into a folder from the command line: kills, parts of an array job,
//! signals, faults, one table of all plates.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use morphospace_core::Seed;
use morphospace_profiles::read_profiles;
use rand::RngExt;

use crate::support::{first_image, morphospace, tiny_screen};

/// Kills of the long test; the short one has fewer.
const NUM_KILLS: usize = 40;
const NUM_KILLS_OF_THE_SHORT_TEST: usize = 6;

const SIMULATOR: &str = r#"
seed = 3
experiments = ["HUVEC-01", "U2OS-01", "U2OS-02"]
test_experiments = ["U2OS-02"]
num_plates = 2
num_rows = 5
num_columns = 8
image_px = 64
num_groups = 7
group_size = 3
num_replicates = 1
num_negative_controls = 6
num_positive_controls = 1
"#;

/// Six plates, and a network for them.
fn six_plates(folder: &Path) {
    tiny_screen(folder);
    fs::remove_dir_all(folder.join("screen")).unwrap();
    fs::write(folder.join("simulator.toml"), SIMULATOR).unwrap();
    let args = [
        "simulate",
        "--config",
        "simulator.toml",
        "--output",
        "screen",
    ];
    morphospace(folder, &args).expect_status(0);
    let train = [
        "train",
        "screen",
        "--config",
        "train.toml",
        "--output",
        "run",
    ];
    morphospace(folder, &train).expect_status(0);
}

const EMBED: [&str; 8] = [
    "embed",
    "screen",
    "--network",
    "run",
    "--blocks",
    "all,output",
    "--levels",
    "wells,sites",
];

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [args, more].concat()
}

fn start(folder: &Path, output: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_morphospace"))
        .args(with(&EMBED, &["--output", output]))
        .current_dir(folder)
        .env_remove("MORPHOSPACE_DEVICE")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

/// The files below a folder that end so, with their bytes.
fn files(root: &Path, ending: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(root).into_iter().flatten();
    let paths = entries.map(walkdir::DirEntry::into_path);
    paths
        .filter(|path| path.is_file() && path.to_string_lossy().ends_with(ending))
        .map(|path| {
            (
                path.strip_prefix(root).unwrap().to_owned(),
                fs::read(&path).unwrap(),
            )
        })
        .collect()
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[expect(
    clippy::print_stderr,
    reason = "how kills fell is told with --nocapture"
)]
fn check_kills(num_kills: usize) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    six_plates(folder);
    let started = Instant::now();
    assert!(start(folder, "whole").wait().unwrap().success());
    let whole_time = started.elapsed();
    let expected = files(&folder.join("whole"), ".parquet");
    // Six plates, three representations, two levels.
    assert_eq!(expected.len(), 36);
    let seed = Seed::new(12);
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for kill in 0..num_kills {
        let mut rng = seed.split_index(kill as u64).rng();
        // Not in the while before the first image is read.
        let time = whole_time.mul_f64(rng.random_range(0.05..0.6));
        let mut child = start(folder, "killed");
        match kill % 2 {
            0 => std::thread::sleep(time),
            _ => {
                // Until a table is half written.
                while child.try_wait().unwrap().is_none()
                    && files(&folder.join("killed"), ".tmp").is_empty()
                {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
        }
        let is_done = child.try_wait().unwrap().is_some();
        child.kill().ok();
        child.wait().unwrap();
        let half = files(&folder.join("killed"), ".tmp").len();
        let outcome = match (is_done, half) {
            (true, _) => "done before",
            (false, 0) => "no half table",
            (false, _) => "half tables",
        };
        *left.entry(outcome).or_default() += 1;
        // Whatever is there is right.
        for (name, bytes) in files(&folder.join("killed"), ".parquet") {
            assert!(expected[&name] == bytes, "{} differs", name.display());
        }
        if is_done {
            fs::remove_dir_all(folder.join("killed")).unwrap();
        }
    }
    eprintln!("{num_kills} kills of a run of {whole_time:.1?}: {left:?}");
    // A few kills may all miss what takes a millisecond.
    let is_short = num_kills == NUM_KILLS_OF_THE_SHORT_TEST;
    assert!(is_short || left.contains_key("half tables"), "{left:?}");
    // A file of a process that is gone is old enough to be told from one of
    // another that has just begun.
    std::thread::sleep(Duration::from_millis(2100));
    assert!(start(folder, "killed").wait().unwrap().success());
    assert!(files(&folder.join("killed"), ".parquet") == expected);
    assert_eq!(files(&folder.join("killed"), ".tmp").len(), 0);
    let manifest = json(&folder.join("killed/manifest.json"));
    assert_eq!(
        (&manifest["num_plates"], &manifest["num_plates_done"]),
        (&6.into(), &6.into())
    );
}

#[test]
fn an_embedding_that_is_killed_ends_as_one_that_is_not() {
    check_kills(NUM_KILLS_OF_THE_SHORT_TEST);
}

#[test]
#[ignore = "the long form of the test above: cargo test --workspace --test it -- --ignored killed"]
fn an_embedding_that_is_killed_forty_times_ends_as_one_that_is_not() {
    check_kills(NUM_KILLS);
}

#[test]
fn parts_of_an_array_job_make_the_table_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    six_plates(folder);
    let embed = |output: &str, shard: &str, variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_morphospace"));
        let args = with(&EMBED, &["--output", output, "--shard", shard]);
        command.args(args).current_dir(folder);
        command
            .env_remove("MORPHOSPACE_DEVICE")
            .envs(variables.iter().copied());
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let expected = |output: &str| {
        let args = ["collate", output, "--representation", "output", "--output"];
        let table = format!("{output}.parquet");
        let run = morphospace(folder, &with(&args, &[&table]));
        let profiles = (run.status == 0).then(|| read_profiles(&folder.join(&table)).unwrap());
        (run, profiles)
    };
    let (status, _) = embed("whole", "0/1", &[]);
    assert_eq!(status, Some(0));
    let whole = expected("whole").1.unwrap();
    let tables = files(&folder.join("whole"), ".parquet");

    let slurm = |id: &'static str| {
        vec![
            ("SLURM_ARRAY_TASK_ID", id),
            ("SLURM_ARRAY_TASK_MIN", "1"),
            ("SLURM_ARRAY_TASK_MAX", "4"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
        ]
    };
    // One task never ran.
    for id in ["4", "1", "3"] {
        let (status, stderr) = embed("slurm", "auto", &slurm(id));
        assert_eq!(status, Some(0), "{stderr}");
    }
    let (run, _) = expected("slurm");
    run.expect_status(1)
        .expect_stderr(&["plates that are not embedded yet: 2"]);
    let (status, stderr) = embed("slurm", "auto", &slurm("2"));
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.contains("2 of 2 plates of part 1/4"), "{stderr}");
    // And once more, as a scheduler does that has lost sight of it.
    let (_, stderr) = embed("slurm", "auto", &slurm("2"));
    assert!(stderr.contains("2 were done before"), "{stderr}");
    assert!(files(&folder.join("slurm"), ".parquet") == tables);
    assert_eq!(expected("slurm").1.unwrap().values(), whole.values());

    for (index, count) in [
        ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"),
        ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"),
    ] {
        for part in ["0", "1"] {
            let (status, stderr) = embed(count, "auto", &[(index, part), (count, "2")]);
            assert_eq!(status, Some(0), "{stderr}");
        }
        assert!(files(&folder.join(count), ".parquet") == tables);
    }
    let (status, stderr) = embed("none", "auto", &[]);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("--shard INDEX/COUNT"), "{stderr}");
    assert!(!folder.join("none").exists());
}

#[test]
fn a_folder_is_gone_on_with_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    six_plates(folder);
    let args = with(&EMBED, &["--output", "plates"]);
    morphospace(folder, &args).expect_status(0);
    morphospace(folder, &args)
        .expect_status(0)
        .expect_stderr(&["6 of 6 plates (6 were done before)"]);
    morphospace(folder, &with(&args, &["--batch-size", "4"]))
        .expect_status(2)
        .expect_stderr(&["batch_size: 8 there, 4 now"]);
    let channels = "DNA=ER,ER=DNA,Actin,RNA,Mito,Golgi";
    morphospace(folder, &with(&args, &["--channels", channels]))
        .expect_status(2)
        .expect_stderr(&["pixels: [] there", "DNA is w2 (ER)"]);
    let turned = args.iter().map(|word| match *word {
        "wells,sites" => "sites,wells",
        word => word,
    });
    let turned: Vec<&str> = turned.collect();
    morphospace(folder, &turned)
        .expect_status(0)
        .expect_stderr(&["6 of 6 plates (6 were done before)"]);
    // The network was trained on meanwhile.
    let more = [
        "train",
        "screen",
        "--config",
        "train.toml",
        "--output",
        "again",
        "--set",
        "seed=4",
    ];
    morphospace(folder, &more).expect_status(0);
    fs::remove_dir_all(folder.join("run")).unwrap();
    fs::rename(folder.join("again"), folder.join("run")).unwrap();
    morphospace(folder, &args)
        .expect_status(2)
        .expect_stderr(&["network_sha256", "another folder"]);

    morphospace(
        folder,
        &[
            "collate",
            "plates",
            "--output",
            "sites.csv",
            "--level",
            "sites",
            "--representation",
            "block-02",
        ],
    )
    .expect_status(0)
    .expect_stderr(&["sites of 6 plates"]);
    morphospace(
        folder,
        &[
            "collate",
            "plates",
            "--output",
            "x.csv",
            "--representation",
            "blok-02",
        ],
    )
    .expect_status(2)
    .expect_stderr(&["did you mean 'block-02'", "block-01, block-02, output"]);
    let short = [
        "collate",
        "plates",
        "--output",
        "x.csv",
        "--representation",
        "block-2",
    ];
    morphospace(folder, &short).expect_status(0);
    fs::remove_file(folder.join("x.csv")).unwrap();
    morphospace(
        folder,
        &["collate", "plates", "--output", "x.csv", "--level", "crops"],
    )
    .expect_status(2)
    .expect_stderr(&["holds no crops", "wells, sites"]);
    morphospace(folder, &["collate", "screen", "--output", "x.csv"])
        .expect_status(2)
        .expect_stderr(&["is no folder of embeddings"]);
    let embed = |more: &[&str]| {
        let args = ["embed", "screen", "--network", "run"];
        morphospace(folder, &with(&args, more))
    };
    embed(&["--output", "x", "--blocks", "3"])
        .expect_status(2)
        .expect_stderr(&["--blocks: there is no block 3: the network has 2"]);
    embed(&["--output", "x.parquet", "--blocks", "all"])
        .expect_status(2)
        .expect_stderr(&["one table holds one representation"]);
    embed(&["--output", "x.parquet", "--shard", "0/2"])
        .expect_status(2)
        .expect_stderr(&["--shard makes part of a table"]);
    embed(&["--output", "x", "--shard", "2/2"])
        .expect_status(2)
        .expect_stderr(&["there is no part 2 of 2"]);
    embed(&["--output", "simulator.toml"])
        .expect_status(2)
        .expect_stderr(&["'simulator.toml' is a file, and no table by its name"]);
    embed(&["--output", "x", "--levels", "wells,wells"])
        .expect_status(2)
        .expect_stderr(&["level 'wells' is asked for twice"]);
    embed(&["--output", "x", "--pooling", "per-channel"])
        .expect_status(2)
        .expect_stderr(&["channel-agnostic"]);
    assert!(!folder.join("x").exists() && !folder.join("x.csv").exists());
}

#[test]
fn an_image_that_is_damaged_costs_its_plate_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    six_plates(folder);
    let image = first_image(folder, 3);
    fs::write(&image, b"\x89PNG\r\n\x1a\n and then nothing").unwrap();
    let args = with(&EMBED, &["--output", "plates"]);
    morphospace(folder, &args).expect_status(1).expect_stderr(&[
        "5 of 6 plates",
        "plates that could not be embedded: 1",
        "HUVEC-01",
        "w3",
    ]);
    let skip = with(&args, &["--on-incomplete", "skip"]);
    morphospace(folder, &skip)
        .expect_status(1)
        .expect_stderr(&["6 of 6 plates (5 were done before)", "sites left out: 1"]);

    // What was done stands if it cannot be done otherwise.
    let tables = files(&folder.join("plates"), ".parquet");
    morphospace(folder, &args).expect_status(1).expect_stderr(&[
        "5 of 6 plates (5 were done before)",
        "its tables of before stand",
    ]);
    assert_eq!(files(&folder.join("plates"), ".parquet"), tables);
    let manifest = json(&folder.join("plates/manifest.json"));
    assert_eq!(
        manifest["failed"].as_object().map(serde_json::Map::len),
        Some(1)
    );
    let collate = [
        "collate",
        "plates",
        "--representation",
        "output",
        "--output",
        "x.csv",
    ];
    morphospace(folder, &collate)
        .expect_status(1)
        .expect_stderr(&[
            "wells of 6 plates",
            "with the tables of before: 1",
            "HUVEC-01",
        ]);
    morphospace(folder, &skip)
        .expect_status(1)
        .expect_stderr(&["6 of 6 plates (6 were done before)"]);
    let manifest = json(&folder.join("plates/manifest.json"));
    assert_eq!(
        manifest["failed"].as_object().map(serde_json::Map::len),
        Some(0)
    );
}

#[test]
fn what_is_refused_leaves_no_settings_behind() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    six_plates(folder);
    let args = with(&EMBED, &["--output", "plates"]);
    morphospace(
        folder,
        &with(&args, &["--masks", "masks/{batch}/{plate}/{well}.png"]),
    )
    .expect_status(2)
    .expect_stderr(&["mask"]);
    morphospace(folder, &with(&args, &["--domain", "plate"]))
        .expect_status(2)
        .expect_stderr(&["--domain is of --norm batch"]);
    morphospace(folder, &args).expect_status(0);
}

#[cfg(unix)]
#[test]
fn told_to_end_it_drops_the_plate_at_hand() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    six_plates(folder);
    let mut child = start(folder, "plates");
    while files(&folder.join("plates"), ".parquet").is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(files(&folder.join("plates"), ".tmp").len(), 0);
    let manifest = json(&folder.join("plates/manifest.json"));
    let done = manifest["num_plates_done"].as_u64().unwrap();
    assert!((1..6).contains(&done), "{manifest}");
    assert!(start(folder, "plates").wait().unwrap().success());
    assert!(start(folder, "whole").wait().unwrap().success());
    let [plates, whole] = ["plates", "whole"].map(|name| files(&folder.join(name), ".parquet"));
    assert!(plates == whole);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_it_and_leaves_no_half_table() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    six_plates(folder);
    // As a disk that takes no file beyond 8 KiB does.
    let args = with(&EMBED, &["--output", "plates"]).join(" ");
    let program = env!("CARGO_BIN_EXE_morphospace");
    let script = format!("trap '' XFSZ; ulimit -f 8; exec '{program}' {args}");
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("cannot write") && stderr.contains("plates/"),
        "{stderr}"
    );
    assert_eq!(files(&folder.join("plates"), ".parquet").len(), 0);
    assert_eq!(files(&folder.join("plates"), ".tmp").len(), 0);
    morphospace(folder, &with(&EMBED, &["--output", "plates"])).expect_status(0);
}

#[test]
fn blocks_are_probed_and_the_network_is_cut_behind_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    six_plates(folder);
    morphospace(folder, &with(&EMBED, &["--output", "plates"])).expect_status(0);
    for (classifier, level) in [("ridge", "sites"), ("knn", "wells"), ("linear", "wells")] {
        let args = [
            "probe",
            "plates",
            "--label-column",
            "Metadata_cell_type",
            "--group-column",
            "Metadata_Well",
            "--classifier",
            classifier,
            "--level",
            level,
            "--model",
            "tiny",
            "--json",
        ];
        let run = morphospace(folder, &args).expect_status(0);
        let scores: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let blocks: Vec<Option<u64>> = scores["scores"]
            .as_array()
            .unwrap()
            .iter()
            .map(|score| score["block"].as_u64())
            .collect();
        assert_eq!(blocks, [Some(1), Some(2), None], "{}", run.stdout);
        assert_eq!(scores["scores"][0]["null"], 0.5);
    }
    let probe = [
        "probe",
        "plates",
        "--label-column",
        "Metadata_cell_type",
        "--group-column",
        "Metadata_Plate",
        "--classifier",
        "ridge",
    ];
    let held_out = with(
        &probe,
        &[
            "--test",
            "2",
            "--output",
            "scores.json",
            "--figure",
            "curve.svg",
        ],
    );
    let run = morphospace(folder, &held_out).expect_status(0);
    assert!(run.stderr.contains("the best block is"), "{}", run.stderr);
    let curve = fs::read_to_string(folder.join("curve.svg")).unwrap();
    assert!(curve.contains("balanced accuracy") && curve.contains("class=\"ring\""));
    morphospace(folder, &with(&probe, &["--test", "3"]))
        .expect_status(2)
        .expect_stderr(&["--test '3' is the value of no row of column 'Metadata_Plate'"]);
    morphospace(folder, &with(&probe, &["--test", "1,2"]))
        .expect_status(2)
        .expect_stderr(&["leaves nothing to learn from"]);
    morphospace(folder, &with(&probe, &["--level", "crops"]))
        .expect_status(2)
        .expect_stderr(&["holds no crops"]);

    let trim = [
        "trim",
        "run",
        "--probe",
        "scores.json",
        "--output",
        "trimmed",
    ];
    let run = morphospace(folder, &trim)
        .expect_status(0)
        .expect_stderr(&["of 2 is best", "the last"]);
    // What is cut behind a block gives what was taken behind it.
    let best = match run.stderr.contains("block 1 of 2") {
        true => "block-01",
        false => "block-02",
    };
    let embed = [
        "embed",
        "screen",
        "--network",
        "trimmed",
        "--output",
        "trimmed.parquet",
    ];
    morphospace(folder, &embed).expect_status(0);
    let args = [
        "collate",
        "plates",
        "--representation",
        best,
        "--output",
        "best.parquet",
    ];
    morphospace(folder, &args).expect_status(0);
    let [trimmed, block] = ["trimmed", "best"]
        .map(|name| read_profiles(&folder.join(format!("{name}.parquet"))).unwrap());
    for (one, other) in trimmed.values().iter().zip(block.values().iter()) {
        assert!((one - other).abs() < 1e-5);
    }
    let other = [
        "train",
        "screen",
        "--config",
        "train.toml",
        "--output",
        "other",
        "--set",
        "seed=4",
    ];
    morphospace(folder, &other).expect_status(0);
    morphospace(
        folder,
        &["trim", "other", "--probe", "scores.json", "--output", "x"],
    )
    .expect_status(2)
    .expect_stderr(&["are of another network", "--blocks"]);
    morphospace(folder, &["trim", "run", "--output", "x"])
        .expect_status(2)
        .expect_stderr(&["--blocks"]);
}

/// `submit` of four parts, with more before the command.
fn submit<'a>(scheduler: &'a str, more: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
    let first = [
        "submit",
        "--scheduler",
        scheduler,
        "--parts",
        "4",
        "--job",
        "job",
        "--dry-run",
    ];
    [&first[..], more, &["--"], command].concat()
}

#[test]
fn job_files_of_schedulers_are_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let command = [
        "embed",
        "my screen",
        "--network",
        "run",
        "--output",
        "plates",
        "--blocks",
        "all",
    ];
    let slurm = [
        "--gpus",
        "1",
        "--partition",
        "gpu",
        "--at-a-time",
        "2",
        "--name",
        "rxrx3",
    ];
    morphospace(folder, &submit("slurm", &slurm, &command)).expect_status(0);
    insta::assert_snapshot!("slurm_job", fs::read_to_string(folder.join("job")).unwrap());
    let kubernetes = [
        "--image",
        "registry/morphospace:0.1",
        "--volume-claim",
        "screens",
    ];
    morphospace(folder, &submit("kubernetes", &kubernetes, &command)).expect_status(0);
    insta::assert_snapshot!(
        "kubernetes_job",
        fs::read_to_string(folder.join("job")).unwrap()
    );

    for (command, message) in [
        (
            &["embed", "screen"][..],
            "behind '--': the following required arguments",
        ),
        (
            &[
                "align",
                "x.parquet",
                "--method",
                "tvn",
                "--output",
                "y.parquet",
            ],
            "only `embed` runs in parts",
        ),
        (
            &["embed", "s", "--network", "n", "--output", "x.parquet"],
            "which only one process writes",
        ),
        (
            &[
                "embed",
                "s",
                "--network",
                "n",
                "--output",
                "x",
                "--shard",
                "0/2",
            ],
            "leave it out",
        ),
    ] {
        morphospace(folder, &submit("slurm", &[], command))
            .expect_status(2)
            .expect_stderr(&[message]);
    }
    morphospace(folder, &submit("kubernetes", &[], &command))
        .expect_status(2)
        .expect_stderr(&["--image", "--volume-claim"]);
    morphospace(folder, &submit("slurm", &["--name", "My Job"], &command))
        .expect_status(2)
        .expect_stderr(&["is no name of a job"]);
}

#[cfg(unix)]
#[test]
fn a_slurm_job_file_runs_its_part() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    six_plates(folder);
    let command = with(&EMBED, &["--output", "plates"]);
    morphospace(folder, &submit("slurm", &[], &command)).expect_status(0);
    let program = PathBuf::from(env!("CARGO_BIN_EXE_morphospace"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    for id in ["0", "1", "2", "3"] {
        let status = Command::new("bash")
            .arg("job")
            .current_dir(folder)
            .env("PATH", &path)
            .envs([
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", "0"),
                ("SLURM_ARRAY_TASK_COUNT", "4"),
                ("SLURM_ARRAY_TASK_MAX", "3"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }
    let manifest = json(&folder.join("plates/manifest.json"));
    assert_eq!(manifest["num_plates_done"], 6);
}

#[test]
fn what_is_not_of_the_screen_or_not_as_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    six_plates(folder);
    let args = ["embed", "screen", "--network", "run", "--output", "plates"];
    morphospace(folder, &args).expect_status(0);
    let collate = ["collate", "plates", "--output", "all.parquet"];
    let num_wells = || {
        read_profiles(&folder.join("all.parquet"))
            .unwrap()
            .num_rows()
    };
    morphospace(folder, &collate).expect_status(0);
    let whole = num_wells();

    // A plate whose record is gone, and a manifest that is.
    let record = folder.join("plates/plates/HUVEC-01/1.json");
    fs::remove_file(&record).unwrap();
    morphospace(folder, &collate)
        .expect_status(1)
        .expect_stderr(&[
            "of 5 plates",
            "plates that are not embedded yet: 1",
            "HUVEC-01 plate 1",
        ]);
    fs::write(&record, "{").unwrap();
    morphospace(folder, &args)
        .expect_status(0)
        .expect_stderr(&["6 of 6 plates (5 were done before)"]);
    fs::remove_file(folder.join("plates/manifest.json")).unwrap();
    morphospace(folder, &collate)
        .expect_status(1)
        .expect_stderr(&["no `embed` into this folder has come to its end"]);
    morphospace(folder, &args).expect_status(0);
    morphospace(folder, &collate).expect_status(0);
    assert_eq!(num_wells(), whole);

    // A table in the place of another.
    let tables = ["1", "2"]
        .map(|plate| folder.join(format!("plates/wells/output/HUVEC-01/{plate}.parquet")));
    let bytes = fs::read(&tables[0]).unwrap();
    fs::copy(&tables[1], &tables[0]).unwrap();
    for command in [
        &collate[..],
        &[
            "probe",
            "plates",
            "--label-column",
            "Metadata_cell_type",
            "--group-column",
            "Metadata_Plate",
        ],
    ] {
        morphospace(folder, command)
            .expect_stderr(&["HUVEC-01/1.parquet' is not the table that was written"]);
    }
    fs::write(&tables[0], bytes).unwrap();
    let inside = "plates/wells/output/HUVEC-01/1.parquet";
    morphospace(folder, &["collate", "plates", "--output", inside])
        .expect_status(2)
        .expect_stderr(&["lies in the folder that is read"]);

    // A plate that fails now stands as it was, and is named.
    let image = first_image(folder, 1);
    fs::write(&image, b"nothing").unwrap();
    morphospace(folder, &args).expect_status(1);
    assert!(tables[0].exists() && tables[1].exists());
    morphospace(folder, &collate)
        .expect_status(1)
        .expect_stderr(&["with the tables of before: 1", "HUVEC-01 plate 1"]);
    // Left out by name as often as it is run.
    let skip = with(&args, &["--on-incomplete", "skip"]);
    for _ in 0..2 {
        morphospace(folder, &skip)
            .expect_status(1)
            .expect_stderr(&["sites left out: 1"]);
    }

    // A plate that is taken off the screen.
    let metadata = folder.join("screen/metadata.csv");
    let text = fs::read_to_string(&metadata).unwrap();
    let kept = text.lines().filter(|line| !line.contains("U2OS-02_2_"));
    fs::write(&metadata, kept.collect::<Vec<_>>().join("\n")).unwrap();
    morphospace(folder, &skip).expect_status(1);
    assert_eq!(
        json(&folder.join("plates/manifest.json"))["num_plates_done"],
        5
    );
    morphospace(folder, &collate)
        .expect_status(1)
        .expect_stderr(&[
            "plates that the screen does not have, left out: 1",
            "U2OS-02 plate 2",
        ]);

    morphospace(
        folder,
        &["embed", "screen", "--network", "run", "--output", "screen"],
    )
    .expect_status(2)
    .expect_stderr(&["'screen' is not empty and holds no embeddings"]);
    assert!(!folder.join("screen/settings.json").exists());
    if !cfg!(feature = "h5ad") {
        morphospace(
            folder,
            &["embed", "screen", "--network", "run", "--output", "x.h5ad"],
        )
        .expect_status(2)
        .expect_stderr(&["--features h5ad"]);
    }
    fs::write(folder.join("job"), "mine").unwrap();
    morphospace(folder, &submit("slurm", &[], &with(&args, &[])))
        .expect_status(2)
        .expect_stderr(&["'job' is no job file and stays as it is"]);
}
