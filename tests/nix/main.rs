//! `nix/` with a real Nix: the images that nixpkgs' tests of dockerTools build, on a small pkgs of
//! static busybox instead of nixpkgs (`pkgs.nix`, `cases.nix`). docs/dockertools.md has a table of
//! nixpkgs' subtests and these.

#![allow(clippy::unwrap_used)]

mod conf; // configurations for streams
mod custom; // images that commands change
mod graphs; // reference graphs as Nix writes them
mod images; // names, layers, bases, helpers
mod nix; // the fixture: Nix, a store, images
