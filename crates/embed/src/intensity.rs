use morphospace_core::Provenance;
use morphospace_profiles::Profiles;
use morphospace_screen::{OnIncomplete, Pixels, ReadSite, Screen, SkippedSite, read_site};
use rayon::prelude::*;

use crate::EmbedError;
use crate::well_means::WellMeans;

/// The five numbers of a channel.
const STATISTICS: [&str; 5] = ["mean", "std", "min", "max", "median"];
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
    let channels = screen.channels();
    let mut means = WellMeans::new(channels.len() * STATISTICS.len());
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
                        .flat_map(|plane| statistics(&plane.pixels))
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
        .flat_map(|channel| STATISTICS.map(|name| format!("feature_{}_{name}", channel.name)))
        .collect();
    let profiles = means.into_profiles(names)?;
    Ok((
        profiles.with_provenance(Provenance::new("intensity")),
        skipped,
    ))
}

fn statistics(pixels: &Pixels) -> [f64; 5] {
    match pixels {
        Pixels::U8(pixels) => statistics_of(pixels),
        Pixels::U16(pixels) => statistics_of(pixels),
    }
}

fn statistics_of<T: Copy + Ord + Into<f64>>(pixels: &[T]) -> [f64; 5] {
    let n = pixels.len() as f64;
    let mean = pixels.iter().map(|p| (*p).into()).sum::<f64>() / n;
    let variance = pixels
        .iter()
        .map(|p| ((*p).into() - mean).powi(2))
        .sum::<f64>()
        / n;
    let mut sorted = pixels.to_vec();
    let middle = sorted.len() / 2;
    let (lower, upper_middle, _) = sorted.select_nth_unstable(middle);
    let upper_middle: f64 = (*upper_middle).into();
    let median = if pixels.len() % 2 == 1 {
        upper_middle
    } else {
        let lower_middle: f64 = (*lower
            .iter()
            .max()
            .expect("an even, non-zero number of pixels"))
        .into();
        (lower_middle + upper_middle) / 2.0
    };
    let least = pixels.iter().min().map_or(f64::NAN, |p| (*p).into());
    let most = pixels.iter().max().map_or(f64::NAN, |p| (*p).into());
    [mean, variance.sqrt(), least, most, median]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_numbers_of_four_pixels() {
        let [mean, std, min, max, median] = statistics_of(&[4u8, 0, 8, 0]);
        assert_eq!((mean, min, max, median), (3.0, 0.0, 8.0, 2.0));
        assert!((std - 11f64.sqrt()).abs() < 1e-12);
        assert_eq!(statistics_of(&[9u16, 1, 5])[4], 5.0);
    }
}
