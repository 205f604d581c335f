//! The answer to a request.

use hyper::http::{HeaderMap, StatusCode};

/// The limit of the body of an answer in bytes.
pub(super) const BODY_MAX: usize = 16 << 20;

/// The answer to an HTTP request, as far as it arrived.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The status, if there was one.
    pub status: Option<StatusCode>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The reason why the answer is not complete, if it is not.
    pub problem: Option<String>,
    /// Whether the reason is that its time was over.
    pub is_late: bool,
    /// The beginning of what was received, if it is not an answer in HTTP.
    pub received: Vec<u8>,
}
