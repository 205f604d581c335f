//! HTTP requests and the expected answers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hyper::http::{HeaderName, HeaderValue, Method, Uri};
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::text::Text;
use super::timeout::Timeout;
use crate::text;

/// The default time limit for an answer.
const DEFAULT_TIMEOUT: Timeout = Timeout::from_secs(20);

/// An HTTP request and its answer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpExpectations {
    /// The port of the container.
    pub port: u16,
    /// The path of the request, with the query; `/` by default.
    pub path: Option<String>,
    /// The method; `GET` by default.
    pub method: Option<String>,
    /// Headers of the request.
    #[serde(default)]
    pub request_headers: BTreeMap<String, String>,
    /// The body of the request.
    pub request_body: Option<String>,
    /// How the connection is encrypted; not at all by default.
    pub tls: Option<TlsSettings>,
    /// Whether redirects within the service are followed; false by default.
    #[serde(default)]
    pub redirects: bool,
    /// The status, a list of possible ones, or rules for its digits; 200 by default.
    pub status: Option<Statuses>,
    /// Headers of the answer, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, Text>,
    /// Headers that the answer must not have.
    #[serde(default)]
    pub absent_headers: Vec<String>,
    /// All headers of the answer: sorted lines such as `Content-Type: text/html`, as goss has them.
    #[serde(skip)]
    pub header_lines: Option<Text>,
    /// The body of the answer.
    pub body: Option<Text>,
    /// Whether the body of an answer with an expected status is not read, so that it need not end:
    /// goss does not read one of which nothing is expected.
    #[serde(skip)]
    pub ignores_body: bool,
    /// Values in the body, which must be JSON, by JSON Pointers such as `/items/0/name`: the value,
    /// or rules for a string.
    #[serde(default)]
    pub json: BTreeMap<String, JsonExpectation>,
    /// The time limit for the complete answer; 20 seconds by default.
    pub timeout: Option<Timeout>,
}

/// The mistake of a request whose certificate cannot be verified.
pub(crate) const NEEDS_CA: &str = "tls needs ca, a file with the certificate of the authority; \
                                   without verification, write verify = false";

/// How the connection of a request is encrypted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Whether the certificate must be valid for `server_name`, and signed by an authority in `ca`;
    /// true by default.
    #[serde(default = "yes")]
    pub verify: bool,
    /// A PEM file with the certificates of authorities. In an expectations file, relative to it.
    pub ca: Option<PathBuf>,
    /// The name for which the certificate is issued; `localhost` by default.
    pub server_name: Option<String>,
    /// A PEM file with the client's certificate, for servers that ask for one. In an expectations
    /// file, relative to it.
    pub certificate: Option<PathBuf>,
    /// A PEM file with the key of that certificate. In an expectations file, relative to it.
    pub key: Option<PathBuf>,
}

impl TlsSettings {
    /// Accepts every certificate.
    pub(crate) fn unverified() -> Self {
        Self { verify: false, ca: None, server_name: None, certificate: None, key: None }
    }

    /// The files that the settings name.
    pub(crate) fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.ca, &mut self.certificate, &mut self.key].into_iter().flatten()
    }
}

fn yes() -> bool {
    true
}

/// One status, a list of possible ones, or rules for its digits.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Statuses {
    /// This status.
    One(u16),
    /// One of these statuses.
    Any(Vec<u16>),
    /// A status whose digits meet rules.
    Matching(Text),
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let read = match &value {
            Value::Number(_) => serde_json::from_value(value).map(Self::One).ok(),
            Value::Array(_) => serde_json::from_value(value).map(Self::Any).ok(),
            Value::Object(_) => {
                return serde_json::from_value(value).map(Self::Matching).map_err(D::Error::custom);
            }
            _ => None,
        };
        let expected = "invalid status; write a number, a list of numbers, or rules such as \
                        { matches = \"^2\" }";
        read.ok_or_else(|| D::Error::custom(expected))
    }
}

/// An expected value in a JSON document.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(with = "Value")]
pub enum JsonExpectation {
    /// Exactly this value.
    Value(Value),
    /// A string that meets rules.
    Text(Text),
}

impl<'de> Deserialize<'de> for JsonExpectation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        // A table of times alone has no rule that it could be about.
        let is_rules = |table: &serde_json::Map<String, Value>| {
            table.keys().any(|key| key != "times") && table.keys().all(|key| Text::has_key(key))
        };
        match value.as_object().is_some_and(is_rules) {
            true => serde_json::from_value(value).map(Self::Text).map_err(D::Error::custom),
            false => Ok(Self::Value(value)),
        }
    }
}

impl Statuses {
    /// Whether `status` is one of them.
    pub fn contains(&self, status: u16) -> bool {
        match self {
            Self::One(expected) => *expected == status,
            Self::Any(expected) => expected.contains(&status),
            Self::Matching(rules) => rules.is_match(&status.to_string()),
        }
    }
}

impl std::fmt::Display for Statuses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(status) => write!(f, "{status}"),
            Self::Any(statuses) => {
                let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
                f.write_str(&statuses.join(" or "))
            }
            Self::Matching(rules) => rules.fmt(f),
        }
    }
}

impl HttpExpectations {
    /// Whether the body of an answer with this status is read. That of an unexpected answer is
    /// shown.
    pub(crate) fn needs_body(&self, status: u16) -> bool {
        let is_followed = self.redirects && (300..400).contains(&status);
        let is_expected = self.status.as_ref().map_or(status == 200, |it| it.contains(status));
        !self.ignores_body || !is_followed && !is_expected
    }

    /// The method and the path, as messages show them; the URL if the connection is encrypted.
    pub(crate) fn name(&self) -> String {
        let (method, path, port) = (self.method(), self.path(), self.port);
        let Some(tls) = &self.tls else { return format!("{method} {path} at port {port}") };
        let name = tls.server_name.as_deref().filter(|name| *name != "localhost");
        let name = name.map(|name| format!(" (server name {name})")).unwrap_or_default();
        format!("{method} https://localhost:{port}{path}{name}")
    }

    /// The time limit for the complete answer.
    pub(crate) fn time_limit(&self) -> Timeout {
        self.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.method.as_deref().unwrap_or("GET")
    }

    /// The path with the query.
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/")
    }

    /// Describes why the path cannot be sent as it is written, if it cannot.
    pub(crate) fn path_mistake(&self) -> Option<String> {
        let path = self.path();
        let is_valid = path.starts_with('/')
            && path.bytes().all(|byte| byte.is_ascii_graphic())
            && path.parse::<Uri>().is_ok();
        let advice = match () {
            () if path.contains('#') => "write %23 for #: fragments are not sent to servers",
            () if !path.is_ascii() => "write %C3%BC for \u{fc}, and so on",
            () if !is_valid => "write it with / first and %20 for spaces",
            () => return None,
        };
        Some(format!("invalid path {}; {advice}", text::quote(path)))
    }

    /// Describes a mistake in the request or its expectations, if there is one.
    pub(crate) fn mistake(&self) -> Option<String> {
        let quote = |text: &str| text::quote(text);
        if self.port == 0 {
            return Some("invalid port 0".to_owned());
        }
        if Method::from_bytes(self.method().as_bytes()).is_err() {
            return Some(format!("invalid method {}", quote(self.method())));
        }
        if let Some(mistake) = self.path_mistake() {
            return Some(mistake);
        }
        let names = self.request_headers.keys().chain(self.headers.keys());
        let invalid = |name: &&String| name.parse::<HeaderName>().is_err();
        if let Some(name) = names.chain(&self.absent_headers).find(invalid) {
            return Some(format!("invalid name of a header {}", quote(name)));
        }
        let invalid = |(_, value): &(&String, &String)| HeaderValue::from_str(value).is_err();
        if let Some((name, value)) = self.request_headers.iter().find(invalid) {
            return Some(format!("invalid value of the header {name}: {}", quote(value)));
        }
        let invalid = |pointer: &&String| !pointer.is_empty() && !pointer.starts_with('/');
        if let Some(pointer) = self.json.keys().find(invalid) {
            let pointer = quote(pointer);
            return Some(format!("invalid JSON Pointer {pointer}; write it as \"/items/0/name\""));
        }
        let tls = self.tls.as_ref()?;
        if tls.certificate.is_some() != tls.key.is_some() {
            return Some("tls needs both certificate and key of a client".to_owned());
        }
        (tls.verify && tls.ca.is_none()).then(|| NEEDS_CA.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_keys_of_rules_is_rules_for_a_string_and_any_other_one_is_a_value() {
        let read = |json: &str| serde_json::from_str::<JsonExpectation>(json);
        for json in [
            r#"{"contains": "x", "times": 2}"#,
            r#"{"equals": "x", "not_contains": "y", "not_matches": "z"}"#,
        ] {
            assert!(matches!(read(json), Ok(JsonExpectation::Text(_))), "{json}");
        }
        for json in ["{}", r#"{"times": 2}"#, r#"{"contains": "x", "id": 2}"#, "[]", "null"] {
            assert!(matches!(read(json), Ok(JsonExpectation::Value(_))), "{json}");
        }
        for json in [r#"{"contains": []}"#, r#"{"contains": "x", "times": 0}"#] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn the_names_of_requests_differ_if_one_is_encrypted_or_has_another_server_name() {
        let name = |tls: &str| {
            toml::from_str::<HttpExpectations>(&format!("port = 443\n{tls}")).unwrap().name()
        };
        assert_eq!(name(""), "GET / at port 443");
        assert_eq!(name("tls = { verify = false }"), "GET https://localhost:443/");
        let other = name("tls = { ca = 'ca.pem', server_name = 'shop.test' }");
        assert_eq!(other, "GET https://localhost:443/ (server name shop.test)");
    }

    #[test]
    fn a_path_that_cannot_be_sent_as_it_is_written_is_a_mistake() {
        for (path, hint) in [
            ("", "/ first"),
            ("x", "/ first"),
            ("/a b", "%20 for spaces"),
            ("/a\tb", "%20"),
            ("/a\r\nb", "%20"),
            ("/a\u{7f}", "%20"),
            ("/a#b", "%23 for #"),
            ("/\u{fc}", "%C3%BC"),
        ] {
            let request = HttpExpectations {
                port: 80,
                path: Some(path.to_owned()),
                ..HttpExpectations::default()
            };
            let mistake = request.mistake().unwrap_or_default();
            assert!(mistake.contains("invalid path") && mistake.contains(hint), "{mistake}");
        }
    }
}
