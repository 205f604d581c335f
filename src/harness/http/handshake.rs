//! Failed TLS handshakes, in words.

use std::io::{self, ErrorKind};

use rustls::{AlertDescription, CertificateError};

use crate::certificates::is_marked_as_authority;
use crate::text;

/// Explains a failed handshake without the names that the library has for it.
pub(super) fn explain(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    match cause {
        // Reset: the server has not read what it was sent.
        None if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
            "the server closed the connection; does it serve TLS at this port?".to_owned()
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            "the server does not speak TLS at this port; if it serves plain HTTP there, leave out \
             tls"
            .to_owned()
        }
        Some(rustls::Error::InvalidCertificate(problem)) => explain_certificate(problem),
        Some(rustls::Error::AlertReceived(alert)) => explain_alert(*alert),
        _ => error.to_string(),
    }
}

fn explain_alert(alert: AlertDescription) -> String {
    let reason = words(alert.as_str().unwrap_or_default());
    let hint = match reason.contains("certificate") {
        true => "; tls takes the certificate and key of a client",
        false => "",
    };
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    format!("the server refused the connection with alert {}{reason}{hint}", u8::from(alert))
}

fn explain_certificate(problem: &CertificateError) -> String {
    use CertificateError as Problem;
    match problem {
        Problem::NotValidForNameContext { expected, presented } => {
            let (name, names) = (text::quote(&expected.to_str()), names(presented));
            format!("the certificate is not valid for {name}; {names}")
        }
        Problem::UnknownIssuer | Problem::BadSignature => {
            "no authority in ca has signed the certificate".to_owned()
        }
        Problem::Expired | Problem::ExpiredContext { .. } => {
            "the certificate has expired".to_owned()
        }
        Problem::NotValidYet | Problem::NotValidYetContext { .. } => {
            "the certificate is not valid yet".to_owned()
        }
        Problem::Other(_) if is_marked_as_authority(&problem.clone().into()) => {
            "the certificate is marked as that of an authority, which servers must not have, and \
             is not itself in ca"
                .to_owned()
        }
        other => format!("the certificate is not valid ({other})"),
    }
}

/// Describes the names for which a certificate is.
fn names(presented: &[String]) -> String {
    let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
    let is_wildcard = |name: &&str| name.contains('*');
    let one = match () {
        () if names.is_empty() => return "it has no names".to_owned(),
        () if names.iter().all(is_wildcard) => "such a name",
        () => "a name of these",
    };
    format!("it is for {}; set server_name to {one}", text::list(names))
}

/// Returns the words in a name such as `BadCertificate`, in lower case but for abbreviations.
fn words(name: &str) -> String {
    let mut words = String::new();
    let mut chars = name.chars().peekable();
    let mut after_lower = false;
    while let Some(c) = chars.next() {
        let starts_word = c.is_ascii_uppercase() && after_lower;
        if starts_word {
            words.push(' ');
        }
        let is_word = chars.peek().is_some_and(char::is_ascii_lowercase);
        words.push(if is_word { c.to_ascii_lowercase() } else { c });
        after_lower = c.is_ascii_lowercase();
    }
    words
}

/// Returns the name in `DnsName("shop.test")` or `IpAddress(127.0.0.1)`.
fn bare(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;

    use super::*;

    #[test]
    fn alerts_and_names_of_certificates_are_explained_in_words() {
        let explained = |error: rustls::Error| explain(&io::Error::other(error));
        let alert = |alert| explained(rustls::Error::AlertReceived(alert));
        let start = "the server refused the connection with alert ";
        let hint = "; tls takes the certificate and key of a client";
        // RFC 8446, section 6.
        for (description, expected) in [
            (AlertDescription::BadCertificate, format!("{start}42: bad certificate{hint}")),
            (AlertDescription::UnknownCA, format!("{start}48: unknown CA")),
            (AlertDescription::Unknown(200), format!("{start}200")),
        ] {
            assert_eq!(alert(description), expected);
        }
        let certificate = |presented: &[&str]| {
            let expected = ServerName::try_from("localhost").unwrap();
            let presented = presented.iter().map(|name| format!("DnsName(\"{name}\")")).collect();
            let problem = CertificateError::NotValidForNameContext { expected, presented };
            explained(rustls::Error::InvalidCertificate(problem))
        };
        let one = certificate(&["shop.test", "*.shop.test"]);
        assert!(one.ends_with("set server_name to a name of these"), "{one}");
        let wildcard = certificate(&["*.shop.test"]);
        assert!(wildcard.ends_with("it is for *.shop.test; set server_name to such a name"));
    }
}
