//! The number of threads.

/// Returns the requested number of threads, or one per core.
pub(in crate::cli) fn thread_count(requested: Option<u16>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    requested.map_or_else(cores, usize::from)
}
