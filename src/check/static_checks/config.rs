//! Checks of the image's config and layers.

use std::collections::BTreeSet;
use std::path::Path;

use crate::archive::{ImageSelector, open};
use crate::check::CheckError;
use crate::check::expectations::{ImageExpectations, Names, SharedLayers, SomeNames};
use crate::check::image::ImageUnderTest;
use crate::check::verdict::Checks;
use crate::image::config::{ContainerConfig, Set};
use crate::image::exposed_ports::ExposedPorts;
use crate::lint;
use crate::text::Description;

/// Compares the config and the layers of `image` with `expected`. Paths of other images are
/// relative to `folder`.
pub(super) fn check(
    image: &ImageUnderTest,
    expected: &ImageExpectations,
    folder: &Path,
) -> Result<Checks, CheckError> {
    let mut checks = Checks::default();
    check_names(image, expected, &mut checks);
    check_texts(image, expected, &mut checks);
    let config = &image.image.config.config;
    check_lists(config, expected, &mut checks);
    check_objects(config, expected, &mut checks);
    check_sizes(image, expected, &mut checks);
    if let Some(shared) = &expected.shares_layers {
        check_shared_layers(image, shared, folder, &mut checks)?;
    }
    if !expected.deny.is_empty() {
        check_rules(image, &expected.deny, &mut checks)?;
    }
    Ok(checks)
}

/// Checks that the rules `deny` have no findings.
fn check_rules(
    image: &ImageUnderTest,
    deny: &[String],
    checks: &mut Checks,
) -> Result<(), CheckError> {
    let findings = lint::lint(&image.image, &image.layers)?;
    for rule in deny {
        let found = findings.iter().find(|finding| finding.rule == rule);
        let shown = found.map_or("no finding", |finding| finding.problem.as_str());
        checks.record(&format!("rule {rule}"), "no finding", shown, found.is_none());
    }
    Ok(())
}

fn check_names(image: &ImageUnderTest, expected: &ImageExpectations, checks: &mut Checks) {
    let references = &image.image.references;
    let tags: Vec<String> = references
        .iter()
        .filter_map(|reference| reference.rsplit_once(':'))
        .map(|(_, tag)| tag.to_owned())
        .collect();
    let names = [("reference", &expected.reference, references), ("tag", &expected.tag, &tags)];
    for (subject, expected, found) in names {
        let Some(expected) = expected else { continue };
        let shown = match &found[..] {
            [] => "nothing".into(),
            [name] => Description::quote(name),
            names => Description::of(names),
        };
        checks.record(subject, Description::quote(expected), shown, found.contains(expected));
    }
}

fn check_texts(image: &ImageUnderTest, expected: &ImageExpectations, checks: &mut Checks) {
    let image = &image.image.config;
    let config = &image.config;
    let texts = [
        ("architecture", &expected.architecture, Some(&image.architecture)),
        ("variant", &expected.variant, image.variant.as_ref()),
        ("os", &expected.os, Some(&image.os)),
        ("user", &expected.user, config.user.as_ref()),
        ("working directory", &expected.working_dir, config.working_dir.as_ref()),
        ("stop signal", &expected.stop_signal, config.stop_signal.as_ref()),
        ("created", &expected.created, image.created.as_ref()),
    ];
    for (subject, expected, found) in texts {
        if let Some(expected) = expected {
            // An expected "" also matches an image that does not set the field.
            let passed = expected == found.map_or("", String::as_str);
            checks.record(subject, Description::quote(expected), Description::of(found), passed);
        }
    }
}

fn check_lists(config: &ContainerConfig, expected: &ImageExpectations, checks: &mut Checks) {
    let lists = [
        ("entrypoint", &expected.entrypoint, &config.entrypoint),
        ("command", &expected.cmd, &config.cmd),
        ("shell", &expected.shell, &config.shell),
    ];
    for (subject, expected, found) in lists {
        if let Some(expected) = expected {
            checks.expect_equal(subject, expected, &found.clone().unwrap_or_default());
        }
    }
    let names = |set: &Option<Set>| set.iter().flat_map(|set| set.keys().cloned()).collect();
    if let Some(expected) = &expected.exposed_ports {
        check_ports(expected, &names(&config.exposed_ports), checks);
    }
    if let Some(expected) = &expected.volumes {
        check_volumes(expected, &names(&config.volumes), checks);
    }
}

/// Compares exposed ports. An image that exposes `80` exposes `80/tcp`; an expected port without a
/// protocol stands for all protocols.
fn check_ports(expected: &Names, found: &BTreeSet<String>, checks: &mut Checks) {
    let subject = "exposed ports";
    let parsed = found.iter().filter_map(|name| ExposedPorts::parse(name));
    let exposed: Vec<ExposedPorts> = parsed.map(ExposedPorts::of_image).collect();
    match expected {
        Names::Exactly(expected) => {
            let complete = |name: &String| match ExposedPorts::parse(name) {
                Some(ports) => ports.of_image().to_string(),
                None => name.clone(),
            };
            let expected: BTreeSet<String> = expected.iter().map(complete).collect();
            checks.expect_equal(subject, &expected, &found.iter().map(complete).collect());
        }
        Names::Some(SomeNames { has, absent }) => {
            for name in has {
                let ports = ExposedPorts::parse(name);
                let is_there = ports.is_some_and(|ports| ports.is_within(&exposed));
                record_name(subject, (name, true), is_there, found, checks);
            }
            for name in absent {
                let ports = ExposedPorts::parse(name);
                let is_there =
                    ports.is_some_and(|ports| exposed.iter().any(|other| ports.overlaps(other)));
                record_name(subject, (name, false), is_there, found, checks);
            }
        }
    }
}

fn check_volumes(expected: &Names, found: &BTreeSet<String>, checks: &mut Checks) {
    let subject = "volumes";
    match expected {
        Names::Exactly(expected) => {
            checks.expect_equal(subject, &expected.iter().cloned().collect(), found);
        }
        Names::Some(SomeNames { has, absent }) => {
            let absent = absent.iter().map(|name| (name, false));
            for (name, wanted) in has.iter().map(|name| (name, true)).chain(absent) {
                record_name(subject, (name, wanted), found.contains(name), found, checks);
            }
        }
    }
}

/// Records whether `name` is there as `wanted` says: it must be there, or it must not.
fn record_name(
    subject: &str,
    (name, wanted): (&str, bool),
    is_there: bool,
    found: &BTreeSet<String>,
    checks: &mut Checks,
) {
    let has = if wanted { "has" } else { "does not have" };
    let expected = Description::from(format!("{has} ")).then_quote(name);
    checks.record(subject, expected, Description::of(found), wanted == is_there);
}

fn check_objects(config: &ContainerConfig, expected: &ImageExpectations, checks: &mut Checks) {
    let labels = config.labels.clone().unwrap_or_default();
    for (label, value) in &expected.labels {
        let found = labels.get(label).map(String::as_str);
        checks.record_text(&format!("label {label}"), value, found);
    }
    if let Some(healthcheck) = &expected.healthcheck {
        checks.expect_equal("health check", &Some(healthcheck), &config.healthcheck.as_ref());
    }
}

fn check_sizes(image: &ImageUnderTest, expected: &ImageExpectations, checks: &mut Checks) {
    let layers = image.image.layers.len();
    if let Some(number) = expected.layers {
        checks.expect_equal("number of layers", &number, &layers);
    }
    if let Some(max) = expected.max_layers {
        let limit = format!("at most {max}");
        checks.record("number of layers", limit, Description::of(layers), layers <= max);
    }
    if let Some(max) = expected.max_size {
        let size: u64 = image.layer_sizes().iter().sum();
        let (limit, found) = (format!("at most {max} bytes"), format!("{size} bytes"));
        checks.record("size of all layers", limit, found, size <= max);
    }
}

fn check_shared_layers(
    image: &ImageUnderTest,
    expected: &SharedLayers,
    folder: &Path,
    checks: &mut Checks,
) -> Result<(), CheckError> {
    let other = open(&folder.join(&expected.with), &ImageSelector::default())?;
    let pairs = image.image.layers.iter().zip(&other.layers);
    let common = pairs.take_while(|(one, other)| one.diff_id == other.diff_id).count();
    let min = expected.at_least.unwrap_or(other.layers.len());
    let subject = format!("layers in common with {}", expected.with);
    checks.record(&subject, format!("at least {min}"), Description::of(common), common >= min);
    Ok(())
}
