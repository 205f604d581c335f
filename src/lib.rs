//! seatrial builds container images from plain files, package closures or Nix store paths, without a
//! daemon and without root, and tests them on real container engines in throwaway VMs.
//!
//! Each module has one concern and uses only modules below it:
//!
//! | module | concern |
//! |---|---|
//! | [`cli`] | the command line: parses, calls, prints |
//! | `report` | verdicts and replays as text, JUnit, JSON and HTML (feature `vm`) |
//! | `check` | expectations, static and runtime checks, the verdict (feature `vm`) |
//! | `replay` | scenarios, wait strategies, faults and the runner (feature `vm`) |
//! | `harness` | a ready engine and the images in it: what tests are written against (feature `vm`) |
//! | `load` | loads an image into an engine, only the layers that it lacks (feature `vm`) |
//! | [`build`] | recipe to image |
//! | `vm` | throwaway VMs with a real engine in them (feature `vm`) |
//! | [`lint`] | findings about an image |
//! | [`archive`] | image formats, the deterministic tar writer, compression |
//! | `engine` | a container engine over its API, and when it is ready (feature `vm`) |
//! | [`layering`] | which store path goes into which layer |
//! | [`closure`] | which store paths an image needs |
//! | [`image`] | what an image is: pure data |
//!
//! A build flows from recipe to closure, layering, layer streams and archive writer, and from there to
//! standard output or a file. No whole layer is ever held in memory or in a temporary file.

pub mod archive;
pub mod build;
mod cache_dir;
#[cfg(feature = "vm")]
pub mod check;
pub mod cli;
pub mod closure;
mod document;
#[cfg(feature = "vm")]
pub mod engine;
#[cfg(feature = "vm")]
mod errors;
#[cfg(feature = "vm")]
pub mod harness;
pub mod image;
pub mod layering;
pub mod lint;
#[cfg(feature = "vm")]
pub mod load;
#[cfg(feature = "vm")]
pub mod replay;
#[cfg(feature = "vm")]
pub mod report;
mod suggest;
#[cfg(feature = "vm")]
pub mod vm;
