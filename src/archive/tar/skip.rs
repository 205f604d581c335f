//! Readers that can skip bytes.

use std::io::{self, Read};

/// A reader that can skip bytes.
pub trait Skip: Read {
    /// Skips `count` bytes.
    ///
    /// # Errors
    /// If reading fails; of kind `UnexpectedEof` if there are fewer bytes.
    fn skip(&mut self, count: u64) -> io::Result<()>;
}

impl<S: Skip + ?Sized> Skip for Box<S> {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        (**self).skip(count)
    }
}
