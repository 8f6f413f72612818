//! Data sets whose files a server lists, and mirrors of them.

use morphospace_core::sha256_hex;
use morphospace_screen::fetch::{Dataset, FetchError, Listing, plan_fetch};
use morphospace_screen::open_screen;

use crate::fetch::{contents, dataset, succeeds};
use crate::rxrx1;
use crate::s3_server::S3Server;
use crate::support::{assert_names, message, write};
use crate::web_server::{Answer, WebServer};

pub(crate) fn hugging_face() -> Listing {
    Listing::HuggingFace {
        repository: "datasets/lab/plates".to_owned(),
        revision: "main".to_owned(),
        include: vec!["metadata.csv".to_owned(), "data/".to_owned()],
    }
}

pub(crate) fn s3() -> Listing {
    Listing::S3 {
        bucket: "gallery".to_owned(),
        root: "cpg/source 4".to_owned(),
        folders: vec!["images".to_owned(), "workspace".to_owned()],
    }
}

/// A Hugging Face server with one page of a list.
fn hub(page: &'static str) -> (WebServer, Dataset) {
    let server = WebServer::start(move |_| Answer::new(200, page));
    let mut listed = dataset(&server.url, &[]);
    listed.listing = Some(hugging_face());
    (server, listed)
}

#[test]
fn a_repository_of_hugging_face_is_listed_page_by_page() {
    let large = contents(3_000);
    let sha256 = sha256_hex(&large);
    let server = WebServer::start(move |request| match request.path.as_str() {
        "/hub/api/datasets/lab/plates/tree/main?recursive=true" => {
            let mut answer = Answer::new(
                200,
                r#"[{"type":"directory","oid":"1","size":0,"path":"data"},
                    {"type":"file","oid":"2","size":5,"path":"metadata.csv"},
                    {"type":"file","oid":"3","size":5,"path":"other.csv"}]"#,
            );
            let next = "<https://hub.example/api/x?recursive=true&cursor=c1>; rel=\"next\"";
            answer.headers.push(("Link", next.to_owned()));
            answer
        }
        "/hub/api/datasets/lab/plates/tree/main?recursive=true&cursor=c1" => Answer::new(
            200,
            format!(
                r#"[{{"type":"file","oid":"4","size":3000,"path":"data/0.parquet",
                     "lfs":{{"oid":"{sha256}","size":3000,"pointerSize":129}}}}]"#
            ),
        ),
        "/hub/datasets/lab/plates/resolve/main/metadata.csv" => Answer::file(request, b"well\n"),
        "/hub/datasets/lab/plates/resolve/main/data/0.parquet" => Answer::file(request, &large),
        _ => Answer::new(404, ""),
    });
    let mut listed = dataset("https://huggingface.co", &[]);
    listed.listing = Some(hugging_face());
    let mirror = format!("{}/hub/", server.url);
    let plan = plan_fetch(&listed, &[], Some(&mirror)).expect("listed");
    let found: Vec<_> = plan
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.len, file.sha256.is_some()))
        .collect();
    assert_eq!(
        found,
        [
            ("data/0.parquet", Some(3_000), true),
            ("metadata.csv", Some(5), false)
        ]
    );
    assert_eq!(plan.known_len(), (3_005, 0));
    let output = tempfile::tempdir().expect("a folder");
    assert_eq!(succeeds(&plan, output.path()).num_fetched, 2);
    let part = plan_fetch(&listed, &["meta".to_owned()], Some(&mirror)).expect("listed");
    assert_eq!(part.files.len(), 1);
    let error = message(plan_fetch(&listed, &["mata".to_owned()], Some(&mirror)));
    assert_names(&error, &["starts with mata", "--dry-run"]);
}

#[test]
fn lists_that_lead_out_of_the_folder_are_refused() {
    let entry = r#"[{"type":"file","size":5,"path":"data/PATH"}]"#;
    for path in [
        "../../x",
        "..",
        "a/../../../x",
        "./x",
        "",
        "/etc/passwd",
        "a\\\\..\\\\x",
        "c:x",
    ] {
        let page: &'static str = entry.replace("PATH", path).leak();
        let (_server, listed) = hub(page);
        let error = plan_fetch(&listed, &[], None).expect_err(path);
        assert!(
            matches!(error, FetchError::UnsafePath { .. }),
            "{path}: {error}"
        );
        assert_names(
            &error.to_string(),
            &["plates", "nothing was fetched", "hint"],
        );
    }
    let (_server, listed) = hub(
        r#"[{"type":"file","size":5,"path":"data/a"},{"type":"file","size":6,"path":"data/a"}]"#,
    );
    assert_names(
        &message(plan_fetch(&listed, &[], None)),
        &["data/a", "twice"],
    );
}

#[test]
fn lists_that_are_none_are_refused() {
    for page in [
        "",
        "<html>",
        "{}",
        r#"[{"path":"data/a"}]"#,
        r#"[{"type":"file","path":"data/a","size":-1}]"#,
        r#"[{"type":"file","path":"data/a","size":1,"lfs":{"oid":"../x","size":1}}]"#,
    ] {
        let (_server, listed) = hub(page);
        let error = plan_fetch(&listed, &[], None).expect_err(page);
        assert!(
            matches!(error, FetchError::InvalidListing { .. }),
            "{page}: {error}"
        );
    }
    let (_server, listed) = hub("[]");
    assert_names(
        &message(plan_fetch(&listed, &[], None)),
        &["has no file", "hint"],
    );
    let endless = WebServer::start(|_| {
        let mut answer = Answer::new(200, "[]");
        answer
            .headers
            .push(("Link", "<http://h/x?cursor=1>; rel=\"next\"".to_owned()));
        answer
    });
    let mut listed = dataset(&endless.url, &[]);
    listed.listing = Some(hugging_face());
    assert_names(
        &message(plan_fetch(&listed, &[], None)),
        &["more than 1000 pages"],
    );
}

#[test]
fn a_public_bucket_is_listed_and_fetched() {
    let source = tempfile::tempdir().expect("a folder");
    rxrx1::write_screen(&source.path().join("gallery/cpg/source 4/images"));
    write(source.path(), "gallery/cpg/source 4/workspace/a#b.csv", "x");
    write(source.path(), "gallery/cpg/source 4/other/c.csv", "x");
    let server = S3Server::start(source.path(), None);
    let mut listed = dataset("https://s3.us-east-1.amazonaws.com", &[]);
    listed.listing = Some(s3());
    let plan = plan_fetch(&listed, &[], Some(&server.endpoint)).expect("listed");
    assert_eq!(plan.files.len(), 32);
    assert_eq!(plan.known_len().1, 0);
    let output = tempfile::tempdir().expect("a folder");
    assert_eq!(succeeds(&plan, output.path()).num_fetched, 32);
    assert!(output.path().join("workspace/a#b.csv").exists());
    let screen = open_screen(&output.path().join("images"), None).expect("opens");
    assert_eq!(screen.sites().len(), 5);
}

#[test]
fn mirrors_that_are_none_are_refused() {
    let rxrx1 = dataset("https://host", &["a"]);
    for mirror in ["", "host", "s3://bucket", "file:///etc", "https://h/?a=b"] {
        let error = plan_fetch(&rxrx1, &[], Some(mirror)).expect_err(mirror);
        assert!(
            matches!(error, FetchError::InvalidUrl { .. }),
            "{mirror}: {error}"
        );
    }
}
