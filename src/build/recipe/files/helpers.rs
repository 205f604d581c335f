//! Helpers: files that programs expect in an image, by name.

use std::path::{Path, PathBuf};

use super::host_path;
use crate::text;
use crate::text::suggest;

/// A helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Helper {
    /// The certificates of authorities that this host trusts, or those in a file.
    CaCertificates(Option<PathBuf>),
    /// `/bin/sh`: a link to a shell of the image, or to this path.
    BinSh(Option<String>),
    /// `/usr/bin/env`: a link to a program of the image, or to this path.
    UsrBinEnv(Option<String>),
    /// `/tmp` and `/var/tmp`, to which all users can write.
    Tmp,
}

/// The files in which hosts keep the certificates of authorities that they trust: of Debian, Arch
/// and Gentoo; Fedora; openSUSE; Alpine; NixOS.
const HOST_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs/ca-bundle.crt",
];

/// The names of helpers.
const NAMES: [&str; 4] = ["ca-certificates", "bin-sh", "usr-bin-env", "tmp"];

impl Helper {
    /// The file with the certificates of authorities that this host trusts.
    pub(in crate::build) fn host_bundle() -> Option<&'static Path> {
        HOST_BUNDLES.iter().map(Path::new).find(|path| path.is_file())
    }

    /// Parses `NAME` or `NAME=VALUE`; a path on the host is relative to `folder`.
    pub(in crate::build::recipe) fn new(text: &str, folder: &Path) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        if let ("bin-sh" | "usr-bin-env", Some(value)) = (name, value)
            && (!value.starts_with('/') || value.contains('\0'))
        {
            let (name, value) = (text::quote(name), text::quote(value));
            return Err(format!("helpers: {value} of {name} is not an absolute path in the image"));
        }
        match name {
            "ca-certificates" => {
                let file = value.map(|path| host_path("helpers: ca-certificates", folder, path));
                Ok(Self::CaCertificates(file.transpose()?))
            }
            "bin-sh" => Ok(Self::BinSh(value.map(str::to_owned))),
            "usr-bin-env" => Ok(Self::UsrBinEnv(value.map(str::to_owned))),
            "tmp" if value.is_none() => Ok(Self::Tmp),
            "tmp" => Err("helpers: tmp takes no value".to_owned()),
            _ => {
                let nearest = suggest::nearest(name, NAMES);
                let hint = match nearest {
                    Some(_) => suggest::hint(&nearest),
                    None => format!("; valid helpers: {}", NAMES.join(", ")),
                };
                Err(format!("helpers: unknown helper {}{hint}", text::quote(name)))
            }
        }
    }
}
