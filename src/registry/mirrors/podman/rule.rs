//! The rules of `registries.conf`: which registry images come from, by the prefix of their names.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::image::RemoteReference;
use crate::registry::RegistryError;
use crate::registry::mirrors::settings::failed;
use crate::text;

/// The settings for the images whose names begin with a prefix.
#[derive(Debug)]
pub(in crate::registry::mirrors) struct Rule {
    pub(super) prefix: String,
    pub(in crate::registry::mirrors) place: Place,
    pub(in crate::registry::mirrors) blocked: bool,
    pub(in crate::registry::mirrors) mirrors: Vec<Mirror>,
    /// The file that has it.
    pub(in crate::registry::mirrors) path: PathBuf,
}

#[derive(Debug)]
pub(in crate::registry::mirrors) struct Mirror {
    pub(in crate::registry::mirrors) place: Place,
    pub(in crate::registry::mirrors) pull: Pull,
}

/// Which images a mirror is asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub(in crate::registry::mirrors) enum Pull {
    #[default]
    #[serde(rename = "all")]
    All,
    /// Those that are named by digest.
    #[serde(rename = "digest-only")]
    Digest,
    /// Those that are named by tag.
    #[serde(rename = "tag-only")]
    Tag,
}

/// A registry, or a part of one.
#[derive(Debug)]
pub(in crate::registry::mirrors) struct Place {
    /// The replacement of the prefix in the names of images; empty if they stay as they are.
    location: String,
    pub(in crate::registry::mirrors) insecure: bool,
}

/// The rule with the longest prefix of `reference`, and the length of the part that matches.
pub(in crate::registry::mirrors) fn find<'r>(
    rules: &'r [Rule],
    reference: &RemoteReference,
) -> Option<(&'r Rule, usize)> {
    longest(rules, reference.registry(), &reference.to_string())
}

/// The rule for all images of `host`, with a port or without.
pub(in crate::registry::mirrors) fn find_host<'r>(
    rules: &'r [Rule],
    host: &str,
) -> Option<&'r Rule> {
    longest(rules, host, host).map(|(rule, _)| rule)
}

/// The rule with the longest prefix of `name`, which is in `registry`.
fn longest<'r>(rules: &'r [Rule], registry: &str, name: &str) -> Option<(&'r Rule, usize)> {
    let matching =
        rules.iter().filter_map(|rule| Some((rule, matched(&rule.prefix, registry, name)?)));
    matching.max_by_key(|(rule, _)| rule.prefix.len())
}

/// The length of the part of `name`, an image in `registry`, that `prefix` stands for.
fn matched(prefix: &str, registry: &str, name: &str) -> Option<usize> {
    if let Some(domain) = prefix.strip_prefix('*') {
        // As in containers/image (`refMatchingSubdomainPrefix`), a port may follow.
        let end = registry.rfind(domain)? + domain.len();
        let port = &registry[end..];
        return (port.is_empty() || port.starts_with(':')).then_some(end);
    }
    let rest = name.strip_prefix(prefix)?;
    let ends = rest.is_empty()
        || rest.starts_with('/')
        || (rest.starts_with([':', '@']) && prefix.len() > registry.len());
    ends.then_some(prefix.len())
}

impl Place {
    pub(super) fn new(location: &str, insecure: bool) -> Self {
        Self { location: location.trim_end_matches('/').to_owned(), insecure }
    }

    /// The host, with the port if there is one.
    pub(in crate::registry::mirrors) fn host(&self) -> &str {
        self.location.split('/').next().unwrap_or_default()
    }

    /// `reference` here: the location replaces the first `length` bytes. `path` is the file that
    /// has the location.
    pub(in crate::registry::mirrors) fn relocated(
        &self,
        reference: &RemoteReference,
        length: usize,
        path: &Path,
    ) -> Result<RemoteReference, RegistryError> {
        if self.location.is_empty() {
            return Ok(reference.clone());
        }
        let text = format!("{}{}", self.location, &reference.to_string()[length..]);
        RemoteReference::with_registry(&text).map_err(|error| {
            let location = text::quote(&self.location);
            failed(path, format!("invalid location {location}: {error}"))
        })
    }
}
