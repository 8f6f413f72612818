//! Fetching from the command line. Servers that misbehave are met by the
//! tests of the `screen` crate.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use crate::support::morphospace;

/// Answers every `GET` with the same bytes; hands back its URL.
pub(crate) fn server(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let _ = lines.take_while(|line| !line.is_empty()).count();
            let len = bytes.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n"
            );
            let _ = stream.write_all(bytes);
        }
    });
    url
}

#[test]
fn a_dry_run_shows_files_sizes_and_licence_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| morphospace(folder.path(), args).expect_status(0).stdout;
    let annotations = run(&["fetch", "corum", "--output", "new", "--dry-run"]);
    let screen = run(&[
        "fetch",
        "rxrx1",
        "--dry-run",
        "--from",
        "https://mirror.example/a",
    ]);
    insta::assert_snapshot!("a_dry_run", format!("{annotations}\n---\n{screen}"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn without_the_licence_flag_the_licence_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["fetch", "rxrx3-core", "--output", "new"];
    let run = morphospace(folder.path(), &args).expect_status(2);
    assert_eq!(run.stdout, "");
    insta::assert_snapshot!("without_the_licence", run.stderr);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_catalogue_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let run = morphospace(folder.path(), &["fetch", "--list"]).expect_status(0);
    for part in ["rxrx1\n", "CC BY-NC-SA 4.0", "openphenom\n", "jump-plate\n"] {
        assert!(run.stdout.contains(part), "no '{part}' in:\n{}", run.stdout);
    }
    morphospace(folder.path(), &["fetch", "rxrx-1", "--dry-run"])
        .expect_status(2)
        .expect_stderr(&["did you mean 'rxrx1'"]);
    morphospace(folder.path(), &["fetch"])
        .expect_status(2)
        .expect_stderr(&["DATASET"]);
    morphospace(folder.path(), &["fetch", "rxrx-1"])
        .expect_status(2)
        .expect_stderr(&["did you mean 'rxrx1'"]);
    morphospace(folder.path(), &["fetch", "corum", "--accept-licence"])
        .expect_status(2)
        .expect_stderr(&["no folder", "--output"]);
    let args = ["fetch", "rxrx1", "--dry-run", "--max-bytes", "3 parsecs"];
    morphospace(folder.path(), &args)
        .expect_status(2)
        .expect_stderr(&["PARSECS", "GB"]);
}

#[test]
fn files_are_fetched_from_a_mirror_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let url = server(b"PK\x05\x06 etc.");
    let args = [
        "fetch",
        "rxrx1",
        "--only",
        "rxrx1-metadata",
        "--from",
        &url,
        "--output",
        "new",
        "--accept-licence",
    ];
    let with = |more: &[&str]| morphospace(folder, &[&args[..], more].concat());
    with(&["--max-bytes", "8"])
        .expect_status(1)
        .expect_stderr(&["rxrx1-metadata.zip", "9 bytes", "--max-bytes"]);
    with(&["--max-bytes", "1kB"])
        .expect_status(0)
        .expect_stderr(&["1 file fetched, 0 kept"]);
    assert_eq!(
        fs::read(folder.join("new/rxrx1-metadata.zip")).unwrap(),
        b"PK\x05\x06 etc."
    );
    let again = with(&["--json"])
        .expect_status(0)
        .expect_stderr(&["0 files fetched, 1 kept"]);
    let report: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(report["num_kept"], 1);
}

#[test]
fn a_file_with_other_contents_than_published_is_not_put_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let args = [
        "fetch",
        "reactome",
        "--from",
        &server(b"A,B\n"),
        "--output",
        "new",
        "--accept-licence",
    ];
    morphospace(folder, &args)
        .expect_status(1)
        .expect_stderr(&["Reactome.txt", "4 bytes, not 267969"]);
    assert!(!folder.join("new/Reactome.txt").exists());
}
