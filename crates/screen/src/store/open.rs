use std::path::Path;
use std::sync::Arc;

use super::mounted::MountedStore;
use super::{FolderStore, SharedStore, StoreError, TarStore, ZipStore, joined};

/// How deep below a folder archives are looked for: RxRx3's plates lie at
/// `{experiment}/Plate{plate}.tar`, often below `images` and one folder more.
const ARCHIVE_DEPTH: usize = 4;

/// Entries of a folder after which it is one of images, if none of them is a
/// folder or an archive. What lies directly in the root is always looked at,
/// and in its folders.
const NUM_PEEKED: usize = 64;

/// Whether a path names a bucket or web server.
///
/// ```
/// use morphospace_screen::store::is_url;
///
/// assert!(is_url("s3://cellpainting-gallery/cpg0016-jump"));
/// assert!(!is_url("C:/plates"));
/// assert!(!is_url("C://plates"));
/// ```
pub fn is_url(path: &str) -> bool {
    path.split_once("://").is_some_and(|(scheme, _)| {
        // A single letter is a drive.
        scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Opens a folder, a `.zip` or `.tar` archive, or a URL (`s3://`, `gs://`,
/// `az://`, `https://`) as [`open_bucket`] does with the environment for
/// settings. Archives that lie in a folder, or up to three folders below it,
/// read as if they were unpacked where they lie.
///
/// # Errors
/// [`StoreError`]: there is nothing, the archive is damaged, or the server
/// does not answer.
pub fn open_store(location: &Path) -> Result<SharedStore, StoreError> {
    if let Some(url) = location.to_str().filter(|text| is_url(text)) {
        return open_reached(url);
    }
    if location.is_file() {
        return open_archive(location);
    }
    if !location.exists() {
        return Err(StoreError::Missing);
    }
    let base: SharedStore = Arc::new(FolderStore::new(location));
    let mut archives = Vec::new();
    find_archives(location, "", 1, &mut archives)?;
    archives.sort();
    if archives.is_empty() {
        return Ok(base);
    }
    let mut mounts = Vec::new();
    for path in archives {
        let archive = open_archive(&location.join(&path))?;
        mounts.push((mount_point(&path, &*archive)?, archive));
    }
    Ok(Arc::new(MountedStore::new(base, mounts)))
}

/// Opens a bucket, a web server, or a `.zip` archive on one.
///
/// Credentials, region and endpoint are taken from `settings`, by the names
/// of the environment's variables that the clouds' own tools use:
///
/// | cloud | settings |
/// |---|---|
/// | S3 | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL` |
/// | Google | `GOOGLE_APPLICATION_CREDENTIALS`, `GOOGLE_BASE_URL` |
/// | Azure | `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_SAS_TOKEN`, `AZURE_STORAGE_ENDPOINT`, `AZURE_STORAGE_USE_EMULATOR` |
///
/// Without credentials requests are unsigned, as public buckets such as the
/// Cell Painting Gallery want them; `AWS_SKIP_SIGNATURE=false` asks the
/// machine that the program runs on for credentials. The files of a web
/// server cannot be listed.
///
/// # Errors
/// [`StoreError::Missing`]: there is no such bucket, or nothing under the
/// URL. [`StoreError::Refused`]: no answer, no permission, or a damaged
/// archive.
///
/// ```no_run
/// use morphospace_screen::open_screen_in;
/// use morphospace_screen::store::open_bucket;
///
/// let endpoint = ("AWS_ENDPOINT_URL".to_owned(), "http://minio.institute:9000".to_owned());
/// let store = open_bucket("s3://screens/rxrx1", [endpoint])?;
/// let screen = open_screen_in(store, None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "buckets")]
pub fn open_bucket(
    url: &str,
    settings: impl IntoIterator<Item = (String, String)>,
) -> Result<SharedStore, StoreError> {
    let url = url.trim_end_matches('/');
    let Some((parent, name)) = url
        .rsplit_once('/')
        .filter(|(_, name)| has_extension(name, &[".zip", ".tar"]))
    else {
        let store = super::BucketStore::open_with(url, settings)?;
        store.check_answers()?;
        return Ok(Arc::new(store));
    };
    if has_extension(name, &[".tar"]) {
        return Err(StoreError::Refused(format!(
            "'{url}' is a tar archive on a server, which has no table of contents\nhint: download \
             it, and open the copy"
        )));
    }
    let store: SharedStore = Arc::new(super::BucketStore::open_with(parent, settings)?);
    Ok(Arc::new(ZipStore::open_in(&store, name)?))
}

#[cfg(feature = "buckets")]
fn open_reached(url: &str) -> Result<SharedStore, StoreError> {
    open_bucket(url, super::bucket::environment())
}

/// Opens a bucket or web server without asking it anything.
#[cfg(feature = "buckets")]
pub(super) fn open_url(url: &str) -> Result<SharedStore, StoreError> {
    Ok(Arc::new(super::BucketStore::open(url)?))
}

#[cfg(not(feature = "buckets"))]
fn open_reached(url: &str) -> Result<SharedStore, StoreError> {
    open_url(url)
}

#[cfg(not(feature = "buckets"))]
pub(super) fn open_url(url: &str) -> Result<SharedStore, StoreError> {
    Err(StoreError::Refused(format!(
        "'{url}' is in a bucket, which this build cannot read\nhint: build with --features buckets"
    )))
}

fn has_extension(path: &str, extensions: &[&str]) -> bool {
    let lower = path.to_ascii_lowercase();
    extensions
        .iter()
        .any(|extension| lower.ends_with(extension))
}

fn open_archive(path: &Path) -> Result<SharedStore, StoreError> {
    let name = path.to_string_lossy();
    if has_extension(&name, &[".zip"]) {
        Ok(Arc::new(ZipStore::open(path)?))
    } else if has_extension(&name, &[".tar"]) {
        Ok(Arc::new(TarStore::open(path)?))
    } else if has_extension(
        &name,
        &[".tar.gz", ".tgz", ".tar.xz", ".tar.zst", ".tar.bz2"],
    ) {
        Err(StoreError::Refused(format!(
            "'{name}' is a compressed tar archive, of which single images cannot be read\nhint: \
             decompress it to a .tar, or unpack it"
        )))
    } else {
        Err(StoreError::Refused(format!(
            "'{name}' is neither a folder nor a .zip or .tar archive"
        )))
    }
}

/// Finds archives in a folder of the root and below. Folders of images,
/// which may hold thousands, are left after a few entries.
fn find_archives(
    root: &Path,
    folder: &str,
    depth: usize,
    found: &mut Vec<String>,
) -> Result<(), StoreError> {
    let cannot_list = |error: std::io::Error| {
        let folder = root.join(folder);
        StoreError::Refused(format!("folder '{}': {error}", folder.display()))
    };
    let mut has_more_than_files = depth <= 2;
    let mut below = Vec::new();
    let listing = std::fs::read_dir(root.join(folder)).map_err(cannot_list)?;
    for (num_seen, entry) in listing.enumerate() {
        if num_seen >= NUM_PEEKED && !has_more_than_files {
            break;
        }
        let entry = entry.map_err(cannot_list)?;
        let kind = entry.file_type().map_err(cannot_list)?;
        let path = joined(folder, &entry.file_name().to_string_lossy());
        // Screens are often assembled from links.
        let is_folder = kind.is_dir() || kind.is_symlink() && entry.path().is_dir();
        has_more_than_files |= is_folder;
        if !is_folder && has_extension(&path, &[".zip", ".tar"]) {
            has_more_than_files = true;
            found.push(path);
        } else if is_folder && !(kind.is_symlink() && leads_up(&entry.path())) {
            below.push(path);
        }
    }
    if depth < ARCHIVE_DEPTH {
        for path in below {
            if !has_extension(&path, &[".zarr"]) {
                find_archives(root, &path, depth + 1, found)?;
            }
        }
    }
    Ok(())
}

/// Whether a link leads to a folder above itself.
fn leads_up(link: &Path) -> bool {
    let folder = link.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, link.canonicalize()) {
        (Some(folder), Ok(target)) => folder.starts_with(target),
        _ => true,
    }
}

/// Where an archive appears. `gene-001/Plate1.tar` may hold bare images, a
/// folder `Plate1`, or `gene-001/Plate1`: all three become
/// `gene-001/Plate1/…`.
fn mount_point(path: &str, archive: &dyn super::Store) -> Result<String, StoreError> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let entries = archive.entries("")?;
    if entries.iter().any(|entry| !entry.is_folder) {
        return Ok(joined(parent, stem));
    }
    // An archive that repeats the folders above itself starts where they do.
    let parents: Vec<&str> = parent.split('/').collect();
    let repeats = parents
        .iter()
        .position(|folder| entries.len() == 1 && entries[0].name == *folder);
    Ok(match repeats {
        Some(at) => parents[..at].join("/"),
        None => parent.to_owned(),
    })
}
