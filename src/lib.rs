//! Builds container images from plain files, package closures or Nix store paths, without a daemon
//! or root, and tests them on real container engines in VMs. The same inputs give the same bytes.
//!
//! The `seatrial` program is made of this library; [`cli`] is its command line.
//!
//! # Building an image
//!
//! A recipe becomes a plan, and a plan becomes an archive. Planning finds mistakes in the recipe,
//! opens the base image and decides what is in which layer; it does not read file contents.
//!
//! ```
//! use seatrial::archive::Compression;
//! use seatrial::build::{CacheUse, Format, Options, Output, Outputs, Recipe, assemble, plan};
//!
//! # fn main() -> anyhow::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! # std::fs::create_dir(folder.join("rootfs"))?;
//! # std::fs::write(folder.join("rootfs/hello.txt"), "hello")?;
//! // `Recipe::read` reads a file. Paths in the recipe are relative to that file.
//! let recipe = Recipe::parse(
//!     &folder.join("app.toml"),
//!     r#"
//!         name = "my/app"
//!         tag = "1.0"
//!         contents = ["rootfs"]
//!         [config]
//!         Cmd = ["/bin/app"]
//!     "#,
//! )?;
//! let threads = 2;
//! let plan = plan(recipe, &Outputs::default(), threads)?;
//! let options = Options {
//!     format: Format::Docker,
//!     compression: Compression::None,
//!     threads,
//!     cache: CacheUse::Off,
//! };
//! let mut archive = Vec::new(); // any `Write`, or a file
//! let summary = assemble(&plan, options, Output::Stream(&mut archive), &mut |_bytes| ())?;
//! assert_eq!(summary.reference.as_deref(), Some("my/app:1.0"));
//! # Ok(())
//! # }
//! ```
//!
//! # Inspecting an image
//!
//! ```no_run
//! use seatrial::archive::{self, ImageSelector, verify};
//! use seatrial::lint::lint;
//!
//! # fn main() -> anyhow::Result<()> {
//! let image = archive::open("app.tar".as_ref(), &ImageSelector::default())?;
//! let layers = verify::layers(&image, 2)?; // reads every layer and checks its digests
//! for finding in lint(&image, &layers)? {
//!     println!("{}: {}", finding.rule, finding.problem);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Testing an image
//!
//! Feature `vm` starts VMs with a container engine. They need QEMU; `seatrial doctor` lists the
//! programs that are missing.
//!
//! ```no_run
//! # #[cfg(feature = "vm")]
//! # async fn example() -> Result<(), seatrial::harness::HarnessError> {
//! use seatrial::harness::Daemon;
//!
//! let daemon = Daemon::start("docker-28", Default::default()).await?; // a VM of its own
//! let image = daemon.load_archive("app.tar".as_ref(), "my/app:1.0").await?;
//! image.assert_architecture("amd64").await?;
//! image.assert_env(&["LANG=C.UTF-8"]).await?; // in the config and in a running container
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! Each module has one concern and uses only modules below it:
//!
//! | module | concern | feature |
//! |---|---|---|
//! | [`cli`] | the command line: parses, calls, prints | |
//! | [`report`] | reports: terminal, JUnit, JSON, HTML; without `vm`, those of comparisons alone | |
//! | [`check`] | expectations, static and runtime checks, the verdict | `vm` |
//! | [`replay`] | scenarios, wait strategies, faults, and what runs them | `vm` |
//! | [`harness`] | a ready engine and the images loaded into it; for tests in Rust | `vm` |
//! | [`load`] | loads an image into an engine, only the layers that are missing there | `vm` |
//! | [`build`] | from a recipe to an image: plan, contents, assembly, layer cache | |
//! | [`steps`] | commands that change an image: in namespaces, or by other runners | |
//! | [`vm`] | VMs with an engine, and the guests that run in them | `vm` |
//! | [`registry`] | registries: images from them and to them | `registry` |
//! | [`lint`] | findings about an image | |
//! | [`sbom`] | bills of materials: the packages in an image, as SPDX and CycloneDX | |
//! | [`archive`] | image formats, the deterministic tar writer, compression | |
//! | [`engine`] | a container engine over its API: requests, containers, readiness | `vm` |
//! | [`conditions`] | conditions of texts, HTTP answers and services | `vm` |
//! | [`layering`] | which store path goes into which layer | |
//! | [`closure`] | which store paths an image needs | |
//! | [`image`] | reference, platform, environment, config, digest, manifest: pure data, no I/O | |
//!
//! [`report`]: report/index.html
//! [`check`]: check/index.html
//! [`replay`]: replay/index.html
//! [`harness`]: harness/index.html
//! [`load`]: load/index.html
//! [`vm`]: vm/index.html
//! [`engine`]: engine/index.html
//! [`conditions`]: conditions/index.html
//! [`registry`]: registry/index.html

pub mod archive;
pub mod build;
#[cfg(any(feature = "registry", feature = "vm"))]
mod certificates;
#[cfg(feature = "vm")]
pub mod check;
pub mod cli;
pub mod closure;
#[cfg(feature = "vm")]
pub mod conditions;
#[cfg(feature = "registry")]
mod copy;
mod document;
#[cfg(feature = "vm")]
pub mod engine;
mod files;
#[cfg(feature = "vm")]
pub mod harness;
pub mod image;
pub mod layering;
pub mod lint;
mod linux;
#[cfg(feature = "vm")]
pub mod load;
mod packages;
#[cfg(feature = "registry")]
pub mod registry;
#[cfg(feature = "vm")]
pub mod replay;
pub mod report;
pub mod sbom;
pub mod steps;
mod text;
#[cfg(feature = "vm")]
pub mod vm;
