//! When a service is ready.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::http::HttpExpectations;
use super::port::Port;
use super::text::Text;
use super::timeout::Timeout;
use crate::document::list;

/// When a service is ready: all given conditions must be met.
///
/// ```
/// use std::time::Duration;
///
/// use seatrial::conditions::{HttpExpectations, ReadyConditions, Text};
///
/// let port = ReadyConditions::port(5432).within(Duration::from_secs(90));
/// let several = ReadyConditions {
///     http: Some(HttpExpectations {
///         port: 80,
///         path: Some("/health".to_owned()),
///         body: Some(Text::containing("ok")),
///         ..HttpExpectations::default()
///     }),
///     ..ReadyConditions::log("listening")
/// };
/// # assert!(port.http.is_none() && several.log.is_some());
/// ```
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReadyConditions {
    /// A TCP port that accepts connections from outside of the container, or a UDP port at which
    /// the service listens for datagrams from outside.
    pub port: Option<Port>,
    /// Text that the container has printed: a string that its output contains, or rules for the
    /// output.
    #[serde(deserialize_with = "log")]
    #[schemars(with = "Option<Text>")]
    pub log: Option<Text>,
    /// A request that gets the expected answer.
    #[serde(deserialize_with = "request")]
    pub http: Option<HttpExpectations>,
    /// A command in the container that exits with code 0.
    #[serde(deserialize_with = "list::strings")]
    pub exec: Option<Vec<String>>,
    /// Whether the image's own health check must succeed.
    pub healthy: Option<bool>,
    /// The time limit; 60 seconds by default.
    pub timeout: Option<Timeout>,
}

/// Reads a request. A list, which `http` of a service is, is an error that says so.
fn request<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<HttpExpectations>, D::Error> {
    struct OneRequest;
    impl<'de> Visitor<'de> for OneRequest {
        type Value = Option<HttpExpectations>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            HttpExpectations::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err(A::Error::custom(
                "http of ready is one request, { port = 80 }, not a list; write further ones in \
                 http of the service",
            ))
        }
    }
    deserializer.deserialize_any(OneRequest)
}

impl ReadyConditions {
    /// Describes a condition that no container can meet, if there is one.
    pub(crate) fn mistake(&self) -> Option<String> {
        let has_no_command = self.exec.as_ref().is_some_and(Vec::is_empty);
        let of_request = self.http.as_ref().and_then(HttpExpectations::mistake);
        of_request.or_else(|| {
            has_no_command.then(|| "exec of ready is an empty list; write a command".to_owned())
        })
    }

    /// A port is reachable from outside of the container: a number is a TCP port.
    pub fn port(port: impl Into<Port>) -> Self {
        Self { port: Some(port.into()), ..Self::default() }
    }

    /// The container has printed `text`.
    pub fn log(text: impl Into<String>) -> Self {
        Self { log: Some(Text::containing(text)), ..Self::default() }
    }

    /// A request for `path` is answered with status 200.
    pub fn http(port: u16, path: impl Into<String>) -> Self {
        let http = HttpExpectations { port, path: Some(path.into()), ..Default::default() };
        Self { http: Some(http), ..Self::default() }
    }

    /// A command in the container exits with code 0.
    pub fn exec(command: &[&str]) -> Self {
        let command = command.iter().map(ToString::to_string).collect();
        Self { exec: Some(command), ..Self::default() }
    }

    /// The image's own health check succeeds.
    pub fn healthy() -> Self {
        Self { healthy: Some(true), ..Self::default() }
    }

    /// The same conditions, with another time limit than 60 seconds.
    pub fn within(self, limit: Duration) -> Self {
        Self { timeout: Some(limit.into()), ..self }
    }
}

/// Reads rules for a log. A plain string is short for `contains`: a log is rarely known as a whole.
pub(crate) fn log<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text>, D::Error> {
    Text::read(deserializer, Text::containing).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_requests_is_an_error_that_says_where_it_belongs() {
        let read = |toml: &str| toml::from_str::<ReadyConditions>(toml);
        let error = read("http = [{ port = 80 }]").unwrap_err();
        assert_eq!(
            error.message(),
            "http of ready is one request, { port = 80 }, not a list; write further ones in http \
             of the service"
        );
        assert_eq!(read("http = { port = 80 }").unwrap().http.unwrap().port, 80);
        let error = read("http = { port = 80, pth = '/' }").unwrap_err();
        assert!(error.message().starts_with("unknown field `pth`"), "{error}");
        assert!(serde_json::from_str::<ReadyConditions>(r#"{"http": null}"#).is_ok());
    }

    #[test]
    fn a_string_for_a_log_must_be_contained_and_equals_of_a_table_is_the_whole_log() {
        let log = |json: &str| serde_json::from_str::<ReadyConditions>(json).unwrap().log.unwrap();
        let text = "started\nFATAL\n";
        assert!(log(r#"{"log": "started\n"}"#).is_match(text));
        assert!(log(r#"{"log": {"contains": "started"}}"#).is_match(text));
        assert!(!log(r#"{"log": {"equals": "started\n"}}"#).is_match(text));
        assert!(log(r#"{"log": {"equals": "started\nFATAL\n"}}"#).is_match(text));
    }
}
