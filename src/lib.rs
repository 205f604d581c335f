//! seatrial builds container images from plain files, package closures or Nix store paths, with no daemon
//! and no root, bit for bit the same every time; and it tries them on real daemons in throwaway machines.
//!
//! Each module is a room with one concern; a room uses the rooms below it and none above:
//!
//! | room | concern |
//! |---|---|
//! | [`cli`] | the command line: parses, calls, prints |
//! | `trial` | images on trial: what they should be beside what they are (feature `vm`) |
//! | `load` | an image into an engine, no more of it than is missing there (feature `vm`) |
//! | [`build`] | recipe to image |
//! | `vm` | throwaway machines with a real engine in them (feature `vm`) |
//! | [`lint`] | what in an image will hurt somebody |
//! | [`archive`] | image formats, the deterministic tar writer, compression |
//! | `engine` | a container engine over its API, and when it is ready (feature `vm`) |
//! | [`layering`] | which store path goes into which layer |
//! | [`image`] | what an image is: pure data |
//! | [`closure`] | which store paths an image needs |
//!
//! The way of the data through a build: recipe, closure, layering, layer streams, archive writer, then
//! standard output or a file. No whole layer is ever held in memory or in a temporary file.

pub mod archive;
pub mod build;
pub mod cli;
pub mod closure;
mod document;
#[cfg(feature = "vm")]
pub mod engine;
pub mod image;
pub mod layering;
pub mod lint;
#[cfg(feature = "vm")]
pub mod load;
mod places;
mod suggest;
#[cfg(feature = "vm")]
pub mod trial;
#[cfg(feature = "vm")]
pub mod vm;
