//! `registries.conf` of Podman, Buildah and skopeo, in the formats of version 1 and 2
//! (containers-registries.conf(5), containers-registries.conf.d(5)).

mod rule;
mod version_1;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::rule::{Mirror, Place, Rule};
pub(super) use self::rule::{Pull, find, find_host};
use super::settings::{document, failed, is_absent, user_file};
use crate::document;
use crate::registry::RegistryError;
use crate::text;

/// The file of the host, the folder with more, and their names in the user's settings.
const HOST_FILE: &str = "/etc/containers/registries.conf";
const HOST_FOLDER: &str = "/etc/containers/registries.conf.d";
const USER_FILE: &str = "containers/registries.conf";
const USER_FOLDER: &str = "containers/registries.conf.d";
/// The variable that names another file.
const VARIABLE: &str = "CONTAINERS_REGISTRIES_CONF";

/// The settings of all files.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) rules: Vec<Rule>,
    pub(super) helpers: Helpers,
}

/// The setting `credential-helpers`.
#[derive(Debug, Default)]
pub(in crate::registry) struct Helpers {
    /// Programs that keep credentials, and the name that stands for files.
    pub(in crate::registry) names: Vec<String>,
    /// The file with the setting.
    pub(in crate::registry) path: PathBuf,
}

/// A file. Unknown keys, such as those for names without a registry, are ignored.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct File {
    credential_helpers: Vec<String>,
    registry: Vec<Registry>,
    registries: version_1::Lists,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Registry {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    mirror: Vec<MirrorEntry>,
}

impl Registry {
    /// The rule that this table in the file `path` means.
    fn rule(self, path: &Path) -> Result<Rule, RegistryError> {
        let Self { prefix, location, insecure, blocked, mirror_by_digest_only, mirror } = self;
        let prefix = if prefix.is_empty() { location.clone() } else { prefix };
        if prefix.is_empty() {
            return Err(failed(path, "a [[registry]] has neither location nor prefix"));
        }
        if location.is_empty() && !prefix.starts_with("*.") {
            let prefix = text::quote(&prefix);
            let problem = format!("the [[registry]] with prefix {prefix} has no location");
            return Err(failed(path, problem));
        }
        let default = if mirror_by_digest_only { Pull::Digest } else { Pull::All };
        let mirrors = mirror.into_iter().map(|mirror| Mirror {
            place: Place::new(&mirror.location, mirror.insecure),
            pull: mirror.pull_from_mirror.unwrap_or(default),
        });
        Ok(Rule {
            place: Place::new(&location, insecure),
            prefix,
            blocked,
            mirrors: mirrors.collect(),
            path: path.to_owned(),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MirrorEntry {
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    pull_from_mirror: Option<Pull>,
}

/// Reads all files. A rule replaces that for the same prefix in an earlier file, and a list of
/// credential helpers an earlier list.
pub(super) fn read() -> Result<Settings, RegistryError> {
    let Settings { mut rules, mut helpers } = Settings::default();
    let named = named_file();
    for path in files(named.as_deref())? {
        let content = match document::read(&path, document::MAX_SIZE) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            // One that the user names must be readable.
            Err(error) if is_absent(&error) && named.as_ref() != Some(&path) => continue,
            Err(error) => return Err(failed(&path, format!("failed to read it: {error}"))),
        };
        let read = parse(&path, &content)?;
        if !read.helpers.names.is_empty() {
            helpers = read.helpers;
        }
        for rule in read.rules {
            rules.retain(|other| other.path == path || other.prefix != rule.prefix);
            rules.push(rule);
        }
    }
    Ok(Settings { rules, helpers })
}

/// The file that the user names.
fn named_file() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The files in the order in which they are read: the user's own file, which may be `named`,
/// replaces the host's.
fn files(named: Option<&Path>) -> Result<Vec<PathBuf>, RegistryError> {
    let user = || user_file(USER_FILE).filter(|path| path.exists());
    let main = named.map(Path::to_owned).or_else(user).unwrap_or_else(|| HOST_FILE.into());
    let mut files = vec![main];
    for folder in [Some(PathBuf::from(HOST_FOLDER)), user_file(USER_FOLDER)].into_iter().flatten() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(failed(&folder, format!("failed to read it: {error}"))),
        };
        let paths = entries.flatten().map(|entry| entry.path());
        let is_conf = |path: &PathBuf| path.extension().is_some_and(|end| end == "conf");
        let mut more: Vec<PathBuf> = paths.filter(is_conf).collect();
        more.sort();
        files.append(&mut more);
    }
    Ok(files)
}

fn parse(path: &Path, content: &str) -> Result<Settings, RegistryError> {
    let file: File = document(path, content)?;
    let old = file.registries.registries();
    if !old.is_empty() && !file.registry.is_empty() {
        let problem = "it has [registries] of version 1 beside [[registry]] of version 2; \
                       move all registries into [[registry]] tables";
        return Err(failed(path, problem));
    }
    let old = old.into_iter().map(|(location, membership)| Rule {
        prefix: location.to_owned(),
        place: Place::new(location, membership.insecure),
        blocked: membership.block,
        mirrors: Vec::new(),
        path: path.to_owned(),
    });
    let new = file.registry.into_iter().map(|entry| entry.rule(path));
    let rules = old.map(Ok).chain(new).collect::<Result<_, _>>()?;
    let helpers = Helpers { names: file.credential_helpers, path: path.to_owned() };
    Ok(Settings { rules, helpers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::RemoteReference;

    fn pulled_from(rules: &str, reference: &str) -> String {
        let rules = parse(Path::new("registries.conf"), rules).unwrap().rules;
        let reference: RemoteReference = reference.parse().unwrap();
        match find(&rules, &reference) {
            Some((rule, length)) => {
                let path = Path::new("registries.conf");
                rule.place.relocated(&reference, length, path).unwrap().to_string()
            }
            None => reference.to_string(),
        }
    }

    // The examples of containers-registries.conf(5), "REMAPPING AND MIRRORING REGISTRIES".
    #[test]
    fn the_location_replaces_the_longest_prefix() {
        let rules = "[[registry]]\nprefix='example.com/foo'\nlocation='internal.example:5/bar'\n\
                     [[registry]]\nlocation='example.com'\n\
                     [[registry]]\nprefix='*.wild.example'\nlocation='one.example/all'\n\
                     [[registry]]\nprefix='example.com/foo/one:2'\nlocation='two.example/x:3'\n";
        for (reference, expected) in [
            ("example.com/foo/app:1", "internal.example:5/bar/app:1"),
            ("example.com/foo:1", "internal.example:5/bar:1"),
            ("example.com/food:1", "example.com/food:1"),
            ("example.com/foo/one:2", "two.example/x:3"),
            ("example.com/foo/one:22", "internal.example:5/bar/one:22"),
            ("a.b.wild.example/app:1", "one.example/all/app:1"),
            ("wild.example/app:1", "wild.example/app:1"),
            ("a.wild.example.org/app:1", "a.wild.example.org/app:1"),
            ("a.example/b.wild.example/app:1", "a.example/b.wild.example/app:1"),
            ("example.com:5000/foo:1", "example.com:5000/foo:1"),
        ] {
            assert_eq!(pulled_from(rules, reference), expected, "{reference}");
        }
        let hub = "[[registry]]\nprefix = 'docker.io'\nlocation = 'mirror:5000/hub'\n";
        assert_eq!(pulled_from(hub, "debian:12"), "mirror:5000/hub/library/debian:12");
        let wild = "[[registry]]\nprefix = '*.example'\nblocked = true\n";
        assert_eq!(pulled_from(wild, "a.example/b:1"), "a.example/b:1");
        // The port stays: the prefix ends before it.
        let wild = "[[registry]]\nprefix = '*.example'\nlocation = 'one.example'\n";
        assert_eq!(pulled_from(wild, "a.example:5000/b:1"), "one.example:5000/b:1");
    }

    #[test]
    fn mistakes_name_the_file() {
        for (rules, expected) in [
            ("[[registry]]\nblocked = true\n", "neither location nor prefix"),
            ("[[registry]]\nprefix = 'a.example'\n", "has no location"),
            ("[[registry]]\nlocation = 5\n", "expected a string"),
            ("\nregistry = ", "/etc/r.conf:2: "),
            (
                "registry = [{ location = 'a.example' }]\n[registries.block]\n\
                 registries = ['b.example']\n",
                "of version 1 beside [[registry]] of version 2",
            ),
            (
                "credential-helpers = 'x'\n",
                "/etc/r.conf:1: credential-helpers: found the string \"x\"",
            ),
        ] {
            let error = parse(Path::new("/etc/r.conf"), rules).unwrap_err().to_string();
            assert!(error.starts_with("/etc/r.conf:") && error.contains(expected), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
