//! The files of accounts and helpers.

use std::path::Path;

use super::origin::Origin;
use super::placer::Placer;
use crate::archive::ArchiveError;
use crate::archive::entry::join;
use crate::archive::entry::{
    Attributes, Entry, FileContent, Kind, display_path, name_of, parent_of,
};
use crate::build::BuildError;
use crate::build::inputs::ImageAccounts;
use crate::build::recipe::files::Helper;

/// The bundle in the image, and links to it under the names that programs look for.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
const BUNDLE_LINKS: [&str; 3] =
    ["etc/ssl/certs/ca-bundle.crt", "etc/pki/tls/certs/ca-bundle.crt", "etc/ssl/cert.pem"];
/// The beginning of a certificate in PEM format.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// Programs that can be `/bin/sh`, and `/usr/bin/env`.
const SHELLS: [&str; 8] = [
    "bin/bash",
    "usr/bin/bash",
    "bin/dash",
    "usr/bin/dash",
    "bin/ash",
    "bin/busybox",
    "usr/bin/busybox",
    "usr/bin/sh",
];
const ENVS: [&str; 3] = ["bin/env", "bin/busybox", "usr/bin/busybox"];
/// How glibc finds hosts, as dockerTools' `fakeNss` writes it.
const NSSWITCH: &str = "hosts: files dns\n";

impl Placer<'_> {
    /// Places helpers. What contents or the base have wins over them.
    pub(in crate::build) fn add_helpers(&mut self, helpers: &[Helper]) -> Result<(), BuildError> {
        for helper in helpers {
            match helper {
                Helper::Tmp => {
                    self.entries.begin(Origin::helper("tmp"));
                    for path in ["tmp", "var/tmp"] {
                        self.directory(path.as_bytes(), 0o1777)?;
                    }
                }
                Helper::BinSh(target) => {
                    self.program("bin-sh", "bin/sh", target.as_deref(), &SHELLS)?;
                }
                Helper::UsrBinEnv(target) => {
                    self.program("usr-bin-env", "usr/bin/env", target.as_deref(), &ENVS)?;
                }
                Helper::CaCertificates(source) => self.certificates(source.as_deref())?,
            }
        }
        Ok(())
    }

    /// Links `path` to `target`, or else to the first of `candidates` that the image has.
    fn program(
        &mut self,
        helper: &str,
        path: &str,
        target: Option<&str>,
        candidates: &[&str],
    ) -> Result<(), BuildError> {
        self.entries.begin(Origin::helper(helper));
        let folder = self.resolved(parent_of(path.as_bytes()))?;
        let path = join(&folder, name_of(path.as_bytes()));
        if self.has(&path) {
            return Ok(());
        }
        let target = match target {
            Some(target) => target.to_owned(),
            None => {
                let found = candidates.iter().find(|candidate| {
                    let folder = self.resolved(parent_of(candidate.as_bytes()));
                    folder.is_ok_and(|folder| {
                        let program = join(&folder, name_of(candidate.as_bytes()));
                        program != path && self.has(&program)
                    })
                });
                let found = found.ok_or_else(|| {
                    let problem = format!(
                        "the image has no program for {}; it may be one of {}; add one, or name \
                         another with \"{helper}=/PATH\"",
                        display_path(&path),
                        candidates.join(", ")
                    );
                    BuildError::content(format!("helper {helper}"), problem)
                })?;
                format!("/{found}")
            }
        };
        self.place(Entry::new(path, 0o777, Kind::Symlink(target.into_bytes().into())))
    }

    /// Places the certificates in `source`, or those that this host trusts.
    fn certificates(&mut self, source: Option<&Path>) -> Result<(), BuildError> {
        self.entries.begin(Origin::helper("ca-certificates"));
        let source = source.or(Helper::host_bundle()).ok_or_else(|| {
            let problem = "this host has no bundle of certificates in a place that is known; name \
                           one with \"ca-certificates=FILE\"";
            BuildError::content("helper ca-certificates", problem)
        })?;
        let bytes = crate::document::read(source, crate::document::MAX_SIZE);
        let bytes = bytes.map_err(ArchiveError::read(source))?;
        if !bytes.contains(CERTIFICATE) {
            let problem = "it has no certificates in PEM format";
            return Err(BuildError::content(source, problem));
        }
        let content = FileContent::Inline(bytes.into_bytes().into());
        let folder = self.resolved(parent_of(BUNDLE.as_bytes()))?;
        let path = join(&folder, name_of(BUNDLE.as_bytes()));
        self.place(Entry::new(path, 0o644, Kind::File(content)))?;
        for link in BUNDLE_LINKS {
            let folder = self.resolved(parent_of(link.as_bytes()))?;
            let path = join(&folder, name_of(link.as_bytes()));
            let target = Kind::Symlink(format!("/{BUNDLE}").into_bytes().into());
            self.place(Entry::new(path, 0o777, target))?;
        }
        Ok(())
    }

    /// Places the files with accounts over those of the contents.
    pub(in crate::build) fn add_accounts(
        &mut self,
        accounts: &ImageAccounts,
    ) -> Result<(), BuildError> {
        if accounts.files.is_empty() {
            return Ok(());
        }
        if accounts.is_new {
            self.entries.begin(Origin::account_helper());
            self.directory(b"var/empty", 0o555)?;
            if !self.has(b"etc/nsswitch.conf") {
                self.place(Entry::new(&b"etc/nsswitch.conf"[..], 0o644, inline(NSSWITCH)))?;
            }
        }
        self.entries.begin(Origin::accounts());
        for file in &accounts.files {
            let folder = self.resolved(parent_of(file.path.as_bytes()))?;
            let path = join(&folder, name_of(file.path.as_bytes()));
            let attributes = file.found.owner.map(|(uid, gid)| {
                let mtime = self.rules.attributes.mtime;
                let (uname, gname) = (String::new(), String::new());
                Box::new(Attributes { uid, gid, uname, gname, mtime })
            });
            let kind = Kind::File(FileContent::Inline(file.bytes.as_slice().into()));
            let xattrs = file.found.xattrs.clone();
            self.account_files.push(path.clone());
            self.place(Entry { attributes, xattrs, ..Entry::new(path, file.found.mode, kind) })?;
        }
        Ok(())
    }

    /// Whether the layer so far or the base has `path`.
    fn has(&self, path: &[u8]) -> bool {
        self.entries.has(path) || self.image.base.get(path).is_some()
    }
}

fn inline(text: &str) -> Kind {
    Kind::File(FileContent::Inline(text.as_bytes().into()))
}
