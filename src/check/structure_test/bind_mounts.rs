//! Bind mounts in the notation of `docker run --volume`.

use std::path::PathBuf;

use crate::check::expectations::ContainerMount;
use crate::text;

/// Options that have no meaning for a copy on a file system without labels.
const IGNORED: [&str; 13] = [
    "z",
    "Z",
    "cached",
    "delegated",
    "consistent",
    "shared",
    "slave",
    "private",
    "rshared",
    "rslave",
    "rprivate",
    "nocopy",
    "rbind",
];

/// Parses `HOST_PATH:CONTAINER_PATH[:OPTIONS]`.
pub(super) fn parse(written: &str) -> Result<ContainerMount, String> {
    let quoted = text::quote(written);
    let malformed = || format!("invalid mount {quoted}; expected HOST_PATH:CONTAINER_PATH[:ro]");
    let mut parts = written.split(':');
    let (Some(source), Some(path), options, None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed());
    };
    if source.is_empty() || !path.starts_with('/') {
        return Err(malformed());
    }
    if !source.starts_with('.') && !source.contains('/') {
        return Err(format!(
            "{quoted} names a volume of Docker; write ./{source} for a folder beside this file"
        ));
    }
    let mut writable = true;
    for option in options.into_iter().flat_map(|options| options.split(',')) {
        match option {
            "ro" => writable = false,
            "rw" => writable = true,
            option if IGNORED.contains(&option) => {}
            option => {
                let option = text::quote(option);
                return Err(format!("invalid mount {quoted}: unknown option {option}"));
            }
        }
    }
    Ok(ContainerMount { path: path.to_owned(), source: PathBuf::from(source), writable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_writable_unless_it_is_read_only() {
        for (written, source, path, writable) in [
            ("/a/b:/c", "/a/b", "/c", true),
            ("./a:/c:ro", "./a", "/c", false),
            ("a/b:/c:rw,z", "a/b", "/c", true),
            ("../a:/c:ro,Z", "../a", "/c", false),
        ] {
            let mount = parse(written).unwrap();
            let found = (mount.source.to_str(), mount.path.as_str(), mount.writable);
            assert_eq!(found, (Some(source), path, writable), "{written}");
        }
        for written in ["/a", "/a:b", ":/b", "a:/b", "/a:/b:rx", "/a:/b:ro:x"] {
            assert!(parse(written).is_err(), "{written}");
        }
    }
}
