use morphospace_core::Provenance;
use morphospace_profiles::Profiles;
use morphospace_screen::{
    IntensityStatistics, OnIncomplete, ReadSite, Screen, SkippedSite, read_site,
};
use rayon::prelude::*;

use crate::EmbedError;
use crate::screen_check::check_screen;
use crate::well_means::WellMeans;

/// Sites that are held in memory at a time.
const CHUNK: usize = 64;

/// Per-channel mean, standard deviation, minimum, maximum and median of the
/// raw pixels of each site, averaged per well: the baseline a learned
/// embedding has to beat. Kraus et al. 2023 use "30 intensity features"
/// without listing them; five statistics of six channels are thirty.
///
/// Features are named `feature_{channel}_{statistic}`.
///
/// # Errors
/// As [`embed`](crate::embed); nothing is standardised or cut into tiles.
pub fn intensity_profiles(
    screen: &dyn Screen,
    on_incomplete: OnIncomplete,
) -> Result<(Profiles, Vec<SkippedSite>), EmbedError> {
    check_screen(screen, on_incomplete)?;
    let channels = screen.channels();
    let mut means = WellMeans::new(channels.len() * IntensityStatistics::NAMES.len());
    let mut skipped = Vec::new();
    let mut num_sites_used = 0;
    let num_sites = screen.sites().len();
    for first in (0..num_sites).step_by(CHUNK) {
        let sites: Vec<_> = (first..(first + CHUNK).min(num_sites))
            .into_par_iter()
            .map(|site_index| {
                let values = match read_site(screen, site_index, on_incomplete)? {
                    ReadSite::Image(image) => Ok(image
                        .planes()
                        .iter()
                        .flat_map(|plane| IntensityStatistics::of(&plane.pixels).to_array())
                        .collect()),
                    ReadSite::Skipped(site) => Err(site),
                };
                Ok((site_index, values))
            })
            .collect::<Result<Vec<(usize, Result<Vec<f64>, SkippedSite>)>, EmbedError>>()?;
        for (site_index, values) in sites {
            match values {
                Ok(values) => {
                    means.add(screen, site_index, values);
                    num_sites_used += 1;
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
        });
    }
    let names = channels
        .iter()
        .flat_map(|channel| {
            IntensityStatistics::NAMES.map(|name| format!("feature_{}_{name}", channel.name))
        })
        .collect();
    let profiles = means.into_profiles(names)?;
    Ok((
        profiles.with_provenance(Provenance::new("intensity")),
        skipped,
    ))
}
