//! Selects one of the images in a layout, by name and platform.

use std::rc::Rc;

use super::artifact::is_artifact;
use super::documents::Documents;
use super::index::{ListedImage, ListedImages, UnsupportedImage};
use super::platforms::Platforms;
use crate::archive::ArchiveError;
use crate::archive::image::{ImageSelector, best_by_rank};
use crate::image::manifest::OciPlatform;
use crate::text;

/// Selects the image in `listed` that `selector` matches, and returns the platforms of the other
/// images of the same name. Only a damaged image that is selected, or may be, is an error.
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
    let mut platforms = Platforms::new(documents);
    if named.is_empty() && unsupported.is_empty() && !others.is_empty() {
        let problem = format!("no image matches {selector}; the layout has");
        return Err(documents.invalid(format!("{problem} {}", list(&mut platforms, &others))));
    }
    let (mut images, mut about_others, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
    for image in named {
        match documents.listed_manifest(&image.descriptor) {
            Ok(Some(manifest)) if is_artifact(&manifest) => artifacts += 1,
            Ok(Some(manifest)) => {
                platforms.add(&image, &manifest);
                if manifest.has_subject { &mut about_others } else { &mut images }.push(image);
            }
            Ok(None) => images.push(image),
            Err(_) => damaged.push(image),
        }
    }
    if images.is_empty() {
        images = about_others;
    }
    let readable = images.clone();
    images.extend(damaged);
    check_supported(&mut platforms, &images, &unsupported, selector)?;
    if images.len() > 1 {
        images = for_platform(&mut platforms, images, selector)?;
    }
    match (images.pop(), images.len()) {
        (Some(image), 0) => {
            let others = platforms.of_others(&readable, &image);
            Ok((image, others))
        }
        (Some(last), more) => {
            images.push(last);
            let (matching, found) =
                (selector.describe_matching(more + 1), list(&mut platforms, &images));
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
    platforms: &mut Platforms<'_>,
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
    for image in images {
        if platforms.get(image)?.is_none_or(|found| rank(Some(&found)).is_some_and(|r| r <= best)) {
            return Ok(());
        }
    }
    let digest = text::quote(&image.digest);
    let problem = format!(
        "index.json lists the image by the digest {digest}; only digests of SHA-256 are supported"
    );
    Err(platforms.documents().invalid(problem))
}

/// Keeps the images that suit the selected platform best; an error if there are none.
fn for_platform(
    platforms: &mut Platforms<'_>,
    images: Vec<ListedImage>,
    selector: &ImageSelector,
) -> Result<Vec<ListedImage>, ArchiveError> {
    let Some(wanted) = &selector.platform else {
        return Ok(images);
    };
    let mut ranks = Vec::new();
    for image in &images {
        ranks.push(platforms.get(image)?.and_then(|platform| platform.rank_for(wanted)));
    }
    if ranks.iter().all(Option::is_none) {
        let problem = format!("no image is for {wanted}; the layout has");
        let found = list(platforms, &images);
        return Err(platforms.documents().invalid(format!("{problem} {found}")));
    }
    Ok(best_by_rank(images, &ranks))
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

/// The names and platforms of images, for messages.
fn list(platforms: &mut Platforms<'_>, images: &[ListedImage]) -> String {
    text::list(images.iter().map(|image| {
        let name = image.names.first().map_or("unnamed", |name| name);
        match platforms.get(image) {
            Ok(Some(platform)) => format!("{name} ({platform})"),
            _ => name.to_owned(),
        }
    }))
}
