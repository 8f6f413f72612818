/// What grey levels of an image are: where they end, and whether they are
/// whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Levels {
    /// Fractions in 0..=1; operations as torchvision does them on floats.
    Unit,
    /// Whole numbers in 0..=255; operations as torchvision does them on bytes,
    /// rounding or cutting off after each as it does.
    Bytes,
    /// As [`Levels::Bytes`], but never rounded: what training uses.
    Grey,
}

impl Levels {
    /// The brightest level.
    pub fn bound(self) -> f32 {
        match self {
            Self::Unit => 1.0,
            Self::Bytes | Self::Grey => 255.0,
        }
    }

    /// Replaces every level by a function of it, within the bounds; of bytes
    /// the fraction is cut off, as torchvision's photometric operations do.
    pub(crate) fn map(self, levels: &mut [f32], level: impl Fn(f32) -> f32) {
        let bound = self.bound();
        let bounded = |value: f32| level(value).clamp(0.0, bound);
        // Two loops, so that the common one is free of branches.
        match self {
            Self::Bytes => levels
                .iter_mut()
                .for_each(|value| *value = bounded(*value).trunc()),
            Self::Unit | Self::Grey => levels.iter_mut().for_each(|value| *value = bounded(*value)),
        }
    }
}
