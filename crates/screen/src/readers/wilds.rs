use morphospace_core::Channel;

use crate::ScreenError;
use crate::decode::{DecodeError, decode_planes};
use crate::error::ImageProblem;
use crate::readers::rxrx1::{self, Rxrx1Screen, SiteFiles};
use crate::screen::Plane;
use crate::store::{SharedStore, joined};
use crate::table::Table;

/// Channels of RxRx1 that WILDS kept: Hoechst, ConA, phalloidin.
const NUM_CHANNELS: usize = 3;

/// Opens RxRx1 as WILDS hands it out (`rxrx1_v1.0`): one colour PNG of
/// 256 x 256 pixels per site, whose red, green and blue are `w1`, `w2` and
/// `w3`.
///
/// That is less than RxRx1: half of its six channels at half its
/// resolution. [`Screen::notes`] says so.
///
/// # Layout
/// `images/{experiment}/Plate{plate}/{well}_s{site}.png` and a
/// `metadata.csv` with [`Rxrx1Screen`]'s columns. The column `dataset`
/// (`train`, `val`, `test`) is WILDS' split, which takes the two sites of a
/// training well apart, and is not used here.
///
/// # Errors
/// As [`Rxrx1Screen::open`].
///
/// # Source
/// `wilds/datasets/rxrx1_dataset.py` of Koh et al. 2021,
/// <https://arxiv.org/abs/2012.07421>.
///
/// [`Screen::notes`]: crate::Screen::notes
pub fn open_wilds(store: SharedStore) -> Result<Rxrx1Screen, ScreenError> {
    let name = Rxrx1Screen::metadata_file(&store).ok_or_else(|| ScreenError::UnknownFormat {
        path: store.location().into(),
        found: "it has no table of sites".to_owned(),
        markers: "'metadata.csv'".to_owned(),
    })?;
    let sites = rxrx1::read_sites(&Table::read(&store, name, None, &[])?)?;
    if sites.is_empty() {
        return Err(ScreenError::EmptyScreen {
            name: store.location(),
            reason: format!("'{name}' has no row below its header"),
        });
    }
    let mut channels = Channel::rxrx1();
    channels.truncate(NUM_CHANNELS);
    let notes = vec![
        "WILDS' reduction of RxRx1: channels w1 to w3 of six, at 256 x 256 of 512 x 512 pixels"
            .to_owned(),
    ];
    Rxrx1Screen::with_sites(store, channels, sites, SiteFiles::Colour, notes)
}

/// Whether a place has RxRx1's table, and images without a channel in their
/// name.
pub(super) fn is_wilds(store: &SharedStore) -> bool {
    if Rxrx1Screen::metadata_file(store).is_none() {
        return false;
    }
    let first_folder = |folder: &str| {
        let entries = store.entries(folder).unwrap_or_default();
        let mut folders = entries.into_iter().filter(|entry| entry.is_folder);
        folders.next().map(|entry| joined(folder, &entry.name))
    };
    let Some(plate) = first_folder("images").and_then(|experiment| first_folder(&experiment))
    else {
        return false;
    };
    let entries = store.entries(&plate).unwrap_or_default();
    let mut images = entries
        .iter()
        .filter_map(|entry| entry.name.strip_suffix(".png"));
    images.next().is_some_and(|stem| {
        stem.rsplit_once("_s").is_some_and(|(_, site)| {
            !site.is_empty() && site.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

/// One component of a colour image.
pub(super) fn read_component(
    store: &SharedStore,
    path: &str,
    channel_index: usize,
) -> Result<Plane, ImageProblem> {
    let bytes = store.read(path)?;
    let mut planes = decode_planes(&bytes).map_err(ImageProblem::Undecodable)?;
    if planes.len() < NUM_CHANNELS {
        let message = format!("its pixels have {} components, not 3", planes.len());
        let format = "PNG";
        return Err(ImageProblem::Undecodable(DecodeError::Damaged {
            format,
            message,
        }));
    }
    Ok(planes.swap_remove(channel_index))
}
