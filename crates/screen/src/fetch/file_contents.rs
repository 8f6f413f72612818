use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes by which contents are told.
const START_LEN: u64 = 64;

/// Longest end of a zip archive that has its table of contents before it: its
/// record, and the longest comment.
const END_LEN: u64 = 22 + 0xffff;

/// What is wrong with the contents of a file of a name, told by its first and
/// last bytes: nothing at all, a page in place of the file, another format
/// than the name says, or no end. Servers answer with a page, and no error,
/// where one has to sign in or where a file has moved.
pub(super) fn contents_problem(path: &str, file: &mut File) -> io::Result<Option<String>> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.by_ref().take(START_LEN).read_to_end(&mut start)?;
    let len = file.seek(SeekFrom::End(0))?;
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(len.saturating_sub(END_LEN)))?;
    file.take(END_LEN).read_to_end(&mut end)?;
    Ok(problem(path, &start).or_else(|| missing_end(path, &end)))
}

/// Of formats whose last bytes say that they are.
fn missing_end(path: &str, end: &[u8]) -> Option<String> {
    let name = path.to_ascii_lowercase();
    let (format, has_end) = match name.rsplit('.').next()? {
        "zip" => (
            "zip archive",
            end.windows(4).any(|part| part == b"PK\x05\x06"),
        ),
        "parquet" => ("Parquet table", end.ends_with(b"PAR1") && end.len() > 4),
        _ => return None,
    };
    (!has_end).then(|| format!("is not a whole {format}: its end is missing"))
}

fn problem(path: &str, start: &[u8]) -> Option<String> {
    let name = path.to_ascii_lowercase();
    if start.is_empty() {
        return Some("is empty".to_owned());
    }
    let text = String::from_utf8_lossy(start)
        .trim_start()
        .to_ascii_lowercase();
    let is_page = text.starts_with("<!doctype html") || text.starts_with("<html");
    if is_page && !name.ends_with(".html") && !name.ends_with(".htm") {
        return Some("is an HTML page".to_owned());
    }
    let is_zip = start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06");
    let (format, fits) = match name.rsplit('.').next()? {
        "zip" => ("a zip archive", is_zip),
        "gz" => ("gzipped", start.starts_with(b"\x1f\x8b")),
        "parquet" => ("a Parquet table", start.starts_with(b"PAR1")),
        // The length of a JSON header, and the header.
        "safetensors" => ("a safetensors file", start.get(8) == Some(&b'{')),
        // A zip archive, or a bare pickle as PyTorch wrote before 1.6.
        "pth" => ("a PyTorch file", is_zip || start[0] == 0x80),
        _ => return None,
    };
    let shown = &start[..start.len().min(8)];
    (!fits).then(|| {
        format!(
            "is not {format} (it starts with '{}')",
            shown.escape_ascii()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_and_tables_have_an_end() {
        assert_eq!(missing_end("a.zip", b"PK\x05\x06 and a comment"), None);
        assert_eq!(missing_end("a.parquet", b"footer PAR1"), None);
        assert_eq!(missing_end("a.csv", b""), None);
        for (path, end) in [
            ("a.zip", &b"PK\x03\x04 cut"[..]),
            ("a.parquet", b"PAR1"),
            ("a.parquet", b"PAR1 cut"),
        ] {
            let problem = missing_end(path, end).expect(path);
            assert!(problem.contains("its end is missing"), "{problem}");
        }
    }

    #[test]
    fn files_that_are_not_what_they_are_called_are_told() {
        for (path, start) in [
            ("a.zip", &b"PK\x03\x04rest"[..]),
            ("a.csv.gz", b"\x1f\x8b\x08"),
            ("a.parquet", b"PAR1\x15"),
            ("a.safetensors", b"\x40\0\0\0\0\0\0\0{\"a\""),
            ("a.pth", b"PK\x03\x04"),
            ("a.pth", b"\x80\x02"),
            ("a.csv", b"anything"),
            ("a.html", b"<html>"),
        ] {
            assert_eq!(problem(path, start), None, "{path}");
        }
        for (path, start, part) in [
            ("a.csv", &b""[..], "is empty"),
            ("a.zip", b"\n <!DOCTYPE html>", "is an HTML page"),
            ("a.csv", b"<HTML><body>", "is an HTML page"),
            (
                "a.ZIP",
                b"\x1f\x8b",
                "not a zip archive (it starts with '\\x1f\\x8b')",
            ),
            ("a.gz", b"PK\x03\x04", "not gzipped"),
            ("a.parquet", b"PAR", "not a Parquet table"),
            ("a.safetensors", b"{", "not a safetensors file"),
            ("a.pth", b"{", "not a PyTorch file"),
        ] {
            let found = problem(path, start).expect(path);
            assert!(found.contains(part), "{found}");
        }
    }
}
