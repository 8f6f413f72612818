use std::fs;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;

use super::config::PackError;
use super::site_array::pixel_checksum;
use crate::readers::OmeZarrScreen;
use crate::screen::Screen;

/// What a pack was found to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PackVerification {
    /// Images that were decoded and have the pixels that were packed.
    pub num_sound: usize,
    /// Images that were found otherwise, each with what is wrong.
    pub damaged: Vec<String>,
}

/// Decodes every image of a pack, which checks the sums of its chunks, and
/// compares its pixels with the SHA-256 that was noted when it was packed.
/// With `source`, the screen it was packed from, the source's images are
/// decoded and compared as well.
///
/// # Errors
/// [`PackError::Screen`]: the pack cannot be opened. What is wrong with its
/// images is in the result.
pub fn verify_pack(
    root: &Path,
    source: Option<&dyn Screen>,
) -> Result<PackVerification, PackError> {
    let pack = OmeZarrScreen::open(root)?;
    let found: Vec<Result<(), String>> = (0..pack.sites().len())
        .into_par_iter()
        .flat_map_iter(|site| verify_site(root, &pack, site, source))
        .collect();
    let mut verification = PackVerification::default();
    for image in found {
        match image {
            Ok(()) => verification.num_sound += 1,
            Err(problem) => verification.damaged.push(problem),
        }
    }
    Ok(verification)
}

fn verify_site(
    root: &Path,
    pack: &OmeZarrScreen,
    site_index: usize,
    source: Option<&dyn Screen>,
) -> Vec<Result<(), String>> {
    let key = &pack.sites()[site_index].key;
    let folder = root.join(pack.image_group(site_index));
    let sums = noted_sums(&folder);
    let again = format!("hint: remove '{}' and pack again", folder.display());
    let source_index = source.and_then(|source| Some((source, source.site_index(key)?)));
    let verify = |channel: usize| {
        let plane = pack.read_plane(site_index, channel).map_err(|error| {
            let error = error.to_string();
            let problem = error.lines().next().unwrap_or_default();
            format!("{problem}\n{again}")
        })?;
        let sum = pixel_checksum(&plane);
        let name = &pack.channels()[channel];
        if sums.get(channel).is_none_or(|noted| *noted != sum) {
            return Err(format!(
                "{key} channel {name}: other pixels than were packed\n{again}"
            ));
        }
        if let Some((source, source_site)) = source_index {
            let original = source
                .read_plane(source_site, channel)
                .map_err(|error| error.to_string())?;
            // An 8-bit channel among 16-bit ones is stored with 16.
            if original.values() != plane.values() {
                return Err(format!(
                    "{key} channel {name}: the source has changed since it was packed\n{again}"
                ));
            }
        }
        Ok(())
    };
    (0..pack.channels().len())
        .filter(|&channel| pack.plane_location(site_index, channel).is_some())
        .map(verify)
        .collect()
}

/// The sums noted with a site's array.
fn noted_sums(folder: &Path) -> Vec<String> {
    let group: Value = fs::read(folder.join("zarr.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let sums = group["attributes"]["morphospace"]["pixels_sha256"].as_array();
    let text = |sum: &Value| sum.as_str().unwrap_or_default().to_owned();
    sums.map(|sums| sums.iter().map(text).collect())
        .unwrap_or_default()
}
