//! Certificates of authorities that were added to those of the host's distribution, such as those
//! of a company: they are not meant for everyone who gets an image.

use std::fs;
use std::path::{Path, PathBuf};

use super::Notices;
use crate::build::recipe::Recipe;
use crate::build::recipe::files::Helper;
use crate::document;

/// The folders for such certificates: of Debian and Alpine; Fedora; openSUSE; Arch.
const FOLDERS: [&str; 4] = [
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust/source/anchors",
    "/etc/pki/trust/anchors",
    "/etc/ca-certificates/trust-source/anchors",
];
/// The most files of a folder that are read.
const FILES_MAX: usize = 200;
/// The size limit of such a file in bytes.
const FILE_MAX: u64 = 1 << 20;
/// The lines before and after a certificate in PEM format.
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Notes the files whose certificates are among those that `recipe` copies from the host.
pub(in crate::build) fn note(recipe: &Recipe, notices: &Notices) {
    if !recipe.helpers.contains(&Helper::CaCertificates(None)) {
        return;
    }
    let files: Vec<PathBuf> = FOLDERS.iter().flat_map(|folder| files(Path::new(folder))).collect();
    if files.is_empty() {
        return;
    }
    // Without a bundle, the build fails with the reason.
    let Some(Ok(bundle)) =
        Helper::host_bundle().map(|path| document::read(path, document::MAX_SIZE))
    else {
        return;
    };
    let trusted = certificates(&bundle);
    for path in files {
        let Ok(text) = document::read(&path, FILE_MAX) else { continue };
        if certificates(&text).iter().any(|added| trusted.contains(added)) {
            notices.added_certificate(&path);
        }
    }
}

/// The files in `folder` and in folders in it, as far as they can be read.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.take(FILES_MAX) {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) if files.len() < FILES_MAX => files.push(entry.path()),
                _ => return files,
            }
        }
    }
    files.sort();
    files
}

/// The certificates in PEM format in `text`, without white space.
fn certificates(text: &str) -> Vec<String> {
    let after = text.split(BEGIN).skip(1);
    let bodies = after.filter_map(|text| text.split_once(END));
    bodies.map(|(body, _)| body.split_whitespace().collect()).collect()
}
