//! Failed connections: whether the other side has TLS, and the remedies.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use rustls::CertificateError as Problem;

use super::RegistryError;
use crate::certificates::is_marked_as_authority;
use crate::image::RemoteReference;
use crate::text;

/// Remedies for failed connections to a registry.
#[derive(Clone, Debug)]
pub(super) struct Remedies {
    /// The folder for certificates of the registry's authorities.
    pub(super) folder: PathBuf,
    /// Whether there are any authorities: those of the host, or the registry's own.
    pub(super) has_authorities: bool,
    /// Whether `--plain-http` would allow connections without TLS.
    pub(super) plain_http_helps: bool,
}

impl Remedies {
    /// The error of a request to `place` that got no answer. If it was for an image whose name has
    /// no registry, that is `short`: the default registry may be meant by mistake.
    pub(super) fn unreachable(
        &self,
        place: &str,
        short: Option<&RemoteReference>,
        error: reqwest::Error,
    ) -> RegistryError {
        let proxy = proxy(&error).map(|proxy| format!(" through the proxy {proxy}"));
        let mut hint = proxy.unwrap_or_else(|| self.hint(&error));
        if let Some(image) = short {
            hint += &format!(
                " (for {image}; the name of an image in another registry begins with the registry \
                 and a slash)"
            );
        }
        // The address is known, and a query could have a secret.
        let source = Box::new(error.without_url());
        RegistryError::Unreachable { registry: place.to_owned(), hint, source }
    }

    fn hint(&self, error: &reqwest::Error) -> String {
        // An answer that ends too early has another reason than missing TLS.
        let lacks_tls = error.is_connect() && speaks_no_tls(error);
        let hint = match causes(error).find_map(tls_error) {
            Some(error @ rustls::Error::InvalidCertificate(problem)) => match problem {
                Problem::Expired | Problem::ExpiredContext { .. } => {
                    "; its certificate has expired, or the clock of this host is wrong"
                }
                Problem::NotValidYet | Problem::NotValidYetContext { .. } => {
                    "; its certificate is not valid yet, or the clock of this host is wrong"
                }
                Problem::NotValidForName | Problem::NotValidForNameContext { .. } => {
                    "; its certificate is for other names: use one of them, or check that this is \
                     the registry that you mean"
                }
                Problem::UnknownIssuer if !self.has_authorities => {
                    "; this host has no certificate authorities: install ca-certificates, or set \
                     SSL_CERT_FILE to a file with some"
                }
                Problem::UnknownIssuer => return self.certificate_hint(),
                _ if is_marked_as_authority(error) => return self.certificate_hint(),
                _ => "",
            },
            _ if lacks_tls && self.plain_http_helps => "; if it uses no TLS, pass --plain-http",
            _ => "",
        };
        hint.to_owned()
    }

    /// How a certificate is trusted.
    fn certificate_hint(&self) -> String {
        let folder = text::path(&self.folder);
        format!(
            "; if you trust it, put its authority into a file that ends in .crt in the folder \
             {folder}"
        )
    }
}

/// The variables that name the proxy of connections with TLS.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The proxy, without its password, if a connection failed at it.
fn proxy(error: &reqwest::Error) -> Option<String> {
    // The error has no other sign of it.
    let mut causes = causes(error).map(ToString::to_string);
    causes.find(|cause| cause.starts_with("tunnel error"))?;
    let address = PROXY_VARIABLES.iter().find_map(|name| std::env::var(name).ok())?;
    let address = address.split_once("://").map_or(&*address, |(_, address)| address);
    let host = address.rsplit_once('@').map_or(address, |(_, host)| host);
    Some(text::shorten(host.trim_end_matches('/')).into_owned())
}

/// Whether a connection failed before the other side showed that it has TLS: it refused the
/// connection, answered something else, or was silent.
pub(super) fn may_lack_tls(error: &(dyn Error + 'static)) -> bool {
    let is_early = error
        .downcast_ref::<reqwest::Error>()
        .is_some_and(|error| error.is_connect() || error.is_timeout());
    let has_tls = |error: &rustls::Error| !matches!(error, rustls::Error::InvalidMessage(_));
    is_early && !causes(error).filter_map(tls_error).any(has_tls)
}

/// Whether a connection failed because the certificate of the other side is not accepted.
pub(super) fn refuses_certificate(error: &(dyn Error + 'static)) -> bool {
    let is_refused = |error| matches!(error, &rustls::Error::InvalidCertificate(_));
    causes(error).filter_map(tls_error).any(is_refused)
}

/// Whether a connection failed because the other side does not use TLS.
fn speaks_no_tls(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        let no_message = matches!(tls_error(cause), Some(rustls::Error::InvalidMessage(_)));
        no_message || cause.downcast_ref().is_some_and(has_ended)
    })
}

/// Whether the other side closed the connection.
fn has_ended(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>());
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
        || inner.is_some_and(has_ended)
}

/// The error of TLS that `error` is or wraps. An I/O error does not list what it wraps as a cause.
fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => tls_error(io.get_ref()?),
        None => error.downcast_ref(),
    }
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let current = next?;
        next = current.source();
        Some(current)
    })
}
