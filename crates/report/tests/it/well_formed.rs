/// Tags that have no end.
const VOID: [&str; 2] = ["meta", "img"];

/// Fails unless every tag is closed in order, every attribute is quoted, and
/// nothing is loaded from elsewhere.
pub(crate) fn check_well_formed(html: &str) {
    let mut open: Vec<String> = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("HTML 5");
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(
            !text.contains('>') || open.last().is_some_and(|tag| tag == "style"),
            "{text}"
        );
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed out of order");
            continue;
        }
        let name = tag.split([' ', '/', '\n']).next().unwrap_or_default();
        assert_ne!(name, "script");
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes of <{tag}>");
        for address in ["src=\"", "href=\""] {
            if let Some((_, value)) = tag.split_once(address) {
                let inside = value.starts_with("data:image/png;base64,") || value.starts_with('#');
                assert!(inside, "<{tag}> leaves the page");
            }
        }
        // An event handler would run script: ` onclick="..."`.
        let outside: String = tag.split('"').step_by(2).collect();
        assert!(!outside.contains(" on"), "<{tag}> has a handler");
        if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    for word in ["url(", "@import", "http://", "https://"] {
        assert!(!html.contains(word), "a page must not load '{word}'");
    }
}

#[test]
fn the_check_itself_finds_what_is_wrong() {
    let refused = |body: &str| {
        let html = format!("<!DOCTYPE html><html>{body}</html>");
        std::panic::catch_unwind(|| check_well_formed(&html)).is_err()
    };
    assert!(!refused("<p title=\"a\">b</p>"));
    for body in [
        "<p>",
        "<b><i></b></i>",
        "<script></script>",
        "<img src=\"x.png\">",
        "<p onclick=\"x\"></p>",
        "a > b",
        "<a href=\"https://example.org\">x</a>",
    ] {
        assert!(refused(body), "{body}");
    }
}
