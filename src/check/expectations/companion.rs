//! Further containers of a trial, such as a database beside the service.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::container::ContainerSpec;
use super::container_rules::container;
use super::service::ServiceExpectations;
use crate::conditions::ReadyConditions;
use crate::text::{self, suggest};

/// A further container, which runs beside all commands and services.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompanionSpec {
    /// The archive or OCI layout of its image, relative to this file.
    pub image: Option<PathBuf>,
    /// The recipe of its image, relative to this file. Without `image` and `recipe`, it is the
    /// image under test.
    pub recipe: Option<PathBuf>,
    /// The names of containers that are started before.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Further host names of the container.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// How the container is started.
    #[serde(default, deserialize_with = "container")]
    pub container: ContainerSpec,
    /// When the container is ready.
    #[serde(default)]
    pub ready: ReadyConditions,
}

impl CompanionSpec {
    /// Returns the path of the image's archive or recipe, if it is not the image under test.
    pub(in crate::check) fn source(&self) -> Option<&PathBuf> {
        self.image.as_ref().or(self.recipe.as_ref())
    }

    /// The same container as a service that is only waited for.
    pub(in crate::check) fn as_service(&self, name: &str) -> ServiceExpectations {
        ServiceExpectations {
            container: self.container.clone(),
            ..ServiceExpectations::new(name.to_owned(), self.ready.clone())
        }
    }
}

/// The text in a variable that stands for the address of the container `name`.
pub(in crate::check) fn placeholder(name: &str) -> String {
    format!("{{{name}.address}}")
}

/// Returns the names of `companions` in the order in which they are started: each after those that
/// it depends on and those whose addresses its variables have, otherwise by name.
///
/// # Errors
/// If a name is unknown, or containers depend on each other.
pub(in crate::check) fn start_order(
    companions: &BTreeMap<String, CompanionSpec>,
) -> Result<Vec<&str>, String> {
    let mut order: Vec<&str> = Vec::new();
    let mut left: Vec<&str> = companions.keys().map(String::as_str).collect();
    while !left.is_empty() {
        let ready = |name: &&str| {
            let Some(spec) = companions.get(*name) else { return true };
            dependencies(spec, companions).all(|needed| order.contains(&needed))
        };
        let Some(position) = left.iter().position(ready) else {
            return Err(format!("containers depend on each other: {}", left.join(", ")));
        };
        order.push(left.remove(position));
    }
    Ok(order)
}

/// Returns the names of `companions` that must run for those with the given `names`: these, and all
/// that must be started before them.
pub(in crate::check) fn needed(
    companions: &BTreeMap<String, CompanionSpec>,
    mut names: Vec<String>,
) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    while let Some(name) = names.pop() {
        let spec = companions.get(&name);
        if needed.insert(name) {
            let before = spec.into_iter().flat_map(|spec| dependencies(spec, companions));
            names.extend(before.map(str::to_owned));
        }
    }
    needed
}

/// Returns the names of containers that must be started before `spec`: those that it depends on,
/// and those of `companions` whose addresses its variables have.
fn dependencies<'s>(
    spec: &'s CompanionSpec,
    companions: &'s BTreeMap<String, CompanionSpec>,
) -> impl Iterator<Item = &'s str> {
    let addresses = addresses(&spec.container).filter(|name| companions.contains_key(*name));
    spec.depends_on.iter().map(String::as_str).chain(addresses)
}

/// Describes a mistake in `companions`, if there is one.
pub(super) fn mistake(companions: &BTreeMap<String, CompanionSpec>) -> Option<String> {
    for (name, spec) in companions {
        let invalid = spec.aliases.iter().chain([name]).find(|name| !is_host_name(name));
        if let Some(invalid) = invalid {
            let rule = "write lower-case letters, digits, dots and dashes";
            return Some(format!("invalid host name {}; {rule}", text::quote(invalid)));
        }
        let problem = match () {
            () if spec.image.is_some() && spec.recipe.is_some() => {
                "\"image\" and \"recipe\" exclude each other".to_owned()
            }
            () if spec.container.network == Some(false) => {
                "it has no network, so nothing can reach it; leave out network".to_owned()
            }
            () => match spec.depends_on.iter().find(|needed| !companions.contains_key(*needed)) {
                Some(needed) => format!("there is no container {}", text::quote(needed)),
                None => continue,
            },
        };
        return Some(format!("container {}: {problem}", text::quote(name)));
    }
    start_order(companions).err()
}

/// Describes a value of a variable with the address of a container that there is not, if there are
/// other containers: without any, braces may stand for something else.
pub(super) fn unknown_address<'s>(
    companions: &BTreeMap<String, CompanionSpec>,
    mut containers: impl Iterator<Item = &'s ContainerSpec>,
) -> Option<String> {
    if companions.is_empty() {
        return None;
    }
    let name = containers.find_map(|spec| {
        addresses(spec).find(|name| is_host_name(name) && !companions.contains_key(*name))
    })?;
    let hint = suggest::hint(&suggest::nearest(name, companions.keys().map(String::as_str)));
    Some(format!("there is no container {} for {{{name}.address}}{hint}", text::quote(name)))
}

/// Returns the names in variables of `spec` that stand for addresses: see [`placeholder`].
fn addresses(spec: &ContainerSpec) -> impl Iterator<Item = &str> {
    spec.env.values().flat_map(|value| {
        value.split('{').skip(1).filter_map(|part| Some(part.split_once(".address}")?.0))
    })
}

/// Whether `name` is a host name (RFC 1123), in lower case.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(valid)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(toml: &str) -> BTreeMap<String, CompanionSpec> {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn containers_are_started_after_those_that_they_depend_on() {
        let companions =
            parse("[app]\ndepends_on=['db','queue']\n[db]\n[queue]\ndepends_on=['db']\n");
        assert_eq!(start_order(&companions), Ok(vec!["db", "queue", "app"]));
        let companions = parse(
            "[app.container]\nenv={ DB='{db.address}:{x}' }\n[db]\n[db2]\ndepends_on=['app']\n",
        );
        assert_eq!(start_order(&companions), Ok(vec!["db", "app", "db2"]));
    }

    #[test]
    fn a_container_needs_those_that_it_depends_on_and_no_others() {
        let companions = parse(
            "[app]\ndepends_on=['db']\n[db]\ndepends_on=['disk']\n[disk]\n[x]\n\
                   [web.container]\nenv={ APP='http://{app.address}/{y.address}' }\n",
        );
        let needed = |name: &str| needed(&companions, vec![name.to_owned()]);
        assert_eq!(needed("app"), ["app", "db", "disk"].map(str::to_owned).into());
        assert_eq!(needed("web"), ["app", "db", "disk", "web"].map(str::to_owned).into());
        assert_eq!(needed("x"), ["x".to_owned()].into());
    }

    #[test]
    fn mistakes_are_named() {
        for (toml, problem) in [
            (
                "[a]\ndepends_on=['b']\n[b]\ndepends_on=['a']\n",
                "containers depend on each other: a, b",
            ),
            ("[a]\ndepends_on=['c']\n", "container \"a\": there is no container \"c\""),
            (
                "[a]\nimage='x'\nrecipe='y'\n",
                "container \"a\": \"image\" and \"recipe\" exclude each other",
            ),
            (
                "[a_b]\n",
                "invalid host name \"a_b\"; write lower-case letters, digits, dots and dashes",
            ),
            (
                "[a]\naliases=['-x']\n",
                "invalid host name \"-x\"; write lower-case letters, digits, dots and dashes",
            ),
        ] {
            assert_eq!(mistake(&parse(toml)).as_deref(), Some(problem), "{toml}");
        }
        assert_eq!(mistake(&parse("[db]\naliases=['db.local','4u']\n")), None);
    }
}
