//! The platform of an image. It is written with Go's architecture names (GOARCH), by which engines
//! select images; the names of `uname -m`, Rust, Nix and Debian are accepted as input.

use std::fmt;
use std::str::FromStr;

use crate::text::{self, suggest};

/// A CPU architecture for Linux containers, named by GOARCH (Go's `internal/goarch`; OCI
/// image-spec, `config.md`, "architecture").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Arch {
    Amd64,
    Arm,
    Arm64,
    I386,
    Loong64,
    Mips,
    Mips64,
    Mips64le,
    Mipsle,
    Ppc64,
    Ppc64le,
    Riscv64,
    S390x,
}

/// GOARCH name, architecture, variant, and other names for it.
type Row = (&'static str, Arch, Option<&'static str>, &'static [&'static str]);

/// The names of GOARCH, Debian, `uname -m`, and the first part of Rust triples and Nix systems;
/// none means two things.
#[rustfmt::skip]
const NAMES: &[Row] = &[
    ("amd64",    Arch::Amd64,    None,       &["x86_64", "x86-64", "x64"]),
    ("arm",      Arch::Arm,      None,       &[]),
    ("arm",      Arch::Arm,      Some("v5"), ARM_V5),
    ("arm",      Arch::Arm,      Some("v6"), &["armv6", "armv6l", "armv6hf"]),
    ("arm",      Arch::Arm,      Some("v7"), ARM_V7),
    ("arm64",    Arch::Arm64,    None,       &["aarch64"]),
    ("386",      Arch::I386,     None,       &["i386", "i486", "i586", "i686", "x86"]),
    ("loong64",  Arch::Loong64,  None,       &["loongarch64"]),
    ("mips",     Arch::Mips,     None,       &[]),
    ("mips64",   Arch::Mips64,   None,       &[]),
    ("mips64le", Arch::Mips64le, None,       &["mips64el"]),
    ("mipsle",   Arch::Mipsle,   None,       &["mipsel"]),
    ("ppc64",    Arch::Ppc64,    None,       &["powerpc64"]),
    ("ppc64le",  Arch::Ppc64le,  None,       &["ppc64el", "powerpc64le"]),
    ("riscv64",  Arch::Riscv64,  None,       &["riscv64gc", "riscv64a23"]),
    ("s390x",    Arch::S390x,    None,       &[]),
];

const ARM_V5: &[&str] = &["armel", "armv5", "armv5l", "armv5te", "armv5tel", "armv5tejl"];
const ARM_V7: &[&str] = &["armhf", "armv7", "armv7a", "armv7l", "armv7hf", "thumbv7neon"];

impl Arch {
    /// The GOARCH name.
    pub fn goarch(self) -> &'static str {
        NAMES.iter().find(|row| row.1 == self).map_or("amd64", |row| row.0)
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.goarch())
    }
}

/// Architecture and CPU variant; the operating system is always Linux.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// The architecture.
    pub arch: Arch,
    /// The CPU variant, such as `v7`, if one is required.
    pub variant: Option<String>,
}

impl From<Arch> for Platform {
    fn from(arch: Arch) -> Self {
        Self { arch, variant: None }
    }
}

/// A text that does not name a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// The architecture is unknown.
    #[error(
        "unknown architecture {name}{hint} (names of Go, uname -m, Rust, Nix and Debian are \
         valid)",
        name = text::quote(.name),
        hint = suggest::hint(.nearest)
    )]
    Arch {
        /// The given name.
        name: String,
        /// The nearest known name.
        nearest: Option<&'static str>,
    },
    /// The operating system is not Linux.
    #[error(
        "{} is for the operating system {}; only images for linux are supported",
        text::quote(.0), text::quote(.1)
    )]
    Os(String, String),
    /// The operating system is missing.
    #[error("invalid platform {}; expected linux/ARCHITECTURE[/VARIANT]{}", text::quote(.0), .1)]
    Incomplete(String, String),
    /// The variant is invalid.
    #[error("invalid CPU variant {}; expected v and a number, such as v7", text::quote(.0))]
    Variant(String),
}

impl Platform {
    /// The operating system of every image that can be built, as GOOS.
    pub const OS: &'static str = "linux";

    /// The platform of the host.
    pub fn host() -> Self {
        let name = match std::env::consts::ARCH {
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "mips64" if cfg!(target_endian = "little") => "mips64le",
            "mips" if cfg!(target_endian = "little") => "mipsle",
            name => name,
        };
        name.parse().unwrap_or(Self { arch: Arch::Amd64, variant: None })
    }

    /// Parses a platform as Docker writes it: `linux/architecture[/variant]`.
    ///
    /// # Errors
    /// If the operating system is missing or is not linux, or the rest is not a platform.
    pub fn from_specifier(text: &str) -> Result<Self, PlatformError> {
        match (text.split_once('/'), text.parse::<Self>()) {
            (Some((Self::OS, _)), parsed) => parsed,
            (_, Ok(platform)) => {
                let hint = format!("; did you mean \"{platform}\"?");
                Err(PlatformError::Incomplete(text.to_owned(), hint))
            }
            (Some((os, _)), Err(_)) => Err(PlatformError::Os(text.to_owned(), os.to_owned())),
            (None, Err(_)) => Err(PlatformError::Incomplete(text.to_owned(), String::new())),
        }
    }

    /// Replaces the variant.
    ///
    /// # Errors
    /// If `variant` is not `v` and a number.
    pub fn with_variant(self, variant: &str) -> Result<Self, PlatformError> {
        let number = variant.strip_prefix('v').unwrap_or_default();
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !number.splitn(2, '.').all(digits) {
            return Err(PlatformError::Variant(variant.to_owned()));
        }
        Ok(Self { variant: Some(variant.to_owned()), ..self })
    }

    /// The platform that `name` means in one of the vocabularies.
    fn from_name(name: &str) -> Option<Self> {
        let row =
            NAMES.iter().find(|row| (row.0 == name && row.2.is_none()) || row.3.contains(&name))?;
        Some(Self { arch: row.1, variant: row.2.map(str::to_owned) })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Self::OS, self.arch)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// Parses an architecture name (`arm64`, `aarch64`), Docker's `[linux/]arch[/variant]`, a Nix
    /// system (`aarch64-linux`) or a Rust target triple.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let lower = text.to_lowercase();
        let own = lower.strip_prefix("linux/");
        let mut parts = own.unwrap_or(&lower).splitn(2, '/');
        let (name, variant) = (parts.next().unwrap_or_default(), parts.next());
        let platform = match Self::from_name(name) {
            Some(platform) => platform,
            None if own.is_none() && variant.is_some() && OTHER_SYSTEMS.contains(&name) => {
                return Err(PlatformError::Os(text.to_owned(), name.to_owned()));
            }
            None => from_triple(text, name)?,
        };
        match variant {
            Some(variant) => platform.with_variant(variant),
            None => Ok(platform),
        }
    }
}

/// The operating systems besides Linux for which there are images, as GOOS.
const OTHER_SYSTEMS: [&str; 3] = ["windows", "darwin", "freebsd"];

/// Parses a Nix system or a Rust target triple, `name`, written as `text`.
fn from_triple(text: &str, name: &str) -> Result<Platform, PlatformError> {
    let (cpu, system) = name.split_once('-').unwrap_or((name, ""));
    let unknown = || PlatformError::Arch {
        name: text.to_owned(),
        nearest: suggest::nearest(
            name,
            NAMES.iter().flat_map(|row| row.3.iter().copied().chain([row.0])),
        ),
    };
    let mut platform = Platform::from_name(cpu).ok_or_else(unknown)?;
    if cpu == "arm" && system.contains("gnueabi") | system.contains("musleabi") {
        platform.variant = Some("v6".to_owned());
    }
    if system.is_empty() || system.split('-').any(|part| part == Platform::OS) {
        Ok(platform)
    } else {
        Err(PlatformError::Os(text.to_owned(), system.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> String {
        text.parse::<Platform>().map_or_else(|e| e.to_string(), |p| p.to_string())
    }

    #[test]
    fn names_of_every_vocabulary_are_accepted() {
        for (text, platform) in [
            ("amd64", "linux/amd64"),
            ("x86_64-linux", "linux/amd64"),
            ("x86_64-unknown-linux-musl", "linux/amd64"),
            ("aarch64-linux", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64/v8"),
            ("arm/v7", "linux/arm/v7"),
            ("armv7l", "linux/arm/v7"),
            ("armhf", "linux/arm/v7"),
            ("arm-unknown-linux-gnueabihf", "linux/arm/v6"),
            ("i686", "linux/386"),
            ("386", "linux/386"),
            ("ppc64el", "linux/ppc64le"),
            ("powerpc64le-unknown-linux-gnu", "linux/ppc64le"),
            ("mips64el-linux", "linux/mips64le"),
            ("riscv64gc-unknown-linux-gnu", "linux/riscv64"),
            ("loongarch64", "linux/loong64"),
            ("s390x", "linux/s390x"),
        ] {
            assert_eq!(parse(text), platform, "{text}");
        }
    }

    #[test]
    fn unknown_platforms_are_rejected() {
        assert!(parse("amd46").contains("did you mean \"amd64\"?"));
        assert!(
            parse("linus/amd64").starts_with("unknown architecture"),
            "{}",
            parse("linus/amd64")
        );
        for text in ["aarch64-darwin", "windows/amd64", "darwin/arm64/v8"] {
            assert!(parse(text).contains("only images for linux are supported"), "{text}");
        }
        assert!(parse("arm/seven").contains("invalid CPU variant"));
        assert!(parse("linux/windows/amd64").contains("unknown architecture"));
        assert!(parse("").contains("unknown architecture"));
    }
}
