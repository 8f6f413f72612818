use morphospace_screen::{ImageProblem, OnIncomplete, Screen};

use crate::EmbedError;

/// Looks for missing images before any is decoded, if one would be the end.
pub(crate) fn refuse_missing_images(
    screen: &dyn Screen,
    on_incomplete: OnIncomplete,
) -> Result<(), EmbedError> {
    if on_incomplete != OnIncomplete::Fail {
        return Ok(());
    }
    let first_missing_channel = |site: usize| {
        (0..screen.channels().len()).find(|channel| !screen.is_present(site, *channel))
    };
    let num_sites = screen.sites().len();
    let mut missing = (0..num_sites).filter_map(|site| Some((site, first_missing_channel(site)?)));
    let Some((site_index, channel_index)) = missing.next() else {
        return Ok(());
    };
    Err(EmbedError::Incomplete {
        screen: screen.name().to_owned(),
        num_incomplete: 1 + missing.count(),
        num_sites,
        first: Box::new(screen.image_error(site_index, channel_index, ImageProblem::Missing)),
    })
}
