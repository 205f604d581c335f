//! How a build uses `seatrial.lock`.

/// How a build uses the lock file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockUse {
    /// Base images that are not locked yet are locked.
    #[default]
    Write,
    /// The file is only read.
    Read,
    /// A base image that is not locked is an error.
    Require,
}
