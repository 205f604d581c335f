//! Limits of engines, in words that a report shows as the reason of a skipped test case.

use super::cri::limits::{KEPT_FILES, SIGNALS};
use super::{Cri, Engine, ExecOptions, RunOptions, limits};

impl Engine {
    /// Explains which of `options` the engine does not support, if any.
    pub(crate) fn unsupported(&self, options: &RunOptions) -> Option<&'static str> {
        match self {
            Self::Docker(_) => None,
            Self::Cri(_) => Cri::unsupported(options),
        }
    }

    /// Explains which of `options` the engine does not support for a container from which an image
    /// is made, if any. Over CRI, `files` are mounted, so that they do not get into the image.
    pub(crate) fn unsupported_to_commit(&self, options: &RunOptions) -> Option<&'static str> {
        let has_files = !options.settings.files.is_empty();
        match self {
            Self::Cri(_) if has_files => Some(KEPT_FILES),
            _ => self.unsupported(options),
        }
    }

    /// Explains why the engine ignores image health checks, if it does.
    pub(crate) fn health_check_unsupported(&self) -> Option<&'static str> {
        match self {
            Self::Docker(_) => None,
            Self::Cri(_) => Some("CRI ignores image health checks"),
        }
    }

    /// Whether the engine removes carriage returns before newlines from a container's output, as
    /// containerd does when it writes a log for a kubelet.
    pub(crate) fn drops_carriage_returns(&self) -> bool {
        matches!(self, Self::Cri(_))
    }

    /// Explains why no signal besides the stop signal can be sent, if none can.
    pub(crate) fn signal_unsupported(&self) -> Option<&'static str> {
        match self {
            Self::Docker(_) => None,
            Self::Cri(_) => Some(SIGNALS),
        }
    }

    /// Explains which of `options` the engine does not support for a command in a running
    /// container, if any.
    pub(crate) fn unsupported_in_exec(&self, options: &ExecOptions) -> Option<&'static str> {
        match self {
            Self::Docker(_) => None,
            Self::Cri(_) => limits::unsupported_in_exec(options),
        }
    }
}
