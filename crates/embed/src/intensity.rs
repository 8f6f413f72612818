use std::sync::Arc;

use morphospace_profiles::Profiles;
use morphospace_screen::{
    IntensityStatistics, OnIncomplete, Plane, ReadSite, Screen, SiteImage, SkippedSite, read_site,
};
use rayon::prelude::*;

use crate::mean_rows::{FilledColumns, MeanRows};
use crate::screen_check::check_screen;
use crate::{EmbedError, Level};

/// Sites that are held in memory at a time.
const CHUNK: usize = 64;

/// Per-channel mean, standard deviation, minimum, maximum and median of the
/// raw pixels of each site, averaged per well: the baseline a learned
/// embedding has to beat. Kraus et al. 2023 use "30 intensity features"
/// without listing them; five statistics of six channels are thirty.
///
/// Features are named `feature_{channel}_{statistic}`. 16-bit pixels are
/// divided by 257, as networks take them; the provenance says of how many
/// sites.
///
/// # Errors
/// As [`embed`](crate::embed); nothing is standardised or cut into tiles.
pub fn intensity_profiles(
    screen: &dyn Screen,
    on_incomplete: OnIncomplete,
) -> Result<(Profiles, Vec<SkippedSite>), EmbedError> {
    check_screen(screen, on_incomplete)?;
    let channels = screen.channels();
    let columns = Arc::new(FilledColumns::of(screen.sites()));
    let mut means = MeanRows::new(Level::Wells, columns);
    let mut skipped = Vec::new();
    let mut num_sites_used = 0;
    let mut num_sites_of_16_bit = 0;
    let num_sites = screen.sites().len();
    for first in (0..num_sites).step_by(CHUNK) {
        let sites: Vec<_> = (first..(first + CHUNK).min(num_sites))
            .into_par_iter()
            .map(|site_index| {
                let values = match read_site(screen, site_index, on_incomplete)? {
                    ReadSite::Image(image) => Ok(intensities(&image)),
                    ReadSite::Skipped(site) => Err(site),
                };
                Ok((site_index, values))
            })
            .collect::<Result<Vec<(usize, Result<Intensities, SkippedSite>)>, EmbedError>>()?;
        for (site_index, values) in sites {
            match values {
                Ok(Intensities { values, is_deep }) => {
                    means.add(screen, site_index, None, values.into_iter());
                    num_sites_used += 1;
                    num_sites_of_16_bit += usize::from(is_deep);
                }
                Err(site) => skipped.push(site),
            }
        }
    }
    if num_sites_used == 0 {
        return Err(EmbedError::NothingToEmbed {
            screen: screen.name().to_owned(),
            num_sites,
            first_problem: skipped
                .first()
                .map_or("it is empty".to_owned(), ToString::to_string),
            hint: crate::pass::nothing_there(on_incomplete),
        });
    }
    let names: Vec<String> = channels
        .iter()
        .flat_map(|channel| {
            IntensityStatistics::NAMES.map(|name| format!("feature_{}_{name}", channel.name))
        })
        .collect();
    let profiles = means.into_profiles(&names)?;
    let provenance = screen
        .provenance("intensity")
        .with_setting("num_sites_of_16_bit", num_sites_of_16_bit);
    Ok((profiles.with_provenance(provenance), skipped))
}

/// The statistics of a site, on the scale of 8-bit images.
struct Intensities {
    values: Vec<f64>,
    is_deep: bool,
}

fn intensities(image: &SiteImage) -> Intensities {
    let of_plane = |plane: &Plane| {
        let scale = match plane.is_rescaled_to_8_bit_range() {
            true => 1.0 / 257.0,
            false => 1.0,
        };
        let statistics = IntensityStatistics::of(&plane.pixels).to_array();
        statistics.map(|value| value * scale)
    };
    Intensities {
        values: image.planes().iter().flat_map(of_plane).collect(),
        is_deep: image.is_rescaled_to_8_bit_range(),
    }
}
