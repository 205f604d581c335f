//! What the config and the names of an image tell.

use std::collections::BTreeMap;

use super::{Finding, warning};
use crate::archive::Image;
use crate::archive::verify::LayerFacts;
use crate::image::Platform;

/// What moby takes at most, and with it most engines.
const LAYERS_MAX: usize = 125;

pub(super) fn look(image: &Image, facts: &[LayerFacts]) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(twice(image));
    findings.extend(secrets(image));
    findings.extend(architecture(image));
    findings.extend(names(image));
    if image.layers.len() > LAYERS_MAX {
        let what = format!("{} layers", image.layers.len());
        findings.push(warning(
            "too-many-layers",
            what,
            "Docker refuses more than 125, overlayfs more than 127",
            "lower max_layers",
        ));
    }
    let empty = facts.iter().filter(|layer| layer.tree.entries == 0).count();
    if empty > 0 {
        findings.push(warning(
            "empty-layer",
            format!("{empty} of {} layers hold nothing", facts.len()),
            "each costs a request at every pull, and some tools refuse them",
            "leave the step out that makes them",
        ));
    }
    findings
}

fn entries(image: &Image) -> impl Iterator<Item = (&str, &str)> {
    let entries = image.config.config.env.iter().flatten();
    entries.map(|entry| entry.split_once('=').unwrap_or((entry, "")))
}

fn twice(image: &Image) -> Option<Finding> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    entries(image).for_each(|(name, _)| *counts.entry(name).or_default() += 1);
    let names: Vec<&str> =
        counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| {
        warning(
            "duplicate-env",
            format!("{} more than once in the environment", names.join(", ")),
            "Docker takes the last value; Kubernetes promises nothing",
            "keep one; seatrial build does",
        )
    })
}

/// Words in a name that speak of a secret, and those that take that back.
const SECRET: [&str; 6] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "PRIVATE_KEY"];
const NO_SECRET: [&str; 3] = ["_FILE", "_PATH", "_DIR"];

fn secrets(image: &Image) -> Option<Finding> {
    let secret = |(name, value): &(&str, &str)| {
        let name = name.to_uppercase();
        !value.is_empty()
            && SECRET.iter().any(|word| name.contains(word))
            && !NO_SECRET.iter().any(|ending| name.ends_with(ending))
    };
    let names: Vec<&str> = entries(image).filter(secret).map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| {
        warning(
            "secret-in-env",
            format!("{} in the environment looks like a secret", names.join(", ")),
            "whoever can pull the image can read it, for ever",
            "give it to the container when it is started",
        )
    })
}

fn architecture(image: &Image) -> Option<Finding> {
    let name = &image.config.architecture;
    let goarch = name.parse::<Platform>().map(|platform| platform.arch.goarch().to_owned());
    (goarch.as_deref() != Ok(name.as_str())).then(|| {
        warning(
            "architecture-not-goarch",
            format!("architecture is {name:?}"),
            "engines that choose by platform do not find the image, and others refuse to run it",
            "write Go's name, such as amd64 or arm64; seatrial build does",
        )
    })
}

fn names(image: &Image) -> Option<Finding> {
    let repository = |reference: &&String| {
        let name = reference.rsplit_once(':').map_or(reference.as_str(), |(name, _)| name);
        name.chars().any(|c| c.is_ascii_uppercase())
    };
    let upper: Vec<&str> = image.references.iter().filter(repository).map(String::as_str).collect();
    (!upper.is_empty()).then(|| {
        warning(
            "upper-case-name",
            format!("{} has upper-case letters", upper.join(", ")),
            "registries and most engines refuse such names",
            "write it in lower case; seatrial build does",
        )
    })
}
