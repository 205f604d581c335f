//! The number of threads.

/// The variable with the number of cores that a Nix build may use; 0 stands for all.
const NIX_BUILD_CORES: &str = "NIX_BUILD_CORES";
/// The most threads that can be requested.
const MAX_THREADS: usize = 256;

/// Returns the requested number of threads; by default, as many as Nix gives a build, or one per
/// core.
pub(in crate::cli) fn thread_count(requested: Option<u16>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let given = || std::env::var(NIX_BUILD_CORES).ok()?.parse().ok().filter(|cores| *cores > 0);
    requested.map(usize::from).or_else(given).map_or_else(cores, |given| given.min(MAX_THREADS))
}
