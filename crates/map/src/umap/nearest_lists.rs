/// The nearest candidates of some rows, best first.
///
/// Candidates are ordered by squared distance and, where that is equal, by
/// row: which are kept does not depend on the order they come in.
pub(crate) struct NearestLists {
    capacity: usize,
    /// Squared distance in the upper half, row in the lower: of numbers that
    /// are not negative the bits have the order of the values.
    keys: Vec<u64>,
    /// The squared distance beyond which nothing is taken, by row.
    limits: Vec<f32>,
}

impl NearestLists {
    pub(crate) fn new(num_lists: usize, capacity: usize) -> Self {
        Self {
            capacity,
            keys: vec![u64::MAX; num_lists * capacity],
            limits: vec![f32::INFINITY; num_lists],
        }
    }

    /// The squared distance beyond which nothing is taken, by list.
    #[inline(always)]
    pub(crate) fn limits(&self) -> &[f32] {
        &self.limits
    }

    /// Takes a candidate if it is among the nearest.
    #[inline]
    pub(crate) fn offer(&mut self, list: usize, squared_distance: f32, row: u32) {
        // Rounding may leave a little less than nothing.
        let squared_distance = squared_distance.max(0.0);
        let key = u64::from(squared_distance.to_bits()) << 32 | u64::from(row);
        let keys = &mut self.keys[list * self.capacity..][..self.capacity];
        let Some((last, _)) = keys.split_last() else {
            return;
        };
        if key >= *last {
            return;
        }
        let mut place = keys.len() - 1;
        while place > 0 && keys[place - 1] > key {
            keys[place] = keys[place - 1];
            place -= 1;
        }
        keys[place] = key;
        let last = keys[keys.len() - 1];
        if last != u64::MAX {
            self.limits[list] = f32::from_bits((last >> 32) as u32);
        }
    }

    /// The rows of a list, best first.
    pub(crate) fn rows(&self, list: usize) -> impl Iterator<Item = u32> + '_ {
        self.keys[list * self.capacity..][..self.capacity]
            .iter()
            .filter(|key| **key != u64::MAX)
            .map(|key| *key as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_kept_in_order_whatever_order_they_come_in() {
        let offers = [(0.5, 7), (0.1, 3), (0.5, 2), (-1e-9, 9), (0.3, 4)];
        let mut forward = NearestLists::new(2, 3);
        let mut backward = NearestLists::new(2, 3);
        for (distance, row) in offers {
            forward.offer(1, distance, row);
        }
        for (distance, row) in offers.into_iter().rev() {
            backward.offer(1, distance, row);
        }
        assert_eq!(forward.rows(1).collect::<Vec<_>>(), [9, 3, 4]);
        assert_eq!(backward.rows(1).collect::<Vec<_>>(), [9, 3, 4]);
        assert_eq!(forward.limits()[1], 0.3);
        assert_eq!(forward.rows(0).count(), 0);
        assert_eq!(forward.limits()[0], f32::INFINITY);
    }

    #[test]
    fn of_equal_distances_the_first_rows_are_kept() {
        let mut lists = NearestLists::new(1, 2);
        for row in [5, 3, 4, 1] {
            lists.offer(0, 0.0, row);
        }
        assert_eq!(lists.rows(0).collect::<Vec<_>>(), [1, 3]);
    }
}
