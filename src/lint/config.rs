//! Rules about the platform, the dates, the names and the number of layers.

use super::finding::Finding;
use crate::archive::Image;
use crate::archive::verify::VerifiedLayer;
use crate::image::time::TimeError;
use crate::image::{Platform, Timestamp};
use crate::text;

/// The most layers that Docker and most other engines support.
const LAYERS_MAX: usize = 125;

pub(super) fn check(image: &Image, layers: &[VerifiedLayer]) -> Vec<Finding> {
    let findings = [
        architecture(image),
        invalid_date(image),
        upper_case_name(image),
        latest_tag(image),
        too_many_layers(image),
        empty_layers(layers),
    ];
    findings.into_iter().flatten().collect()
}

fn architecture(image: &Image) -> Option<Finding> {
    let name = &image.config.architecture;
    let goarch = name.parse::<Platform>().map(|platform| platform.arch.goarch().to_owned());
    (goarch.as_deref() != Ok(name.as_str())).then(|| {
        Finding::warning(
            "architecture-not-goarch",
            format!("the architecture is {}, which is not a GOARCH value", text::quote(name)),
            "engines that select images by platform do not find it; others refuse to run it",
            "use Go's name, such as amd64 or arm64, as seatrial build does",
        )
    })
}

fn invalid_date(image: &Image) -> Option<Finding> {
    let config = &image.config;
    let dates = config.history.iter().filter_map(|step| step.created.as_deref());
    let mut invalid = config.created.as_deref().into_iter().chain(dates).filter(|d| !is_date(d));
    invalid.next().map(|date| {
        Finding::warning(
            "invalid-date",
            format!("{} is not a date in the format of RFC 3339", text::quote(date)),
            "Docker and containerd cannot read the config and reject the image",
            "write dates such as 2024-05-01T12:00:00Z",
        )
    })
}

/// Whether `text` is a date that Go reads: RFC 3339, of any year.
fn is_date(text: &str) -> bool {
    let shape = text.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    shape.take(19).eq(*b"0000-00-00T00:00:00")
        && !text.contains([',', '['])
        && !matches!(text.parse::<Timestamp>(), Err(TimeError::Format(_)))
}

fn upper_case_name(image: &Image) -> Option<Finding> {
    let has_upper_case = |reference: &&String| {
        let name = reference.rsplit_once(':').map_or(reference.as_str(), |(name, _)| name);
        name.chars().any(|c| c.is_ascii_uppercase())
    };
    let names: Vec<&str> =
        image.references.iter().filter(has_upper_case).map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        Finding::warning(
            "upper-case-name",
            format!("names with upper-case letters: {}", text::list(names)),
            "registries and most engines reject them",
            "use lower case, as seatrial build does",
        )
    })
}

fn latest_tag(image: &Image) -> Option<Finding> {
    let is_latest = |reference: &&String| reference.ends_with(":latest");
    let names: Vec<&String> = image.references.iter().filter(is_latest).collect();
    (!names.is_empty()).then(|| {
        Finding::note(
            "latest-tag",
            format!("names with the tag latest: {}", text::list(names)),
            "the tag does not say which version it is, and Kubernetes pulls such an image at \
             every start",
            "give each version a tag of its own",
        )
    })
}

fn too_many_layers(image: &Image) -> Option<Finding> {
    let count = image.layers.len();
    (count > LAYERS_MAX).then(|| {
        Finding::warning(
            "too-many-layers",
            format!("the image has {count} layers"),
            "Docker rejects images with more than 125 layers, overlayfs supports at most 127",
            "lower max_layers",
        )
    })
}

fn empty_layers(layers: &[VerifiedLayer]) -> Option<Finding> {
    let count = layers.iter().filter(|layer| layer.tree.entries == 0).count();
    (count > 0).then(|| {
        Finding::warning(
            "empty-layer",
            format!("{count} of {} layers are empty", layers.len()),
            "each costs a request per pull, and some tools reject them",
            "remove the build steps that create them",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_format_of_rfc_3339() {
        for date in
            ["0001-01-01T00:00:00Z", "2024-05-01T12:00:00.123456789Z", "2024-05-01T12:00:00+02:00"]
        {
            assert!(is_date(date), "{date}");
        }
        for date in [
            "",
            "yesterday",
            "1714557600",
            "2024-05-01",
            "2024-05-01 12:00:00Z",
            "2024-05-01T12:00:00",
            "2024-13-01T12:00:00Z",
            "2024-05-01T12:00:00,5Z",
            "20240501T120000Z",
            "2024-05-01T12:00:00Z[UTC]",
        ] {
            assert!(!is_date(date), "{date}");
        }
    }
}
