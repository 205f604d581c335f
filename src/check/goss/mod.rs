//! goss files: read as expectations, with the semantics that goss's documentation and sources give
//! them. Files, users and groups are compared with the image; commands, ports, processes and
//! requests with a container that runs the image's own command, as `dgoss` does it.

mod document;
mod read;

pub(super) use read::{is_gossfile, parse};
