use morphospace_report::{Notes, Page, Section, write_page};

#[test]
fn the_same_page_gives_the_same_bytes() {
    let page = Page::new("page").with_section(Section::new("s").with(Notes::default()));
    let folder = tempfile::tempdir().expect("a folder");
    let paths = [
        folder.path().join("a.html"),
        folder.path().join("deep/b.html"),
    ];
    for path in &paths {
        write_page(path, &page).expect("written");
    }
    let [a, b] = paths.map(|path| std::fs::read(path).expect("read"));
    assert_eq!(a, b);
    assert_eq!(a, page.to_html().into_bytes());
}

#[test]
fn a_page_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let occupied = folder.path().join("report.html");
    std::fs::create_dir(&occupied).expect("a folder in the way");
    std::fs::write(occupied.join("file"), b"").expect("not empty");
    let error = write_page(&occupied, &Page::new("page")).expect_err("a folder is in the way");
    assert!(error.to_string().contains("report.html"), "{error}");
    // And no half-written file is left beside it.
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1);
}
