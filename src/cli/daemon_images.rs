//! Images in daemons, which are saved to files without names.

#[cfg(feature = "vm")]
use crate::archive;
#[cfg(feature = "registry")]
use crate::archive::Limits;
use crate::archive::{Image, ImageSelector};
#[cfg(feature = "registry")]
use crate::copy::Source;
#[cfg(feature = "registry")]
use crate::image::Platform;
use crate::image::Reference;

/// Opens an image in a daemon, which is saved to a file without a name.
#[cfg(feature = "vm")]
pub(super) fn in_daemon(reference: &Reference, selector: &ImageSelector) -> anyhow::Result<Image> {
    let file = super::daemon::save(reference)?;
    let name = format!("docker-daemon:{reference}");
    let image = archive::open_file(file, name.as_ref(), selector)?;
    // The daemon saves the image for one platform.
    Ok(Image { other_platforms: Vec::new(), ..image })
}

#[cfg(not(feature = "vm"))]
pub(super) fn in_daemon(reference: &Reference, _: &ImageSelector) -> anyhow::Result<Image> {
    Err(no_daemon(reference))
}

/// Opens an image in a daemon to copy it.
#[cfg(all(feature = "registry", feature = "vm"))]
pub(super) fn saved(
    reference: &Reference,
    platform: Option<&Platform>,
    limits: Limits,
) -> anyhow::Result<Source> {
    Ok(Source::saved(super::daemon::save(reference)?, reference, platform, limits)?)
}

#[cfg(all(feature = "registry", not(feature = "vm")))]
pub(super) fn saved(
    reference: &Reference,
    _: Option<&Platform>,
    _: Limits,
) -> anyhow::Result<Source> {
    Err(no_daemon(reference))
}

#[cfg(not(feature = "vm"))]
fn no_daemon(reference: &Reference) -> anyhow::Error {
    anyhow::anyhow!(
        "docker-daemon:{reference}: this seatrial was built without access to daemons; build it \
         with feature vm, or save the image first: docker save -o FILE {reference}"
    )
}
