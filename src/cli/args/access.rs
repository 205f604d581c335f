//! Access to images that are not files: in registries and daemons.

#[cfg(feature = "registry")]
use super::RegistryArgs;
use crate::build::CacheUse;
use crate::cli::images::Access;

/// The arguments of every command that reads images from anywhere.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct AccessArgs {
    /// Do not keep blobs of registries and layers of recipes in the cache
    #[arg(long)]
    no_cache: bool,

    #[cfg(feature = "registry")]
    #[command(flatten)]
    registry: RegistryArgs,
}

impl AccessArgs {
    /// Prepares access to images.
    pub(in crate::cli) fn access(&self) -> Access<'_> {
        #[cfg(feature = "registry")]
        return Access::new(&self.registry, !self.no_cache);
        #[cfg(not(feature = "registry"))]
        Access::new()
    }

    /// How the layer cache is used for recipes.
    pub(in crate::cli) fn cache(&self) -> CacheUse {
        match self.no_cache {
            true => CacheUse::Off,
            false => CacheUse::On,
        }
    }
}
