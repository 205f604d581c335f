//! Certificates of TLS: which ones of servers are accepted, and PEM files.

mod any;
mod own;

pub(crate) use any::AnyCertificate;
pub(crate) use own::{OwnCertificate, is_marked_as_authority};
