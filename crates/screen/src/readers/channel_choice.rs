use std::fmt;
use std::str::FromStr;

use morphospace_core::{Channel, Stain, suggestion};

use crate::ScreenError;
use crate::readers::{SelectedScreen, Selection};
use crate::screen::Screen;

/// One channel as it is wanted, and where in the screen it comes from.
///
/// `DNA` is the channel that shows DNA; `Actin=AGP` is one that is to count
/// as actin and is taken from the screen's AGP; `Actin=w4` from its channel
/// of that name.
///
/// ```
/// use morphospace_core::Stain;
/// use morphospace_screen::ChannelChoice;
///
/// let choice: ChannelChoice = "Golgi=AGP".parse()?;
/// assert_eq!((choice.stain, choice.source.as_str()), (Stain::Golgi, "AGP"));
/// # Ok::<(), morphospace_screen::UnknownChannelChoice>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelChoice {
    /// What the channel counts as.
    pub stain: Stain,
    /// The stain or the name of the screen's channel.
    pub source: String,
}

/// A text that is no [`ChannelChoice`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no choice of a channel (a stain, or STAIN=STAIN OR NAME IN THE SCREEN)")]
pub struct UnknownChannelChoice(String);

impl FromStr for ChannelChoice {
    type Err = UnknownChannelChoice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (stain, source) = text.split_once('=').unwrap_or((text, text));
        let (stain, source) = (stain.trim(), source.trim());
        if stain.is_empty() || source.is_empty() {
            return Err(UnknownChannelChoice(text.to_owned()));
        }
        Ok(Self {
            stain: Stain::from(stain.to_owned()),
            source: source.to_owned(),
        })
    }
}

impl fmt::Display for ChannelChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.stain.as_str() == self.source {
            f.write_str(&self.source)
        } else {
            write!(f, "{}={}", self.stain, self.source)
        }
    }
}

/// Finds chosen channels among those of a screen: by stain, else by name.
/// The result is in the order of the choices; see
/// [`Selection::channels`](crate::Selection::channels).
///
/// # Errors
/// [`ScreenError::ChannelMapping`] says what was wanted and what the screen
/// has: no channel, or several, that a choice could mean.
pub fn choose_channels(
    available: &[Channel],
    choices: &[ChannelChoice],
) -> Result<Vec<(usize, Channel)>, ScreenError> {
    choices
        .iter()
        .map(|choice| {
            let stain = Stain::from(choice.source.clone());
            let by_name = |channel: &Channel| channel.name == choice.source;
            let by_stain = |channel: &Channel| channel.stain == stain;
            let positions = |is_meant: &dyn Fn(&Channel) -> bool| -> Vec<usize> {
                let indexed = available.iter().enumerate();
                indexed
                    .filter(|(_, channel)| is_meant(channel))
                    .map(|(index, _)| index)
                    .collect()
            };
            let mut found = positions(&by_name);
            if found.is_empty() {
                found = positions(&by_stain);
            }
            match found[..] {
                [index] => {
                    let name = available[index].name.clone();
                    Ok((index, Channel::new(name, choice.stain.clone())))
                }
                _ => Err(unclear(available, choice, &found)),
            }
        })
        .collect()
}

/// The channels of a screen in the order in which a network was trained on
/// them: found by stain, whatever their order and names.
///
/// # Errors
/// [`ScreenError::ChannelMapping`]: the screen has no channel of a stain, or
/// several. Which is meant is then for the user to say ([`ChannelChoice`]).
pub fn with_stains(
    screen: Box<dyn Screen>,
    stains: &[Stain],
) -> Result<Box<dyn Screen>, ScreenError> {
    let found = screen.channels().iter().map(|channel| &channel.stain);
    if found.eq(stains) {
        return Ok(screen);
    }
    let choices: Vec<ChannelChoice> = stains
        .iter()
        .map(|stain| ChannelChoice {
            stain: stain.clone(),
            source: stain.as_str().to_owned(),
        })
        .collect();
    let selection = Selection {
        channels: Some(choose_channels(screen.channels(), &choices)?),
        ..Selection::default()
    };
    Ok(Box::new(SelectedScreen::new(screen, &selection)?))
}

fn unclear(available: &[Channel], choice: &ChannelChoice, found: &[usize]) -> ScreenError {
    let shown = |channel: &Channel| channel.to_string();
    let names: Vec<&str> = available
        .iter()
        .flat_map(|channel| [channel.name.as_str(), channel.stain.as_str()])
        .collect();
    ScreenError::ChannelMapping {
        stain: choice.stain.clone(),
        wanted: choice.source.as_str().into(),
        candidates: found
            .iter()
            .map(|&index| shown(&available[index]))
            .collect(),
        available: available.iter().map(shown).collect(),
        near: suggestion(&choice.source, names.iter().copied()).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(text: &str) -> Vec<ChannelChoice> {
        text.split(',')
            .map(|choice| choice.parse().expect("a choice"))
            .collect()
    }

    #[test]
    fn five_channels_serve_a_network_of_six() {
        let jump = ["DNA", "ER", "RNA", "AGP", "Mito"]
            .map(|name| Channel::new(name, Stain::from(name.to_owned())));
        let wanted = choices("DNA,ER,Actin=AGP,RNA,Mito,Golgi=AGP");
        let found = choose_channels(&jump, &wanted).expect("all are there");
        let indices: Vec<usize> = found.iter().map(|(index, _)| *index).collect();
        assert_eq!(indices, [0, 1, 3, 2, 4, 3]);
        assert_eq!(found[2].1.stain, Stain::Actin);
        let error = choose_channels(&jump, &choices("DNA,Actin")).expect_err("no actin");
        let text = error.to_string();
        assert!(text.contains("Actin") && text.contains("AGP"), "{text}");
        assert!(text.contains("--channels Actin=NAME"), "{text}");
        let error = choose_channels(&jump, &choices("Actin=AGB")).expect_err("no AGB");
        let text = error.to_string();
        assert!(
            text.contains("no channel 'AGB' (did you mean 'AGP'?)"),
            "{text}"
        );
        assert!(text.contains("--channels Actin=NAME"), "{text}");
    }

    #[test]
    fn two_channels_of_one_stain_are_ambiguous() {
        let channels = ["ch1", "ch2"].map(|name| Channel::new(name, Stain::Dna));
        let error = choose_channels(&channels, &choices("DNA")).expect_err("two");
        let text = error.to_string();
        assert!(
            text.contains("ch1 (DNA)") && text.contains("ch2 (DNA)"),
            "{text}"
        );
        let found = choose_channels(&channels, &choices("DNA=ch2")).expect("by name");
        assert_eq!(found[0].0, 1);
    }
}
