//! Weights from Hugging Face and web servers, by local ones.

use std::fs;
use std::path::Path;

use morphospace_core::sha256_hex;
use morphospace_screen::fetch::{FetchError, FetchedWeights, WeightsLocation};

use crate::support::assert_names;
use crate::web_server::{Answer, WebServer, closed_port};

fn fetched(
    location: &str,
    cache: &Path,
    mirror: Option<&str>,
) -> Result<FetchedWeights, FetchError> {
    let location: WeightsLocation = location.parse().expect("a location");
    location.fetch(cache, mirror, None, &|_| {})
}

/// A hub with one repository, whose files are large ones.
fn hub(files: &'static [(&'static str, &'static [u8])]) -> WebServer {
    WebServer::start(move |request| {
        if request.path == "/api/models/lab/net/tree/v1?recursive=true" {
            let entries: Vec<String> = files
                .iter()
                .map(|(path, bytes)| {
                    let (sha256, len) = (sha256_hex(bytes), bytes.len());
                    format!(
                        r#"{{"type":"file","oid":"0","size":130,"path":"{path}",
                            "lfs":{{"oid":"{sha256}","size":{len},"pointerSize":130}}}}"#
                    )
                })
                .collect();
            return Answer::new(200, format!("[{}]", entries.join(",")));
        }
        let path = request.path.strip_prefix("/lab/net/resolve/v1/");
        match files.iter().find(|(name, _)| Some(*name) == path) {
            Some((_, bytes)) => Answer::file(request, bytes),
            None => Answer::new(404, ""),
        }
    })
}

#[test]
fn a_repositorys_weights_are_fetched_once_and_checked() {
    let cache = tempfile::tempdir().expect("a folder");
    let server = hub(&[
        ("README.md", b"a network"),
        ("model.safetensors", b"weights"),
        ("pytorch_model.bin", b"the same"),
        ("other/head.pth", b"a head"),
    ]);
    let from = Some(server.url.as_str());
    let first = fetched("hf://lab/net@v1", cache.path(), from).expect("fetched");
    assert_eq!(fs::read(&first.path).expect("there"), b"weights");
    assert_eq!(first.warning, None);
    let loads = || {
        let requests = server.requests();
        let is_file = |path: &str| path.contains("/resolve/");
        requests
            .iter()
            .filter(|request| is_file(&request.path))
            .count()
    };
    let before = loads();
    let second = fetched("hf://lab/net@v1", cache.path(), from).expect("kept");
    assert_eq!((second, loads()), (first.clone(), before));
    // Without an answer, what was fetched is taken, and told.
    let nobody = closed_port();
    let offline = fetched("hf://lab/net@v1", cache.path(), Some(&nobody)).expect("in the cache");
    assert_eq!(offline.path, first.path);
    assert!(offline.warning.is_some());
    let named = fetched("hf://lab/net@v1/other/head.pth", cache.path(), from).expect("fetched");
    assert_eq!(fs::read(named.path).expect("there"), b"a head");
    // What was changed in the cache is not taken for the network.
    fs::write(&first.path, b"weighty").expect("written");
    let error = fetched("hf://lab/net@v1", cache.path(), from).expect_err("changed");
    assert_names(
        &error.to_string(),
        &["model.safetensors", "SHA-256", "move it away"],
    );
}

#[test]
fn repositories_without_one_file_of_weights_are_refused() {
    let cache = tempfile::tempdir().expect("a folder");
    let refused = |location: &str, server: &WebServer| {
        let error = fetched(location, cache.path(), Some(&server.url)).expect_err("refused");
        error.to_string()
    };
    let server = hub(&[
        ("model.safetensors.index.json", b"{}"),
        ("model-00001-of-00002.safetensors", b"half"),
    ]);
    assert_names(
        &refused("hf://lab/net@v1", &server),
        &["hf://lab/net@v1", "several files"],
    );
    let server = hub(&[("weights.pth", b"weights")]);
    assert_names(&refused("hf://lab/net@v1", &server), &["name the file"]);
    assert_names(
        &refused("hf://lab/net@v1/wieghts.pth", &server),
        &["wieghts.pth"],
    );
    assert_names(&refused("hf://lab/other", &server), &["404"]);
    let lost = fetched("hf://lab/net@v1", cache.path(), Some(&closed_port()));
    assert!(matches!(lost, Err(FetchError::NoAnswer { .. })), "{lost:?}");
}

#[test]
fn a_file_of_a_server_is_checked_against_its_checksum() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("net.pth"), b"weights").expect("written");
    let server = WebServer::of_folder(folder.path());
    let url = format!("{}/net.pth", server.url);
    let good = format!("{url}#sha256={}", sha256_hex(b"weights"));
    let bad = format!("{url}#sha256={}", sha256_hex(b"others"));
    let error = fetched(&bad, cache.path(), None).expect_err("other contents");
    assert_names(
        &error.to_string(),
        &["net.pth", "SHA-256", &sha256_hex(b"others")],
    );
    let first = fetched(&good, cache.path(), None).expect("fetched");
    assert_eq!(fs::read(&first.path).expect("there"), b"weights");
    let second = fetched(&url, cache.path(), None).expect("kept");
    assert_eq!(second.path, first.path);
    let lost = format!("{}/lost.pth", server.url);
    let error = fetched(&lost, cache.path(), None).expect_err("lost");
    assert_names(&error.to_string(), &["lost.pth", "404"]);
    let location: WeightsLocation = url.parse().expect("a location");
    let error = location.fetch(&folder.path().join("new"), None, Some(3), &|_| {});
    assert_names(
        &error.expect_err("too large").to_string(),
        &["net.pth", "--max-bytes"],
    );
}

#[test]
fn what_is_no_location_is_refused() {
    for text in [
        "hf://",
        "hf://net",
        "hf://lab/",
        "hf://lab/net@",
        "hf://lab/../x",
        "hf://../lab/x",
        "hf://lab/net/../../etc/passwd",
        "hf://lab/ne t",
        "https://",
        "ftp://server/file",
        "https://server/file#sha256=12",
        "https://server/file#md5=0",
        "runs/first",
    ] {
        assert!(text.parse::<WeightsLocation>().is_err(), "{text}");
    }
}
