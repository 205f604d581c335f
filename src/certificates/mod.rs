//! Certificates of TLS: which ones of servers are accepted, those of clients, and PEM files.

mod any;
#[cfg(feature = "vm")]
pub(crate) mod authorities;
pub(crate) mod client_certificate;
mod own;
pub(crate) mod pem;
pub(crate) mod x509;

pub(crate) use any::AnyCertificate;
pub(crate) use own::{OwnCertificate, is_marked_as_authority};
