//! Error messages in a registry's answers (OCI distribution-spec v1.1, "Error Codes").

use serde::Deserialize;

/// The size limit of an answer that describes an error, in bytes.
pub(super) const ERROR_MAX: usize = 64 << 10;

#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<RegistryMessage>,
    #[serde(default, alias = "details", alias = "error_description")]
    message: Option<String>,
}

#[derive(Deserialize)]
struct RegistryMessage {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: Option<String>,
}

/// Whether a token server's answer means that a refresh token is not valid (RFC 6749, section 5.2).
pub(super) fn is_invalid_grant(body: &[u8]) -> bool {
    let parsed = serde_json::from_slice::<serde_json::Value>(body);
    parsed.is_ok_and(|parsed| parsed["error"] == "invalid_grant")
}

/// The message in the body of an error; empty if there is none.
pub(super) fn message(body: &[u8]) -> String {
    let Ok(parsed) = serde_json::from_slice::<Errors>(body) else {
        return String::new();
    };
    match parsed.errors.into_iter().next() {
        Some(RegistryMessage { code, message: Some(message) }) if !message.is_empty() => {
            if code.is_empty() { message } else { format!("{code}: {message}") }
        }
        Some(RegistryMessage { code, .. }) => code,
        None => parsed.message.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the distribution specification.
    #[test]
    fn the_first_error_is_the_message() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no","detail":{}},{"code":"X"}]}"#;
        assert_eq!(message(body), "DENIED: no");
        assert_eq!(message(br#"{"errors":[{"code":"DENIED"}]}"#), "DENIED");
        assert_eq!(
            message(br#"{"details":"incorrect username or password"}"#),
            "incorrect username or password"
        );
        assert_eq!(message(b"<html>"), "");
    }
}
