//! What the files of an image tell.

use super::{Finding, Level, warning};
use crate::archive::files::{self, Seen};
use crate::archive::tar::MemberKind;
use crate::archive::{ArchiveError, Image};
use crate::image::Timestamp;

/// What is counted while the files pass by.
#[derive(Default)]
struct Counts {
    foreign: Option<(String, &'static str, usize)>,
    writable: Option<(String, usize)>,
    passwd: bool,
    authorities: bool,
    dynamic: bool,
    fresh: Option<(String, usize)>,
}

/// Where programs look for certificate authorities.
const AUTHORITIES: [&str; 4] =
    ["etc/ssl/cert", "etc/pki/tls/cert", "etc/ssl/ca-bundle.pem", "/etc/ssl/certs/"];
/// How long before the date of an image its files count as made for it, in seconds.
const BUILD: u64 = 24 * 60 * 60;

pub(super) fn look(image: &Image) -> Result<Vec<Finding>, ArchiveError> {
    let created: Option<u64> = image
        .config
        .created
        .as_ref()
        .and_then(|text| text.parse::<Timestamp>().ok())
        .map(Timestamp::seconds);
    let mut counts = Counts::default();
    files::each(image, |seen| counts.add(seen, &image.config.architecture, created))?;
    Ok(counts.findings(image))
}

impl Counts {
    fn add(&mut self, seen: &Seen<'_>, architecture: &str, created: Option<u64>) {
        let path = || format!("/{}", String::from_utf8_lossy(seen.path));
        let text = String::from_utf8_lossy(seen.path);
        self.passwd |= text == "etc/passwd";
        self.authorities |= AUTHORITIES
            .iter()
            .any(|place| text.starts_with(place.trim_start_matches('/')) || text.contains(place));
        let sticky = seen.member.mode & 0o1000 != 0;
        let link = matches!(seen.member.kind, MemberKind::Symlink | MemberKind::HardLink);
        if seen.member.mode & 0o002 != 0 && !link && !sticky {
            self.writable.get_or_insert_with(|| (path(), 0)).1 += 1;
        }
        if let Some(machine) = elf_machine(seen.head) {
            self.dynamic = true;
            if machine != architecture {
                self.foreign.get_or_insert_with(|| (path(), machine, 0)).2 += 1;
            }
        }
        let mtime = seen.member.mtime;
        if created.is_some_and(|created| {
            created > BUILD
                && (created - BUILD..created + BUILD).contains(&mtime)
                && mtime != created
        }) {
            self.fresh.get_or_insert_with(|| (path(), 0)).1 += 1;
        }
    }

    fn findings(self, image: &Image) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some((path, machine, count)) = self.foreign {
            findings.push(warning(
                "architecture-of-files",
                format!(
                    "{count} programs or libraries are not for {}: {path} is for {machine}",
                    image.config.architecture
                ),
                "they do not run there: exec format error",
                "build for one architecture, or name the right one",
            ));
        }
        if let Some((path, count)) = self.writable {
            findings.push(warning(
                "world-writable",
                format!("{count} files or folders may be changed by anybody, such as {path}"),
                "any process in a container can put its own program there",
                "chmod o-w, or o+t for a shared folder",
            ));
        }
        let user = image.config.config.user.clone().unwrap_or_default();
        let name = user.split(':').next().unwrap_or_default();
        let named = !name.is_empty() && name != "root" && name.parse::<u32>().is_err();
        if named && !self.passwd {
            findings.push(warning(
                "user-without-passwd",
                format!("User is {user:?}, but there is no /etc/passwd"),
                "engines cannot tell who that is and refuse to start the container",
                "add /etc/passwd, or name the user by number, which Kubernetes' runAsNonRoot needs anyway",
            ));
        } else if named {
            findings.push(Finding {
                level: Level::Note,
                rule: "user-by-name",
                what: format!("User is {user:?}"),
                breaks: "Kubernetes' runAsNonRoot takes numbers only",
                mend: "name the user by number",
            });
        }
        if self.dynamic && !self.authorities {
            findings.push(Finding {
                level: Level::Note,
                rule: "no-certificate-authorities",
                what: "no list of certificate authorities".to_owned(),
                breaks: "programs that use TLS trust nobody",
                mend: "add one, such as Debian's ca-certificates or nixpkgs' cacert, where that is needed",
            });
        }
        if let Some((path, count)) = self.fresh {
            findings.push(warning(
                "build-time-in-files",
                format!("{count} files carry the time of the build, such as {path}"),
                "the same build gives other layers tomorrow",
                "set a fixed mtime; seatrial build does",
            ));
        }
        findings
    }
}

/// Go's name for the machine that an ELF file is for (elf(5), `e_machine`); `None` for what is no program, or for a
/// machine that is not known here.
fn elf_machine(head: &[u8]) -> Option<&'static str> {
    let rest = head.strip_prefix(b"\x7fELF")?;
    let little = *rest.get(1)? == 1;
    let bytes = [*head.get(18)?, *head.get(19)?];
    let machine = if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
    let kind = if little { *head.get(16)? } else { *head.get(17)? };
    let wide = *rest.first()? == 2;
    if !matches!(kind, 2 | 3) {
        return None;
    }
    match (machine, wide, little) {
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
    fn machines_are_read_by_the_files_own_byte_order() {
        let elf = |class: u8, order: u8, kind: [u8; 2], machine: [u8; 2]| {
            [&b"\x7fELF"[..], &[class, order, 1], &[0; 9], &kind, &machine].concat()
        };
        assert_eq!(elf_machine(&elf(2, 1, [2, 0], [62, 0])), Some("amd64"));
        assert_eq!(elf_machine(&elf(2, 2, [0, 3], [0, 22])), Some("s390x"));
        assert_eq!(elf_machine(&elf(2, 1, [1, 0], [62, 0])), None, "an object file");
        assert_eq!(elf_machine(b"#!/bin/sh"), None);
        assert_eq!(elf_machine(b"\x7fELF"), None);
    }
}
