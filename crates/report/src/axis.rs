/// A linear axis with round ticks that covers some values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Tick values and their labels.
    pub(crate) ticks: Vec<(f64, String)>,
}

/// Beyond this, differences of values would overflow.
const LARGEST: f64 = 1e300;

impl Axis {
    /// An axis over the finite ones of `values`, a little wider than they
    /// are; from 0 to 1 where there are none, around the value where all are
    /// equal.
    pub(crate) fn covering(values: impl IntoIterator<Item = f64>, max_ticks: usize) -> Self {
        let (low, high) = extent(values).unwrap_or((0.0, 1.0));
        let margin = 0.05 * (high - low);
        Self::between(low - margin, high + margin, max_ticks)
    }

    /// An axis from `low` to `high` exactly.
    pub(crate) fn between(low: f64, high: f64, max_ticks: usize) -> Self {
        let (low, high) = widened(low, high);
        let step = round_step((high - low) / max_ticks.max(1) as f64);
        let first = (low / step).ceil();
        let ticks = (0..=max_ticks)
            .map(|index| (first + index as f64) * step)
            .take_while(|tick| *tick <= high + step * 1e-9)
            .map(|tick| {
                let tick = if tick.abs() < step * 1e-9 { 0.0 } else { tick };
                (tick, tick_label(tick, step))
            })
            .collect();
        Self { low, high, ticks }
    }

    /// Where a value lies, 0 at the low end and 1 at the high end.
    pub(crate) fn fraction(&self, value: f64) -> f64 {
        (value.clamp(-LARGEST, LARGEST) - self.low) / (self.high - self.low)
    }

    /// Length of the longest tick label in characters.
    pub(crate) fn label_chars(&self) -> usize {
        self.ticks
            .iter()
            .map(|(_, label)| label.chars().count())
            .max()
            .unwrap_or(0)
    }
}

/// Smallest and largest finite value.
pub(crate) fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .into_iter()
        .filter(|value| value.is_finite())
        .fold(None, |extent, value| {
            let value = value.clamp(-LARGEST, LARGEST);
            let (low, high) = extent.unwrap_or((value, value));
            Some((value.min(low), value.max(high)))
        })
}

/// A range that can be divided: one around the value where both ends are
/// the same, or nearly so.
fn widened(low: f64, high: f64) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    if high - low > size * 1e-9 {
        return (low, high);
    }
    let half = if size > 0.0 { 0.1 * size } else { 1.0 };
    (low - half, high + half)
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let multiple = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|multiple| rough <= multiple * power * 1.0001);
    multiple.unwrap_or(10.0) * power
}

fn tick_label(tick: f64, step: f64) -> String {
    if tick == 0.0 {
        return "0".to_owned();
    }
    if tick.abs() >= 1e6 || step < 1e-4 {
        // As many digits as tell this tick from the next.
        let digits = (tick.abs().log10().floor() - step.log10().floor()).clamp(0.0, 12.0) as usize;
        return format!("{tick:.digits$e}");
    }
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    format!("{tick:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            labels(&Axis::between(0.0, 1.0, 5)),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"].map(|l| if l == "0.0" { "0" } else { l })
        );
        assert_eq!(
            labels(&Axis::between(-13.0, 27.0, 4)),
            ["-10", "0", "10", "20"]
        );
        assert_eq!(
            labels(&Axis::between(0.0, 4e6, 4)),
            ["0", "1e6", "2e6", "3e6", "4e6"]
        );
        assert_eq!(
            labels(&Axis::between(2e-6, 4e-6, 2)),
            ["2e-6", "3e-6", "4e-6"]
        );
    }

    #[test]
    fn every_input_gives_an_axis_that_divides() {
        let cases: [&[f64]; 8] = [
            &[],
            &[f64::NAN, f64::INFINITY],
            &[0.0],
            &[-3.5, -3.5],
            &[f64::MAX, f64::MIN],
            &[f64::MIN_POSITIVE],
            &[1e9, 1e9 + 1e-6],
            &[1.0, f64::NAN, 2.0],
        ];
        for values in cases {
            let axis = Axis::covering(values.iter().copied(), 5);
            assert!(axis.low < axis.high, "{values:?} gave {axis:?}");
            assert!(axis.ticks.len() <= 6, "{values:?} gave {axis:?}");
            for value in values.iter().filter(|value| value.is_finite()) {
                let fraction = axis.fraction(*value);
                assert!((0.0..=1.0).contains(&fraction), "{value} in {axis:?}");
            }
        }
    }
}
