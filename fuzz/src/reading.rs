//! Reading an image, and the checks that hold for every image that is accepted.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

use seatrial::archive::tree::Tree;
use seatrial::archive::verify::{self, VerifiedLayer};
use seatrial::archive::{ArchiveError, Image, ImageSelector, files, open};
use seatrial::build::{BuildError, CacheUse, Format, Options, Output, Outputs, Recipe};
use seatrial::build::{assemble, plan};
use seatrial::image::{Digest, Platform, Summary};
use seatrial::lint;
use tempfile::{NamedTempFile, TempDir};

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
    let arm = Platform::from_specifier("linux/arm/v7").ok();
    let _ = open(path, &ImageSelector { platform: arm, ..ImageSelector::default() });
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

/// Builds images on the one at `path`, without contents and with a file in folders that it may have
/// as links. If that is possible, the result has the same layers, and the file can be found.
fn build_on(path: &Path, base: &Image) {
    let contents = contents();
    let layers = &base.config.rootfs.diff_ids;
    for contents in [None, Some(contents)] {
        let list: Vec<_> = contents.into_iter().collect();
        let recipe = serde_json::json!({
            "name": "on", "tag": "1", "from_image": path, "inherit": "all", "max_layers": 125,
            "architecture": base.config.architecture, "contents": list,
        });
        let Ok((file, summary)) = build(Path::new("recipe.json"), &recipe.to_string(), PLAIN)
        else {
            continue;
        };
        let Verified { image, layers: built } =
            verified(file.path()).expect("an image that was built is accepted");
        assert_eq!(image.id(), summary.id);
        assert!(image.config.rootfs.diff_ids.starts_with(layers));
        assert_eq!(image.layers.len(), layers.len() + usize::from(contents.is_some()));
        let tree = Tree::from_layers(built.into_iter().map(|layer| layer.tree));
        for path in FILES.iter().filter(|_| contents.is_some()) {
            let found = files::find(&image, &tree, &[path]).expect("a verified image is read");
            let content = found.get(*path).and_then(|found| found.content.as_deref());
            assert_eq!(content, Some(path.as_bytes()), "{path} of the contents");
        }
    }
}

/// The files that are put on other images; each contains its path.
const FILES: [&str; 3] = ["etc/link/new", "bin/sh/new", "usr-bin/new"];

/// A folder with [`FILES`].
fn contents() -> &'static Path {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
        let folder = TempDir::new().expect("a temporary folder");
        for path in FILES {
            let place = folder.path().join(path);
            let made = fs::create_dir_all(place.parent().unwrap_or(folder.path()));
            made.and_then(|()| fs::write(place, path)).expect("a temporary file");
        }
        folder
    });
    FOLDER.path()
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
    let plan = plan(Recipe::parse(path, text)?, &Outputs::default(), options.threads)?;
    let output = NamedTempFile::new().expect("a temporary file");
    let summary = assemble(&plan, options, Output::File(output.as_file()), &mut |_| ())?;
    Ok((output, summary))
}
