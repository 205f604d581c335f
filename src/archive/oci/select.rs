//! Selects one of the images in a layout, by name and platform.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::artifact::is_artifact;
use super::documents::Documents;
use super::index::{ListedImage, ListedImages, UnsupportedImage};
use crate::archive::ArchiveError;
use crate::archive::image::{ImageSelector, best_by_rank};
use crate::archive::json;
use crate::image::manifest::OciPlatform;
use crate::image::{Digest, ImageConfig, schema};
use crate::text;

/// Selects the image in `listed` that `selector` matches, and returns the platforms of the other
/// images of the same name.
pub(super) fn select(
    documents: Documents<'_>,
    listed: ListedImages,
    selector: &ImageSelector,
) -> Result<(ListedImage, Vec<OciPlatform>), ArchiveError> {
    let mut artifacts = listed.artifacts;
    let unsupported = listed.unsupported;
    let (named, others): (Vec<_>, Vec<_>) =
        listed.images.into_iter().partition(|image| has_name(&image.names, selector));
    let unsupported: Vec<UnsupportedImage> =
        unsupported.into_iter().filter(|image| has_name(image.name.as_ref(), selector)).collect();
    if named.is_empty() && unsupported.is_empty() && !others.is_empty() {
        let problem = format!("no image matches {selector}; the layout has");
        return Err(documents.invalid(format!("{problem} {}", list(documents, &others))));
    }
    let mut images = Vec::new();
    let mut about_others = Vec::new();
    for image in named {
        match documents.listed_manifest(&image.descriptor)? {
            Some(manifest) if is_artifact(&manifest) => artifacts += 1,
            Some(manifest) if manifest.has_subject => about_others.push(image),
            _ => images.push(image),
        }
    }
    if images.is_empty() {
        images = about_others;
    }
    check_supported(documents, &images, &unsupported, selector)?;
    let candidates = images.clone();
    if images.len() > 1 {
        images = for_platform(documents, images, selector)?;
    }
    match (images.pop(), images.len()) {
        (Some(image), 0) => {
            let others = other_platforms(documents, &candidates, &image);
            Ok((image, others))
        }
        (Some(last), more) => {
            images.push(last);
            let (matching, found) =
                (selector.describe_matching(more + 1), list(documents, &images));
            let named = images.iter().all(|image| !image.names.is_empty());
            let prefix = if documents.path.is_dir() { "oci" } else { "oci-archive" };
            let how = selector.how_to_select(named, prefix, documents.path, "NAME");
            let problem = format!("{matching}; {how}: {found}");
            Err(documents.invalid(problem))
        }
        (None, _) if artifacts > 0 => {
            let problem = "index.json lists no image, only signatures or other artifacts";
            Err(documents.invalid(problem))
        }
        (None, _) => Err(documents.invalid("index.json lists no image")),
    }
}

/// Checks that none of the `unsupported` images would be selected rather than one of `images`.
fn check_supported(
    documents: Documents<'_>,
    images: &[ListedImage],
    unsupported: &[UnsupportedImage],
    selector: &ImageSelector,
) -> Result<(), ArchiveError> {
    let rank = |platform: Option<&OciPlatform>| match (&selector.platform, platform) {
        (Some(wanted), Some(platform)) => platform.rank_for(wanted),
        _ => Some(0),
    };
    let best = unsupported.iter().filter_map(|image| Some((rank(image.platform.as_ref())?, image)));
    let Some((best, image)) = best.min_by_key(|(rank, _)| *rank) else { return Ok(()) };
    let mut platforms = Platforms::new(documents);
    for image in images {
        if platforms.get(image)?.is_none_or(|found| rank(Some(&found)).is_some_and(|r| r <= best)) {
            return Ok(());
        }
    }
    let digest = text::quote(&image.digest);
    let problem = format!(
        "index.json lists the image by the digest {digest}; only digests of SHA-256 are supported"
    );
    Err(documents.invalid(problem))
}

/// Keeps the images that suit the selected platform best; an error if there are none.
fn for_platform(
    documents: Documents<'_>,
    images: Vec<ListedImage>,
    selector: &ImageSelector,
) -> Result<Vec<ListedImage>, ArchiveError> {
    let Some(wanted) = &selector.platform else {
        return Ok(images);
    };
    let (mut platforms, mut ranks) = (Platforms::new(documents), Vec::new());
    for image in &images {
        ranks.push(platforms.get(image)?.and_then(|platform| platform.rank_for(wanted)));
    }
    if ranks.iter().all(Option::is_none) {
        let problem = format!("no image is for {wanted}; the layout has");
        return Err(documents.invalid(format!("{problem} {}", list(documents, &images))));
    }
    Ok(best_by_rank(images, &ranks))
}

/// The platforms of those of `images` that have a name of `selected`, or like it none, as far as
/// they can be read: other images may be damaged.
pub(super) fn other_platforms(
    documents: Documents<'_>,
    images: &[ListedImage],
    selected: &ListedImage,
) -> Vec<OciPlatform> {
    let names: BTreeSet<&Rc<str>> = selected.names.iter().collect();
    let has_name = |other: &ListedImage| match other.names.is_empty() {
        true => names.is_empty(),
        false => other.names.iter().any(|name| names.contains(name)),
    };
    let mut platforms = Platforms::new(documents);
    let mut platform = |image: &ListedImage| platforms.get(image).ok().flatten();
    let own = platform(selected);
    let mut others: Vec<OciPlatform> = Vec::new();
    for other in images.iter().filter(|other| has_name(other)) {
        let manifest = documents.listed_manifest(&other.descriptor).ok().flatten();
        if manifest.is_none_or(|manifest| is_artifact(&manifest)) {
            continue;
        }
        let found = platform(other).filter(|found| Some(found) != own.as_ref());
        others.extend(found.filter(|found| !others.contains(found)));
    }
    others
}

pub(super) fn has_name<'a>(
    names: impl IntoIterator<Item = &'a Rc<str>>,
    selector: &ImageSelector,
) -> bool {
    // The name in a layout may be the tag alone.
    let matches = |name: &str| {
        selector.matches(name) || selector.name.is_none() && selector.tag.as_deref() == Some(name)
    };
    !selector.has_name_or_tag() || names.into_iter().any(|name| matches(name))
}

/// The most bytes of a platform's names; longer ones mean nothing, and many of them take memory.
const TEXT_MAX: usize = 512;

/// Finds out the platforms of images.
struct Platforms<'a> {
    documents: Documents<'a>,
    /// The platforms of configs that have been read.
    of_configs: BTreeMap<Digest, Option<OciPlatform>>,
}

impl<'a> Platforms<'a> {
    fn new(documents: Documents<'a>) -> Self {
        Self { documents, of_configs: BTreeMap::new() }
    }

    /// The platform of an image, according to the index or else to its config. `None` if neither
    /// has it, or if the layout lacks the config or names it by a digest that is not supported.
    fn get(&mut self, image: &ListedImage) -> Result<Option<OciPlatform>, ArchiveError> {
        if let Some(platform) = image.platform() {
            return Ok(Some(platform.clone()));
        }
        let Some(manifest) = self.documents.listed_manifest(&image.descriptor)? else {
            return Ok(None);
        };
        let Ok(digest) = manifest.config.digest.parse() else { return Ok(None) };
        if let Some(platform) = self.of_configs.get(&digest) {
            return Ok(platform.clone());
        }
        let config = manifest.config.with_digest(digest);
        let platform = match self.documents.blob_if_present(&config)? {
            Some(bytes) => {
                let path = self.documents.path;
                let config: ImageConfig = json::parse(path, "the config", &bytes, schema::CONFIG)?;
                Some(OciPlatform::from(&config))
                    .filter(|platform| platform.text_length() < TEXT_MAX)
            }
            None => None,
        };
        self.of_configs.insert(digest, platform.clone());
        Ok(platform)
    }
}

/// The names and platforms of images, for messages.
fn list(documents: Documents<'_>, images: &[ListedImage]) -> String {
    let mut platforms = Platforms::new(documents);
    text::list(images.iter().map(|image| {
        let name = image.names.first().map_or("unnamed", |name| name);
        match platforms.get(image) {
            Ok(Some(platform)) => format!("{name} ({platform})"),
            _ => name.to_owned(),
        }
    }))
}
