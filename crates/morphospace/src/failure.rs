//! What a command comes to.

/// How a command that ran to its end ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything asked for is there. Exit status 0.
    Done,
    /// Finished, but some sites were left out; they have been named. Exit
    /// status 1.
    DoneWithFailures,
}

impl Outcome {
    pub(crate) fn with_failures(any: bool) -> Self {
        if any {
            Self::DoneWithFailures
        } else {
            Self::Done
        }
    }
}

/// Why a command did not finish.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing has been done. Exit status 2.
    Refused(anyhow::Error),
    /// Something broke on the way. Exit status 1.
    Stopped(anyhow::Error),
}

/// Says in which phase of a command an error falls.
pub(crate) trait Phase<T> {
    /// An error here means that nothing was done.
    fn or_refuse(self) -> Result<T, Failure>;
    /// An error here means that work was under way.
    fn or_stop(self) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> Phase<T> for Result<T, E> {
    fn or_refuse(self) -> Result<T, Failure> {
        self.map_err(|error| Failure::Refused(error.into()))
    }

    fn or_stop(self) -> Result<T, Failure> {
        self.map_err(|error| Failure::Stopped(error.into()))
    }
}
