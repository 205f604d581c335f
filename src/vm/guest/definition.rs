//! Guest definitions: data, embedded in the program, so that an installed one can assemble its guests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::image::Digest;
use crate::suggest;
use crate::vm::VmError;
use crate::vm::guest::Family;
use crate::vm::guest::GuestChanges;
use crate::vm::guest::MachineType;

/// What a guest is made of.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name: that of its file, with the architecture behind it where that is not the host's.
    pub name: String,
    /// What its machines are made of.
    pub machine_type: &'static MachineType,
    /// What it is, for people.
    pub description: String,
    /// The Debian release.
    pub suite: String,
    /// The Debian packages, without what they depend on.
    pub packages: Vec<String>,
    /// The kernel modules that are loaded first, without what they depend on.
    pub modules: Vec<String>,
    /// The kernel's command line.
    pub cmdline: String,
    /// What machines of it have in their root beside what was assembled, by place.
    pub files: BTreeMap<String, String>,
    /// The engine in it.
    pub family: Family,
    /// The guest whose assembled files it shares, where that is another.
    pub like: Option<String>,
}

/// A guest as its file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    family: String,
    description: String,
    suite: String,
    #[serde(default)]
    packages: Vec<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
}

/// A guest that is another one with other files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    like: String,
    description: String,
    files: BTreeMap<String, String>,
}

/// What every guest has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Base {
    packages: Vec<String>,
    modules: Vec<String>,
    cmdline: String,
}

const BASE: &str = include_str!("../../../vm/guest/base.toml");

/// The guests there are.
const GUESTS: &[(&str, &str)] = &[
    ("docker-20.10.5", include_str!("../../../vm/guests/docker-20.10.5.toml")),
    ("docker-20.10", include_str!("../../../vm/guests/docker-20.10.toml")),
    ("docker-26", include_str!("../../../vm/guests/docker-26.toml")),
    ("docker-28", include_str!("../../../vm/guests/docker-28.toml")),
    ("docker-28-containerd", include_str!("../../../vm/guests/docker-28-containerd.toml")),
    ("podman-4.3", include_str!("../../../vm/guests/podman-4.3.toml")),
    ("podman-5.4", include_str!("../../../vm/guests/podman-5.4.toml")),
    ("podman-5.8", include_str!("../../../vm/guests/podman-5.8.toml")),
    ("containerd-1.6", include_str!("../../../vm/guests/containerd-1.6.toml")),
    ("containerd-1.7", include_str!("../../../vm/guests/containerd-1.7.toml")),
    ("containerd-2.1", include_str!("../../../vm/guests/containerd-2.1.toml")),
];

/// The programs that install packages of another architecture, and that turn a Debian tree into a guest; the guest's first
/// process.
pub(in crate::vm) const INSTALL: &str = include_str!("../../../vm/guest/install");
pub(in crate::vm) const CONFIGURE: &str = include_str!("../../../vm/guest/configure");
const INIT: &str = include_str!("../../../vm/guest/init");

/// What goes into every guest, by its place there.
pub(in crate::vm) const FILES: &[(&str, &str)] = &[
    ("init", INIT),
    (
        "etc/systemd/system/seatrial-agent.service",
        include_str!("../../../vm/guest/files/etc/systemd/system/seatrial-agent.service"),
    ),
    (
        "etc/systemd/system/seatrial-wake.service",
        include_str!("../../../vm/guest/files/etc/systemd/system/seatrial-wake.service"),
    ),
    (
        "etc/systemd/system/seatrial-tls@.service",
        include_str!("../../../vm/guest/files/etc/systemd/system/seatrial-tls@.service"),
    ),
    (
        "etc/systemd/system/seatrial-pause.service",
        include_str!("../../../vm/guest/files/etc/systemd/system/seatrial-pause.service"),
    ),
    ("usr/lib/seatrial/node", include_str!("../../../vm/guest/files/usr/lib/seatrial/node")),
    ("usr/lib/seatrial/probe", include_str!("../../../vm/guest/files/usr/lib/seatrial/probe")),
    ("usr/lib/seatrial/wake", include_str!("../../../vm/guest/files/usr/lib/seatrial/wake")),
    (
        "etc/systemd/journald.conf.d/seatrial.conf",
        include_str!("../../../vm/guest/files/etc/systemd/journald.conf.d/seatrial.conf"),
    ),
];

impl Definition {
    /// The names of all guests of the host's architecture. With `-arm64` or `-amd64` behind it, a name means the same
    /// guest of that one.
    pub fn names() -> impl Iterator<Item = &'static str> {
        GUESTS.iter().map(|(name, _)| *name)
    }

    /// The names of all guests of every architecture.
    pub fn all_names() -> impl Iterator<Item = String> {
        MachineType::all()
            .flat_map(|machine_type| Self::names().map(|name| full(name, machine_type)))
    }

    /// The names of the guests that `asked` means: `all`, one by its name, or all whose names begin with it and a dash, as
    /// `docker` does for `docker-28`; each may have an architecture behind it, as `docker-28-arm64` and `all-arm64`.
    ///
    /// # Errors
    /// When there is none; the error names the nearest.
    pub fn matching(asked: &str) -> Result<Vec<String>, VmError> {
        let (asked, machine_type) =
            MachineType::named(asked).unwrap_or((asked, MachineType::host()));
        if Self::names().any(|name| name == asked) {
            return Ok(vec![full(asked, machine_type)]);
        }
        let kind = format!("{asked}-");
        let matching = Self::names().filter(|name| asked == "all" || name.starts_with(&kind));
        let matching: Vec<String> = matching.map(|name| full(name, machine_type)).collect();
        if matching.is_empty() {
            Self::named(asked).map(|one| vec![one.name])
        } else {
            Ok(matching)
        }
    }

    /// The definition of the guest called `name`.
    ///
    /// # Errors
    /// When there is none; the error names the nearest.
    pub fn named(name: &str) -> Result<Self, VmError> {
        let (name, machine_type) = MachineType::named(name).unwrap_or((name, MachineType::host()));
        let text = GUESTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
        let text = text.ok_or_else(|| VmError::NoGuest {
            name: name.to_owned(),
            nearest: suggest::nearest(name, Self::names()),
        })?;
        let read = || match text.lines().any(|line| line.starts_with("like =")) {
            true => Self::variant(text, full(name, machine_type), machine_type),
            false => Self::written(text, full(name, machine_type), machine_type),
        };
        read().map_err(|problem| VmError::Assembly { guest: name.to_owned(), problem })
    }

    fn written(
        text: &str,
        name: String,
        machine_type: &'static MachineType,
    ) -> Result<Self, String> {
        let read = |error: toml::de::Error| error.to_string();
        let Written { family, description, suite, packages, files } =
            toml::from_str(text).map_err(read)?;
        let (base, family): (Base, _) =
            (toml::from_str(BASE).map_err(read)?, Family::named(&family)?);
        let arch = machine_type.arch.goarch();
        let packages = [base.packages, family.packages.clone(), packages].concat();
        Ok(Self {
            name,
            machine_type,
            description,
            suite,
            packages: packages
                .iter()
                .map(|package| package.replace("ARCHITECTURE", arch))
                .collect(),
            modules: [base.modules, family.modules.clone()].concat(),
            cmdline: format!(
                "console={} {} {}",
                machine_type.console, base.cmdline, machine_type.cmdline
            )
            .trim_end()
            .to_owned(),
            files: family.files.clone().into_iter().chain(files).collect(),
            family,
            like: None,
        })
    }

    fn variant(
        text: &str,
        name: String,
        machine_type: &'static MachineType,
    ) -> Result<Self, String> {
        let Variant { like, description, files } =
            toml::from_str(text).map_err(|error| error.to_string())?;
        let like = full(&like, machine_type);
        let mut other = Self::named(&like).map_err(|error| error.to_string())?;
        other.files.extend(files);
        Ok(Self { name, description, like: Some(like), ..other })
    }

    /// What machines of it have in their root: `overlay`, and beside it the guest's own.
    pub(in crate::vm) fn with_changes(&self, overlay: &GuestChanges) -> GuestChanges {
        let mut all = GuestChanges::default();
        self.files.iter().for_each(|(place, content)| all.add_file(place, content.as_str()));
        all.merge(overlay);
        all
    }

    /// The digest of everything that decides what the guest's files become, `sources` included: where its
    /// packages come from. What version of a package that is, is the archive's choice on the day. How a
    /// machine is started does not count.
    pub fn digest(&self, sources: &str) -> Digest {
        let Self { suite, packages, modules, family, .. } = self;
        let units = &family.units;
        let mut text =
            format!("{suite}\n{packages:?}\n{modules:?}\n{units:?}\n{sources}\n{CONFIGURE}\n");
        for (place, content) in FILES {
            text.push_str(&format!("{place}\n{content}\n"));
        }
        Digest::of(text.as_bytes())
    }
}

/// The full name of the guest whose file is called `name`.
fn full(name: &str, machine_type: &MachineType) -> String {
    if machine_type.is_host() {
        name.to_owned()
    } else {
        format!("{name}-{}", machine_type.arch.goarch())
    }
}

/// A guest that was assembled: files that any number of machines share and none writes to.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Its name.
    pub name: String,
    /// What it was made from.
    pub definition: Definition,
    folder: PathBuf,
}

impl Guest {
    /// The guest of `definition` whose files are in `folder`.
    pub(in crate::vm) fn new(definition: Definition, folder: PathBuf) -> Self {
        Self { name: definition.name.clone(), definition, folder }
    }

    /// The kernel.
    pub fn kernel(&self) -> PathBuf {
        self.folder.join("kernel")
    }

    /// The initial RAM disk, without what is a machine's own.
    pub fn initrd(&self) -> PathBuf {
        self.folder.join("initrd")
    }

    /// The read-only root, an erofs image.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root.erofs")
    }

    /// An empty file system for what containers write; machines have overlays of it.
    pub fn scratch(&self) -> PathBuf {
        self.folder.join("scratch.raw")
    }

    /// The exact version of its engine's Debian package, once it is assembled.
    pub fn engine_version(&self) -> Option<String> {
        let packages = fs::read_to_string(self.folder.join("packages")).ok()?;
        let engine = self.definition.family.packages.first()?;
        let version =
            |line: &str| line.strip_prefix(engine.as_str())?.strip_prefix(' ').map(str::to_owned);
        packages.lines().find_map(version)
    }

    /// Where it is cached.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_can_be_read_and_its_digest_follows_definition_and_sources() {
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
    fn a_kind_of_engine_means_all_of_it_and_a_name_that_one() {
        assert_eq!(Definition::matching("docker-20.10").unwrap(), ["docker-20.10"]);
        assert!(
            Definition::matching("docker").unwrap().iter().all(|name| name.starts_with("docker-"))
        );
        assert_eq!(Definition::matching("all").unwrap().len(), Definition::names().count());
        assert!(Definition::matching("dokcer").is_err());
    }

    #[test]
    fn an_architecture_behind_a_name_means_the_same_guest_of_it() {
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
    fn an_unknown_guest_names_the_nearest() {
        let error = Definition::named("docker-20.1").unwrap_err().to_string();
        assert_eq!(error, "there is no guest \"docker-20.1\"; did you mean \"docker-20.10\"?");
    }
}
