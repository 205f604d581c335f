//! goss files: read as expectations, with the semantics that goss's documentation and sources give
//! them. Their tests are made in one container, as `dgoss` does it: that of a service which names
//! the file, or one that runs the image's own command. Without an engine, files, accounts and
//! packages are compared with the image.

mod container;
mod document;
mod included;
mod load;
mod matchers;
mod properties;
mod read;
mod request;
mod retry_delay;

pub(super) use read::{RESOURCES, is_gossfile, named_files, parse, read};
