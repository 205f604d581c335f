//! goss files: read as expectations, with the semantics that goss's documentation and sources give
//! them. Files, accounts and packages are compared with the image; commands, ports, processes and
//! requests with a container that runs the image's own command, as `dgoss` does it.

mod container;
mod document;
mod image;
mod matchers;
mod read;
mod retry_delay;

pub(super) use read::{RESOURCES, is_gossfile, parse};
