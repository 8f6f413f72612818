use morphospace_models::Precision;
use serde::{Deserialize, Serialize};

/// The factor that keeps small gradients within the range of half floats.
///
/// Losses are multiplied by it before the backward pass and gradients divided
/// by it after; it is halved whenever gradients overflow, a step whose weights
/// then do not move, and doubled after 2000 steps without (Micikevicius et al.
/// 2018; `torch.amp.GradScaler` with its defaults). It is 1 and remains so in
/// formats with the range of `f32`.
///
/// # Example
/// ```
/// use morphospace_models::Precision;
/// use morphospace_train::LossScale;
///
/// let mut scale = LossScale::of(Precision::F16);
/// assert_eq!(scale.factor(), 65536.0);
/// assert!(scale.overflowed().is_some());
/// assert_eq!(scale.factor(), 32768.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScale {
    factor: f64,
    /// Steps since it last changed.
    num_steps: u32,
    is_fixed: bool,
}

impl LossScale {
    const START: f64 = 65536.0;
    const STEPS_TO_GROW: u32 = 2000;

    /// The factor to begin with.
    pub fn of(precision: Precision) -> Self {
        let is_fixed = precision != Precision::F16;
        Self {
            factor: if is_fixed { 1.0 } else { Self::START },
            num_steps: 0,
            is_fixed,
        }
    }

    /// What losses are multiplied by.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Whether there is anything to report.
    pub fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    /// After a step whose gradients were finite.
    pub fn succeeded(&mut self) {
        self.num_steps += 1;
        if !self.is_fixed && self.num_steps == Self::STEPS_TO_GROW {
            self.factor *= 2.0;
            self.num_steps = 0;
        }
    }

    /// After gradients that were not: the next factor, or none where a smaller
    /// one would not help.
    pub fn overflowed(&mut self) -> Option<f64> {
        if self.factor <= 1.0 {
            return None;
        }
        self.factor /= 2.0;
        self.num_steps = 0;
        Some(self.factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_at_overflows_and_doubles_after_2000_steps_without() {
        let mut scale = LossScale::of(Precision::F16);
        for _ in 0..1999 {
            scale.succeeded();
        }
        assert_eq!(scale.factor(), 65536.0);
        assert_eq!(scale.overflowed(), Some(32768.0));
        for _ in 0..2000 {
            scale.succeeded();
        }
        assert_eq!(scale.factor(), 65536.0);
    }

    #[test]
    fn gives_up_where_gradients_are_not_scaled() {
        let mut scale = LossScale::of(Precision::F16);
        assert_eq!((0..100).map_while(|_| scale.overflowed()).count(), 16);
        assert_eq!(LossScale::of(Precision::Bf16).overflowed(), None);
        assert_eq!(LossScale::of(Precision::F32).factor(), 1.0);
    }
}
