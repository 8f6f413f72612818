use std::collections::HashSet;
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
/// [`Selection::channels`](crate::Selection::channels). `Actin=AGP` is called
/// `Actin` from then on, since AGP may serve twice; `w4` stays what it is.
///
/// # Errors
/// [`ScreenError::ChannelMapping`] says what was wanted and what the screen
/// has: no channel, or several, that a choice could mean.
/// [`ScreenError::RepeatedChannel`]: two choices are one.
pub fn choose_channels(
    available: &[Channel],
    choices: &[ChannelChoice],
) -> Result<Vec<(usize, Channel)>, ScreenError> {
    let mut names = HashSet::new();
    let mut chosen = Vec::with_capacity(choices.len());
    for choice in choices {
        let (index, channel) = choose_channel(available, choice)?;
        if !names.insert(channel.name.clone()) {
            return Err(ScreenError::RepeatedChannel { name: channel.name });
        }
        chosen.push((index, channel));
    }
    Ok(chosen)
}

fn choose_channel(
    available: &[Channel],
    choice: &ChannelChoice,
) -> Result<(usize, Channel), ScreenError> {
    let stain = Stain::from(choice.source.clone());
    let positions = |is_meant: &dyn Fn(&Channel) -> bool| -> Vec<usize> {
        let indexed = available.iter().enumerate();
        indexed
            .filter(|(_, channel)| is_meant(channel))
            .map(|(index, _)| index)
            .collect()
    };
    let mut found = positions(&|channel| channel.stain == stain);
    if found.is_empty() {
        found = positions(&|channel| channel.name == choice.source);
    }
    let [index] = found[..] else {
        return Err(unclear(available, choice, &found));
    };
    let channel = &available[index];
    let channel = match &choice.stain {
        // A name, which says nothing of what the channel shows.
        Stain::Other(_) if choice.stain == stain => channel.clone(),
        shown if choice.stain == stain => Channel::new(channel.name.clone(), shown.clone()),
        shown => Channel::new(shown.as_str(), shown.clone()),
    };
    Ok((index, channel))
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
    fn channels_keep_their_stain_and_have_names_of_their_own() {
        let rxrx1 =
            [("w1", Stain::Dna), ("w2", Stain::Er)].map(|(name, stain)| Channel::new(name, stain));
        let found = choose_channels(&rxrx1, &choices("w2,DNA")).expect("both are there");
        let found: Vec<Channel> = found.into_iter().map(|(_, channel)| channel).collect();
        assert_eq!(found, [rxrx1[1].clone(), rxrx1[0].clone()]);
        let found = choose_channels(&rxrx1, &choices("Actin=w1,Golgi=w1")).expect("there");
        assert_eq!([&*found[0].1.name, &*found[1].1.name], ["Actin", "Golgi"]);
        let twice = choose_channels(&rxrx1, &choices("DNA,w1")).expect_err("one channel twice");
        assert!(
            twice.to_string().contains("'w1' is chosen twice"),
            "{twice}"
        );
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
