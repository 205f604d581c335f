//! seatrial builds container images from plain files, package closures or Nix store paths, with no daemon
//! and no root, bit for bit the same every time.
//!
//! Each module is a room with one concern; a room uses the rooms below it and none above:
//!
//! | room | concern |
//! |---|---|
//! | [`cli`] | the command line: parses, calls, prints |
//! | [`build`] | recipe to image |
//! | [`archive`] | image formats, the deterministic tar writer, compression |
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
pub mod image;
pub mod layering;
mod suggest;
