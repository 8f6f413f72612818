//! Screens in buckets, on servers within the test.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use morphospace_screen::conformance::check_screen;
use morphospace_screen::store::{SharedStore, StoreError, open_bucket, open_writable_in};
use morphospace_screen::{
    Manifest, Screen, open_screen, open_screen_in, read_manifest, write_manifest,
};

use crate::rxrx1;
use crate::s3_server::S3Server;
use crate::support::{assert_names, files_of, message, png_u8, write, write_zip};
use crate::web_server::{Answer, WebServer, closed_port};

const KEY: (&str, &str) = ("AKIAEXAMPLE", "a-secret");

fn open(
    server: &S3Server,
    url: &str,
    key: Option<(&str, &str)>,
) -> Result<SharedStore, StoreError> {
    open_bucket(url, server.settings(key))
}

/// A folder with the bucket `screens`, in which there is `rxrx1`.
fn buckets() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    rxrx1::write_screen(&folder.path().join("screens/rxrx1"));
    folder
}

#[track_caller]
fn assert_same_screen(screen: &dyn Screen, folder: &Path) {
    check_screen(screen).expect("conforms");
    let plain = open_screen(folder, None).expect("opens");
    assert_eq!(screen.sites(), plain.sites());
    for site in 0..plain.sites().len() {
        for channel in 0..plain.channels().len() {
            let expected = plain.read_plane(site, channel).expect("whole");
            assert_eq!(screen.read_plane(site, channel).expect("whole"), expected);
        }
    }
}

#[test]
fn a_bucket_is_read_unsigned_and_signed() {
    let folder = buckets();
    let plain = folder.path().join("screens/rxrx1");
    for key in [None, Some(KEY)] {
        let server = S3Server::start(folder.path(), key);
        for url in ["s3://screens/rxrx1", "s3://screens/rxrx1/", "s3://screens"] {
            let store = open(&server, url, key).expect("answers");
            let screen = open_screen_in(store, None).expect(url);
            assert_same_screen(&*screen, &plain);
        }
    }
}

#[test]
fn a_manifest_names_the_bucket() {
    let folder = buckets();
    let server = S3Server::start(folder.path(), None);
    let store = open(&server, "s3://screens/rxrx1", None).expect("answers");
    let screen = open_screen_in(store, None).expect("opens");
    let manifest = Manifest::of(&*screen);
    let first = "s3://screens/rxrx1/images/HUVEC-01/Plate1/B02_s1_w1.png";
    assert_eq!(manifest.paths[0][0].as_deref(), Some(first));
    let path = folder.path().join("manifest.parquet");
    write_manifest(&path, &manifest).expect("written");
    assert_eq!(read_manifest(&path).expect("read").paths, manifest.paths);
}

#[test]
fn wrong_keys_are_refused_at_once() {
    let folder = buckets();
    let server = S3Server::start(folder.path(), Some(KEY));
    let started = Instant::now();
    for key in [None, Some((KEY.0, "wrong")), Some(("AKIAWRONG", KEY.1))] {
        let error = message(open(&server, "s3://screens/rxrx1", key));
        assert_names(&error, &["no permission", "hint", "AWS_ACCESS_KEY_ID"]);
        assert!(!error.contains(KEY.1), "{error}");
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_is_not_there_is_missing() {
    let folder = buckets();
    let server = S3Server::start(folder.path(), None);
    for url in ["s3://nowhere/rxrx1", "s3://screens/rxrx2"] {
        let error = open(&server, url, None).expect_err(url);
        assert_eq!(error, StoreError::Missing, "{url}");
    }
    let store = open(&server, "s3://screens/rxrx1", None).expect("answers");
    assert_eq!(store.read("images/no.png"), Err(StoreError::Missing));
    assert_eq!(store.len("images/no.png"), Ok(None));
    assert_eq!(store.entries("no/folder"), Ok(Vec::new()));
    let parts = ["bytes 2 to 2000000 were asked for", "has"];
    match store.read_range("metadata.csv", 2..2_000_000) {
        Err(StoreError::Refused(text)) => assert_names(&text, &parts),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        store.read("../../etc/passwd"),
        Err(StoreError::Refused(_))
    ));

    let lost = folder
        .path()
        .join("screens/rxrx1/images/HUVEC-01/Plate1/B02_s2_w4.png");
    std::fs::remove_file(lost).expect("removed");
    let store = open(&server, "s3://screens/rxrx1", None).expect("answers");
    let screen = open_screen_in(store, None).expect("opens");
    check_screen(&*screen).expect("conforms");
    assert_names(
        &message(screen.read_plane(1, 3)),
        &[
            "B02",
            "site 2",
            "w4",
            "missing",
            "s3://screens/rxrx1/images",
        ],
    );
}

#[test]
fn a_server_that_cannot_be_reached_is_named_within_seconds() {
    let endpoint = ("AWS_ENDPOINT".to_owned(), closed_port());
    let started = Instant::now();
    let error = message(open_bucket("s3://screens/rxrx1", [endpoint.clone()]));
    assert_names(&error, &[&endpoint.1, "refused", "hint", "AWS_ENDPOINT"]);
    assert!(started.elapsed() < Duration::from_secs(15));
    let url = format!("{}/rxrx1", endpoint.1);
    let error = message(open_screen(url.as_ref(), None));
    assert_names(&error, &[&url, "refused", "hint"]);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_server_that_is_silent_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let settings = [
        ("AWS_ENDPOINT", endpoint.as_str()),
        ("AWS_TIMEOUT", "100 ms"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let started = Instant::now();
    let error = message(open_bucket("s3://screens/rxrx1", settings));
    assert_names(&error, &[&endpoint, "hint"]);
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_server_that_talks_nonsense_is_refused() {
    let listing = |key: &str| {
        format!(
            "<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated><Contents><Key>{key}\
             </Key><LastModified>2026-01-01T00:00:00Z</LastModified><Size>3</Size></Contents>\
             </ListBucketResult>"
        )
    };
    for (status, body) in [
        (200, "not XML \u{1b}[31m".to_owned()),
        (200, String::new()),
        (200, listing("rxrx1/../../../etc/passwd")),
        (200, listing("rxrx1//x")),
        (301, String::new()),
        (400, "x".repeat(1 << 20)),
    ] {
        let server = WebServer::start(move |_| Answer::new(status, body.clone()));
        let endpoint = ("AWS_ENDPOINT".to_owned(), server.url.clone());
        let error = message(open_bucket("s3://screens/rxrx1", [endpoint]));
        assert_names(&error, &["hint"]);
        assert!(error.len() < 2_000 && !error.contains('\u{1b}'), "{error}");
    }
}

#[test]
fn names_are_kept_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["a b#1.png", "50%25.png", "x+y.png", "a[1]~.png", "ä.png"];
    for name in names {
        write(folder.path(), &format!("bucket/Plate 1/{name}"), name);
    }
    let server = S3Server::start(folder.path(), None);
    let store = open(&server, "s3://bucket", None).expect("answers");
    let mut listed = store.files("").expect("listed");
    listed.sort();
    let mut expected = names.map(|name| format!("Plate 1/{name}"));
    expected.sort();
    assert_eq!(listed, expected);
    for path in listed {
        let bytes = store.read(&path).expect(&path);
        assert_eq!(bytes, &path.as_bytes()["Plate 1/".len()..]);
        assert_eq!(store.len(&path), Ok(Some(bytes.len() as u64)));
    }
}

#[test]
fn an_archive_is_read_where_it_lies() {
    let folder = buckets();
    let plain = folder.path().join("screens/rxrx1");
    write_zip(&folder.path().join("screens/rxrx1.zip"), &files_of(&plain));
    write(folder.path(), "screens/rxrx1.tar", "x");
    let server = S3Server::start(folder.path(), None);
    let store = open(&server, "s3://screens/rxrx1.zip", None).expect("opens");
    assert_same_screen(&*open_screen_in(store, None).expect("opens"), &plain);
    assert_names(
        &message(open(&server, "s3://screens/rxrx1.tar", None)),
        &["rxrx1.tar", "hint: download it"],
    );
    let error = open(&server, "s3://screens/no.zip", None).expect_err("none");
    assert_eq!(error, StoreError::Missing);
}

/// Settings from the environment are those of a whole process: what needs
/// them runs in a child of its own.
#[test]
fn the_environment_says_where_buckets_are() {
    let folder = buckets();
    let table =
        "plate,well,site,path\nP1,A01,1,s3://screens/rxrx1/images/HUVEC-01/Plate1/B02_s1_w1.png\n";
    let description = "[index]\nfile = \"index.csv\"\nplate = \"plate\"\nwell = \"well\"\nsite = \
                       \"site\"\n[[channels]]\nname = \"DNA\"\nstain = \"DNA\"\npath_column = \"path\"\n";
    write(folder.path(), "linked/index.csv", table);
    write(folder.path(), "linked/screen.toml", description);
    let server = S3Server::start(folder.path(), Some(KEY));
    let run = Command::new(std::env::current_exe().expect("the tests"))
        .args([
            "--exact",
            "buckets::within_a_child",
            "--ignored",
            "--nocapture",
        ])
        .envs(server.settings(Some(KEY)))
        .env("MORPHOSPACE_TEST_FOLDER", folder.path())
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by the_environment_says_where_buckets_are"]
fn within_a_child() {
    let folder = std::env::var_os("MORPHOSPACE_TEST_FOLDER").expect("set by the parent");
    let folder = Path::new(&folder);
    let screen = open_screen("s3://screens/rxrx1".as_ref(), None).expect("opens");
    assert_same_screen(&*screen, &folder.join("screens/rxrx1"));
    // A manifest elsewhere still finds the images in the bucket.
    let manifest = Manifest::of(&*screen);
    let again = manifest
        .into_screen("again", folder.join("elsewhere"))
        .expect("opens");
    assert_same_screen(&again, &folder.join("screens/rxrx1"));
    // So does a table of URLs.
    let linked = open_screen(&folder.join("linked"), None).expect("opens");
    check_screen(&*linked).expect("conforms");
    let plane = linked.read_plane(0, 0).expect("whole");
    assert_eq!((plane.width, plane.height), (8, 8));
    assert!(png_u8(8, 8, 3).len() > 8);
}

/// Google's and Azure's servers, as far as listing and reading go.
fn cloud(listing: &'static str) -> WebServer {
    WebServer::start(move |request| {
        if request.path.contains('?') {
            let mut answer = Answer::new(200, listing);
            answer
                .headers
                .push(("Content-Type", "application/xml".to_owned()));
            return answer;
        }
        let mut answer = Answer::new(200, "pixels");
        answer.headers.extend([
            ("ETag", "\"1\"".to_owned()),
            ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT".to_owned()),
            ("x-ms-blob-type", "BlockBlob".to_owned()),
        ]);
        answer
    })
}

#[track_caller]
fn check_cloud(server: &WebServer, url: &str, settings: &[(&str, &str)], paths: [&str; 2]) {
    let settings = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let store = open_bucket(url, settings).expect("answers");
    assert_eq!(store.len("a.png"), Ok(Some(6)));
    assert_eq!(store.read("a.png"), Ok(b"pixels".to_vec()));
    let requests = server.requests();
    for (request, path) in requests.iter().zip(paths) {
        assert!(request.path.starts_with(path), "{request:?}");
        assert_eq!(request.header("authorization"), None, "unsigned");
    }
    assert_eq!(requests.len(), 2, "{requests:?}");
}

#[test]
fn google_and_azure_are_asked_at_their_endpoints() {
    let google = cloud(
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>rxrx1/a.png</Key>\
         <LastModified>2026-01-01T00:00:00Z</LastModified><Size>6</Size><ETag>1</ETag></Contents>\
         </ListBucketResult>",
    );
    check_cloud(
        &google,
        "gs://screens/rxrx1",
        &[("GOOGLE_BASE_URL", &google.url)],
        ["/screens?", "/screens/rxrx1%2Fa%2Epng"],
    );
    let azure = cloud(
        "<EnumerationResults><Blobs><Blob><Name>rxrx1/a.png</Name><Properties><Last-Modified>Thu, \
         01 Jan 2026 00:00:00 GMT</Last-Modified><Content-Length>6</Content-Length><Content-Type>\
         image/png</Content-Type><Etag>1</Etag></Properties></Blob></Blobs></EnumerationResults>",
    );
    check_cloud(
        &azure,
        "az://screens/rxrx1",
        &[
            ("AZURE_STORAGE_ACCOUNT_NAME", "institute"),
            ("AZURE_STORAGE_ENDPOINT", &azure.url),
        ],
        ["/screens?", "/screens/rxrx1/a.png"],
    );
}

/// A bucket on a real server, such as an emulator's: the URL of a screen
/// that [`rxrx1::write_screen`] wrote, with settings from the environment.
#[test]
fn a_given_bucket_is_read() {
    let Ok(url) = std::env::var("MORPHOSPACE_TEST_BUCKET") else {
        let note = "SKIPPED: a test on a real bucket; set MORPHOSPACE_TEST_BUCKET to the URL of a \
                    screen in it\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes());
        return;
    };
    let screen = open_screen(url.as_ref(), None).expect("opens");
    let folder = tempfile::tempdir().expect("a folder");
    rxrx1::write_screen(folder.path());
    assert_same_screen(&*screen, folder.path());
}

#[test]
fn a_folder_in_a_bucket_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("results")).expect("a bucket");
    for key in [None, Some(KEY)] {
        let server = S3Server::start(folder.path(), key);
        let settings = server.settings(key);
        let store = open_writable_in("s3://results/map 1/", settings).expect("opens");
        assert_eq!(store.read("a/b c.json"), Ok(None));
        assert_eq!(store.len("a/b c.json"), Ok(None));
        assert_eq!(store.files(""), Ok(Vec::new()));
        store.write("a/b c.json", b"one".to_vec()).expect("written");
        store
            .write("a/b c.json", b"another".to_vec())
            .expect("replaced");
        assert_eq!(store.read("a/b c.json"), Ok(Some(b"another".to_vec())));
        assert_eq!(store.len("a/b c.json"), Ok(Some(7)));
        assert_eq!(store.write_new("new", b"first".to_vec()), Ok(true));
        assert_eq!(store.write_new("new", b"second".to_vec()), Ok(false));
        assert_eq!(store.read("new"), Ok(Some(b"first".to_vec())));
        assert_eq!(
            store.files(""),
            Ok(vec!["a/b c.json".to_owned(), "new".to_owned()])
        );
        assert_eq!(store.files("a"), Ok(vec!["a/b c.json".to_owned()]));
        for path in ["a/b c.json", "new", "new"] {
            store.remove(path).expect("removed");
        }
        assert_eq!(store.files(""), Ok(Vec::new()));
    }
    // Where one may not write, it says so.
    let server = S3Server::start(folder.path(), Some(KEY));
    let store = open_writable_in("s3://results", server.settings(None)).expect("opens");
    let error = message(store.write("a", Vec::new()));
    assert_names(&error, &["no permission", "AWS_ACCESS_KEY_ID"]);
    for url in ["https://server/a", "s3://results?x=1", "ftp://server/a"] {
        assert!(open_writable_in(url, []).is_err(), "{url}");
    }
}
