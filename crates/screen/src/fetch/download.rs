use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, RANGE,
    TRANSFER_ENCODING,
};
use reqwest::{Response, StatusCode};
use sha2::{Digest, Sha256};

use super::file_contents::contents_problem;
use super::{FetchError, FilePlan};
use crate::store::{blocking_runtime, http_client, in_short};

/// Attempts one after the other that bring less than [`WORTHWHILE_LEN`].
const MAX_FRUITLESS: u32 = 4;

/// Bytes that make an attempt worth another.
const WORTHWHILE_LEN: u64 = 1 << 20;

/// Longest pause between attempts.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// What is allowed to one download, and whom it tells how far it is.
pub(super) struct Limits<'a> {
    /// The pause after the first attempt; it doubles with every other.
    pub(super) first_wait: Duration,
    /// Told how many bytes of the file there were and now are; refuses what
    /// would be too much.
    pub(super) on_len: &'a (dyn Fn(u64, u64) -> Result<(), FetchError> + Sync),
    /// Asked, once the file's length is known, whether so many more may come.
    pub(super) allows: &'a (dyn Fn(u64) -> Result<(), FetchError> + Sync),
}

/// A file on its way: the bytes that have come, under another name.
struct Partial<'a> {
    limits: &'a Limits<'a>,
    path: PathBuf,
    file: File,
    len: u64,
    hash: Sha256,
    /// The server's name for these very contents; without one, what has come
    /// cannot be gone on with.
    etag: Option<String>,
    /// The length of the whole file that the server said at first.
    total: Option<u64>,
}

/// Why an attempt ended.
enum Trouble {
    /// Another attempt may do better.
    Passing(String),
    Final(FetchError),
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        Self::Final(error)
    }
}

impl<'a> Partial<'a> {
    /// Goes on with what an earlier run left.
    fn open(destination: &Path, limits: &'a Limits<'a>) -> Result<Self, FetchError> {
        let mut path = destination.to_owned().into_os_string();
        path.push(".partial");
        let path = PathBuf::from(path);
        let refused = |error| FetchError::cannot_use(&path, error);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(refused)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(refused)?;
        let kept = fs::read_to_string(etag_path(&path)).ok();
        let (etag, total) = kept.as_deref().map_or((None, None), |kept| {
            let (etag, total) = kept.split_once('\n').unwrap_or((kept, ""));
            (Some(etag.to_owned()), total.parse().ok())
        });
        let mut hash = Sha256::new();
        let mut len = 0;
        if etag.is_some() {
            len = hash_all(&mut file, &mut hash).map_err(refused)?;
            (limits.on_len)(0, len)?;
        }
        let mut partial = Self {
            limits,
            path,
            file,
            len,
            hash,
            etag,
            total,
        };
        if partial.etag.is_none() {
            partial.start_again()?;
        }
        Ok(partial)
    }

    fn start_again(&mut self) -> Result<(), FetchError> {
        (self.limits.on_len)(self.len, 0)?;
        self.len = 0;
        self.hash = Sha256::new();
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(|error| FetchError::cannot_use(&self.path, error))?;
        self.name_contents(None, None)
    }

    /// Keeps the server's name for the contents, and their length, beside
    /// them.
    fn name_contents(
        &mut self,
        etag: Option<String>,
        total: Option<u64>,
    ) -> Result<(), FetchError> {
        let path = etag_path(&self.path);
        let kept = match &etag {
            Some(etag) => {
                let total = total.map_or(String::new(), |total| total.to_string());
                fs::write(&path, format!("{etag}\n{total}"))
            }
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        kept.map_err(|error| FetchError::cannot_use(&path, error))?;
        (self.etag, self.total) = (etag, total);
        Ok(())
    }

    /// Whether an answer is about another file than the one that has come in
    /// part: it has another name for its contents, or another length.
    fn is_other_file(&self, headers: &HeaderMap, total: u64) -> bool {
        let names = self.etag.as_ref().zip(strong_etag(headers));
        names.is_some_and(|(before, now)| *before != now)
            || self.total.is_some_and(|before| before != total)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let len = self.len + bytes.len() as u64;
        (self.limits.on_len)(self.len, len)?;
        self.file
            .write_all(bytes)
            .map_err(|error| FetchError::cannot_use(&self.path, error))?;
        self.hash.update(bytes);
        self.len = len;
        Ok(())
    }

    fn sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }

    fn discard(self) {
        let _ = fs::remove_file(etag_path(&self.path));
        let _ = fs::remove_file(&self.path);
    }

    fn put_in_place(self, destination: &Path) -> Result<(), FetchError> {
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.path, destination))
            .map_err(|error| FetchError::cannot_use(destination, error))?;
        // It only says how to go on.
        let _ = fs::remove_file(etag_path(&self.path));
        Ok(())
    }
}

fn etag_path(partial: &Path) -> PathBuf {
    partial.with_extension("etag")
}

fn hash_all(file: &mut File, hash: &mut Sha256) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut len = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(len);
        }
        hash.update(&buffer[..read]);
        len += read as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Brings a file under its final name, whole and checked; hands back its
/// length and SHA-256.
pub(super) fn download(
    plan: &FilePlan,
    destination: &Path,
    limits: &Limits<'_>,
) -> Result<(u64, String), FetchError> {
    let mut partial = Partial::open(destination, limits)?;
    let mut wait = limits.first_wait;
    let mut num_fruitless = 0;
    loop {
        let before = partial.len;
        match attempt(plan, &mut partial) {
            Ok(()) => break,
            Err(Trouble::Final(error)) => {
                if partial.len == 0 {
                    partial.discard();
                }
                return Err(error);
            }
            Err(Trouble::Passing(message)) => {
                if partial.len.saturating_sub(before) >= WORTHWHILE_LEN {
                    (num_fruitless, wait) = (0, limits.first_wait);
                }
                num_fruitless += 1;
                if num_fruitless >= MAX_FRUITLESS {
                    return Err(FetchError::NoAnswer {
                        url: plan.url.clone(),
                        message: format!("{message}, at the last of {num_fruitless} attempts"),
                        hint: "the same command goes on where it broke off",
                    });
                }
                std::thread::sleep(wait);
                wait = (wait * 2).min(MAX_WAIT);
            }
        }
    }
    let (len, sha256) = (partial.len, partial.sha256());
    if let Some(expected) = plan.len
        && expected != len
    {
        partial.discard();
        return Err(wrong_len(plan, expected, len));
    }
    if let Some(expected) = &plan.sha256
        && *expected != sha256
    {
        partial.discard();
        return Err(FetchError::WrongChecksum {
            file: plan.path.clone(),
            expected: expected.clone(),
            found: sha256,
            hint: "it was not put in place; it may have changed at its source",
        });
    }
    if plan.sha256.is_none() {
        let problem = contents_problem(&plan.path, &mut partial.file)
            .map_err(|error| FetchError::cannot_use(&partial.path, error))?;
        if let Some(problem) = problem {
            partial.discard();
            return Err(FetchError::WrongContents {
                file: plan.path.clone(),
                problem,
                url: plan.url.clone(),
            });
        }
    }
    partial.put_in_place(destination)?;
    Ok((len, sha256))
}

/// One request, and its answer until it ends or breaks off.
fn attempt(plan: &FilePlan, partial: &mut Partial<'_>) -> Result<(), Trouble> {
    let passing = |error: &dyn std::fmt::Display| Trouble::Passing(error.to_string());
    let client = http_client().map_err(|error| passing(&error))?;
    let runtime = blocking_runtime().map_err(|error| passing(&error))?;
    runtime.block_on(async {
        let mut request = client.get(&plan.url).header(ACCEPT_ENCODING, "identity");
        if let Some(etag) = partial.etag.as_ref().filter(|_| partial.len > 0) {
            request = request
                .header(RANGE, format!("bytes={}-", partial.len))
                .header(IF_RANGE, etag);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_redirect() => {
                return Err(no_answer(plan, in_short(&error)).into());
            }
            Err(error) => return Err(Trouble::Passing(in_short(&error))),
        };
        match rest(plan, partial, answer.status(), answer.headers())? {
            Rest::Nothing => Ok(()),
            Rest::Until(total) => receive(plan, partial, answer, total).await,
        }
    })
}

/// Takes what an answer brings. `total` is the file's length, as far as the
/// server says.
async fn receive(
    plan: &FilePlan,
    partial: &mut Partial<'_>,
    mut answer: Response,
    total: Option<u64>,
) -> Result<(), Trouble> {
    if let (Some(found), Some(expected)) = (total, plan.len)
        && found != expected
    {
        return Err(wrong_len(plan, expected, found).into());
    }
    let expected = plan.len.or(total);
    (partial.limits.allows)(expected.map_or(0, |len| len.saturating_sub(partial.len)))?;
    if partial.len == 0 {
        partial.name_contents(strong_etag(answer.headers()), total)?;
    }
    loop {
        match answer.chunk().await {
            Ok(Some(bytes)) => partial.append(&bytes)?,
            Ok(None) => break,
            Err(error) => return Err(Trouble::Passing(in_short(&error))),
        }
        if let Some(expected) = expected.filter(|&len| partial.len > len) {
            return Err(wrong_len(plan, expected, partial.len).into());
        }
    }
    match total {
        Some(total) if partial.len < total => Err(Trouble::Passing(format!(
            "it broke off after {} of {total} bytes",
            partial.len
        ))),
        _ => Ok(()),
    }
}

/// What an answer brings.
enum Rest {
    /// All of the file had come before.
    Nothing,
    /// What is missing of a file of this length, as far as the server says.
    Until(Option<u64>),
}

/// What an answer brings. Starts again where the server does.
fn rest(
    plan: &FilePlan,
    partial: &mut Partial<'_>,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Rest, Trouble> {
    let content_len = headers
        .get(CONTENT_LENGTH)
        .and_then(|len| len.to_str().ok()?.parse::<u64>().ok());
    match status {
        StatusCode::OK => {
            if partial.len > 0 {
                partial.start_again()?;
            }
            let is_chunked = headers
                .get(TRANSFER_ENCODING)
                .is_some_and(|coding| coding.as_bytes().ends_with(b"chunked"));
            let has_end = content_len.is_some() || is_chunked;
            if !has_end && plan.len.is_none() && plan.sha256.is_none() {
                let message = "the server does not say how long the file is".to_owned();
                return Err(no_answer(plan, message).into());
            }
            Ok(Rest::Until(content_len))
        }
        StatusCode::PARTIAL_CONTENT => match content_range(headers) {
            Some((_, total)) if partial.is_other_file(headers, total) => {
                partial.start_again()?;
                Err(Trouble::Passing(
                    "the file changed at its source".to_owned(),
                ))
            }
            Some((start, total)) if start == partial.len && total >= start => {
                Ok(Rest::Until(Some(total)))
            }
            _ => {
                partial.start_again()?;
                Err(Trouble::Passing(
                    "another part was sent than asked for".to_owned(),
                ))
            }
        },
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let total = unsatisfied_len(headers).filter(|&total| total == partial.len);
            if total.is_some_and(|total| total > 0 && !partial.is_other_file(headers, total)) {
                return Ok(Rest::Nothing);
            }
            partial.start_again()?;
            Err(Trouble::Passing(
                "more had come than the file has".to_owned(),
            ))
        }
        status if is_passing(status) => {
            Err(Trouble::Passing(format!("the server answers {status}")))
        }
        status => Err(no_answer(plan, format!("the server answers {status}")).into()),
    }
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::TOO_EARLY
        )
}

fn no_answer(plan: &FilePlan, message: String) -> FetchError {
    FetchError::NoAnswer {
        url: plan.url.clone(),
        message,
        hint: "it may have moved, or need an account: download it by hand into the folder, and \
               fetch again to check it",
    }
}

/// Start and whole length of `bytes 3-9/10`.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()?))
}

/// The whole length in `bytes */10`.
fn unsatisfied_len(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    text.strip_prefix("bytes */")?.trim().parse().ok()
}

/// A name that stands for the very same bytes.
fn strong_etag(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get(ETAG)?.to_str().ok()?;
    (etag.starts_with('"') && etag.len() > 2).then(|| etag.to_owned())
}

fn wrong_len(plan: &FilePlan, expected: u64, found: u64) -> FetchError {
    FetchError::WrongLength {
        file: plan.path.clone(),
        expected,
        found,
    }
}

/// The length of a file at its source, if the server says.
pub(super) fn len_at_source(plan: &FilePlan) -> Result<Option<u64>, FetchError> {
    let unreachable = |message: String| FetchError::NoAnswer {
        url: plan.url.clone(),
        message,
        hint: "check the network",
    };
    let client = http_client().map_err(|error| unreachable(error.to_string()))?;
    let runtime = blocking_runtime().map_err(|error| unreachable(error.to_string()))?;
    let answer = runtime
        .block_on(async {
            let request = client.head(&plan.url).header(ACCEPT_ENCODING, "identity");
            request.send().await
        })
        .map_err(|error| unreachable(in_short(&error)))?;
    if !answer.status().is_success() {
        return Err(no_answer(
            plan,
            format!("the server answers {}", answer.status()),
        ));
    }
    Ok(answer
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|len| len.to_str().ok()?.parse().ok()))
}
