//! Rules about the files of an image.

use super::finding::Finding;
use crate::archive::entry::display_path;
use crate::archive::files::{self, LayerEntry};
use crate::archive::tar::MemberKind;
use crate::archive::{ArchiveError, Image};
use crate::image::Timestamp;
use crate::text;

/// Results of the rules: counts, each with the first path that was found.
#[derive(Default)]
struct Results {
    /// Programs and libraries for another architecture, and the architecture of the first.
    foreign: Option<(String, &'static str, usize)>,
    world_writable: Option<(String, usize)>,
    has_passwd: bool,
    has_certificate_authorities: bool,
    has_programs: bool,
    build_time: Option<(String, usize)>,
}

/// Where programs look for certificate authorities.
const CERTIFICATE_AUTHORITIES: [&str; 4] =
    ["etc/ssl/cert", "etc/pki/tls/cert", "etc/ssl/ca-bundle.pem", "/etc/ssl/certs/"];
/// Files with a modification time this close to the image's creation have the time of the build, in
/// seconds.
const BUILD_TIME: u64 = 24 * 60 * 60;

pub(super) fn check(image: &Image) -> Result<Vec<Finding>, ArchiveError> {
    let created: Option<u64> = image
        .config
        .created
        .as_ref()
        .and_then(|text| text.parse::<Timestamp>().ok())
        .map(Timestamp::seconds);
    let mut results = Results::default();
    files::for_each_entry(image, |entry| results.add(entry, &image.config.architecture, created))?;
    Ok(results.findings(image))
}

impl Results {
    fn add(&mut self, entry: &LayerEntry<'_>, architecture: &str, created: Option<u64>) {
        let text = String::from_utf8_lossy(entry.path);
        let path = || display_path(entry.path);
        self.has_passwd |= text == "etc/passwd";
        self.has_certificate_authorities |= CERTIFICATE_AUTHORITIES
            .iter()
            .any(|place| text.starts_with(place.trim_start_matches('/')) || text.contains(place));
        let sticky = entry.member.mode & 0o1000 != 0;
        let link = matches!(entry.member.kind, MemberKind::Symlink | MemberKind::HardLink);
        if entry.member.mode & 0o002 != 0 && !link && !sticky {
            self.world_writable.get_or_insert_with(|| (path(), 0)).1 += 1;
        }
        if let Some(found) = elf_architecture(entry.head) {
            self.has_programs = true;
            if found != architecture {
                self.foreign.get_or_insert_with(|| (path(), found, 0)).2 += 1;
            }
        }
        let mtime = entry.member.mtime;
        if created.is_some_and(|created| {
            created > BUILD_TIME
                && (created - BUILD_TIME..created + BUILD_TIME).contains(&mtime)
                && mtime != created
        }) {
            self.build_time.get_or_insert_with(|| (path(), 0)).1 += 1;
        }
    }

    fn findings(self, image: &Image) -> Vec<Finding> {
        let foreign = self.foreign.map(|(path, found, count)| {
            let architecture = text::shorten(&image.config.architecture);
            Finding::warning(
                "architecture-of-files",
                format!(
                    "{count} programs or libraries are not for {architecture}, \
                     such as {path} for {found}"
                ),
                "they fail to start: exec format error",
                "build all programs for the architecture of the image",
            )
        });
        let world_writable = self.world_writable.map(|(path, count)| {
            Finding::warning(
                "world-writable",
                format!("{count} files or folders are writable by every user, such as {path}"),
                "any process in a container can change them",
                "run chmod o-w on them, or chmod +t on a shared folder",
            )
        });
        let no_authorities = (self.has_programs && !self.has_certificate_authorities).then(|| {
            Finding::note(
                "no-certificate-authorities",
                "there are no certificate authorities".to_owned(),
                "TLS clients reject every server",
                "if a program needs TLS, add them: Debian's ca-certificates or nixpkgs' cacert",
            )
        });
        let build_time = self.build_time.map(|(path, count)| {
            Finding::warning(
                "build-time-in-files",
                format!("{count} files have the time of the build, such as {path}"),
                "the same build gives different layers at another time",
                "set a fixed mtime, as seatrial build does",
            )
        });
        let user = user_by_name(image, self.has_passwd);
        [foreign, world_writable, user, no_authorities, build_time].into_iter().flatten().collect()
    }
}

fn user_by_name(image: &Image, has_passwd: bool) -> Option<Finding> {
    let user = image.config.config.user.clone().unwrap_or_default();
    let name = user.split(':').next().unwrap_or_default();
    if name.is_empty() || name == "root" || name.parse::<u32>().is_ok() {
        return None;
    }
    Some(if has_passwd {
        Finding::note(
            "user-by-name",
            format!("User is {}", text::quote(&user)),
            "Kubernetes' runAsNonRoot requires a numeric user",
            "give the user by number",
        )
    } else {
        Finding::warning(
            "user-without-passwd",
            format!("User is {}, but there is no /etc/passwd", text::quote(&user)),
            "engines cannot find the user and refuse to start the container",
            "give the user by number, or add /etc/passwd",
        )
    })
}

/// The GOARCH value of an ELF program or library (elf(5), `e_machine`); `None` for other files and
/// unknown architectures.
fn elf_architecture(head: &[u8]) -> Option<&'static str> {
    let rest = head.strip_prefix(b"\x7fELF")?;
    let little_endian = *rest.get(1)? == 1;
    let bytes = [*head.get(18)?, *head.get(19)?];
    let machine = if little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
    let kind = if little_endian { *head.get(16)? } else { *head.get(17)? };
    let is_64_bit = *rest.first()? == 2;
    if !matches!(kind, 2 | 3) {
        return None;
    }
    match (machine, is_64_bit, little_endian) {
        (3, ..) => Some("386"),
        (62, true, _) => Some("amd64"),
        (40, ..) => Some("arm"),
        (183, ..) => Some("arm64"),
        (21, _, true) => Some("ppc64le"),
        (21, _, false) => Some("ppc64"),
        (22, ..) => Some("s390x"),
        (243, true, _) => Some("riscv64"),
        (258, true, _) => Some("loong64"),
        (8, true, true) => Some("mips64le"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_architecture_is_read_in_the_byte_order_of_the_file() {
        let elf = |class: u8, order: u8, kind: [u8; 2], machine: [u8; 2]| {
            [&b"\x7fELF"[..], &[class, order, 1], &[0; 9], &kind, &machine].concat()
        };
        assert_eq!(elf_architecture(&elf(2, 1, [2, 0], [62, 0])), Some("amd64"));
        assert_eq!(elf_architecture(&elf(2, 2, [0, 3], [0, 22])), Some("s390x"));
        assert_eq!(elf_architecture(&elf(2, 1, [1, 0], [62, 0])), None, "an object file");
        assert_eq!(elf_architecture(b"#!/bin/sh"), None);
        assert_eq!(elf_architecture(b"\x7fELF"), None);
    }
}
