//! The files that `build` writes if the user names no others.

use std::path::{Path, PathBuf};

use super::Recipe;
use crate::archive::Compression;
use crate::image::{Name, Platform};
use crate::sbom::SbomFormat;

impl Recipe {
    /// The archive, which may be compressed as a whole: `NAME.tar`, with a suffix.
    pub(crate) fn default_archive(&self, compression: Compression) -> PathBuf {
        archive(&self.name, compression)
    }

    /// The bill of materials: the file `chosen`, or else `NAME.spdx.json` or `NAME.cdx.json`. Of a
    /// recipe for several platforms, each has its own.
    pub(crate) fn bill(&self, format: SbomFormat, chosen: Option<&Path>) -> PathBuf {
        let suffix = format.suffix();
        let default = || format!("{}.{suffix}", self.name.base_name()).into();
        let path = chosen.map_or_else(default, Path::to_owned);
        match &self.platform {
            Some(platform) if self.platforms.len() > 1 => of_platform(&path, suffix, platform),
            _ => path,
        }
    }

    /// Every file that `build` may write if the user names no others, for all platforms of the
    /// recipe, relative to the working directory; under the name in its file, too, if the command
    /// line gives it another one.
    pub(crate) fn default_outputs(&self) -> Vec<PathBuf> {
        let mut outputs = self.default_outputs_of(&self.name);
        if self.own_name != self.name {
            outputs.extend(self.default_outputs_of(&self.own_name));
        }
        outputs
    }

    fn default_outputs_of(&self, name: &Name) -> Vec<PathBuf> {
        let archives = [Compression::None, Compression::Gzip, Compression::Zstd];
        let mut outputs = archives.map(|compression| archive(name, compression)).to_vec();
        for format in [SbomFormat::Spdx, SbomFormat::CycloneDx] {
            let shared = PathBuf::from(format!("{}.{}", name.base_name(), format.suffix()));
            let of_platforms = self.platforms.iter().filter(|_| self.platforms.len() > 1);
            outputs.extend(of_platforms.map(|one| of_platform(&shared, format.suffix(), one)));
            outputs.push(shared);
        }
        outputs
    }
}

fn archive(name: &Name, compression: Compression) -> PathBuf {
    format!("{}.tar{}", name.base_name(), compression.suffix()).into()
}

/// Adds `platform` to the name of the file at `path`, before its ending or else `suffix`.
fn of_platform(path: &Path, suffix: &str, platform: &Platform) -> PathBuf {
    let platform = platform.to_string().replace('/', "-");
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (stem, end) = file.split_once('.').unwrap_or((&file, suffix));
    path.with_file_name(format!("{stem}.{platform}.{end}"))
}
