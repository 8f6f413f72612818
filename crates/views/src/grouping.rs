use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Which channels share a draw of a colour operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// All of them.
    Together,
    /// Channels 1 to 3 as one colour image, 4 to 6 as another, with draws of
    /// their own (Lugli et al. 2025, Table 3); a last group may be of one or
    /// two channels, which have no colours.
    Threes,
    /// Each channel has its own.
    PerChannel,
}

impl Grouping {
    /// The groups of an image of so many channels.
    pub(crate) fn groups(self, channels: usize) -> impl Iterator<Item = Range<usize>> {
        let len = match self {
            Self::Together => channels,
            Self::Threes => 3,
            Self::PerChannel => 1,
        };
        (0..channels)
            .step_by(len.max(1))
            .map(move |start| start..(start + len).min(channels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_by_hand() {
        let check = |grouping: Grouping, channels, expect: &[[usize; 2]]| {
            let groups = grouping.groups(channels);
            let found: Vec<[usize; 2]> = groups.map(|group| [group.start, group.end]).collect();
            assert_eq!(found, expect);
        };
        check(Grouping::Together, 6, &[[0, 6]]);
        check(Grouping::Threes, 6, &[[0, 3], [3, 6]]);
        check(Grouping::Threes, 5, &[[0, 3], [3, 5]]);
        check(Grouping::PerChannel, 2, &[[0, 1], [1, 2]]);
    }
}
