//! What every [`Screen`] must do, as one function that the tests of each
//! reader call.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::ScreenError;
use crate::screen::{Plane, Screen};

/// A rule of [`Screen`] that an implementation breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("screen '{screen}' breaks a rule: {rule}")]
pub struct ConformanceFailure {
    /// The screen's name.
    pub screen: String,
    /// The rule, with the site and channel that break it.
    pub rule: String,
}

/// Checks an opened screen against the contract of [`Screen`]. Reads every
/// image twice, so it is meant for screens of test size.
///
/// Checked are: sites and channels exist and are unique, sites are sorted and
/// agree with their wells, wells are shared; every image is either present
/// and read (whole, the same at every call and from any thread, of one size
/// within its site), or its error names site, channel and file; an image that
/// is not present is an error and not pixels; no two sites share a file (two
/// channels of a site may: JUMP's AGP serves as actin and as Golgi).
///
/// # Errors
/// The first rule that is broken.
///
/// # Example
/// ```no_run
/// use morphospace_screen::{conformance::check_screen, open_screen};
///
/// let screen = open_screen("rxrx1".as_ref(), None)?;
/// check_screen(&*screen)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_screen(screen: &dyn Screen) -> Result<(), ConformanceFailure> {
    let rule = |holds: bool, text: &dyn Fn() -> String| {
        if holds {
            return Ok(());
        }
        Err(ConformanceFailure {
            screen: screen.name().to_owned(),
            rule: text(),
        })
    };
    let (channels, sites) = (screen.channels(), screen.sites());
    rule(!screen.name().is_empty(), &|| "it has a name".into())?;
    rule(!channels.is_empty(), &|| "it has channels".into())?;
    rule(!sites.is_empty(), &|| "it has sites".into())?;
    let names: HashSet<&str> = channels
        .iter()
        .map(|channel| channel.name.as_str())
        .collect();
    rule(names.len() == channels.len(), &|| {
        "names of channels are unique".into()
    })?;
    for pair in sites.windows(2) {
        rule(pair[0].key < pair[1].key, &|| {
            format!(
                "sites are sorted and unique: {} then {}",
                pair[0].key, pair[1].key
            )
        })?;
        let same_well =
            pair[0].key.plate == pair[1].key.plate && pair[0].key.well == pair[1].key.well;
        rule(
            same_well == Arc::ptr_eq(&pair[0].well, &pair[1].well),
            &|| {
                format!(
                    "sites of one well, and no others, share it: {}",
                    pair[1].key
                )
            },
        )?;
    }
    for (site_index, site) in sites.iter().enumerate() {
        let agrees = site.key.plate == site.well.plate && site.key.well == site.well.address;
        rule(agrees, &|| format!("a site lies in its well: {}", site.key))?;
        rule(screen.site_index(&site.key) == Some(site_index), &|| {
            format!("a site is found by its key: {}", site.key)
        })?;
    }
    let images: Vec<(usize, usize)> = (0..sites.len())
        .flat_map(|site| (0..channels.len()).map(move |channel| (site, channel)))
        .collect();
    let mut sites_of_files = HashMap::new();
    for &(site, channel) in &images {
        if let Some(file) = screen.plane_location(site, channel) {
            let owner = *sites_of_files.entry(file.clone()).or_insert(site);
            rule(owner == site, &|| {
                format!(
                    "a site has files of its own: '{file}' of {} and {}",
                    sites[owner].key, sites[site].key
                )
            })?;
        }
    }
    let broken: Vec<Option<String>> = images
        .par_iter()
        .map(|&(site, channel)| check_image(screen, site, channel).err())
        .collect();
    match broken.into_iter().flatten().next() {
        Some(broken) => rule(false, &|| broken.clone()),
        None => Ok(()),
    }
}

fn check_image(screen: &dyn Screen, site: usize, channel: usize) -> Result<(), String> {
    let what = format!(
        "{} channel {}",
        screen.sites()[site].key,
        screen.channels()[channel]
    );
    let is_present = screen.is_present(site, channel);
    let location = screen.plane_location(site, channel);
    if is_present && location.is_none() {
        return Err(format!("an image that is present has a location: {what}"));
    }
    let version = || screen.image_version(site, channel);
    if version().is_some() != is_present || version() != version() {
        return Err(format!(
            "an image that is present has a version, always the same: {what}"
        ));
    }
    match (
        screen.read_plane(site, channel),
        screen.read_plane(site, channel),
    ) {
        (Ok(first), Ok(second)) => {
            if !is_present {
                return Err(format!("an image that is not present is an error: {what}"));
            }
            if first != second {
                return Err(format!("an image is the same at every call: {what}"));
            }
            check_plane(&first).map_err(|rule| format!("{rule}: {what}"))
        }
        (Err(error), Err(_)) => check_error(&error, location.as_deref(), is_present)
            .map_err(|rule| format!("{rule}: {what}: {error}"))
            .and_then(|()| {
                let message = error.to_string();
                let site = screen.sites()[site].key.to_string();
                let channel = screen.channels()[channel].to_string();
                if message.contains(&site) && message.contains(&channel) {
                    Ok(())
                } else {
                    Err(format!(
                        "an error names its site and channel: {what}: {message}"
                    ))
                }
            }),
        _ => Err(format!(
            "an image is readable at every call or at none: {what}"
        )),
    }
}

fn check_plane(plane: &Plane) -> Result<(), &'static str> {
    if plane.width == 0 || plane.height == 0 {
        return Err("an image has pixels");
    }
    if plane.num_pixels() != plane.width * plane.height {
        return Err("an image has width x height pixels");
    }
    Ok(())
}

fn check_error(
    error: &ScreenError,
    location: Option<&str>,
    is_present: bool,
) -> Result<(), &'static str> {
    let ScreenError::Image(image) = error else {
        return Err("the error of an image is ScreenError::Image");
    };
    if image.problem.is_missing() == is_present {
        return Err("an image is reported missing exactly if it is not present");
    }
    match location {
        Some(location) if !error.to_string().contains(location) => Err("an error names its file"),
        _ => Ok(()),
    }
}
