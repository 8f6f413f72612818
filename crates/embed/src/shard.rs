use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which part of a screen's plates a process embeds: of the plates in their
/// order those at positions `index`, `index + count` and so on.
///
/// ```
/// use morphospace_embed::Shard;
///
/// let shard: Shard = "1/4".parse()?;
/// let taken: Vec<usize> = (0..10).filter(|plate| shard.takes(*plate)).collect();
/// assert_eq!(taken, [1, 5, 9]);
/// assert!("4/4".parse::<Shard>().is_err());
/// # Ok::<(), morphospace_embed::InvalidShard>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// From 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

/// Why a part cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidShard {
    /// Not two numbers.
    #[error("'{0}' is not of the form INDEX/COUNT, e.g. 0/4 for the first of four parts")]
    NotAPair(String),
    /// Beyond the last.
    #[error("there is no part {index} of {count}: parts are counted from 0")]
    OutOfRange {
        /// Asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// No scheduler has said which.
    #[error(
        "no scheduler says which part this is: none of {} is set\n\
         hint: give --shard INDEX/COUNT", Shard::INDEX_VARIABLES.join(", ")
    )]
    NoScheduler,
    /// A scheduler has said which, but not of how many.
    #[error("{variable} says that this is part {index}, but not of how many\nhint: give {fix}")]
    NoCount {
        /// What was read.
        variable: &'static str,
        /// The part.
        index: usize,
        /// What tells it.
        fix: &'static str,
    },
    /// Tasks of an array that are not numbered one by one.
    #[error(
        "the array's {count} tasks are numbered from {first} to {last}, with gaps\n\
         hint: number them one by one, e.g. --array=0-{}", count.saturating_sub(1)
    )]
    Gaps {
        /// Tasks.
        count: usize,
        /// Lowest number.
        first: usize,
        /// Highest number.
        last: usize,
    },
    /// An array that begins late is part of a larger one.
    #[error(
        "the array's tasks begin at {first}: of how many they are parts is not told\n\
         hint: give --shard $SLURM_ARRAY_TASK_ID/COUNT"
    )]
    NotFromStart {
        /// Lowest number.
        first: usize,
    },
    /// Not a number.
    #[error("{variable} is '{value}', which is not a number of parts")]
    NotANumber {
        /// What was read.
        variable: &'static str,
        /// What it says.
        value: String,
    },
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Variables of Slurm, AWS Batch and Kubernetes that say which part of an
    /// array a process is.
    pub const INDEX_VARIABLES: [&'static str; 3] = [
        "SLURM_ARRAY_TASK_ID",
        "AWS_BATCH_JOB_ARRAY_INDEX",
        "JOB_COMPLETION_INDEX",
    ];

    /// A part, which there must be.
    ///
    /// # Errors
    /// [`InvalidShard::OutOfRange`].
    pub fn new(index: usize, count: usize) -> Result<Self, InvalidShard> {
        match index < count {
            true => Ok(Self { index, count }),
            false => Err(InvalidShard::OutOfRange { index, count }),
        }
    }

    /// Whether the plate at a position belongs to it.
    pub fn takes(self, plate: usize) -> bool {
        plate % self.count == self.index
    }

    /// What the scheduler's variables say, read by `variable`.
    ///
    /// - Slurm: `SLURM_ARRAY_TASK_ID` less `SLURM_ARRAY_TASK_MIN`, of
    ///   `SLURM_ARRAY_TASK_COUNT`. The array's numbers must have no gaps.
    /// - AWS Batch: `AWS_BATCH_JOB_ARRAY_INDEX`, of `AWS_BATCH_JOB_ARRAY_SIZE`.
    /// - Kubernetes: `JOB_COMPLETION_INDEX`, of `JOB_COMPLETIONS`, which the
    ///   job's template has to set.
    ///
    /// # Errors
    /// None is set, or not all that is needed, or not to a number.
    pub fn of_scheduler(
        variable: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Self, InvalidShard> {
        let number = |name: &'static str| match variable(name) {
            None => Ok(None),
            Some(value) => match value.trim().parse::<usize>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(InvalidShard::NotANumber {
                    variable: name,
                    value,
                }),
            },
        };
        let [slurm, aws, kubernetes] = Self::INDEX_VARIABLES;
        let of = |name, index, count: Option<usize>, fix| match count {
            Some(count) => Self::new(index, count),
            None => Err(InvalidShard::NoCount {
                variable: name,
                index,
                fix,
            }),
        };
        if let Some(id) = number(slurm)? {
            let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
            // `--array=3` of tasks that were handed in again.
            if first > 1 {
                return Err(InvalidShard::NotFromStart { first });
            }
            let (count, last) = (
                number("SLURM_ARRAY_TASK_COUNT")?,
                number("SLURM_ARRAY_TASK_MAX")?,
            );
            // `--array=1-9:2` counts five tasks over nine numbers.
            if let (Some(count), Some(last)) = (count, last)
                && last + 1 - first.min(last) != count
            {
                return Err(InvalidShard::Gaps { count, first, last });
            }
            return of(slurm, id - first.min(id), count, "SLURM_ARRAY_TASK_COUNT");
        }
        if let Some(index) = number(aws)? {
            let size = "AWS_BATCH_JOB_ARRAY_SIZE";
            return of(
                aws,
                index,
                number(size)?,
                "AWS_BATCH_JOB_ARRAY_SIZE or --shard INDEX/COUNT",
            );
        }
        if let Some(index) = number(kubernetes)? {
            let fix = "the job's number of completions as the variable JOB_COMPLETIONS";
            return of(kubernetes, index, number("JOB_COMPLETIONS")?, fix);
        }
        Err(InvalidShard::NoScheduler)
    }
}

impl FromStr for Shard {
    type Err = InvalidShard;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/');
        let numbers = parts.and_then(|(index, count)| {
            Some((index.trim().parse().ok()?, count.trim().parse().ok()?))
        });
        let (index, count) = numbers.ok_or_else(|| InvalidShard::NotAPair(text.to_owned()))?;
        Self::new(index, count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Shard, InvalidShard> {
        Shard::of_scheduler(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn schedulers_say_which_part_it_is() {
        let slurm = |id| {
            of(&[
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", "1"),
                ("SLURM_ARRAY_TASK_MAX", "4"),
                ("SLURM_ARRAY_TASK_COUNT", "4"),
            ])
        };
        assert_eq!(slurm("1"), Ok(Shard { index: 0, count: 4 }));
        assert_eq!(slurm("4"), Ok(Shard { index: 3, count: 4 }));
        let aws = [
            ("AWS_BATCH_JOB_ARRAY_INDEX", "2"),
            ("AWS_BATCH_JOB_ARRAY_SIZE", "3"),
        ];
        assert_eq!(of(&aws), Ok(Shard { index: 2, count: 3 }));
        let kubernetes = [("JOB_COMPLETION_INDEX", "0"), ("JOB_COMPLETIONS", "2")];
        assert_eq!(of(&kubernetes), Ok(Shard { index: 0, count: 2 }));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert_eq!(of(&[]), Err(InvalidShard::NoScheduler));
        let of_how_many = of(&[("JOB_COMPLETION_INDEX", "0")]);
        assert!(matches!(of_how_many, Err(InvalidShard::NoCount { .. })));
        let word = of(&[("JOB_COMPLETION_INDEX", "one")]);
        assert!(matches!(word, Err(InvalidShard::NotANumber { .. })));
        let with_gaps = of(&[
            ("SLURM_ARRAY_TASK_ID", "3"),
            ("SLURM_ARRAY_TASK_MIN", "1"),
            ("SLURM_ARRAY_TASK_MAX", "9"),
            ("SLURM_ARRAY_TASK_COUNT", "5"),
        ]);
        assert!(matches!(with_gaps, Err(InvalidShard::Gaps { .. })));
        let again = of(&[
            ("SLURM_ARRAY_TASK_ID", "3"),
            ("SLURM_ARRAY_TASK_MIN", "3"),
            ("SLURM_ARRAY_TASK_MAX", "3"),
            ("SLURM_ARRAY_TASK_COUNT", "1"),
        ]);
        assert_eq!(again, Err(InvalidShard::NotFromStart { first: 3 }));
        for text in ["", "1", "1/", "-1/2", "a/b", "2/2", "0/0"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_plate_belongs_to_one_part() {
        for count in 1..6 {
            for plate in 0..20 {
                let parts = (0..count).filter(|&index| Shard { index, count }.takes(plate));
                assert_eq!(parts.count(), 1);
            }
        }
    }
}
