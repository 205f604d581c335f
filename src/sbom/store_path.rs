//! Store paths as packages.

use super::package::{Ecosystem, Package};

/// Suffixes of the names of store paths that are outputs of a package, rather than part of its
/// version.
const OUTPUTS: [&str; 10] =
    ["bin", "debug", "dev", "devdoc", "doc", "info", "lib", "man", "out", "static"];

/// The package in the store path `path`, such as `/nix/store/HASH-hello-2.12.1`, which is in the
/// layer with the index `layer`.
pub(super) fn package(path: &str, layer: usize) -> Package {
    let base = path.rsplit('/').next().unwrap_or(path);
    let full = base.split_once('-').map_or(base, |(_, name)| name);
    let (name, version) = split(full);
    Package {
        ecosystem: Ecosystem::Nix,
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: None,
        distribution: None,
        source: None,
        maintainer: None,
        license: None,
        path: Some(path.to_owned()),
        layer: Some(layer),
    }
}

/// Splits a name into name and version as Nix does: the version begins after the first dash that
/// no letter follows (Nix manual, `builtins.parseDrvName`). The name of an output at its end does
/// not belong to the version.
fn split(full: &str) -> (&str, &str) {
    let dashes = full.match_indices('-').map(|(position, _)| position);
    let is_version = |position: &usize| {
        full[position + 1..].chars().next().is_some_and(|next| !next.is_ascii_alphabetic())
    };
    let Some(dash) = dashes.into_iter().find(is_version) else { return (full, "") };
    let (name, version) = (&full[..dash], &full[dash + 1..]);
    let output = version.rsplit_once('-').filter(|(_, output)| OUTPUTS.contains(output));
    (name, output.map_or(version, |(version, _)| version))
}

#[cfg(test)]
mod tests {
    use super::split;

    // As `builtins.parseDrvName` of Nix, but for outputs.
    #[test]
    fn names_are_split_as_nix_does() {
        for (full, name, version) in [
            ("hello-2.12.1", "hello", "2.12.1"),
            ("glibc-2.38-44", "glibc", "2.38-44"),
            ("openssl-3.0.13-dev", "openssl", "3.0.13"),
            ("python3.11-requests-2.31.0", "python3.11-requests", "2.31.0"),
            ("source", "source", ""),
            ("nss-cacert-3.98", "nss-cacert", "3.98"),
            ("libfoo-bar", "libfoo-bar", ""),
            ("x-", "x-", ""),
        ] {
            assert_eq!(split(full), (name, version), "{full}");
        }
    }
}
