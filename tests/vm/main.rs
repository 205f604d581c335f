//! Tests with real engines, each in a new VM.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod arm64; // machines of another architecture
mod base_images; // images on base images, some of them saved by Docker
mod clones; // machines restored from a template
mod dock; // the workbench
mod engines; // the table of docs/engines.md
mod environment_failures; // missing programs, mirrors, disk space
mod faults; // an engine that fails during a request
mod images; // images as Docker sees them
mod kept; // machines for hand work
mod leaving; // nothing outlives its run
mod load; // `seatrial load`
mod network; // the network of containers
mod replay; // starts that go wrong, for every way to wait
mod runtime_checks; // `seatrial check` on an engine
mod sample_image; // the image that the tests of `seatrial check` use
mod static_checks; // `seatrial check` without an engine
mod templates; // templates that are damaged, gone or stale
