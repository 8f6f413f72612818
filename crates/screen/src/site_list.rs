use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use morphospace_core::{PlateKey, Site, SiteKey, Well, WellAddress};

use crate::ScreenError;

/// Wells seen so far, each held once however many sites it has.
#[derive(Default)]
pub(crate) struct Wells {
    seen: HashMap<(PlateKey, WellAddress), SeenWell>,
    /// The well of the last row: most tables list the sites of a well one
    /// after the other.
    last: Option<SeenWell>,
}

/// A well, and the row that described it first.
#[derive(Clone)]
struct SeenWell {
    well: Arc<Well>,
    row: usize,
}

impl Wells {
    /// The shared well, after checking that rows agree on it. `place` says
    /// where a row stands, this one or one before it.
    pub(crate) fn share(
        &mut self,
        well: Well,
        row: usize,
        place: impl Fn(usize) -> String,
    ) -> Result<Arc<Well>, ScreenError> {
        let is_last =
            |last: &&SeenWell| last.well.address == well.address && last.well.plate == well.plate;
        let first = match self.last.as_ref().filter(is_last) {
            Some(last) => last.clone(),
            None => match self.seen.entry((well.plate.clone(), well.address)) {
                Entry::Occupied(first) => first.get().clone(),
                Entry::Vacant(place) => {
                    let well = Arc::new(well);
                    let seen = SeenWell {
                        well: Arc::clone(&well),
                        row,
                    };
                    place.insert(seen.clone());
                    self.last = Some(seen);
                    return Ok(well);
                }
            },
        };
        if !agree(&first.well, &well) {
            return Err(ScreenError::ConflictingWell {
                plate: well.plate.to_string(),
                well: well.address.to_string(),
                first: format!("{} in {}", description(&first.well), place(first.row)),
                second: description(&well),
                place: place(row),
            });
        }
        let shared = Arc::clone(&first.well);
        self.last = Some(first);
        Ok(shared)
    }
}

/// Whether two rows say the same about a well; its spelling may differ.
fn agree(a: &Well, b: &Well) -> bool {
    a.perturbations == b.perturbations
        && a.background == b.background
        && a.control_role == b.control_role
        && a.cell_type == b.cell_type
}

fn description(well: &Well) -> String {
    let mut text = format!(
        "{} '{}'",
        well.control_role,
        well.label().unwrap_or_default()
    );
    if let Some(cell_type) = &well.cell_type {
        text.push_str(&format!(" in {cell_type}"));
    }
    if let Some(background) = &well.background {
        text.push_str(&format!(" on {background}"));
    }
    text
}

/// Sorts sites, each with what its reader keeps beside it, and refuses
/// duplicates. `place` says where an item came from.
pub(crate) fn sorted_unique<T>(
    mut items: Vec<(Site, T)>,
    place: impl Fn(&Site, &T) -> String,
) -> Result<(Vec<Site>, Vec<T>), ScreenError> {
    // A stable sort: of two equal sites the one that came first stays first.
    items.sort_by(|(a, _), (b, _)| a.key.cmp(&b.key));
    if let Some(pair) = items.windows(2).find(|pair| pair[0].0.key == pair[1].0.key) {
        return Err(ScreenError::DuplicateSite {
            site: Box::new(pair[1].0.key.clone()),
            first: place(&pair[0].0, &pair[0].1),
            second: place(&pair[1].0, &pair[1].1),
        });
    }
    Ok(items.into_iter().unzip())
}

/// A screen's name from where it lies: the last step of its path.
pub(crate) fn name_of(location: &str) -> String {
    let trimmed = location.trim_end_matches(['/', '\\']);
    let last = trimmed.rsplit(['/', '\\']).next().unwrap_or(trimmed);
    if last.is_empty() { location } else { last }.to_owned()
}

/// [`name_of`] a folder, or of an archive in place of one: without `.zip` or
/// `.tar`, so that packing a screen renames nothing in it.
pub(crate) fn folder_name(location: &str) -> String {
    let name = name_of(location);
    match name.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty() && ["zip", "tar"].contains(&&*extension.to_ascii_lowercase()) =>
        {
            stem.to_owned()
        }
        _ => name,
    }
}

/// A site's identity as one piece of text, as `site_key` columns hold it:
/// RxRx's `site_id`, preceded by the source and followed by `z` and `t`
/// where the screen has them.
///
/// ```
/// use morphospace_core::{PlateKey, SiteKey};
/// use morphospace_screen::site_key_text;
///
/// let mut site = SiteKey::new(PlateKey::new("HUVEC-01", "1"), "B02".parse()?, 2);
/// assert_eq!(site_key_text(&site), "HUVEC-01_1_B02_2");
/// site.z_index = Some(0);
/// assert_eq!(site_key_text(&site), "HUVEC-01_1_B02_2_z0");
/// # Ok::<(), morphospace_core::InvalidWellAddress>(())
/// ```
pub fn site_key_text(key: &SiteKey) -> String {
    let mut text = match &key.plate.source {
        Some(source) => format!("{source}_{}", key.site_id()),
        None => key.site_id(),
    };
    if let Some(z) = key.z_index {
        text.push_str(&format!("_z{z}"));
    }
    if let Some(t) = key.time_index {
        text.push_str(&format!("_t{t}"));
    }
    text
}
