//! The messages from the thread of a VM to the one that runs a step.

use std::fs::File;

use crate::steps::StepError;

/// Events of a step in a VM.
pub(super) enum Message {
    /// A status before the command runs.
    Status(String),
    /// An archive of the image is needed, without its lowest layers.
    Missing {
        /// The number of layers that the engine has.
        present: usize,
    },
    /// The command begins.
    Begin,
    /// It printed a line.
    Line(String),
    /// It ended with this exit code.
    Ended(i64),
    /// The tar of its changes, within another, or an error.
    Done(Result<File, StepError>),
}
