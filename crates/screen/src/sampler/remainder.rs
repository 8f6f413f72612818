use serde::{Deserialize, Serialize};

/// What becomes of the last sites of an epoch that do not fill a batch.
///
/// Batches always have the full size: statistics of a short one would be
/// noisier, and its gradient would weigh more per site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remainder {
    /// They are left out of this epoch; the next draws others.
    #[default]
    Drop,
    /// The batch is filled up from the start of the epoch's order, so that
    /// every site is used and some are used twice.
    Wrap,
}

impl Remainder {
    /// Cuts an order into pieces of one size. `size` is not 0.
    pub(super) fn pieces<T: Clone>(self, order: &[T], size: usize) -> Vec<Vec<T>> {
        let mut pieces: Vec<Vec<T>> = order.chunks(size).map(<[T]>::to_vec).collect();
        let Some(last) = pieces.last_mut() else {
            return pieces;
        };
        let num_missing = size - last.len();
        match self {
            Self::Wrap => last.extend(order.iter().cycle().take(num_missing).cloned()),
            Self::Drop if num_missing > 0 => {
                pieces.pop();
            }
            Self::Drop => {}
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole() {
        let order = [5, 6, 7, 8, 9];
        assert_eq!(Remainder::Drop.pieces(&order, 2), [[5, 6], [7, 8]]);
        assert_eq!(Remainder::Wrap.pieces(&order, 2), [[5, 6], [7, 8], [9, 5]]);
        assert_eq!(Remainder::Drop.pieces(&order, 5), [order]);
        assert_eq!(Remainder::Wrap.pieces(&order, 5), [order]);
        assert!(Remainder::Drop.pieces(&order, 6).is_empty());
        assert_eq!(Remainder::Wrap.pieces(&[1, 2], 5), [[1, 2, 1, 2, 1]]);
        assert!(Remainder::Wrap.pieces::<u8>(&[], 3).is_empty());
    }
}
