//! Access to images that are not files: in registries and daemons.

#[cfg(feature = "registry")]
use super::RegistryArgs;
use crate::cli::images::Access;

/// The arguments of every command that reads images from anywhere.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct AccessArgs {
    #[cfg(feature = "registry")]
    #[command(flatten)]
    registry: RegistryArgs,
}

impl AccessArgs {
    /// Prepares access to images; `cache` says whether blobs of registries are cached.
    pub(in crate::cli) fn access(&self, cache: bool) -> Access<'_> {
        #[cfg(feature = "registry")]
        return Access::new(&self.registry, cache);
        #[cfg(not(feature = "registry"))]
        {
            let _ = cache;
            Access::new()
        }
    }
}
