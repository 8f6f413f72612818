use reqwest::Url;
use serde::Deserialize;

use super::plan::below;
use super::{FetchError, FilePlan};
use crate::store::{BucketStore, blocking_runtime, http_client, in_short};

/// Longest page of a listing that is read.
const MAX_PAGE_LEN: usize = 1 << 26;

/// Most pages of a listing that are read.
const MAX_NUM_PAGES: usize = 1_000;

/// Most files that a listing may have.
const MAX_NUM_FILES: usize = 5_000_000;

/// A file in the tree of a Hugging Face repository.
#[derive(Debug, Deserialize)]
struct TreeEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    size: Option<u64>,
    /// Of large files: their SHA-256 and length.
    lfs: Option<LargeFile>,
}

#[derive(Debug, Deserialize)]
struct LargeFile {
    oid: String,
    size: u64,
}

/// The files of a repository of Hugging Face, as its tree API lists them.
/// Source: `huggingface_hub`, `HfApi.list_repo_tree`.
pub(super) fn list_hugging_face(
    base: &Url,
    repository: &str,
    revision: &str,
    include: &[String],
) -> Result<Vec<FilePlan>, FetchError> {
    let kind = match repository.split('/').count() {
        2 => "models/",
        _ => "",
    };
    let tree = below(base, &format!("api/{kind}{repository}/tree/{revision}"));
    let mut page = format!("{tree}?recursive=true");
    let mut files = Vec::new();
    for _ in 0..MAX_NUM_PAGES {
        let (body, next) = read_page(&page)?;
        let entries: Vec<TreeEntry> =
            serde_json::from_slice(&body).map_err(|error| FetchError::InvalidListing {
                url: page.clone(),
                message: error.to_string(),
            })?;
        for entry in entries {
            if entry.kind != "file" || !is_included(include, &entry.path) {
                continue;
            }
            let path = format!("{repository}/resolve/{revision}/{}", entry.path);
            files.push(FilePlan {
                url: below(base, &path),
                len: entry.lfs.as_ref().map(|lfs| lfs.size).or(entry.size),
                sha256: entry.lfs.map(|lfs| lfs.oid.to_ascii_lowercase()),
                path: entry.path,
            });
        }
        match next {
            // Only the place in the list is taken from the server, so that
            // no page leads to another one.
            Some(query) => page = format!("{tree}?{query}"),
            None => return checked(files, &page),
        }
    }
    Err(FetchError::InvalidListing {
        url: tree,
        message: format!("it has more than {MAX_NUM_PAGES} pages"),
    })
}

fn is_included(include: &[String], path: &str) -> bool {
    include.iter().any(|wanted| {
        path == wanted || (wanted.ends_with('/') && path.starts_with(wanted.as_str()))
    })
}

/// Files whose checksums are none would never be put in place.
fn checked(files: Vec<FilePlan>, url: &str) -> Result<Vec<FilePlan>, FetchError> {
    let is_sha256 =
        |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bad = files
        .iter()
        .find(|file| !file.sha256.as_ref().is_none_or(is_sha256));
    match bad {
        None => Ok(files),
        Some(file) => Err(FetchError::InvalidListing {
            url: url.to_owned(),
            message: format!(
                "the checksum of '{}' is no SHA-256",
                file.path.escape_debug()
            ),
        }),
    }
}

/// A page, and the query of the next one.
fn read_page(url: &str) -> Result<(Vec<u8>, Option<String>), FetchError> {
    let no_answer = |message: String| FetchError::NoAnswer {
        url: url.to_owned(),
        message,
        hint: "check the network; behind a mirror, give its URL with --from",
    };
    let client = http_client().map_err(|error| no_answer(error.to_string()))?;
    let runtime = blocking_runtime().map_err(|error| no_answer(error.to_string()))?;
    runtime.block_on(async {
        let mut answer = client
            .get(url)
            .send()
            .await
            .map_err(|error| no_answer(in_short(&error)))?;
        if !answer.status().is_success() {
            return Err(no_answer(format!("the server answers {}", answer.status())));
        }
        let next = answer
            .headers()
            .get("link")
            .and_then(|link| next_query(link.to_str().ok()?));
        let mut body = Vec::new();
        while let Some(part) = answer
            .chunk()
            .await
            .map_err(|error| no_answer(in_short(&error)))?
        {
            if body.len() + part.len() > MAX_PAGE_LEN {
                return Err(no_answer(format!("more than {MAX_PAGE_LEN} bytes of list")));
            }
            body.extend_from_slice(&part);
        }
        Ok((body, next))
    })
}

/// The query of the URL that a `Link` header calls the next page.
fn next_query(link: &str) -> Option<String> {
    let next = link
        .split(',')
        .find(|part| part.contains("rel=\"next\"") || part.contains("rel=next"))?;
    let url = next.split_once('<')?.1.split_once('>')?.0;
    Some(Url::parse(url).ok()?.query()?.to_owned())
}

/// The files of a public bucket below a folder.
pub(super) fn list_s3(
    base: &Url,
    bucket: &str,
    root: &str,
    folders: &[String],
) -> Result<Vec<FilePlan>, FetchError> {
    let url = format!("s3://{bucket}/{root}");
    let no_answer = |message: String| FetchError::NoAnswer {
        url: below(base, &format!("{bucket}/{root}")),
        message,
        hint: "check the network; behind a mirror, give its URL with --from",
    };
    let settings = [
        (
            "AWS_ENDPOINT".to_owned(),
            base.as_str().trim_end_matches('/').to_owned(),
        ),
        ("AWS_SKIP_SIGNATURE".to_owned(), "true".to_owned()),
    ];
    let store =
        BucketStore::open_with(&url, settings).map_err(|error| no_answer(error.to_string()))?;
    let mut files = Vec::new();
    for folder in folders {
        let listed = store
            .files_with_lengths(folder, MAX_NUM_FILES)
            .map_err(|error| no_answer(error.to_string()))?;
        files.extend(listed.into_iter().map(|(path, len)| FilePlan {
            url: below(base, &format!("{bucket}/{root}/{path}")),
            path,
            len: Some(len),
            sha256: None,
        }));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_the_link_header() {
        let link = "<https://huggingface.co/api/x?recursive=true&cursor=abc>; rel=\"next\"";
        assert_eq!(
            next_query(link).as_deref(),
            Some("recursive=true&cursor=abc")
        );
        let link = format!("<https://h/first>; rel=\"prev\", {link}");
        assert_eq!(
            next_query(&link).as_deref(),
            Some("recursive=true&cursor=abc")
        );
        for link in [
            "",
            "<",
            "rel=\"next\"",
            "<nowhere>; rel=\"next\"",
            "<https://h/>; rel=\"next\"",
        ] {
            assert_eq!(next_query(link), None, "{link}");
        }
    }
}
