use crate::escape::shortened;

/// An axis with round ticks that covers some values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Whether equal steps are equal ratios.
    is_log: bool,
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
        let ticks_of = |step: f64| -> Vec<(f64, String)> {
            let first = (low / step).ceil();
            (0..=max_ticks)
                .map(|index| (first + index as f64) * step)
                .take_while(|tick| *tick <= high + step * 1e-9)
                .map(|tick| {
                    let tick = if tick.abs() < step * 1e-9 { 0.0 } else { tick };
                    (tick, tick_label(tick, step))
                })
                .collect()
        };
        let rough = (high - low) / max_ticks.max(1) as f64;
        let mut ticks = ticks_of(round_step(rough));
        if ticks.len() < 2 {
            // One tick tells no scale: the next smaller round step.
            ticks = ticks_of(round_step(0.5 * rough));
        }
        Self {
            low,
            high,
            is_log: false,
            ticks,
        }
    }

    /// A logarithmic axis over the values that are above 0, a little wider
    /// than they are; from 1 to 10 where there are none.
    pub(crate) fn log_covering(values: impl IntoIterator<Item = f64>, max_ticks: usize) -> Self {
        let above = values.into_iter().filter(|value| *value > 0.0);
        let (low, high) = extent(above).unwrap_or((1.0, 10.0));
        let (low, high) = (low.log10(), high.log10());
        let margin = if high > low { 0.05 * (high - low) } else { 0.5 };
        let (low, high) = (low - margin, high + margin);
        let (first, last) = (low.ceil() as i32, high.floor() as i32);
        let num_powers = (last - first + 1).max(0) as usize;
        let multiples: &[f64] = match num_powers {
            0..=1 => &[1.0, 2.0, 3.0, 5.0, 7.0],
            2 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let every = num_powers.div_ceil(max_ticks.max(1)).max(1);
        let ticks = (first - 1..=last)
            .filter(|power| power.rem_euclid(every as i32) == 0 || num_powers < 3)
            .flat_map(|power| {
                multiples
                    .iter()
                    .map(move |multiple| multiple * 10f64.powi(power))
            })
            .filter(|tick| (low..=high).contains(&tick.log10()))
            .map(|tick| (tick, log_label(tick)))
            .collect();
        Self {
            low,
            high,
            is_log: true,
            ticks,
        }
    }

    /// An axis of names at 0, 1, 2 and so on.
    pub(crate) fn of_names<'a>(names: impl IntoIterator<Item = &'a str>, max_chars: usize) -> Self {
        let ticks: Vec<(f64, String)> = names
            .into_iter()
            .enumerate()
            .map(|(index, name)| (index as f64, shortened(name, max_chars)))
            .collect();
        Self {
            low: -0.5,
            high: ticks.len().max(1) as f64 - 0.5,
            is_log: false,
            ticks,
        }
    }

    /// The axis, made longer where some values lie beyond its ends.
    pub(crate) fn including(mut self, values: impl IntoIterator<Item = f64>) -> Self {
        if let Some((low, high)) = extent(values) {
            self.low = self.low.min(low - 0.5);
            self.high = self.high.max(high + 0.5);
        }
        self
    }

    /// The axis without ticks between whole numbers.
    pub(crate) fn with_whole_ticks(mut self) -> Self {
        if self.ticks.iter().any(|(tick, _)| tick.fract() != 0.0) {
            let (first, last) = (self.low.ceil() as i64, self.high.floor() as i64);
            let whole = (first..=last).map(|tick| (tick as f64, tick.to_string()));
            self.ticks = whole.collect();
        }
        self
    }

    /// Where a value lies, 0 at the low end and 1 at the high end.
    pub(crate) fn fraction(&self, value: f64) -> f64 {
        let value = if self.is_log { value.log10() } else { value };
        (value.clamp(-LARGEST, LARGEST) - self.low) / (self.high - self.low)
    }

    /// Whether the axis has a place for a value.
    pub(crate) fn takes(&self, value: f64) -> bool {
        value.is_finite() && (!self.is_log || value > 0.0)
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

fn log_label(tick: f64) -> String {
    match tick {
        0.001..10_000.0 => format!("{}", (tick * 1e6).round() / 1e6),
        _ => format!("{tick:.0e}"),
    }
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
    fn between_blocks_there_are_no_ticks() {
        let of = |values: &[f64]| Axis::covering(values.iter().copied(), 8).with_whole_ticks();
        assert_eq!(labels(&of(&[1.0, 2.0])), ["1", "2"]);
        assert_eq!(labels(&of(&[3.0])), ["3"]);
        assert_eq!(labels(&of(&[0.0, 40.0])), ["0", "10", "20", "30", "40"]);
    }

    #[test]
    fn a_scale_has_two_ticks_at_least() {
        let ticks = |low, high| -> Vec<f64> {
            let axis = Axis::between(low, high, 4);
            axis.ticks.into_iter().map(|(tick, _)| tick).collect()
        };
        assert_eq!(ticks(0.9, 9.1), [2.0, 4.0, 6.0, 8.0]);
        for low in 1..200 {
            for width in 1..200 {
                let (low, width) = (f64::from(low) * 0.37, f64::from(width) * 0.61);
                let found = ticks(low, low + width);
                assert!((2..=5).contains(&found.len()), "{low} {width} {found:?}");
            }
        }
    }

    #[test]
    fn logarithmic_ticks_are_powers_or_round() {
        let of = |values: &[f64]| Axis::log_covering(values.iter().copied(), 6);
        assert_eq!(labels(&of(&[1.0, 1000.0])), ["1", "10", "100", "1000"]);
        assert_eq!(
            labels(&of(&[2e9, 3e10])),
            ["2e9", "3e9", "5e9", "7e9", "1e10", "2e10", "3e10"]
        );
        assert_eq!(
            labels(&of(&[0.02, 0.9])),
            ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]
        );
        let axis = of(&[10.0, 1000.0]);
        assert!((axis.fraction(100.0) - 0.5).abs() < 1e-12);
        for values in [
            &[][..],
            &[0.0, -3.0, f64::NAN],
            &[5.0],
            &[f64::MIN_POSITIVE, f64::MAX],
        ] {
            let axis = of(values);
            assert!(axis.low < axis.high, "{values:?} gave {axis:?}");
            assert!(axis.ticks.len() <= 10, "{values:?} gave {axis:?}");
            assert!(!axis.takes(0.0) && !axis.takes(-1.0) && axis.takes(3.0));
        }
    }

    #[test]
    fn names_stand_at_whole_numbers() {
        let axis = Axis::of_names(["a", "a very long name"], 8);
        assert_eq!(labels(&axis), ["a", "a very …"]);
        assert_eq!(axis.fraction(0.5), 0.5);
        assert!(Axis::of_names([], 8).low < Axis::of_names([], 8).high);
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
