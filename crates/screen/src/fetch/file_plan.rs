/// A file that is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePlan {
    /// Where it is put, below the folder that is fetched into.
    pub path: String,
    /// Where it is had.
    pub url: String,
    /// Its length in bytes, if known.
    pub len: Option<u64>,
    /// Its SHA-256 in lower-case hexadecimal digits, if known.
    pub sha256: Option<String>,
}

/// Longest path that is written.
const MAX_PATH_LEN: usize = 1_024;

impl FilePlan {
    /// What makes a path unfit to be written below a folder, if anything.
    /// Lists of files come from servers.
    pub(super) fn path_problem(path: &str) -> Option<&'static str> {
        if path.is_empty() || path.len() > MAX_PATH_LEN {
            return Some("is no path, or too long a one");
        }
        if path.starts_with('/') || path.contains(['\\', ':']) {
            return Some("may lead out of the folder");
        }
        if path.contains(char::is_control) {
            return Some("has control characters");
        }
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Some("may lead out of the folder");
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        if path == super::FETCH_RECORD || name.ends_with(".partial") || name.ends_with(".etag") {
            return Some("has the name of a file of fetch's own");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_folder() {
        for path in [
            "",
            "/a",
            "../a",
            "a/../../b",
            "a/./b",
            "a//b",
            "a/",
            "..\\a",
            "C:/a",
            "a\nb",
            "fetch.json",
            "x/a.partial",
            "a.etag",
        ] {
            assert!(FilePlan::path_problem(path).is_some(), "{path:?}");
        }
        for path in [
            "a",
            "data/train-00000-of-00035.parquet",
            "a b/ä.tiff",
            "..a",
        ] {
            assert_eq!(FilePlan::path_problem(path), None, "{path:?}");
        }
    }
}
