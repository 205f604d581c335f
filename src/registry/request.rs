//! A request to a registry.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::body::{Body, Progress};
use super::token::Scope;

/// A request; it can be sent repeatedly.
#[derive(Clone)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) scope: &'a Scope,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// Whether the body has credentials.
    pub(super) has_credentials: bool,
    /// Counts what is sent of the body.
    pub(super) progress: Progress,
}

impl<'a> Request<'a> {
    pub(super) fn new(method: Method, url: Url, scope: &'a Scope) -> Self {
        Self {
            method,
            url,
            scope,
            headers: HeaderMap::new(),
            body: Body::Empty,
            has_credentials: false,
            progress: Progress::default(),
        }
    }

    #[must_use]
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    #[must_use]
    pub(super) fn body(self, body: Body, media_type: &str) -> Self {
        Self { body, ..self.header(CONTENT_TYPE, media_type) }
    }
}
