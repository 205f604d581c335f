//! Rules about the files of an image.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::accounts;
use super::contents::Contents;
use super::elf::elf_architecture;
use super::finding::Finding;
use super::paths::{Paths, counted};
use crate::archive::files::{self, LayerEntry};
use crate::archive::tree::Tree;
use crate::archive::verify::VerifiedLayer;
use crate::archive::{ArchiveError, Image};
use crate::image::Timestamp;
use crate::text;

/// Results of the rules.
#[derive(Default)]
struct Results {
    /// Programs and libraries for another architecture, and the architecture of the first.
    foreign: Paths,
    foreign_architecture: &'static str,
    /// 32-bit Arm programs in a 64-bit Arm image.
    arm_32_bit: Paths,
    duplicates: Duplicates,
    has_certificate_authorities: bool,
    has_programs: bool,
    build_time: Paths,
    contents: Contents,
}

/// Paths that occur more than once in one layer.
#[derive(Default)]
struct Duplicates {
    /// The layer, and hashes of its paths so far.
    layer: usize,
    seen: HashSet<u64>,
    hashes: RandomState,
    paths: Paths,
}

impl Duplicates {
    fn add(&mut self, entry: &LayerEntry<'_>) {
        if entry.layer != self.layer {
            (self.layer, self.seen) = (entry.layer, HashSet::new());
        }
        // Engines take "./a" and "a" for one path, but not "/a".
        let hash = self.hashes.hash_one((entry.path, entry.member.path.starts_with(b"/")));
        if !self.seen.insert(hash) {
            self.paths.add(entry.path);
        }
    }
}

/// Where programs look for certificate authorities.
const CERTIFICATE_AUTHORITIES: [&str; 4] =
    ["etc/ssl/cert", "etc/pki/tls/cert", "etc/ssl/ca-bundle.pem", "/etc/ssl/certs/"];
/// Files with a modification time this close to the image's creation have the time of the build, in
/// seconds.
const BUILD_TIME: i64 = 24 * 60 * 60;

pub(super) fn check(image: &Image, layers: &[VerifiedLayer]) -> Result<Vec<Finding>, ArchiveError> {
    let created: Option<i64> = image
        .config
        .created
        .as_ref()
        .and_then(|text| text.parse::<Timestamp>().ok())
        .map(|created| created.seconds().cast_signed());
    let mut results = Results::default();
    files::for_each_entry(image, |entry| results.add(entry, &image.config.architecture, created))?;
    let tree = Tree::from_layers(layers.iter().map(|layer| layer.tree.clone()));
    let mut findings = accounts::check(image, &tree)?;
    findings.extend(results.contents.findings());
    findings.extend(results.findings(image));
    Ok(findings)
}

impl Results {
    fn add(&mut self, entry: &LayerEntry<'_>, architecture: &str, created: Option<i64>) {
        let text = String::from_utf8_lossy(entry.path);
        self.duplicates.add(entry);
        self.contents.add(entry);
        self.has_certificate_authorities |= CERTIFICATE_AUTHORITIES
            .iter()
            .any(|place| text.starts_with(place.trim_start_matches('/')) || text.contains(place));
        if let Some(found) = elf_architecture(entry.head) {
            self.has_programs = true;
            match (architecture, found) {
                // 64-bit x86 CPUs run 32-bit programs.
                ("amd64", "386") => {}
                // Some 64-bit Arm CPUs do.
                ("arm64", "arm") => self.arm_32_bit.add(entry.path),
                _ if found == architecture => {}
                _ => {
                    if self.foreign.count == 0 {
                        self.foreign_architecture = found;
                    }
                    self.foreign.add(entry.path);
                }
            }
        }
        let mtime = entry.member.mtime;
        if created.is_some_and(|created| {
            created > BUILD_TIME
                && (created - BUILD_TIME..created + BUILD_TIME).contains(&mtime)
                && mtime != created
        }) {
            self.build_time.add(entry.path);
        }
    }

    fn findings(self, image: &Image) -> Vec<Finding> {
        let architecture = text::shorten(&image.config.architecture);
        let found = self.foreign_architecture;
        let no_authorities = self.has_programs && !self.has_certificate_authorities;
        let findings = [
            self.foreign.finding(|count, path| foreign(count, path, found, &architecture)),
            self.arm_32_bit.finding(arm_32_bit),
            self.duplicates.paths.finding(duplicate_path),
            no_authorities.then(no_certificate_authorities),
            self.build_time.finding(build_time),
        ];
        findings.into_iter().flatten().collect()
    }
}

fn foreign(count: usize, path: &str, found: &str, architecture: &str) -> Finding {
    Finding::warning(
        "architecture-of-files",
        counted(
            count,
            &format!("{path} for {found}"),
            &format!("program or library is not for {architecture}"),
            &format!("programs or libraries are not for {architecture}"),
        ),
        "they fail to start: exec format error",
        "build all programs for the architecture of the image",
    )
}

fn arm_32_bit(count: usize, path: &str) -> Finding {
    Finding::note(
        "32-bit-arm",
        counted(
            count,
            path,
            "program or library is for 32-bit arm",
            "programs or libraries are for 32-bit arm",
        ),
        "they fail to start on arm64 CPUs without 32-bit mode, which many servers have",
        "build them for arm64",
    )
}

fn duplicate_path(count: usize, path: &str) -> Finding {
    Finding::warning(
        "duplicate-path",
        counted(
            count,
            path,
            "entry repeats a path of the same layer",
            "entries repeat a path of the same layer",
        ),
        "Docker and Podman reject the layer (duplicates of file paths not supported); other \
         engines use the last entry",
        "give each path one entry, as seatrial build does",
    )
}

fn no_certificate_authorities() -> Finding {
    Finding::note(
        "no-certificate-authorities",
        "there are no certificate authorities".to_owned(),
        "TLS clients reject every server",
        "if a program needs TLS, add them: Debian's ca-certificates or nixpkgs' cacert",
    )
}

fn build_time(count: usize, path: &str) -> Finding {
    Finding::warning(
        "build-time-in-files",
        counted(count, path, "file has the time of the build", "files have the time of the build"),
        "the same build gives different layers at another time",
        "set a fixed mtime, as seatrial build does",
    )
}
