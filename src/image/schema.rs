//! The keys that engines decode in the JSON documents of an image.
//!
//! Docker, containerd and Podman are Go programs. Go's `encoding/json` matches keys without regard
//! to case, and if a key occurs twice, the last value counts. Other JSON parsers do neither, so a
//! document with both `Config` and `config` describes two images.

/// The structure of a JSON value, as far as engines decode it.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A value without known keys: a scalar, a list of them, or a map with free keys.
    Free,
    /// An object.
    Object(&'static Object),
    /// A list of objects.
    List(&'static Object),
}

/// An object with known keys.
#[derive(Debug)]
pub struct Object {
    /// Its name in error messages.
    pub name: &'static str,
    /// Its known keys, with the structure of their values; at most 64.
    pub keys: &'static [(&'static str, Shape)],
}

impl Object {
    /// Returns the index of the known key that a Go program matches `key` with.
    pub fn position(&self, key: &str) -> Option<usize> {
        self.keys.iter().position(|(known, _)| matches_in_go(key, known))
    }
}

/// Whether Go's `encoding/json` matches `key` with the ASCII name `known`. Its rule is Unicode's
/// simple case folding, by which two characters outside ASCII are equal to ASCII letters.
fn matches_in_go(key: &str, known: &str) -> bool {
    let folded = key.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    });
    folded.eq(known.chars().map(|c| c.to_ascii_lowercase()))
}

/// A docker-archive's `manifest.json` (moby `image/tarexport`, `manifestItem`).
pub const DOCKER_MANIFESTS: Shape = Shape::List(&Object {
    name: "manifest.json",
    keys: &[
        ("Config", Shape::Free),
        ("RepoTags", Shape::Free),
        ("Layers", Shape::Free),
        ("Parent", Shape::Free),
        ("LayerSources", Shape::Free),
    ],
});

/// An image config (moby `image.Image`; OCI image-spec, `config.md`).
pub const CONFIG: Shape = Shape::Object(&Object {
    name: "the image config",
    keys: &[
        ("id", Shape::Free),
        ("parent", Shape::Free),
        ("comment", Shape::Free),
        ("created", Shape::Free),
        ("container", Shape::Free),
        ("container_config", Shape::Object(&CONTAINER_CONFIG)),
        ("docker_version", Shape::Free),
        ("author", Shape::Free),
        ("config", Shape::Object(&CONTAINER_CONFIG)),
        ("architecture", Shape::Free),
        ("variant", Shape::Free),
        ("os", Shape::Free),
        ("os.version", Shape::Free),
        ("os.features", Shape::Free),
        ("rootfs", Shape::Object(&ROOT_FS)),
        ("history", Shape::List(&HISTORY)),
    ],
});

/// moby `container.Config`.
static CONTAINER_CONFIG: Object = Object {
    name: "config",
    keys: &[
        ("Hostname", Shape::Free),
        ("Domainname", Shape::Free),
        ("User", Shape::Free),
        ("AttachStdin", Shape::Free),
        ("AttachStdout", Shape::Free),
        ("AttachStderr", Shape::Free),
        ("ExposedPorts", Shape::Free),
        ("Tty", Shape::Free),
        ("OpenStdin", Shape::Free),
        ("StdinOnce", Shape::Free),
        ("Env", Shape::Free),
        ("Cmd", Shape::Free),
        ("Healthcheck", Shape::Object(&HEALTHCHECK)),
        ("ArgsEscaped", Shape::Free),
        ("Image", Shape::Free),
        ("Volumes", Shape::Free),
        ("WorkingDir", Shape::Free),
        ("Entrypoint", Shape::Free),
        ("NetworkDisabled", Shape::Free),
        ("MacAddress", Shape::Free),
        ("OnBuild", Shape::Free),
        ("Labels", Shape::Free),
        ("StopSignal", Shape::Free),
        ("StopTimeout", Shape::Free),
        ("Shell", Shape::Free),
    ],
};

/// moby `container.HealthConfig`.
static HEALTHCHECK: Object = Object {
    name: "Healthcheck",
    keys: &[
        ("Test", Shape::Free),
        ("Interval", Shape::Free),
        ("Timeout", Shape::Free),
        ("StartPeriod", Shape::Free),
        ("StartInterval", Shape::Free),
        ("Retries", Shape::Free),
    ],
};

static ROOT_FS: Object =
    Object { name: "rootfs", keys: &[("type", Shape::Free), ("diff_ids", Shape::Free)] };

static HISTORY: Object = Object {
    name: "history",
    keys: &[
        ("created", Shape::Free),
        ("author", Shape::Free),
        ("created_by", Shape::Free),
        ("comment", Shape::Free),
        ("empty_layer", Shape::Free),
    ],
};

/// OCI image-spec, `descriptor.md`.
static DESCRIPTOR: Object = Object {
    name: "a descriptor",
    keys: &[
        ("mediaType", Shape::Free),
        ("digest", Shape::Free),
        ("size", Shape::Free),
        ("urls", Shape::Free),
        ("annotations", Shape::Free),
        ("data", Shape::Free),
        ("platform", Shape::Object(&PLATFORM)),
        ("artifactType", Shape::Free),
    ],
};

/// OCI image-spec, `image-index.md`.
static PLATFORM: Object = Object {
    name: "platform",
    keys: &[
        ("architecture", Shape::Free),
        ("os", Shape::Free),
        ("os.version", Shape::Free),
        ("os.features", Shape::Free),
        ("variant", Shape::Free),
    ],
};

/// An OCI index, or Docker's manifest list. An index with the keys of a manifest is a manifest to
/// some readers (CVE-2021-41190), so both know all keys.
pub const OCI_INDEX: Shape = Shape::Object(&Object { name: "the index", keys: OCI_KEYS });

/// An OCI manifest, or Docker's.
pub const OCI_MANIFEST: Shape = Shape::Object(&Object { name: "the manifest", keys: OCI_KEYS });

const OCI_KEYS: &[(&str, Shape)] = &[
    ("schemaVersion", Shape::Free),
    ("mediaType", Shape::Free),
    ("artifactType", Shape::Free),
    ("config", Shape::Object(&DESCRIPTOR)),
    ("layers", Shape::List(&DESCRIPTOR)),
    ("manifests", Shape::List(&DESCRIPTOR)),
    ("subject", Shape::Object(&DESCRIPTOR)),
    ("annotations", Shape::Free),
    ("fsLayers", Shape::Free),
];

/// An OCI layout's `oci-layout`.
pub const OCI_LAYOUT: Shape =
    Shape::Object(&Object { name: "oci-layout", keys: &[("imageLayoutVersion", Shape::Free)] });

#[cfg(test)]
mod tests {
    use super::*;

    // Go 1.22, encoding/json: foldName, of unicode.SimpleFold.
    #[test]
    fn keys_match_as_in_go() {
        for (key, matches) in [
            ("Config", true),
            ("config", true),
            ("CONFIG", true),
            ("Config ", false),
            ("Confi\u{1e21}", false),
            ("", false),
        ] {
            assert_eq!(matches_in_go(key, "Config"), matches, "{key}");
        }
        assert!(matches_in_go("Layer\u{17f}", "Layers"));
        assert!(matches_in_go("Healthchec\u{212a}", "Healthcheck"));
        assert!(matches_in_go("di\u{17f}K_x", "disk_x"));
        assert!(!matches_in_go("Conf\u{131}g", "Config"), "a dotless i is not an i");
    }

    #[test]
    fn objects_have_at_most_64_keys() {
        assert!(CONTAINER_CONFIG.keys.len() <= 64);
    }
}
