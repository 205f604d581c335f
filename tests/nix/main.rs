//! `nix/` with a real Nix: the images that nixpkgs' tests of dockerTools build, on a small pkgs of
//! static busybox instead of nixpkgs (`pkgs.nix`, `cases.nix`). docs/dockertools.md has a table of
//! nixpkgs' subtests and these.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod conf; // configurations for streams
mod custom; // images that commands change
#[cfg(feature = "vm")]
mod engine; // what the images do on an engine
#[cfg(feature = "vm")]
mod examples; // nixpkgs' own examples, with Debian's programs
mod graphs; // reference graphs as Nix writes them
mod images; // names, layers, bases, helpers
mod nix; // the fixture: Nix, a store, images
#[cfg(feature = "registry")]
mod pull; // images of registries

#[cfg(feature = "registry")]
#[allow(dead_code)] // the registry's own tests need more of these two
#[path = "../builder/lab.rs"]
mod lab; // folders for files
#[cfg(feature = "registry")]
#[allow(dead_code)]
#[path = "../registry/service.rs"]
mod service; // a registry
