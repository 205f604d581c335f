//! Tests of the builder through its command line, judged by what others wrote: GNU tar, skopeo, umoci, the
//! specifications' rules.

#![allow(clippy::unwrap_used)]

mod archives; // hostile and broken base images
mod base; // base images of every kind
mod behaviours; // B1 to B12 of the design, one by one
mod cache; // what is kept of builds changes no byte
mod cli; // exit codes, messages, outputs
mod contents; // what files become
mod corpus; // a store of real packages
mod golden; // the digests of whole archives
mod lab; // the workbench of all tests
mod lint; // what inspect notices
mod peers; // other tools read what is written
mod platforms; // recipes with several platforms
mod properties; // merges, references, budgets, tar bytes
mod recipes; // what recipes may and may not say
