use morphospace_report::{
    Bar, BarFigure, Block, Notes, Page, Section, figure_svg, write_figure, write_page,
};

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

#[test]
fn a_figure_is_written_by_the_ending_of_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let bars = BarFigure::new("Channels", "value").with_bar(Bar::new("nuclei", 0.1));
    let figure = Block::from(bars);
    let path = folder.path().join("figure.SVG");
    write_figure(&path, &figure).expect("written");
    let svg = std::fs::read_to_string(&path).expect("read");
    assert_eq!(Some(svg), figure_svg(&figure));
    let error = write_figure(&folder.path().join("figure.tiff"), &figure).expect_err("refused");
    assert!(error.to_string().contains("figure.tiff"), "{error}");
    let text = Block::from("a paragraph");
    let error = write_figure(&folder.path().join("text.svg"), &text).expect_err("refused");
    assert!(error.to_string().contains("text.svg"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1);
}

#[cfg(feature = "png")]
#[test]
fn an_image_has_the_letters_of_its_figure() {
    let folder = tempfile::tempdir().expect("a folder");
    let ink = |label: &str| {
        let bars = BarFigure::new("c", "v").with_bar(Bar::new(label, 0.1));
        let path = folder.path().join("figure.png");
        write_figure(&path, &Block::from(bars)).expect("written");
        let file = std::io::BufReader::new(std::fs::File::open(&path).expect("there"));
        let mut reader = png::Decoder::new(file).read_info().expect("an image");
        let mut pixels = vec![0; reader.output_buffer_size().expect("small")];
        reader.next_frame(&mut pixels).expect("pixels");
        pixels
            .chunks_exact(4)
            .filter(|pixel| pixel[0] < 200)
            .count()
    };
    // Left of the same bar stand letters, whatever fonts the machine has.
    assert!(ink("............") + 30 < ink("MMMMMMMMMMMM"));
}
