//! Guest definitions: the packages, kernel modules and files of a guest.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::image::Digest;
use crate::text::suggest;
use crate::vm::VmError;
use crate::vm::guest::Family;
use crate::vm::guest::GuestChanges;
use crate::vm::guest::MachineType;
use crate::vm::guest::embedded::{BASE, CONFIGURE, FILES, GUESTS};

/// The definition of a guest.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The name: that of its file, with the architecture appended unless it is the host's.
    pub name: String,
    /// The hardware of its VMs.
    pub(crate) machine_type: &'static MachineType,
    /// A description for users.
    pub description: String,
    /// The Debian release.
    pub(in crate::vm) suite: String,
    /// The Debian packages, without dependencies.
    pub(in crate::vm) packages: Vec<String>,
    /// The kernel modules that are loaded before systemd starts, without dependencies.
    pub(in crate::vm) modules: Vec<String>,
    /// The kernel's command line.
    pub(in crate::vm) cmdline: String,
    /// Files that are added to the root of every VM, by path.
    pub(in crate::vm) files: BTreeMap<String, String>,
    /// The family of the engine.
    pub family: Family,
    /// The guest whose assembled files it shares, if it is a variant of another one.
    variant_of: Option<String>,
}

/// The file of a guest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GuestFile {
    family: String,
    description: String,
    suite: String,
    #[serde(default)]
    packages: Vec<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
}

/// The file of a guest that differs from another one only in files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VariantFile {
    like: String,
    description: String,
    files: BTreeMap<String, String>,
}

/// The file of what all guests have in common.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaseFile {
    packages: Vec<String>,
    modules: Vec<String>,
    cmdline: String,
}

impl Definition {
    /// Returns the names of all guests for the host's architecture. With `-arm64` or `-amd64`
    /// appended, a name means the same guest for that architecture.
    pub fn names() -> impl Iterator<Item = &'static str> {
        GUESTS.iter().map(|(name, _)| *name)
    }

    /// Returns the names of all guests for all architectures.
    pub(crate) fn all_names() -> impl Iterator<Item = String> {
        MachineType::all()
            .flat_map(|machine_type| Self::names().map(|name| full_name(name, machine_type)))
    }

    /// Returns the names of the guests that match `pattern`: `all`, the name of a guest, or the
    /// beginning of names up to a dash, as `docker` for `docker-28`. An architecture may be
    /// appended to each, as in `docker-28-arm64` and `all-arm64`.
    ///
    /// # Errors
    /// If there is none; the error suggests the most similar name.
    pub fn matching(pattern: &str) -> Result<Vec<String>, VmError> {
        let (name, machine_type) =
            MachineType::split_name(pattern).unwrap_or((pattern, MachineType::host()));
        if Self::names().any(|known| known == name) {
            return Ok(vec![full_name(name, machine_type)]);
        }
        let names = match name {
            "all" => Self::names().map(|name| full_name(name, machine_type)).collect(),
            family => Self::family(family, machine_type),
        };
        if !names.is_empty() {
            return Ok(names);
        }
        let families = Self::names().filter_map(|name| name.split('-').next()).map(str::to_owned);
        let nearest = nearest(pattern, Self::all_names().chain(families));
        Err(VmError::UnknownEngine { name: pattern.to_owned(), nearest })
    }

    /// Returns the names of the guests whose names begin with `family` and a dash.
    fn family(family: &str, machine_type: &MachineType) -> Vec<String> {
        let prefix = format!("{family}-");
        let names = Self::names().filter(|name| name.starts_with(&prefix));
        names.map(|name| full_name(name, machine_type)).collect()
    }

    /// Returns the definition of the guest called `name`.
    ///
    /// # Errors
    /// If there is none; the error suggests the most similar name, or the guests of a family.
    pub fn named(name: &str) -> Result<Self, VmError> {
        let given = name;
        let (name, machine_type) =
            MachineType::split_name(name).unwrap_or((name, MachineType::host()));
        let text = GUESTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
        let text = text.ok_or_else(|| Self::unknown(given, Self::family(name, machine_type)))?;
        let full_name = full_name(name, machine_type);
        let parsed = match text.lines().any(|line| line.starts_with("like =")) {
            true => Self::parse_variant(text, full_name, machine_type),
            false => Self::parse(text, full_name, machine_type),
        };
        parsed.map_err(|problem| VmError::Assembly { guest: name.to_owned(), problem })
    }

    /// The error for a name of no guest, or of a family with these `guests`.
    fn unknown(name: &str, guests: Vec<String>) -> VmError {
        let name = name.to_owned();
        if !guests.is_empty() {
            return VmError::SeveralGuests { name, guests };
        }
        let nearest = nearest(&name, Self::all_names());
        VmError::UnknownGuest { name, nearest }
    }

    fn parse(text: &str, name: String, machine_type: &'static MachineType) -> Result<Self, String> {
        let problem = |error: toml::de::Error| error.to_string();
        let GuestFile { family, description, suite, packages, files } =
            toml::from_str(text).map_err(problem)?;
        let base: BaseFile = toml::from_str(BASE).map_err(problem)?;
        let family = Family::named(&family)?;
        let architecture = machine_type.arch.goarch();
        let packages = [base.packages, family.packages.clone(), packages].concat();
        let packages = packages.iter().map(|name| name.replace("ARCHITECTURE", architecture));
        let cmdline =
            format!("console={} {} {}", machine_type.console, base.cmdline, machine_type.cmdline);
        Ok(Self {
            name,
            machine_type,
            description,
            suite,
            packages: packages.collect(),
            modules: [base.modules, family.modules.clone()].concat(),
            cmdline: cmdline.trim_end().to_owned(),
            files: family.files.clone().into_iter().chain(files).collect(),
            family,
            variant_of: None,
        })
    }

    fn parse_variant(
        text: &str,
        name: String,
        machine_type: &'static MachineType,
    ) -> Result<Self, String> {
        let VariantFile { like, description, files } =
            toml::from_str(text).map_err(|error| error.to_string())?;
        let original = full_name(&like, machine_type);
        let mut definition = Self::named(&original).map_err(|error| error.to_string())?;
        definition.files.extend(files);
        Ok(Self { name, description, variant_of: Some(original), ..definition })
    }

    /// Returns the name of the guest that is assembled: another one if this is a variant.
    pub(in crate::vm) fn assembled_name(&self) -> &str {
        self.variant_of.as_deref().unwrap_or(&self.name)
    }

    /// Returns the guest's own files together with `changes`.
    pub(in crate::vm) fn with_changes(&self, changes: &GuestChanges) -> GuestChanges {
        let mut all = GuestChanges::default();
        self.files.iter().for_each(|(path, content)| all.add_file(path, content.as_str()));
        all.merge(changes);
        all
    }

    /// Returns a text that is the same for the same guest on every host, wherever its packages are
    /// from.
    pub(crate) fn identity(&self) -> String {
        self.digest("").hex()
    }

    /// Returns the digest of everything that determines the assembled files, including `sources`,
    /// the Debian mirrors. It does not include the versions of packages, which depend on the day,
    /// or how a VM is started.
    pub(in crate::vm) fn digest(&self, sources: &str) -> Digest {
        let Self { suite, packages, modules, family, .. } = self;
        let units = &family.units;
        let mut text =
            format!("{suite}\n{packages:?}\n{modules:?}\n{units:?}\n{sources}\n{CONFIGURE}\n");
        for (path, content) in FILES {
            text.push_str(&format!("{path}\n{content}\n"));
        }
        Digest::of(text.as_bytes())
    }
}

/// Returns the name in `known` that is most similar to `name`.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let known: Vec<String> = known.collect();
    suggest::nearest(name, known.iter().map(String::as_str)).map(str::to_owned)
}

/// Returns the full name of the guest whose file is called `name`.
fn full_name(name: &str, machine_type: &MachineType) -> String {
    if machine_type.is_host() {
        name.to_owned()
    } else {
        format!("{name}-{}", machine_type.arch.goarch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_can_be_read_and_its_digest_depends_on_packages_and_sources() {
        for name in Definition::names() {
            let definition = Definition::named(name).unwrap();
            let mut other = definition.clone();
            other.packages.push("more".to_owned());
            assert_ne!(definition.digest(""), other.digest(""));
            assert_ne!(definition.digest(""), definition.digest("deb x"));
            assert_eq!(definition.digest(""), Definition::named(name).unwrap().digest(""));
        }
    }

    #[test]
    fn a_family_matches_all_of_its_guests_and_a_name_only_that_guest() {
        assert_eq!(Definition::matching("docker-20.10").unwrap(), ["docker-20.10"]);
        assert!(
            Definition::matching("docker").unwrap().iter().all(|name| name.starts_with("docker-"))
        );
        assert_eq!(Definition::matching("all").unwrap().len(), Definition::names().count());
        assert!(Definition::matching("dokcer").is_err());
    }

    #[test]
    fn a_name_with_an_architecture_is_the_same_guest_of_that_architecture() {
        let other = if MachineType::host().arch.goarch() == "amd64" { "arm64" } else { "amd64" };
        let (here, there) =
            (format!("docker-28-{}", MachineType::host().arch), format!("docker-28-{other}"));
        assert_eq!(Definition::matching(&here).unwrap(), ["docker-28"]);
        assert_eq!(Definition::matching(&there).unwrap(), [there.as_str()]);
        assert_eq!(
            Definition::matching(&format!("all-{other}")).unwrap().len(),
            Definition::names().count()
        );
        let (here, there) =
            (Definition::named("docker-28").unwrap(), Definition::named(&there).unwrap());
        assert_ne!(here.digest(""), there.digest(""));
        assert!(there.packages.contains(&format!("linux-image-cloud-{other}")));
    }

    #[test]
    fn an_unknown_name_suggests_the_most_similar_guest() {
        let error = Definition::named("docker-20.1").unwrap_err().to_string();
        assert_eq!(error, "there is no guest \"docker-20.1\"; did you mean \"docker-20.10\"?");
        let other = if MachineType::host().arch.goarch() == "amd64" { "arm64" } else { "amd64" };
        let start = format!("docker-28-{}", &other[..3]);
        for error in [Definition::named(&start).err(), Definition::matching(&start).err()] {
            let error = error.unwrap().to_string();
            assert!(error.ends_with(&format!("; did you mean \"docker-28-{other}\"?")), "{error}");
        }
    }
}
