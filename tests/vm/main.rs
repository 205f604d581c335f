//! Images on real Docker daemons, each test in a pristine machine of its own.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod arm64; // machines of another architecture
mod bases; // images on images, Docker's own among them
mod check; // images on trial, by their archives alone
mod clones; // machines restored from a template
mod desk; // the workbench of images on trial
mod dock; // the workbench
mod engines; // what engines make of images
mod environment; // what is said where the environment fails
mod faults; // an engine to which something happens
mod images; // what a daemon sees of an image
mod kept; // machines for hand work
mod leaving; // nothing outlives its run
mod live; // images on trial, on a real engine
mod load; // images into an engine, no more than is missing there
mod network; // the network of containers
mod replay; // starts that go wrong, for every way to wait
mod templates; // templates that are damaged, gone or stale
