use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use morphospace_core::{check_writable, sha256_of_file};
use rayon::prelude::*;
use serde::Serialize;

use super::download::{Limits, download, len_at_source};
use super::{
    FETCH_RECORD, FetchError, FetchPlan, FetchRecord, FetchedDataset, FetchedFile, FilePlan,
};

/// How to fetch.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Whether the dataset's licence is accepted; nothing is fetched
    /// otherwise.
    pub accept_licence: bool,
    /// Most bytes that the plan's files may have in all.
    pub max_bytes: Option<u64>,
    /// Files that are fetched at the same time.
    pub num_connections: usize,
    /// The pause after an attempt that failed; it doubles with every other,
    /// up to half a minute.
    pub first_wait: Duration,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            accept_licence: false,
            max_bytes: None,
            num_connections: 4,
            first_wait: Duration::from_secs(1),
        }
    }
}

/// How far a fetch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchProgress {
    /// Bytes that are there, of files that were there before as well.
    pub num_bytes: u64,
    /// Files that are there, whole.
    pub num_files: usize,
}

/// What a fetch came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FetchReport {
    /// Files that were fetched.
    pub num_fetched: usize,
    /// Files that were there, and are what they should be.
    pub num_kept: usize,
    /// Bytes of all files that are there.
    pub num_bytes: u64,
    /// Why each of the others is not.
    pub failures: Vec<String>,
}

/// The record is written this often, so that a run that is killed need not
/// ask for what it has.
const RECORD_EVERY: Duration = Duration::from_secs(5);

/// Brings the files of a plan into a folder.
///
/// Files are fetched under another name (`.partial`), checked against their
/// length and SHA-256 as far as these are known, and renamed. A run that was
/// killed or broke off goes on where it was, if the server says that the file
/// is still the same (`ETag`, `Range`, `If-Range`). Files that are there are
/// checked and left. `fetch.json` in the folder keeps what each file was, and
/// later runs check against it.
///
/// # Errors
/// [`FetchError`]: the licence is not accepted, the plan is larger than
/// allowed, or the folder cannot be written. What befalls single files stands
/// in the report; the others are still fetched.
///
/// ```no_run
/// use morphospace_screen::fetch::{FetchOptions, fetch, find_dataset, plan_fetch};
///
/// let plan = plan_fetch(find_dataset("reactome")?, &[], None)?;
/// let options = FetchOptions { accept_licence: true, ..FetchOptions::default() };
/// let report = fetch(&plan, "annotations".as_ref(), &options, &|_| {})?;
/// assert_eq!(report.failures, Vec::<String>::new());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fetch(
    plan: &FetchPlan,
    output: &Path,
    options: &FetchOptions,
    on_progress: &(dyn Fn(FetchProgress) + Sync),
) -> Result<FetchReport, FetchError> {
    plan.licence.check(&plan.dataset, options.accept_licence)?;
    plan.check_len(options.max_bytes)?;
    let record = FetchRecord::read(output)?;
    let record_path = output.join(FETCH_RECORD);
    check_writable(&record_path).map_err(|error| FetchError::cannot_use(record_path, error))?;
    let run = Run {
        plan,
        output,
        options,
        on_progress,
        record: Mutex::new((record, Instant::now())),
        num_bytes: AtomicU64::new(0),
        num_files: AtomicU64::new(0),
        is_stopped: AtomicBool::new(false),
    };
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(options.num_connections.max(1))
        .build()
        .map_err(|error| FetchError::cannot_use(output, std::io::Error::other(error)))?;
    let results: Vec<Result<Outcome, FetchError>> = threads.install(|| {
        plan.files
            .par_iter()
            .map(|file| run.fetch_unless_stopped(file))
            .collect()
    });
    run.finish(results)
}

enum Outcome {
    Fetched,
    Kept,
    /// A failure before it would have befallen this file, too.
    NotTried,
}

struct Run<'a> {
    plan: &'a FetchPlan,
    output: &'a Path,
    options: &'a FetchOptions,
    on_progress: &'a (dyn Fn(FetchProgress) + Sync),
    /// With the time at which it was last written.
    record: Mutex<(FetchRecord, Instant)>,
    num_bytes: AtomicU64,
    num_files: AtomicU64,
    is_stopped: AtomicBool,
}

impl Run<'_> {
    fn fetch_unless_stopped(&self, file: &FilePlan) -> Result<Outcome, FetchError> {
        if self.is_stopped.load(Ordering::Relaxed) {
            return Ok(Outcome::NotTried);
        }
        let result = self.fetch_file(file);
        match &result {
            Ok(_) => {
                self.num_files.fetch_add(1, Ordering::Relaxed);
                self.tell();
            }
            Err(error) if error.is_for_all_files() => {
                self.is_stopped.store(true, Ordering::Relaxed);
            }
            Err(_) => {}
        }
        result
    }

    fn fetch_file(&self, file: &FilePlan) -> Result<Outcome, FetchError> {
        let destination = self.output.join(&file.path);
        if destination.exists() {
            self.keep(file, destination)?;
            return Ok(Outcome::Kept);
        }
        let limits = Limits {
            first_wait: self.options.first_wait,
            on_len: &|before, now| self.count(&file.path, before, now),
            allows: &|len| self.check_allowed(&file.path, len),
        };
        let (len, sha256) = download(file, &destination, &limits)?;
        self.enter(file, len, sha256)?;
        Ok(Outcome::Fetched)
    }

    /// Checks a file that is there: against what is known of it, or what an
    /// earlier run saw; a file that somebody else put there by its length.
    fn keep(&self, file: &FilePlan, path: PathBuf) -> Result<(), FetchError> {
        let unreadable = |error| FetchError::cannot_use(&path, error);
        let found = std::fs::metadata(&path).map_err(unreadable)?.len();
        let recorded = self.recorded(file);
        let expected = file.sha256.clone().or(recorded);
        let expected_len = match (file.len, &expected) {
            (Some(len), _) => Some(len),
            (None, Some(_)) => None,
            (None, None) => len_at_source(file)?,
        };
        if let Some(expected) = expected_len.filter(|&expected| expected != found) {
            return Err(FetchError::OtherFile {
                path,
                found,
                expected,
            });
        }
        let sha256 = sha256_of_file(&path).map_err(unreadable)?;
        if let Some(expected) = expected.filter(|expected| *expected != sha256) {
            return Err(FetchError::WrongChecksum {
                file: path.display().to_string(),
                expected,
                found: sha256,
                hint: "it was changed since it was fetched, or is another version: move it away, \
                       and fetch again",
            });
        }
        self.count(&file.path, 0, found)?;
        self.enter(file, found, sha256)
    }

    /// The SHA-256 that an earlier run saw.
    fn recorded(&self, file: &FilePlan) -> Option<String> {
        let guard = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let dataset = guard.0.datasets.get(&self.plan.dataset)?;
        Some(dataset.files.get(&file.path)?.sha256.clone())
    }

    fn enter(&self, file: &FilePlan, len: u64, sha256: String) -> Result<(), FetchError> {
        let mut guard = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let (record, written) = &mut *guard;
        let dataset = record
            .datasets
            .entry(self.plan.dataset.clone())
            .or_insert_with(|| FetchedDataset {
                licence: self.plan.licence.clone(),
                files: std::collections::BTreeMap::new(),
            });
        let fetched = FetchedFile {
            url: file.url.clone(),
            len,
            sha256,
        };
        dataset.files.insert(file.path.clone(), fetched);
        if written.elapsed() >= RECORD_EVERY {
            record.write(self.output)?;
            *written = Instant::now();
        }
        Ok(())
    }

    /// Of a file there were some bytes, and now there are others.
    fn count(&self, path: &str, before: u64, now: u64) -> Result<(), FetchError> {
        self.num_bytes.fetch_add(now, Ordering::Relaxed);
        let all = self.num_bytes.fetch_sub(before, Ordering::Relaxed);
        self.tell();
        self.check(path, all.saturating_sub(before))
    }

    fn check_allowed(&self, path: &str, len: u64) -> Result<(), FetchError> {
        let so_far = self.num_bytes.load(Ordering::Relaxed);
        self.check(path, so_far.saturating_add(len))
    }

    fn check(&self, path: &str, len: u64) -> Result<(), FetchError> {
        match self.options.max_bytes {
            Some(max) if len > max => Err(FetchError::TooLarge {
                what: path.to_owned(),
                len,
                max,
            }),
            _ => Ok(()),
        }
    }

    fn tell(&self) {
        (self.on_progress)(FetchProgress {
            num_bytes: self.num_bytes.load(Ordering::Relaxed),
            num_files: self.num_files.load(Ordering::Relaxed) as usize,
        });
    }

    fn finish(self, results: Vec<Result<Outcome, FetchError>>) -> Result<FetchReport, FetchError> {
        let (record, _) = self
            .record
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if !record.datasets.is_empty() {
            record.write(self.output)?;
        }
        let mut report = FetchReport {
            num_fetched: 0,
            num_kept: 0,
            num_bytes: 0,
            failures: Vec::new(),
        };
        for (file, result) in self.plan.files.iter().zip(results) {
            match result {
                Ok(Outcome::Fetched) => report.num_fetched += 1,
                Ok(Outcome::Kept) => report.num_kept += 1,
                Ok(Outcome::NotTried) => {
                    report
                        .failures
                        .push(format!("'{}' was not tried", file.path));
                    continue;
                }
                Err(error) => {
                    report.failures.push(error.to_string());
                    continue;
                }
            }
            let fetched = record
                .datasets
                .get(&self.plan.dataset)
                .and_then(|dataset| dataset.files.get(&file.path));
            report.num_bytes += fetched.map_or(0, |file| file.len);
        }
        Ok(report)
    }
}
