//! What the archive alone tells of an image: no engine and no machine is needed for that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::CheckError;
use super::expectations::{
    EnvExpectations, Expectations, FileExpectations, FileType, ImageExpectations, SharedLayers,
};
use super::value::excerpt;
use super::verdict::{Checks, LOADED, Outcome, TestCase};
use crate::archive::files::{self, FileInfo};
use crate::archive::tar::MemberKind;
use crate::archive::tree::Tree;
use crate::archive::{Image, ImageSelector, open, verify};
use crate::image::config::{ContainerConfig, Set};

/// An image that was read whole: every digest is right.
#[derive(Debug)]
pub struct ImageUnderTest {
    /// The image.
    pub image: Image,
    /// What its layers show.
    tree: Tree,
    /// The sizes of its layers, uncompressed, in bytes.
    pub(super) sizes: Vec<u64>,
}

impl ImageUnderTest {
    /// Reads the image at `path`.
    ///
    /// # Errors
    /// When there is none, or it is broken.
    pub fn open(path: &Path, choice: &ImageSelector, threads: usize) -> Result<Self, CheckError> {
        let image = open(path, choice)?;
        let facts = verify::layers(&image, threads)?;
        let sizes = facts.iter().map(|layer| layer.size).collect();
        Ok(Self {
            tree: Tree::from_layers(facts.into_iter().map(|layer| layer.tree)),
            image,
            sizes,
        })
    }

    /// What it is called: its first reference, or where it lies.
    pub fn name(&self) -> String {
        self.image
            .references
            .first()
            .cloned()
            .unwrap_or_else(|| self.image.path.display().to_string())
    }

    /// Everything that `expected` says and that the archive tells. Paths of other images are relative to `folder`.
    ///
    /// # Errors
    /// When a layer cannot be read again, or another image cannot be.
    pub fn cases(
        &self,
        expected: &Expectations,
        folder: &Path,
    ) -> Result<Vec<TestCase>, CheckError> {
        let name = self.name();
        let mut cases =
            vec![TestCase::finished(&name, "config", self.config(&expected.image, folder)?)];
        if expected.image.is_empty() {
            cases.clear();
        }
        let entries = self.image.config.config.env.clone().unwrap_or_default();
        cases.push(TestCase::finished(
            &name,
            "environment of the config",
            env(&expected.env, &entries, true),
        ));
        let paths: Vec<&str> = expected.file.iter().map(|file| file.path.as_str()).collect();
        let found = files::find(&self.image, &self.tree, &paths)?;
        for file in &expected.file {
            let at = found.get(&file.path);
            cases.push(TestCase::finished(
                &name,
                format!("file {}", file.path),
                self::file(file, at),
            ));
        }
        Ok(cases)
    }

    fn config(&self, expected: &ImageExpectations, folder: &Path) -> Result<Checks, CheckError> {
        let mut checks = Checks::default();
        let (image, config) = (&self.image.config, &self.image.config.config);
        if let Some(reference) = &expected.reference {
            let all = self.image.references.join(", ");
            checks.record("reference", reference, &all, self.image.references.contains(reference));
        }
        if let Some(tag) = &expected.tag {
            let tags: Vec<&str> = self
                .image
                .references
                .iter()
                .filter_map(|name| name.rsplit_once(':'))
                .map(|(_, tag)| tag)
                .collect();
            checks.record("tag", tag, tags.join(", "), tags.contains(&tag.as_str()));
        }
        let texts = [
            ("architecture", &expected.architecture, Some(&image.architecture)),
            ("variant", &expected.variant, image.variant.as_ref()),
            ("os", &expected.os, Some(&image.os)),
            ("user", &expected.user, config.user.as_ref()),
            ("working directory", &expected.working_dir, config.working_dir.as_ref()),
            ("stop signal", &expected.stop_signal, config.stop_signal.as_ref()),
            ("created", &expected.created, image.created.as_ref()),
        ];
        for (what, expected, found) in texts {
            if let Some(expected) = expected {
                let found = found.map_or("", String::as_str);
                checks.record(
                    what,
                    format!("{expected:?}"),
                    format!("{found:?}"),
                    expected == found,
                );
            }
        }
        self.lists(expected, config, &mut checks);
        self.counts(expected, &mut checks);
        if let Some(shared) = &expected.shares_layers {
            self.shared(shared, folder, &mut checks)?;
        }
        Ok(checks)
    }

    fn lists(&self, expected: &ImageExpectations, config: &ContainerConfig, checks: &mut Checks) {
        let lists = [
            ("entrypoint", &expected.entrypoint, config.entrypoint.clone()),
            ("command", &expected.cmd, config.cmd.clone()),
            ("shell", &expected.shell, config.shell.clone()),
        ];
        for (what, expected, found) in lists {
            if let Some(expected) = expected {
                checks.expect_equal(what, expected, &found.unwrap_or_default());
            }
        }
        let sets = [
            ("exposed ports", &expected.exposed_ports, &config.exposed_ports),
            ("volumes", &expected.volumes, &config.volumes),
        ];
        for (what, expected, found) in sets {
            if let Some(expected) = expected {
                let names = |set: &Set| set.keys().cloned().collect::<BTreeSet<String>>();
                let expected: BTreeSet<String> = expected.iter().cloned().collect();
                checks.expect_equal(
                    what,
                    &expected,
                    &found.as_ref().map(names).unwrap_or_default(),
                );
            }
        }
        let labels = config.labels.clone().unwrap_or_default();
        for (label, value) in &expected.labels {
            checks.expect_equal(&format!("label {label}"), &Some(value), &labels.get(label));
        }
        if let Some(healthcheck) = &expected.healthcheck {
            checks.expect_equal("healthcheck", &Some(healthcheck), &config.healthcheck.as_ref());
        }
    }

    fn counts(&self, expected: &ImageExpectations, checks: &mut Checks) {
        let layers = self.image.layers.len();
        if let Some(exactly) = expected.layers {
            checks.expect_equal("number of layers", &exactly, &layers);
        }
        if let Some(most) = expected.max_layers {
            checks.record("number of layers", format!("{most} at most"), layers, layers <= most);
        }
        if let Some(most) = expected.max_size {
            let size: u64 = self.sizes.iter().sum();
            checks.record(
                "size of all layers",
                format!("{most} bytes at most"),
                format!("{size} bytes"),
                size <= most,
            );
        }
    }

    fn shared(
        &self,
        shared: &SharedLayers,
        folder: &Path,
        checks: &mut Checks,
    ) -> Result<(), CheckError> {
        let other = open(&folder.join(&shared.with), &ImageSelector::default())?;
        let pairs = self.image.layers.iter().zip(&other.layers);
        let common = pairs.take_while(|(one, other)| one.diff_id == other.diff_id).count();
        let least = shared.at_least.unwrap_or(other.layers.len());
        let what = format!("layers in common with {}", shared.with);
        checks.record(&what, format!("{least} at least"), common, common >= least);
        Ok(())
    }
}

/// The expectations of an environment, for `entries`: those of a config, or those that a process sees.
pub(super) fn env(expected: &EnvExpectations, entries: &[String], config: bool) -> Checks {
    let mut checks = Checks::default();
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let names: BTreeSet<&str> =
        entries.iter().map(|entry| entry.split('=').next().unwrap_or_default()).collect();
    if expected.unique != Some(false) && names.len() == entries.len() {
        checks.record("occurrences of every name", "one", "one", true);
    }
    for entry in entries {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        if let (Some(before), true) = (seen.insert(name, value), expected.unique != Some(false)) {
            checks.record(
                &format!("occurrences of {name}"),
                "one",
                format!("{before:?} and {value:?}"),
                false,
            );
        }
    }
    for (name, value) in &expected.has {
        checks.expect_equal(name, &Some(value.as_str()), &seen.get(name.as_str()).copied());
    }
    for name in &expected.absent {
        checks.expect_equal(name, &None, &seen.get(name.as_str()).copied());
    }
    for (name, pattern) in &expected.matches {
        let found = seen.get(name.as_str()).copied();
        let fine = found.is_some_and(|value| pattern.is_match(value));
        checks.record(name, format!("matches {pattern}"), format!("{found:?}"), fine);
    }
    if let (Some(exactly), true) = (&expected.exactly, config) {
        let exactly: BTreeMap<&str, &str> =
            exactly.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        checks.expect_equal("all of it", &exactly, &seen);
    }
    checks
}

fn file(expected: &FileExpectations, found: Option<&FileInfo>) -> Checks {
    let mut checks = Checks::default();
    let (exists, there) =
        (expected.exists != Some(false), |there| if there { "it exists" } else { "nothing" });
    checks.record("existence", there(exists), there(found.is_some()), exists == found.is_some());
    let Some(found) = found.filter(|_| exists) else { return checks };
    if let Some(kind) = expected.kind {
        checks.expect_equal("type", &kind, &kind_of(found.kind));
    }
    if let Some(mode) = &expected.mode {
        let number = u32::from_str_radix(mode.trim_start_matches("0o"), 8);
        checks.record("mode", mode, format!("{:04o}", found.mode), number == Ok(found.mode));
    }
    let numbers = [
        ("user", expected.uid, found.uid),
        ("group", expected.gid, found.gid),
        ("size", expected.size, found.size),
    ];
    for (what, expected, found) in numbers {
        if let Some(expected) = expected {
            checks.expect_equal(what, &expected, &found);
        }
    }
    if let Some(target) = &expected.target {
        checks.expect_equal(
            "target",
            &target.as_str(),
            &String::from_utf8_lossy(&found.link).as_ref(),
        );
    }
    let content = found.content.as_deref();
    if let Some(sha256) = &expected.sha256 {
        let digest = content.map_or("no content to checks at".to_owned(), |bytes| {
            hex::encode(Sha256::digest(bytes))
        });
        checks.record("sha256", sha256, &digest, *sha256 == digest);
    }
    if let Some(text) = &expected.content {
        let content = content.map(String::from_utf8_lossy);
        let fine = content.as_ref().is_some_and(|content| text.is_match(content));
        checks.record(
            "content",
            text,
            content.map_or("none".to_owned(), |content| excerpt(&content)),
            fine,
        );
    }
    checks
}

fn kind_of(kind: MemberKind) -> FileType {
    match kind {
        MemberKind::File | MemberKind::HardLink => FileType::File,
        MemberKind::Directory => FileType::Directory,
        MemberKind::Symlink => FileType::Symlink,
        MemberKind::Special => FileType::Special,
    }
}

/// The cases that only an engine can tell, as skipped.
pub(super) fn left_out(image: &str, expected: &Expectations, reason: &str) -> Vec<TestCase> {
    let fixed = [LOADED, "environment of a container"].map(str::to_owned);
    let runs = expected.run.iter().map(|run| format!("run {}", run.name));
    let services = expected.service.iter().map(|service| format!("service {}", service.name));
    let skipped = |name: String| TestCase {
        outcome: Outcome::Skipped { reason: reason.to_owned() },
        ..TestCase::finished(image, name, Checks::default())
    };
    fixed.into_iter().chain(runs).chain(services).map(skipped).collect()
}
