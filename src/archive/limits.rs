//! Limits on what an image may cost its reader: an archive of a few kilobytes can decompress to
//! terabytes or list millions of paths.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use super::invalid_data::invalid_data;
use super::tar::{Member, MemberKind};

/// Limits on an image that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes that the compressed layers of an image may decompress to together; the same
    /// for an archive that is compressed as a whole. `None` for 512 MiB plus 1100 times the
    /// compressed size.
    pub size: Option<u64>,
    /// The most entries in all layers together.
    pub entries: u64,
}

/// The default limit for a very small image, in bytes. zstd and xz can compress so little to so
/// much that reading it takes long; `ci/hostile` measures that.
const SIZE: u64 = 512 << 20;
/// Deflate cannot compress more than 1032 to 1, so images in gzip are never refused.
const RATIO: u64 = 1100;
/// Large images have some 300 000 entries. A million takes up to 256 MiB of memory.
const ENTRIES: u64 = 1_000_000;
/// The average length of a path and link target that the limit of entries allows for, in bytes.
const ENTRY_BYTES: u64 = 96;

/// The most work of following the symlinks of one image, as `walk` counts it: each component of a
/// path or link target is looked up, so long ones take long, and entries with short paths could
/// lead through millions of them.
pub(super) const LINK_WORK: u64 = 1 << 28;

impl Default for Limits {
    fn default() -> Self {
        Self { size: None, entries: ENTRIES }
    }
}

impl Limits {
    /// The most bytes that `stored` compressed bytes may decompress to.
    pub(super) fn decompressed(&self, stored: u64) -> u64 {
        self.size.unwrap_or_else(|| stored.saturating_mul(RATIO).saturating_add(SIZE))
    }
}

/// Counts what one image costs against its limits; shared by the threads that read it.
#[derive(Debug)]
pub(super) struct Budget {
    size_limit: u64,
    entry_limit: u64,
    size: AtomicU64,
    entries: AtomicU64,
    path_bytes: AtomicU64,
    link_work: AtomicU64,
}

impl Budget {
    /// The budget of an image whose compressed parts take `stored` bytes.
    pub(super) fn new(limits: &Limits, stored: u64) -> Self {
        Self {
            size_limit: limits.decompressed(stored),
            entry_limit: limits.entries,
            size: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            path_bytes: AtomicU64::new(0),
            link_work: AtomicU64::new(0),
        }
    }

    /// Counts an entry of a layer.
    pub(super) fn take_entry(&self, member: &Member) -> io::Result<()> {
        let mut bytes = (member.path.len() + member.link.len()) as u64;
        // Those of directories stay in memory.
        if member.kind == MemberKind::Directory {
            let sizes = member.xattrs.iter().map(|(name, value)| name.len() + value.len());
            bytes += sizes.sum::<usize>() as u64;
        }
        self.take_paths(1, bytes)
    }

    /// Counts paths that have `bytes` together.
    pub(super) fn take_paths(&self, paths: u64, bytes: u64) -> io::Result<()> {
        let entries = self.entries.fetch_add(paths, Ordering::Relaxed) + paths;
        let bytes = self.path_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if entries <= self.entry_limit && bytes <= self.entry_limit.saturating_mul(ENTRY_BYTES) {
            return Ok(());
        }
        let limit = self.entry_limit;
        Err(invalid_data(format!(
            "the image has more than {limit} entries, or their paths are too long; if you trust \
             it, raise the limit with --max-entries"
        )))
    }

    /// Counts the work of following symlinks.
    pub(super) fn take_link_work(&self, work: u64) -> io::Result<()> {
        match self.link_work.fetch_add(work, Ordering::Relaxed) + work > LINK_WORK {
            false => Ok(()),
            true => Err(too_many_links()),
        }
    }

    /// Returns a reader of the decompressed bytes `inner`, which counts them.
    pub(super) fn reader<R: Read>(&self, inner: R) -> BudgetReader<'_, R> {
        BudgetReader { inner, budget: self }
    }

    /// Counts bytes that are read.
    pub(super) fn take_bytes(&self, count: u64) -> io::Result<()> {
        if self.size.fetch_add(count, Ordering::Relaxed) + count <= self.size_limit {
            return Ok(());
        }
        let limit = self.size_limit;
        Err(invalid_data(format!(
            "the image decompresses to more than {limit} bytes; if you trust it, raise the limit \
             with --max-size"
        )))
    }
}

/// The error of an image that exceeds [`LINK_WORK`].
pub(super) fn too_many_links() -> io::Error {
    invalid_data(
        "too many of its entries lead through symlinks with long targets or to long paths; pack \
         them under their real paths",
    )
}

/// Counts what is read.
pub(super) struct BudgetReader<'b, R> {
    inner: R,
    budget: &'b Budget,
}

impl<R: Read> Read for BudgetReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.budget.take_bytes(count as u64)?;
        Ok(count)
    }
}
