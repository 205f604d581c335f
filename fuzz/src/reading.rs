//! Reading an image, and the checks that hold for every image that is accepted.

use std::io::Write;
use std::path::Path;

use seatrial::archive::tree::Tree;
use seatrial::archive::verify::{self, VerifiedLayer};
use seatrial::archive::{ArchiveError, Image, ImageSelector, files, open};
use seatrial::build::{BuildError, CacheUse, Format, Options, Output, Recipe, assemble, plan};
use seatrial::image::{Digest, Summary};
use seatrial::lint;
use tempfile::NamedTempFile;

/// An image that was opened and verified.
#[derive(Debug)]
pub struct Verified {
    /// The image.
    pub image: Image,
    /// Its layers.
    pub layers: Vec<VerifiedLayer>,
}

/// Opens the image at `path` and verifies its layers.
///
/// # Errors
/// If it is not an image, or is broken.
pub fn verified(path: &Path) -> Result<Verified, ArchiveError> {
    let image = open(path, &ImageSelector::default())?;
    let layers = verify::layers(&image, 1)?;
    assert_eq!(layers.len(), image.layers.len());
    assert_eq!(layers.len(), image.config.rootfs.diff_ids.len());
    assert_eq!(image.id(), Digest::of(&image.raw_config));
    Ok(Verified { image, layers })
}

/// Opens the image that a file with `bytes` is; `None` if it is not accepted.
pub fn accepted(bytes: &[u8]) -> Option<(NamedTempFile, Verified)> {
    let file = file_with(bytes)?;
    let verified = verified(file.path()).ok()?;
    Some((file, verified))
}

/// Makes a temporary file with `bytes`.
pub fn file_with(bytes: &[u8]) -> Option<NamedTempFile> {
    let mut file = NamedTempFile::new().ok()?;
    file.write_all(bytes).ok()?;
    Some(file)
}

/// Uses an accepted image in all the ways that read it: linting, looking for files, building on it.
pub fn use_everywhere(path: &Path, verified: Verified) {
    let Verified { image, layers } = verified;
    let _ = lint::lint(&image, &layers);
    let tree = Tree::from_layers(layers.into_iter().map(|layer| layer.tree));
    let _ = files::find(&image, &tree, &["etc/passwd", "/a/b/../c", "bin/sh", ""]);
    let _ = files::for_each_entry(&image, |_| ());
    build_on(path, &image);
}

/// Builds an image without contents on the image at `path`; if that is possible, the result has the
/// same layers.
fn build_on(path: &Path, base: &Image) {
    let recipe = serde_json::json!({
        "name": "on", "tag": "1", "from_image": path, "architecture": base.config.architecture,
        "max_layers": 125, "inherit": "all",
    });
    let Ok((built, summary)) = build(Path::new("recipe.json"), &recipe.to_string(), PLAIN) else {
        return;
    };
    let built = verified(built.path()).expect("an image that was built is accepted");
    assert_eq!(built.image.id(), summary.id);
    assert_eq!(built.image.config.rootfs.diff_ids, base.config.rootfs.diff_ids);
}

/// A docker-archive that is not compressed.
pub const PLAIN: Options = Options {
    format: Format::Docker,
    compression: seatrial::archive::Compression::None,
    threads: 1,
    cache: CacheUse::Off,
};

/// Builds the recipe `text`, whose paths are relative to the folder of `path`, into a file.
///
/// # Errors
/// If the recipe cannot be built.
pub fn build(
    path: &Path,
    text: &str,
    options: Options,
) -> Result<(NamedTempFile, Summary), BuildError> {
    let plan = plan(Recipe::parse(path, text)?, options.threads)?;
    let output = NamedTempFile::new().expect("a temporary file");
    let summary = assemble(&plan, options, Output::File(output.as_file()), &mut |_| ())?;
    Ok((output, summary))
}
