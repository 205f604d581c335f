//! The package that a store path belongs to, as far as its name tells.

use crate::closure::StorePath;

/// The name of the package: the name of the path without hash and version. Versions are the parts
/// between dashes that begin with a digit, so `HASH-openssl-3.0.13-bin` is of `openssl-bin`.
pub(super) fn name(path: &StorePath) -> String {
    parts(path).filter(|part| !is_version(part)).collect::<Vec<_>>().join("-")
}

/// The version of the package; empty if the name of the path has none.
pub(super) fn version(path: &StorePath) -> String {
    parts(path).filter(|part| is_version(part)).collect::<Vec<_>>().join("-")
}

/// The name without numbers, which may change with a new release: `libssl` for `libssl1.1`.
pub(super) fn stem(name: &str) -> String {
    let mut after_digit = false;
    name.chars()
        .filter(|c| {
            after_digit = c.is_ascii_digit() || (after_digit && *c == '.');
            !after_digit
        })
        .collect()
}

fn parts(path: &StorePath) -> impl Iterator<Item = &str> {
    path.name().split_once('-').map_or("", |(_, name)| name).split('-')
}

fn is_version(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closure::StoreDir;

    #[test]
    fn the_names_of_store_paths_have_names_and_versions_of_packages() {
        let dir = StoreDir::new("/nix/store").unwrap();
        for (path, package, number, short) in [
            ("x-openssl-3.0.13-bin", "openssl-bin", "3.0.13", "openssl-bin"),
            ("x-libssl1.1-1.1.1w-0-deb11u1", "libssl1.1-deb11u1", "1.1.1w-0", "libssl-debu"),
            ("x-libstdc++6-12.2.0-14", "libstdc++6", "12.2.0-14", "libstdc++"),
            ("x-source", "source", "", "source"),
            ("plain", "", "", ""),
        ] {
            let path = dir.path(&format!("/nix/store/{path}")).unwrap();
            assert_eq!(name(&path), package);
            assert_eq!(version(&path), number);
            assert_eq!(stem(&name(&path)), short);
        }
    }
}
