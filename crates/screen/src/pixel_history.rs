use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::screen::Screen;

/// Start of the [note](Screen::notes) of a screen whose z-planes were chosen
/// or projected.
pub(crate) const Z_NOTE: &str = "z-planes: ";
/// Start of the note of a screen whose illumination is corrected.
pub(crate) const ILLUMINATION_NOTE: &str = "illumination is corrected";
/// Start of the note of a screen whose channels have other names than its
/// files give them.
pub(crate) const CHANNELS_NOTE: &str = "channels: ";

/// What was done to all pixels of a screen on the way from its files, a
/// sentence each; empty if nothing: illumination correction, and how z-planes
/// were chosen or projected. A network sees images as it was trained with only
/// where this is the same.
///
/// ```no_run
/// let screen = morphospace_screen::open_screen("rxrx1".as_ref(), None)?;
/// assert!(morphospace_screen::pixel_history(&*screen).is_empty());
/// # Ok::<(), morphospace_screen::ScreenError>(())
/// ```
pub fn pixel_history(screen: &dyn Screen) -> Vec<String> {
    let PixelHistory {
        z,
        is_illumination_corrected,
        sources: _,
    } = PixelHistory::of(screen);
    let corrected = is_illumination_corrected.then(|| ILLUMINATION_NOTE.to_owned());
    let z = z.map(|z| format!("{Z_NOTE}{z}"));
    corrected.into_iter().chain(z).collect()
}

/// Which of its files' channels those of a screen are that were given a name:
/// `DNA is w2 (ER)`; empty if none were.
pub fn renamed_channels(screen: &dyn Screen) -> Vec<String> {
    let sources = PixelHistory::of(screen).sources.into_iter();
    sources
        .map(|(channel, source)| format!("{channel} is {source}"))
        .collect()
}

/// What was done to the pixels of a screen on the way from its files, as far
/// as it changes their statistics. Packed screens keep the notes that it is
/// read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PixelHistory {
    z: Option<String>,
    is_illumination_corrected: bool,
    /// Of channels that were given a name: which of the files' they are.
    sources: BTreeMap<String, String>,
}

impl PixelHistory {
    pub(crate) fn of(screen: &dyn Screen) -> Self {
        let mut history = Self::default();
        for note in screen.notes() {
            if let Some(z) = note.strip_prefix(Z_NOTE) {
                history.z = Some(z.to_owned());
            }
            if note.starts_with(ILLUMINATION_NOTE) {
                history.is_illumination_corrected = true;
            }
            let renamed = note.strip_prefix(CHANNELS_NOTE).unwrap_or_default();
            for entry in renamed.split(", ") {
                if let Some((channel, source)) = entry.split_once(" is ") {
                    history
                        .sources
                        .insert(channel.to_owned(), source.to_owned());
                }
            }
        }
        history
    }

    /// How a screen's history differs from this one of a table; `channels`
    /// are those that the screen shares with it.
    pub(crate) fn difference<'a>(
        &self,
        screen: &Self,
        channels: impl Iterator<Item = &'a str>,
    ) -> Option<String> {
        let corrected = |history: &Self| match history.is_illumination_corrected {
            true => "with illumination corrected",
            false => "without illumination corrected",
        };
        if self.is_illumination_corrected != screen.is_illumination_corrected {
            return Some(format!(
                "{}, the screen is read {}",
                corrected(self),
                corrected(screen)
            ));
        }
        let z = |history: &Self| {
            history
                .z
                .clone()
                .unwrap_or_else(|| "as they are".to_owned())
        };
        if self.z != screen.z {
            return Some(format!(
                "with z-planes {}, the screen's are {}",
                z(self),
                z(screen)
            ));
        }
        let source = |history: &Self, channel: &str| {
            // A channel is written with its stain where that is not its name.
            let of_channel = |(name, _): &(&String, &String)| {
                name.strip_prefix(channel)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
            };
            let found = history.sources.iter().find(of_channel);
            found.map_or("its own".to_owned(), |(_, source)| source.clone())
        };
        let mut channels = channels;
        let channel = channels.find(|channel| source(self, channel) != source(screen, channel))?;
        Some(format!(
            "with {} as channel '{channel}', the screen is read with {}",
            source(self, channel),
            source(screen, channel)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(
        z: Option<&str>,
        is_illumination_corrected: bool,
        channels: &[&str],
    ) -> PixelHistory {
        let sources = channels.iter().map(|entry| {
            let (channel, source) = entry.split_once('=').expect("channel=source");
            (channel.to_owned(), source.to_owned())
        });
        PixelHistory {
            z: z.map(str::to_owned),
            is_illumination_corrected,
            sources: sources.collect(),
        }
    }

    #[test]
    fn what_changes_pixels_is_told_apart() {
        let plain = history(None, false, &[]);
        let difference = |table: &PixelHistory, screen: &PixelHistory| {
            table.difference(screen, ["DNA", "ER"].into_iter())
        };
        assert_eq!(difference(&plain, &plain), None);
        let corrected = history(None, true, &[]);
        let said = difference(&plain, &corrected).expect("differs");
        assert!(said.starts_with("without illumination corrected"), "{said}");
        let projected = history(Some("max"), false, &[]);
        let said = difference(&projected, &plain).expect("differs");
        assert_eq!(said, "with z-planes max, the screen's are as they are");
        let named = history(None, false, &["DNA=w1", "ER (other)=w2", "Mito=w3"]);
        let swapped = history(None, false, &["ER (other)=w1", "DNA=w2"]);
        let said = difference(&named, &swapped).expect("differs");
        assert_eq!(said, "with w1 as channel 'DNA', the screen is read with w2");
        let fewer = history(None, false, &["ER (other)=w2", "DNA=w1"]);
        assert_eq!(difference(&named, &fewer), None, "Mito is not asked for");
    }
}
