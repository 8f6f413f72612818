use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ScreenError;
use crate::screen::Screen;

/// One image and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The experiment.
    pub experiment: String,
    /// The plate within it.
    pub plate: String,
    /// The well.
    pub well: String,
    /// The site, with plate and well, as text.
    pub site: String,
    /// The channel's name.
    pub channel: String,
    /// The file, if the screen names one.
    pub file: Option<String>,
    /// What is wrong.
    pub problem: String,
}

impl Finding {
    pub(super) fn new(
        screen: &dyn Screen,
        site_index: usize,
        channel_index: usize,
        problem: String,
    ) -> Self {
        let key = &screen.sites()[site_index].key;
        Self {
            experiment: key.plate.experiment.to_string(),
            plate: key.plate.plate.clone(),
            well: key.well.to_string(),
            site: key.to_string(),
            channel: screen.channels()[channel_index].name.clone(),
            file: screen.plane_location(site_index, channel_index),
            problem,
        }
    }

    pub(super) fn of_error(
        screen: &dyn Screen,
        site_index: usize,
        channel_index: usize,
        error: &ScreenError,
    ) -> Self {
        let problem = match error {
            ScreenError::Image(image) => image.problem.to_string(),
            other => other.to_string(),
        };
        Self::new(screen, site_index, channel_index, problem)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} channel {}: {}",
            self.site, self.channel, self.problem
        )?;
        match &self.file {
            Some(file) => write!(f, ": '{file}'"),
            None => Ok(()),
        }
    }
}
