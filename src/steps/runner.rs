//! The interface between steps and what runs their commands.

use std::fmt;
use std::io::Read;

use super::StepError;
use super::changes::OverlayFormat;
use super::event::StepEvent;
use super::output::Output;
use super::owners::RecordedOwners;
use super::step::Step;
use crate::archive::blob::FileSlice;
use crate::image::{DiffId, Timestamp};

/// A layer below a step.
pub struct LowerLayer<'a> {
    /// The digest of its uncompressed tar.
    pub diff_id: DiffId,
    /// Whether it is the layer with the contents.
    pub has_contents: bool,
    /// Returns its bytes, compressed or not; called only if a step runs that needs them.
    pub open: Box<dyn Fn() -> Result<FileSlice, StepError> + 'a>,
}

impl fmt::Debug for LowerLayer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LowerLayer").field("diff_id", &self.diff_id).finish_non_exhaustive()
    }
}

/// The layer that a step made.
#[derive(Clone, Debug)]
pub struct StepLayer {
    /// The uncompressed tar.
    pub bytes: FileSlice,
    /// Its digest.
    pub diff_id: DiffId,
    /// The number of its entries.
    pub entries: usize,
    /// Whether it is from the cache.
    pub cached: bool,
}

/// Runs the command of a step.
pub trait Runner: fmt::Debug + Send + Sync {
    /// The name and version of what the command runs in, as far as that decides what it does.
    ///
    /// # Errors
    /// If that is not known.
    fn identity(&self) -> Result<String, StepError>;

    /// Runs `step` on `layers`, lowest first, and passes its changes to `changes`: a reader of a
    /// tar, as GNU tar writes it.
    ///
    /// # Errors
    /// If the command fails, or cannot be run, or the first error of `changes`.
    fn run(
        &self,
        layers: &[LowerLayer<'_>],
        step: &Step,
        output: &mut Output<'_>,
        changes: &mut ChangesReader<'_>,
    ) -> Result<(), StepError>;
}

/// Receives the tar with the changes of a step, in the format that is given, and the owners that
/// are not in the tar.
pub type ChangesReader<'a> =
    dyn FnMut(&mut dyn Read, OverlayFormat, RecordedOwners) -> Result<(), StepError> + 'a;

/// The use of results from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Steps whose inputs are unchanged do not run.
    Everything,
    /// Every step runs, and replaces its result from before.
    Refresh,
    /// Every step runs twice, and both runs must give the same bytes.
    Verify,
    /// Every step runs, and nothing is kept.
    Nothing,
}

/// The settings that all steps of an image share.
pub struct Context<'a> {
    /// The latest modification time of files.
    pub mtime: Timestamp,
    /// The architecture of the image, by its Go name.
    pub architecture: &'a str,
    /// The use of results from before.
    pub reuse: Reuse,
    /// Runs the steps with [`Place::Vm`](super::Place::Vm).
    pub vm: Option<&'a dyn Runner>,
    /// Receives events.
    pub on_event: &'a dyn Fn(StepEvent<'_>),
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("reuse", &self.reuse).finish_non_exhaustive()
    }
}
