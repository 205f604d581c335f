//! The names of all rules.

/// The names of all rules, as findings have them.
pub const RULES: &[&str] = &[
    "32-bit-arm",
    "architecture-not-goarch",
    "architecture-of-files",
    "build-time-in-files",
    "duplicate-env",
    "duplicate-path",
    "empty-layer",
    "file-capabilities",
    "invalid-date",
    "invalid-env",
    "invalid-healthcheck",
    "invalid-port",
    "invalid-volume",
    "no-certificate-authorities",
    "relative-working-dir",
    "secret-in-env",
    "too-many-layers",
    "unknown-stop-signal",
    "upper-case-name",
    "user-by-name",
    "user-without-passwd",
    "world-writable",
];
