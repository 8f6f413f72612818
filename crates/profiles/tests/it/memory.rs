//! What streams and writers take at their peak, measured in processes of their
//! own: `cargo test -p morphospace-profiles --release -- --ignored --nocapture memory`
//! prints it for a million wells.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use morphospace_profiles::{
    Column, Features, ProfileStream, Profiles, ProfilesWriter, ReadOptions,
};

const NUM_FEATURES: usize = 64;
/// Says what the process started by a test shall do: `write` or `read`, path,
/// rows or bytes.
const TASK: &str = "MORPHOSPACE_MEMORY_TASK";

/// The most that this process has held so far.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kilobytes = line.split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}

fn chunk(rows: std::ops::Range<usize>) -> Profiles {
    let wells = rows
        .clone()
        .map(|row| format!("plate-{}_{}", row / 384, row % 384));
    let treatments = rows.clone().map(|row| format!("JCP2022_{:06}", row % 5000));
    let value = |place: usize| (place as f32 * 0.618).fract();
    let values = rows.start * NUM_FEATURES..rows.end * NUM_FEATURES;
    Profiles::new(
        vec![
            (
                "Metadata_well_id".into(),
                Column::from(wells.collect::<Vec<_>>()),
            ),
            (
                "Metadata_JCP2022".into(),
                Column::from(treatments.collect::<Vec<_>>()),
            ),
        ],
        (0..NUM_FEATURES).map(|f| format!("feature_{f}")).collect(),
        Features::F32(values.map(value).collect()),
    )
    .unwrap()
}

/// Not a test of its own: the others start it in a process of its own.
#[test]
#[ignore = "started by the other tests of this file"]
fn measured_task() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let parts: Vec<&str> = task.split('|').collect();
    let (path, number) = (Path::new(parts[1]), parts[2].parse().unwrap());
    let before = peak_bytes();
    let mut num_rows = 0;
    if parts[0] == "write" {
        let mut writer = ProfilesWriter::begin(path).unwrap();
        while num_rows < number {
            let end = (num_rows + 10_000).min(number);
            writer.append(&chunk(num_rows..end)).unwrap();
            num_rows = end;
        }
        writer.finish().unwrap();
    } else {
        let stream = ProfileStream::open(path, &ReadOptions::default(), number).unwrap();
        for chunk in stream {
            num_rows += chunk.unwrap().num_rows();
        }
    }
    println!("MEASURED {num_rows} {before} {}", peak_bytes());
}

/// Rows that were written or read, what the process had before, and its peak.
fn measured(task: &str, path: &Path, number: usize) -> (usize, usize, usize) {
    let run = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "memory::measured_task",
            "--ignored",
            "--nocapture",
        ])
        .env(TASK, format!("{task}|{}|{number}", path.display()))
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout).into_owned();
    let line = output.lines().find_map(|line| line.split_once("MEASURED "));
    let (_, numbers) = line.unwrap_or_else(|| panic!("{output}"));
    let numbers: Vec<usize> = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
    (numbers[0], numbers[1], numbers[2])
}

fn check(ending: &str, num_rows: usize, memory_bytes: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("profiles.{ending}"));
    let megabytes = |bytes: usize| bytes as f64 / 1e6;
    let (written, before, peak) = measured("write", &path, num_rows);
    eprintln!(
        "{ending}: {written} x {NUM_FEATURES} written at a peak of {:.0} MB ({:.0} MB before)",
        megabytes(peak),
        megabytes(before)
    );
    let (read, before, peak) = measured("read", &path, memory_bytes);
    eprintln!(
        "{ending}: {read} x {NUM_FEATURES} read with {:.0} MB at a peak of {:.0} MB ({:.0} MB before)",
        megabytes(memory_bytes),
        megabytes(peak),
        megabytes(before)
    );
    assert_eq!((written, read), (num_rows, num_rows));
    // Pages of the program itself count, too, as they are first used.
    const PROGRAM_BYTES: usize = 3_000_000;
    assert!(
        peak - before <= memory_bytes + PROGRAM_BYTES,
        "{ending}: {} MB",
        megabytes(peak - before)
    );
    // The budget is used, or the table is smaller than it.
    assert!(peak - before >= (memory_bytes / 4).min(num_rows * 4 * NUM_FEATURES));
}

#[test]
fn a_stream_keeps_to_its_budget() {
    // 26 MB of features.
    check("parquet", 100_000, 20_000_000);
    check("csv", 40_000, 12_000_000);
    // 9 MB of metadata stand in memory all the time.
    check("zarr", 100_000, 30_000_000);
}

#[test]
#[ignore = "takes minutes unless optimised; cargo test --release -- --ignored --nocapture memory"]
fn a_million_wells_at_200_megabytes() {
    check("parquet", 1_000_000, 200_000_000);
    check("zarr", 1_000_000, 200_000_000);
    check("csv.gz", 1_000_000, 200_000_000);
}
