use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// How long something lasts in training, written `"500 steps"` or
/// `"10 epochs"`. A step is one move of the weights, an epoch one pass of the
/// sampler over its sites.
///
/// ```
/// use morphospace_train::Span;
///
/// let warm_up: Span = "0.5 epochs".parse()?;
/// assert_eq!(warm_up.in_steps(30.0), 15);
/// assert_eq!(Span::Steps(500).to_string(), "500 steps");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(into = "String")]
pub enum Span {
    /// So many steps.
    Steps(u64),
    /// So many epochs, not necessarily whole ones.
    Epochs(f64),
}

impl Span {
    /// Nothing.
    pub const NONE: Self = Self::Steps(0);

    /// Whole steps. An epoch has so many, not necessarily whole ones where
    /// gradients of several batches make a step.
    pub fn in_steps(self, steps_per_epoch: f64) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            // A third of three is one, whatever the rounding.
            Self::Epochs(epochs) => (epochs * steps_per_epoch + 1e-6) as u64,
        }
    }
}

impl Default for Span {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(steps) => write!(f, "{steps} steps"),
            Self::Epochs(epochs) => write!(f, "{epochs} epochs"),
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let span = match words[..] {
            [number, "step" | "steps"] => number.parse().ok().map(Self::Steps),
            [number, "epoch" | "epochs"] => {
                let number = number.parse().ok();
                let number = number.filter(|number: &f64| *number >= 0.0 && *number <= 1e9);
                number.map(Self::Epochs)
            }
            _ => None,
        };
        span.ok_or_else(|| {
            format!("'{text}' is not a length such as \"500 steps\" or \"10 epochs\"")
        })
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length in quotes, such as \"500 steps\" or \"10 epochs\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_alone_is_told_what_is_missing() {
        #[derive(Debug, Deserialize)]
        struct Run {
            length: Span,
        }
        let run: Run = toml::from_str("length = '5 steps'").expect("valid");
        assert_eq!(run.length, Span::Steps(5));
        let error = toml::from_str::<Run>("length = 5").expect_err("no unit");
        assert!(error.to_string().contains("\"500 steps\""), "{error}");
    }

    #[test]
    fn spans_are_read_as_they_are_written() {
        for text in ["500 steps", "0 steps", "10 epochs", "0.25 epochs"] {
            let span: Span = text.parse().expect(text);
            assert_eq!(span.to_string(), text);
        }
        for text in [
            "",
            "5",
            "steps",
            "-1 steps",
            "1.5 steps",
            "NaN epochs",
            "5 days",
        ] {
            let error = text.parse::<Span>().expect_err(text);
            assert!(error.contains("\"500 steps\""), "{error}");
        }
    }
}
