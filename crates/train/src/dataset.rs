use morphospace_core::{Site, sha256_hex};
use morphospace_screen::{
    CheckedNormalisation, OnIncomplete, Pixels, ReadSite, Screen, SkippedSite, read_site,
    sites_sha256,
};

use crate::{LabelsConfig, TrainError};

/// The sites of a screen that a run takes, and how they are normalised.
pub(crate) struct Dataset<'a> {
    pub(crate) screen: &'a dyn Screen,
    /// Complete sites whose wells take part, in order.
    pub(crate) site_indices: Vec<usize>,
    pub(crate) normalisation: CheckedNormalisation,
    /// Sites left out because images of theirs are missing.
    pub(crate) num_incomplete: usize,
    /// The first of them.
    pub(crate) first_incomplete: Option<String>,
}

impl<'a> Dataset<'a> {
    pub(crate) fn new(
        screen: &'a dyn Screen,
        normalisation: CheckedNormalisation,
        labels: &LabelsConfig,
    ) -> Result<Self, TrainError> {
        let num_channels = screen.channels().len();
        let is_complete =
            |site: usize| (0..num_channels).all(|channel| screen.is_present(site, channel));
        let sites = screen.sites();
        let (mut site_indices, mut incomplete) = (Vec::new(), Vec::new());
        for (index, site) in sites.iter().enumerate() {
            match labels.takes(site) {
                true if is_complete(index) => site_indices.push(index),
                true => incomplete.push(index),
                false => {}
            }
        }
        if site_indices.is_empty() {
            let reason = match incomplete.len() {
                0 => "labels.leave_out leaves out all of its wells".to_owned(),
                _ => format!(
                    "none of its {} sites has all {num_channels} images",
                    sites.len()
                ),
            };
            return Err(unsuitable(screen, reason));
        }
        Ok(Self {
            screen,
            site_indices,
            normalisation,
            num_incomplete: incomplete.len(),
            first_incomplete: incomplete
                .first()
                .map(|first| sites[*first].key.to_string()),
        })
    }

    /// SHA-256 of the pixels of some sites, spread over all: cheap, and another for
    /// images that were made anew. What cannot be read counts as such; whoever
    /// trains on it will say so.
    pub(crate) fn pixels_sha256(&self) -> String {
        const SITES: usize = 4;
        let step = self.site_indices.len().div_ceil(SITES);
        let mut digests = String::new();
        for &site in self.site_indices.iter().step_by(step) {
            for channel in 0..self.screen.channels().len() {
                let digest = match self
                    .screen
                    .read_plane(site, channel)
                    .map(|plane| plane.pixels)
                {
                    Ok(Pixels::U8(values)) => sha256_hex(&values),
                    Ok(Pixels::U16(values)) => {
                        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
                        sha256_hex(&bytes.collect::<Vec<u8>>())
                    }
                    Err(_) => "unreadable".to_owned(),
                };
                digests.push_str(&digest);
            }
        }
        sha256_hex(digests.as_bytes())
    }

    /// SHA-256 of what is known of the sites.
    pub(crate) fn sites_sha256(&self) -> String {
        let sites = self.screen.sites();
        let taken: Vec<Site> = self
            .site_indices
            .iter()
            .map(|&site| sites[site].clone())
            .collect();
        sites_sha256(&taken)
    }

    /// Width and height of the first site's images; those of the others are
    /// known when they are read.
    pub(crate) fn image_size(&self) -> Result<(usize, usize), TrainError> {
        match read_site(self.screen, self.site_indices[0], OnIncomplete::Fail)? {
            ReadSite::Image(site) => Ok((site.width(), site.height())),
            ReadSite::Skipped(SkippedSite { site, .. }) => {
                Err(unsuitable(self.screen, format!("{site} cannot be read")))
            }
        }
    }
}

pub(crate) fn unsuitable(screen: &dyn Screen, message: String) -> TrainError {
    TrainError::UnsuitableScreen {
        screen: screen.name().to_owned(),
        message,
    }
}
