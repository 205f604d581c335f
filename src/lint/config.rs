//! Rules about the config, the names and the number of layers.

use std::collections::BTreeMap;

use super::finding::Finding;
use crate::archive::Image;
use crate::archive::verify::VerifiedLayer;
use crate::image::Platform;
use crate::text;

/// The most layers that Docker and most other engines support.
const LAYERS_MAX: usize = 125;

pub(super) fn check(image: &Image, layers: &[VerifiedLayer]) -> Vec<Finding> {
    let findings = [
        duplicate_env(image),
        secret_in_env(image),
        architecture(image),
        upper_case_name(image),
        too_many_layers(image),
        empty_layers(layers),
    ];
    findings.into_iter().flatten().collect()
}

/// Names and values of the environment.
fn env(image: &Image) -> impl Iterator<Item = (&str, &str)> {
    let entries = image.config.config.env.iter().flatten();
    entries.map(|entry| entry.split_once('=').unwrap_or((entry, "")))
}

fn duplicate_env(image: &Image) -> Option<Finding> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    env(image).for_each(|(name, _)| *counts.entry(name).or_default() += 1);
    let names: Vec<&str> =
        counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| {
        Finding::warning(
            "duplicate-env",
            format!("duplicate environment variables: {}", text::list(names)),
            "Docker uses the last value; Kubernetes does not specify which one it uses",
            "set each variable once, as seatrial build does",
        )
    })
}

/// Words in the names of variables with secrets, and suffixes of names without.
const SECRET: [&str; 6] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "PRIVATE_KEY"];
const NO_SECRET: [&str; 3] = ["_FILE", "_PATH", "_DIR"];

fn secret_in_env(image: &Image) -> Option<Finding> {
    let is_secret = |(name, value): &(&str, &str)| {
        let name = name.to_uppercase();
        !value.is_empty()
            && SECRET.iter().any(|word| name.contains(word))
            && !NO_SECRET.iter().any(|suffix| name.ends_with(suffix))
    };
    let names: Vec<&str> = env(image).filter(is_secret).map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| {
        Finding::warning(
            "secret-in-env",
            format!("environment variables that seem to be secrets: {}", text::list(names)),
            "everyone who can pull the image can read them",
            "pass secrets to the container when it starts",
        )
    })
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
