//! Screens on web servers, good and bad ones.

use std::path::Path;
use std::time::{Duration, Instant};

use morphospace_screen::conformance::check_screen;
use morphospace_screen::open_screen;
use morphospace_screen::store::{StoreError, open_store};

use crate::rxrx1;
use crate::support::{assert_names, files_of, message, png_u8, write, write_zip};
use crate::web_server::{Answer, WebServer};

const DESCRIPTION: &str = r#"
[index]
file = "index.csv"
plate = "plate"
well = "well"
site = "site"
[[channels]]
name = "DNA"
stain = "DNA"
path_column = "path"
"#;

/// A described screen of two images, whose paths start with `start`.
fn write_described(folder: &Path, start: &str) {
    write(folder, "screen.toml", DESCRIPTION);
    let table = format!("plate,well,site,path\nP1,A01,1,{start}1.png\nP1,A01,2,{start}2%20b.png\n");
    write(folder, "index.csv", table);
    write(folder, "1.png", png_u8(8, 8, 1));
    write(folder, "2 b.png", png_u8(8, 8, 2));
}

#[test]
fn a_described_screen_is_read_from_a_web_server() {
    let folder = tempfile::tempdir().expect("a folder");
    write_described(&folder.path().join("my screen"), "");
    let server = WebServer::of_folder(folder.path());
    let url = format!("{}/my%20screen", server.url);
    let screen = open_screen(url.as_ref(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    assert_eq!(screen.sites().len(), 2);
    assert!(screen.is_present(1, 0));
    // What cannot be told without a listing says so.
    let store = open_store(url.as_ref()).expect("answers");
    assert_names(&message(store.entries("")), &["cannot be listed", "hint"]);
    assert_eq!(store.read("3.png"), Err(StoreError::Missing));
    assert_eq!(store.read_range("1.png", 1..4), Ok(b"PNG".to_vec()));
}

#[test]
fn tables_of_urls_are_followed() {
    let images = tempfile::tempdir().expect("a folder");
    write_described(images.path(), "");
    let server = WebServer::of_folder(images.path());
    let folder = tempfile::tempdir().expect("a folder");
    write_described(folder.path(), &format!("{}/", server.url));
    for name in ["1.png", "2 b.png"] {
        std::fs::remove_file(folder.path().join(name)).expect("removed");
    }
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    assert!(screen.is_present(0, 0) && screen.is_present(1, 0));
    let location = screen.plane_location(0, 0).expect("listed");
    assert_eq!(location, format!("{}/1.png", server.url));

    std::fs::remove_file(images.path().join("1.png")).expect("removed");
    let screen = open_screen(folder.path(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    assert_names(
        &message(screen.read_plane(0, 0)),
        &["A01", "site 1", "DNA", "missing", &server.url],
    );
}

#[test]
fn an_archive_on_a_web_server_is_read_in_pieces() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = folder.path().join("rxrx1");
    rxrx1::write_screen(&plain);
    let mut files = files_of(&plain);
    // Larger than what is read ahead, so that reading all would be seen.
    files.push((
        "other".to_owned(),
        (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect(),
    ));
    write_zip(&folder.path().join("rxrx1.zip"), &files);
    let server = WebServer::of_folder(folder.path());
    let screen = open_screen(format!("{}/rxrx1.zip", server.url).as_ref(), None).expect("opens");
    check_screen(&*screen).expect("conforms");
    let requests = server.requests();
    assert!(requests.iter().any(|request| request.method == "GET"));
    for request in requests.iter().filter(|request| request.method == "GET") {
        assert!(request.header("range").is_some(), "{request:?}");
    }
}

/// A server with one file, `a`, that answers `GET`s as a test wants.
fn read_from(answer: impl Fn() -> Answer + Send + 'static) -> Result<Vec<u8>, StoreError> {
    let server = WebServer::start(move |request| match request.method.as_str() {
        "HEAD" => Answer::new(200, ""),
        _ => answer(),
    });
    open_store(server.url.as_ref()).expect("answers").read("a")
}

#[test]
fn bad_answers_are_refused() {
    let started = Instant::now();
    let whole = read_from(|| Answer::new(200, "pixels"));
    assert_eq!(whole, Ok(b"pixels".to_vec()));
    assert_eq!(read_from(|| Answer::new(404, "")), Err(StoreError::Missing));

    let error = message(read_from(|| {
        Answer::new(500, "\u{1b}[2Jbroken ".repeat(9_000))
    }));
    assert_names(&error, &["500", "hint"]);
    assert!(error.len() < 2_000 && !error.contains('\u{1b}'), "{error}");

    let broken_off = |claimed_len| {
        message(read_from(move || Answer {
            claimed_len,
            breaks_after: Some(3),
            ..Answer::new(200, "pixels")
        }))
    };
    assert_names(&broken_off(None), &["hint"]);
    // One more than is read at once, and one that would take all memory.
    for len in [(1 << 30) + 1, u64::MAX] {
        let error = broken_off(Some(len));
        assert!(
            error.contains("more than 1073741824") || error.contains("hint"),
            "{error}"
        );
    }
    // A length that is too short hides the rest: no more is read.
    let short = read_from(|| Answer {
        claimed_len: Some(3),
        ..Answer::new(200, "pixels")
    });
    assert_eq!(short, Ok(b"pix".to_vec()));
    let endless = message(read_from(|| Answer::redirect("/a")));
    assert_names(&endless, &["redirect", "hint"]);
    assert!(started.elapsed() < Duration::from_secs(40));
}

#[test]
fn ranges_that_are_not_those_asked_for_are_refused() {
    let answers: [fn() -> Answer; 4] = [
        || Answer::new(200, "0123456789"),
        || Answer::new(206, "345"),
        || {
            let mut answer = Answer::new(206, "012");
            answer
                .headers
                .push(("Content-Range", "bytes 0-2/10".to_owned()));
            answer
        },
        || {
            let mut answer = Answer::new(206, "3");
            answer
                .headers
                .push(("Content-Range", "bytes 3-5/10".to_owned()));
            answer
        },
    ];
    for (case, answer) in answers.into_iter().enumerate() {
        let server = WebServer::start(move |request| match request.method.as_str() {
            "HEAD" => Answer::new(200, ""),
            _ => answer(),
        });
        let store = open_store(server.url.as_ref()).expect("answers");
        let error = message(store.read_range("a", 3..6));
        assert!(!error.is_empty(), "{case}");
    }
}

#[test]
fn a_damaged_image_on_a_server_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    write_described(folder.path(), "");
    write(folder.path(), "1.png", &png_u8(8, 8, 1)[..40]);
    let server = WebServer::of_folder(folder.path());
    let screen = open_screen(server.url.as_ref(), None).expect("opens");
    assert_names(
        &message(screen.read_plane(0, 0)),
        &["A01", "truncated or damaged", "1.png", "hint"],
    );
}

#[test]
fn a_url_of_one_file_is_refused() {
    let error = message(open_store("https://host/a?signature=x".as_ref()));
    assert_names(&error, &["'?'", "hint"]);
}
