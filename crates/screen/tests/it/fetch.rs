//! Fetching from servers that break off, lie, and lead astray.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use morphospace_core::sha256_hex;
use morphospace_screen::fetch::{
    Dataset, DatasetFile, FetchError, FetchOptions, FetchPlan, FetchRecord, FetchReport, Licence,
    catalogue, fetch, plan_fetch,
};
use proptest::prelude::*;

use crate::fetch_listing::{hugging_face, s3};
use crate::support::{assert_names, files_of, message, write};
use crate::web_server::{Answer, Request, WebServer, closed_port};

/// Some bytes that never repeat.
pub(crate) fn contents(len: usize) -> Vec<u8> {
    (0..len as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

pub(crate) fn dataset(base_url: &str, files: &[&str]) -> Dataset {
    Dataset {
        name: "plates".to_owned(),
        what: "Plates".to_owned(),
        licence: Licence {
            name: "CC0 1.0".to_owned(),
            url: "https://creativecommons.org/publicdomain/zero/1.0/".to_owned(),
        },
        citation: "nobody".to_owned(),
        usage: None,
        base_url: base_url.to_owned(),
        files: files
            .iter()
            .map(|path| DatasetFile {
                path: (*path).to_owned(),
                len: None,
                sha256: None,
            })
            .collect(),
        listing: None,
    }
}

/// A plan of one file, `a.bin`, of which nothing is known.
fn plan_of(server: &WebServer) -> FetchPlan {
    plan_fetch(&dataset(&server.url, &["a.bin"]), &[], None).expect("planned")
}

fn options() -> FetchOptions {
    FetchOptions {
        accept_licence: true,
        first_wait: Duration::from_millis(1),
        ..FetchOptions::default()
    }
}

fn run(plan: &FetchPlan, output: &Path) -> FetchReport {
    fetch(plan, output, &options(), &|_| {}).expect("a folder that can be written")
}

#[track_caller]
pub(crate) fn succeeds(plan: &FetchPlan, output: &Path) -> FetchReport {
    let report = run(plan, output);
    assert_eq!(report.failures, Vec::<String>::new());
    report
}

/// The one failure; nothing is in place then.
#[track_caller]
fn fails(plan: &FetchPlan, output: &Path) -> String {
    let report = run(plan, output);
    assert_eq!((report.num_fetched, report.num_kept), (0, 0));
    assert!(!output.join("a.bin").exists());
    assert_eq!(report.failures.len(), 1);
    assert_names(&report.failures[0], &["\nhint: "]);
    report.failures[0].clone()
}

fn names_in(folder: &Path) -> Vec<String> {
    let files = files_of(folder).into_iter();
    files.map(|(name, _)| name).collect()
}

/// A server whose answers to `GET` depend on how many came before.
fn server_by_count(answer: impl Fn(usize, &Request) -> Answer + Send + 'static) -> WebServer {
    let count = AtomicUsize::new(0);
    WebServer::start(move |request| match request.method.as_str() {
        "GET" => answer(count.fetch_add(1, Ordering::Relaxed), request),
        _ => Answer::new(405, ""),
    })
}

#[test]
fn files_are_fetched_recorded_and_kept() {
    let source = tempfile::tempdir().expect("a folder");
    write(source.path(), "a.bin", contents(100_000));
    write(source.path(), "deep er/b.csv", "well\n");
    let server = WebServer::of_folder(source.path());
    let plan = plan_fetch(
        &dataset(&server.url, &["deep er/b.csv", "a.bin"]),
        &[],
        None,
    )
    .expect("planned");
    let output = tempfile::tempdir().expect("a folder");
    let output = output.path().join("new");
    let report = succeeds(&plan, &output);
    assert_eq!((report.num_fetched, report.num_kept), (2, 0));
    assert_eq!(report.num_bytes, 100_005);
    assert_eq!(names_in(&output), ["a.bin", "deep er/b.csv", "fetch.json"]);
    assert_eq!(
        fs::read(output.join("a.bin")).expect("there"),
        contents(100_000)
    );
    let record = FetchRecord::read(&output).expect("written");
    let fetched = &record.datasets["plates"].files["a.bin"];
    assert_eq!(fetched.sha256, sha256_hex(&contents(100_000)));
    assert_eq!(fetched.url, format!("{}/a.bin", server.url));
    assert_eq!(record.datasets["plates"].licence, plan.licence);

    let num_requests = server.requests().len();
    let report = succeeds(&plan, &output);
    assert_eq!((report.num_fetched, report.num_kept), (0, 2));
    assert_eq!(
        server.requests().len(),
        num_requests,
        "checked, not asked for"
    );
}

#[test]
fn files_that_were_changed_are_named_and_left() {
    let source = tempfile::tempdir().expect("a folder");
    write(source.path(), "a.bin", contents(1_000));
    let server = WebServer::of_folder(source.path());
    let plan = plan_of(&server);
    let output = tempfile::tempdir().expect("a folder");
    succeeds(&plan, output.path());
    let mut changed = contents(1_000);
    changed[500] ^= 1;
    write(output.path(), "a.bin", &changed);
    let report = run(&plan, output.path());
    assert_names(
        &report.failures[0],
        &["a.bin", "SHA-256", "changed", "hint"],
    );
    assert_eq!(
        fs::read(output.path().join("a.bin")).expect("there"),
        changed
    );
}

#[test]
fn files_that_somebody_else_put_there_are_taken_if_they_fit() {
    let source = tempfile::tempdir().expect("a folder");
    write(source.path(), "a.bin", contents(1_000));
    let server = WebServer::of_folder(source.path());
    let plan = plan_of(&server);
    let output = tempfile::tempdir().expect("a folder");
    write(output.path(), "a.bin", contents(1_000));
    assert_eq!(succeeds(&plan, output.path()).num_kept, 1);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.method == "HEAD")
    );
    assert!(
        FetchRecord::read(output.path())
            .expect("written")
            .datasets
            .contains_key("plates")
    );

    let output = tempfile::tempdir().expect("a folder");
    write(output.path(), "a.bin", "my thesis");
    let report = run(&plan, output.path());
    assert_names(&report.failures[0], &["a.bin", "9 bytes", "1000", "hint"]);
    assert_eq!(
        fs::read(output.path().join("a.bin")).expect("there"),
        b"my thesis"
    );
}

#[test]
fn a_connection_that_breaks_off_goes_on() {
    let server = server_by_count(|count, request| Answer {
        breaks_after: (count < 3).then_some(300),
        ..Answer::file(request, &contents(1_000))
    });
    let output = tempfile::tempdir().expect("a folder");
    succeeds(&plan_of(&server), output.path());
    assert_eq!(
        fs::read(output.path().join("a.bin")).expect("there"),
        contents(1_000)
    );
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.header("range").map(str::to_owned))
        .collect();
    assert_eq!(ranges[0], None);
    // All that came is kept, but a client may lose what came just before.
    for (at, range) in ranges.iter().enumerate().skip(1) {
        let start: usize = range.as_deref().expect("goes on")["bytes=".len()..]
            .trim_end_matches('-')
            .parse()
            .expect("a number");
        assert!(start <= 300 * at, "{ranges:?}");
    }
    assert!(server.requests()[3].header("if-range").is_some());
    assert_eq!(names_in(output.path()), ["a.bin", "fetch.json"]);
}

#[test]
fn a_run_that_was_killed_goes_on() {
    let breaking = server_by_count(|_, request| Answer {
        breaks_after: Some(400_000),
        ..Answer::file(request, &contents(5_000_000))
    });
    let output = tempfile::tempdir().expect("a folder");
    let failure = fails(&plan_of(&breaking), output.path());
    assert_names(&failure, &["a.bin", "goes on where it broke off"]);
    let partial = fs::metadata(output.path().join("a.bin.partial"))
        .expect("kept")
        .len();
    assert!(partial > 400_000 && partial < 2_000_000, "{partial}");

    let server = WebServer::start(|request| Answer::file(request, &contents(5_000_000)));
    succeeds(&plan_of(&server), output.path());
    assert_eq!(
        fs::read(output.path().join("a.bin")).expect("there"),
        contents(5_000_000)
    );
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        requests[0].header("range"),
        Some(&*format!("bytes={partial}-"))
    );
}

#[test]
fn a_run_that_was_killed_before_the_end_was_seen_goes_on() {
    let server = WebServer::start(|request| Answer::file(request, &contents(1_000)));
    let output = tempfile::tempdir().expect("a folder");
    let first = Answer::file(&server_request(), &contents(1_000));
    let etag = first
        .headers
        .iter()
        .find(|(key, _)| *key == "ETag")
        .expect("has one");
    write(output.path(), "a.bin.partial", contents(1_000));
    write(output.path(), "a.bin.etag", &etag.1);
    succeeds(&plan_of(&server), output.path());
    assert_eq!(
        fs::read(output.path().join("a.bin")).expect("there"),
        contents(1_000)
    );
    assert_eq!(server.requests().len(), 1);
    assert_eq!(names_in(output.path()), ["a.bin", "fetch.json"]);
}

/// A request without any header.
fn server_request() -> Request {
    let server = WebServer::start(|_| Answer::new(200, ""));
    let plan = plan_of(&server);
    run(&plan, tempfile::tempdir().expect("a folder").path());
    server.requests().remove(0)
}

#[test]
fn what_changed_at_its_source_is_fetched_from_its_start() {
    let output = tempfile::tempdir().expect("a folder");
    write(output.path(), "a.bin.partial", contents(700));
    write(output.path(), "a.bin.etag", "\"of another version\"");
    let server = WebServer::start(|request| Answer::file(request, &contents(1_000)));
    succeeds(&plan_of(&server), output.path());
    assert_eq!(
        fs::read(output.path().join("a.bin")).expect("there"),
        contents(1_000)
    );
    // Without a name for what has come, nothing is gone on with.
    let output = tempfile::tempdir().expect("a folder");
    write(output.path(), "a.bin.partial", vec![7; 2_000]);
    succeeds(&plan_of(&server), output.path());
    assert_eq!(
        fs::read(output.path().join("a.bin")).expect("there"),
        contents(1_000)
    );
}

#[test]
fn a_server_that_knows_no_ranges_starts_again() {
    let server = server_by_count(|count, _| {
        let mut answer = Answer::new(200, contents(1_000));
        answer.headers.push(("ETag", "\"same\"".to_owned()));
        answer.breaks_after = (count < 2).then_some(600);
        answer
    });
    let output = tempfile::tempdir().expect("a folder");
    let exactly = FetchOptions {
        max_bytes: Some(1_000),
        ..options()
    };
    let report = fetch(&plan_of(&server), output.path(), &exactly, &|_| {}).expect("runs");
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(
        fs::read(output.path().join("a.bin")).expect("there"),
        contents(1_000)
    );
    assert!(server.requests()[1].header("range").is_some());
}

#[test]
fn parts_that_were_not_asked_for_are_not_taken() {
    let server = server_by_count(|count, request| match count {
        0 => Answer {
            breaks_after: Some(500),
            ..Answer::file(request, &contents(1_000))
        },
        1 => {
            let mut answer = Answer::new(206, contents(10));
            answer
                .headers
                .push(("Content-Range", "bytes 990-999/1000".to_owned()));
            answer
        }
        _ => Answer::file(request, &contents(1_000)),
    });
    let output = tempfile::tempdir().expect("a folder");
    succeeds(&plan_of(&server), output.path());
    assert_eq!(
        fs::read(output.path().join("a.bin")).expect("there"),
        contents(1_000)
    );
}

#[test]
fn parts_of_two_files_are_not_put_together() {
    let part = |tag: &str, total: u64| {
        let mut answer = Answer::new(206, contents(1_000)[500..].to_vec());
        answer.headers.push(("ETag", format!("\"{tag}\"")));
        let range = format!("bytes 500-{}/{total}", total - 1);
        answer.headers.push(("Content-Range", range));
        answer
    };
    // A server that ignores If-Range: another name, or another length.
    for (tag, total) in [("second", 1_000), ("first", 1_200)] {
        let server = server_by_count(move |count, request| match count {
            0 => {
                let mut answer = Answer::new(200, vec![9; 1_000]);
                answer.headers.push(("ETag", "\"first\"".to_owned()));
                answer.breaks_after = Some(500);
                answer
            }
            1 => part(tag, total),
            _ => Answer::file(request, &contents(1_000)),
        });
        let output = tempfile::tempdir().expect("a folder");
        succeeds(&plan_of(&server), output.path());
        let found = fs::read(output.path().join("a.bin")).expect("there");
        assert!(found == contents(1_000), "{tag} {total}");
    }
}

#[test]
fn a_file_that_broke_off_is_not_whole_because_the_server_now_says_so() {
    let server = server_by_count(|count, request| match count {
        0 => Answer {
            breaks_after: Some(500),
            ..Answer::file(request, &contents(1_000))
        },
        1 => {
            let mut answer = Answer::new(416, "");
            answer
                .headers
                .push(("Content-Range", "bytes */500".to_owned()));
            answer
        }
        _ => Answer::file(request, &contents(1_000)),
    });
    let output = tempfile::tempdir().expect("a folder");
    succeeds(&plan_of(&server), output.path());
    let found = fs::read(output.path().join("a.bin")).expect("there");
    assert!(found == contents(1_000));
}

#[test]
fn redirections_are_followed_but_not_for_ever() {
    let other = WebServer::start(|request| Answer::file(request, &contents(1_000)));
    let target = format!("{}/elsewhere", other.url);
    let server = WebServer::start(move |_| Answer::redirect(&target));
    let output = tempfile::tempdir().expect("a folder");
    succeeds(&plan_of(&server), output.path());
    assert_eq!(
        fs::read(output.path().join("a.bin")).expect("there"),
        contents(1_000)
    );

    let endless = WebServer::start(|_| Answer::redirect("/a.bin"));
    let output = tempfile::tempdir().expect("a folder");
    let failure = fails(&plan_of(&endless), output.path());
    assert_names(&failure, &["too many redirections"]);
    assert!(endless.requests().len() < 20);
}

/// A plan that knows what `a.bin` should be.
fn plan_with(server: &WebServer, len: u64, bytes: &[u8]) -> FetchPlan {
    let mut plan = plan_of(server);
    plan.files[0].len = Some(len);
    plan.files[0].sha256 = Some(sha256_hex(bytes));
    plan
}

#[test]
fn lengths_that_lie_are_refused() {
    let whole = contents(1_000);
    for served in [999, 1_001] {
        let server = WebServer::start(move |request| Answer::file(request, &contents(served)));
        let output = tempfile::tempdir().expect("a folder");
        let failure = fails(&plan_with(&server, 1_000, &whole), output.path());
        assert_names(&failure, &["a.bin", &format!("{served} bytes"), "not 1000"]);
        assert_eq!(server.requests().len(), 1, "a retry would not help");
    }
    // It claims more than it sends, or less.
    let server = WebServer::start(|_| Answer {
        claimed_len: Some(2_000),
        ..Answer::new(200, contents(1_000))
    });
    let output = tempfile::tempdir().expect("a folder");
    let failure = fails(&plan_of(&server), output.path());
    assert_names(&failure, &["4 attempts"]);
    let server = WebServer::start(|request| Answer {
        claimed_len: Some(900),
        ..Answer::file(request, &contents(1_000))
    });
    let output = tempfile::tempdir().expect("a folder");
    let mut plan = plan_with(&server, 1_000, &whole);
    assert_names(&fails(&plan, output.path()), &["900 bytes, not 1000"]);
    plan.files[0].len = None;
    assert_names(&fails(&plan, output.path()), &["SHA-256"]);
}

#[test]
fn wrong_contents_are_not_put_in_place() {
    let server = WebServer::start(|request| Answer::file(request, &contents(1_000)));
    let output = tempfile::tempdir().expect("a folder");
    let failure = fails(&plan_with(&server, 1_000, b"others"), output.path());
    assert_names(
        &failure,
        &[
            "a.bin",
            "SHA-256",
            &sha256_hex(b"others"),
            "not put in place",
        ],
    );
    assert_eq!(names_in(output.path()), Vec::<String>::new());
    // What others write where the download lies is seen, too.
    write(output.path(), "a.bin.partial", vec![0; 500]);
    let first = Answer::file(&server_request(), &contents(1_000));
    write(output.path(), "a.bin.etag", &first.headers[0].1);
    let failure = fails(&plan_with(&server, 1_000, &contents(1_000)), output.path());
    assert_names(&failure, &["SHA-256"]);
    succeeds(&plan_with(&server, 1_000, &contents(1_000)), output.path());
}

#[test]
fn answers_that_say_no_are_final_and_those_of_busy_servers_are_not() {
    for status in [401, 403, 404, 410, 451] {
        let server = WebServer::start(move |_| Answer::new(status, "<html>"));
        let output = tempfile::tempdir().expect("a folder");
        let failure = fails(&plan_of(&server), output.path());
        assert_names(&failure, &[&server.url, &status.to_string(), "by hand"]);
        assert_eq!(server.requests().len(), 1);
    }
    for status in [429, 500, 503] {
        let server = server_by_count(move |count, request| match count {
            0..2 => Answer::new(status, "busy"),
            _ => Answer::file(request, &contents(1_000)),
        });
        let output = tempfile::tempdir().expect("a folder");
        succeeds(&plan_of(&server), output.path());
        let server = WebServer::start(move |_| Answer::new(status, "busy"));
        let output = tempfile::tempdir().expect("a folder");
        let failure = fails(&plan_of(&server), output.path());
        assert_names(&failure, &[&status.to_string(), "4 attempts"]);
    }
}

#[test]
fn servers_are_asked_for_lengths_that_nobody_knows() {
    let server = WebServer::start(|_| Answer::new(200, "0123456789"));
    let mut plan = plan_of(&server);
    assert_eq!(plan.known_len(), (0, 1));
    assert!(plan.ask_lengths().is_empty());
    assert_eq!(plan.known_len(), (10, 0));
    plan.check_len(Some(10)).expect("no more than that");
    assert_names(
        &message(plan.check_len(Some(9))),
        &["10 bytes", "--max-bytes"],
    );
    let mut plan = plan_fetch(&dataset(&closed_port(), &["a.bin"]), &[], None).expect("planned");
    let problems = plan.ask_lengths();
    assert_eq!((problems.len(), plan.known_len()), (1, (0, 1)));
}

#[test]
fn a_server_that_cannot_be_reached_is_named() {
    let started = Instant::now();
    let url = closed_port();
    let plan = plan_fetch(&dataset(&url, &["a.bin"]), &[], None).expect("planned");
    let output = tempfile::tempdir().expect("a folder");
    assert_names(&fails(&plan, output.path()), &[&url, "refused"]);
    let mut listed = dataset(&url, &[]);
    listed.listing = Some(hugging_face());
    assert_names(
        &message(plan_fetch(&listed, &[], None)),
        &[&url, "refused", "--from"],
    );
    listed.listing = Some(s3());
    assert_names(
        &message(plan_fetch(&listed, &[], None)),
        &[&url, "refused", "--from"],
    );
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let source = tempfile::tempdir().expect("a folder");
    for name in ["b", "c", "d"] {
        write(source.path(), name, name);
    }
    let server = WebServer::of_folder(source.path());
    let plan =
        plan_fetch(&dataset(&server.url, &["a.bin", "b", "c", "d"]), &[], None).expect("planned");
    let output = tempfile::tempdir().expect("a folder");
    let report = run(&plan, output.path());
    assert_eq!((report.num_fetched, report.failures.len()), (3, 1));
    assert_eq!(names_in(output.path()), ["b", "c", "d", "fetch.json"]);
}

#[test]
fn without_the_licence_nothing_is_asked_or_written() {
    let server = WebServer::start(|request| Answer::file(request, b"x"));
    let output = tempfile::tempdir().expect("a folder");
    let output = output.path().join("new");
    let refused = FetchOptions {
        accept_licence: false,
        ..options()
    };
    let error = message(fetch(&plan_of(&server), &output, &refused, &|_| {}));
    assert_names(
        &error,
        &["CC0 1.0", "creativecommons.org", "--accept-licence"],
    );
    assert!(!output.exists() && server.requests().is_empty());
}

#[test]
fn more_bytes_than_allowed_are_refused() {
    let bounded = |max| FetchOptions {
        max_bytes: Some(max),
        ..options()
    };
    let output = tempfile::tempdir().expect("a folder");
    let server = WebServer::start(|request| Answer::file(request, &contents(1_000)));
    // Known beforehand: nothing is asked.
    let plan = plan_with(&server, 1_000, b"");
    let error = fetch(&plan, output.path(), &bounded(999), &|_| {}).expect_err("too much");
    assert!(matches!(
        error,
        FetchError::TooLarge {
            len: 1_000,
            max: 999,
            ..
        }
    ));
    assert!(server.requests().is_empty());
    // Known when the server answers, or not before it has sent too much.
    let silent = WebServer::start(|_| {
        let body = format!("3e8\r\n{}\r\n0\r\n\r\n", "x".repeat(1_000));
        let mut answer = Answer::new(200, body);
        answer
            .headers
            .push(("Transfer-Encoding", "chunked".to_owned()));
        answer.without_len()
    });
    for server in [&server, &silent] {
        let plan = plan_of(server);
        let report = fetch(&plan, output.path(), &bounded(999), &|_| {}).expect("runs");
        assert_names(
            &report.failures[0],
            &["a.bin", "999", "--max-bytes", "--only"],
        );
        assert!(!output.path().join("a.bin").exists());
    }
    let report = fetch(&plan_of(&silent), output.path(), &bounded(1_000), &|_| {}).expect("runs");
    assert_eq!(report.failures, Vec::<String>::new());
}

#[test]
fn a_file_without_an_end_is_refused() {
    let server = WebServer::start(|_| Answer::new(200, contents(1_000)).without_len());
    let output = tempfile::tempdir().expect("a folder");
    assert_names(
        &fails(&plan_of(&server), output.path()),
        &["how long the file is"],
    );
}

#[test]
fn a_record_that_is_none_is_refused() {
    let server = WebServer::start(|request| Answer::file(request, b"x"));
    let output = tempfile::tempdir().expect("a folder");
    for text in ["", "[]", "{\"schema_version\": 2, \"datasets\": {}}"] {
        write(output.path(), "fetch.json", text);
        let error = message(fetch(&plan_of(&server), output.path(), &options(), &|_| {}));
        assert_names(&error, &["fetch.json", "is no record", "hint"]);
    }
}

#[test]
fn the_catalogue_is_sound() {
    let mut names: Vec<&str> = catalogue().iter().map(|dataset| &*dataset.name).collect();
    assert!(names.contains(&"rxrx1") && names.contains(&"openphenom"));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), catalogue().len());
    for dataset in catalogue() {
        let name = &dataset.name;
        assert!(dataset.base_url.starts_with("https://"), "{name}");
        assert!(!dataset.base_url.ends_with('/'), "{name}");
        assert!(dataset.licence.url.starts_with("https://"), "{name}");
        assert_ne!(
            dataset.files.is_empty(),
            dataset.listing.is_none(),
            "{name}"
        );
        for file in &dataset.files {
            let is_sha256 = |text: &String| text.len() == 64 && *text == text.to_lowercase();
            assert!(file.sha256.as_ref().is_none_or(is_sha256), "{name}");
        }
        if dataset.listing.is_none() {
            let plan = plan_fetch(dataset, &[], None).expect(name);
            assert_eq!(plan.files.len(), dataset.files.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Wherever connections break, and whether or not the server knows of
    /// ranges, what is put in place is the file.
    #[test]
    fn a_file_in_place_is_whole(
        len in 1_usize..3_000,
        breaks in prop::collection::vec(0_usize..1_500, 0..3),
        knows_ranges in any::<bool>(),
    ) {
        let num_breaks = breaks.len();
        let server = server_by_count(move |count, request| {
            let mut answer = Answer::file(request, &contents(len));
            if !knows_ranges {
                answer = Answer::new(200, contents(len));
                answer.headers.push(("ETag", "\"same\"".to_owned()));
            }
            answer.breaks_after = breaks.get(count).copied();
            answer
        });
        let output = tempfile::tempdir().expect("a folder");
        succeeds(&plan_of(&server), output.path());
        prop_assert_eq!(fs::read(output.path().join("a.bin")).expect("there"), contents(len));
        prop_assert!(server.requests().len() <= num_breaks + 1);
    }
}

#[test]
fn pages_and_other_formats_are_not_taken_for_an_archive() {
    let output = tempfile::tempdir().expect("a folder");
    for (name, body, part) in [
        (
            "a.zip",
            "<!DOCTYPE html><p>Sign in",
            "'a.zip' is an HTML page",
        ),
        ("a.csv", "", "'a.csv' is empty"),
        (
            "a.parquet",
            "PK\u{3}\u{4}",
            "'a.parquet' is not a Parquet table",
        ),
    ] {
        let server = WebServer::start(move |_| Answer::new(200, body));
        let plan = plan_fetch(&dataset(&server.url, &[name]), &[], None).expect("planned");
        let error = fails(&plan, output.path());
        assert_names(&error, &[part, &server.url]);
        assert_eq!(names_in(output.path()), Vec::<String>::new());
    }
}
