use std::ops::Range;

use morphospace_screen::{ImageProblem, OnIncomplete, Screen};

use crate::EmbedError;

/// Refuses a screen whose images cannot be embedded or averaged as asked,
/// before one is decoded.
pub(crate) fn check_screen(
    screen: &dyn Screen,
    on_incomplete: OnIncomplete,
) -> Result<(), EmbedError> {
    let all = 0..screen.sites().len();
    check_sites(screen, std::slice::from_ref(&all), on_incomplete)
}

/// The same of some sites of it.
pub(crate) fn check_sites(
    screen: &dyn Screen,
    sites: &[Range<usize>],
    on_incomplete: OnIncomplete,
) -> Result<(), EmbedError> {
    refuse_mixed_planes(screen)?;
    if on_incomplete == OnIncomplete::Fail {
        refuse_missing_images(screen, sites)?;
    }
    Ok(())
}

/// A well's profile is the mean of its sites, which must then be alike: the
/// mean over a time course would hide what changes in it.
fn refuse_mixed_planes(screen: &dyn Screen) -> Result<(), EmbedError> {
    let sites = screen.sites();
    let differ = sites.windows(2).find(|pair| {
        let [one, other] = [&pair[0].key, &pair[1].key];
        one.plate == other.plate
            && one.well == other.well
            && (one.z_index, one.time_index) != (other.z_index, other.time_index)
    });
    match differ {
        None => Ok(()),
        Some(pair) => Err(EmbedError::MixedPlanes {
            one: pair[0].key.to_string(),
            other: pair[1].key.to_string(),
        }),
    }
}

fn refuse_missing_images(screen: &dyn Screen, sites: &[Range<usize>]) -> Result<(), EmbedError> {
    let first_missing_channel = |site: usize| {
        (0..screen.channels().len()).find(|channel| !screen.is_present(site, *channel))
    };
    let num_sites = sites.iter().map(ExactSizeIterator::len).sum();
    let mut sites = sites.iter().cloned().flatten();
    let mut missing = sites
        .by_ref()
        .filter_map(|site| Some((site, first_missing_channel(site)?)));
    let Some((site_index, channel_index)) = missing.next() else {
        return Ok(());
    };
    Err(EmbedError::Incomplete {
        screen: screen.name().to_owned(),
        num_incomplete: 1 + missing.count(),
        num_sites,
        // What follows the first line is a hint; ours fits better.
        first: screen
            .image_error(site_index, channel_index, ImageProblem::Missing)
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
    })
}
