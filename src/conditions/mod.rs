//! Conditions of a text, an HTTP answer or a service, as users write them: plain data. Expectations
//! files have them, and so have tests in Rust. The doc comments of the fields become descriptions
//! in the JSON schema of an expectations file.

mod carriage_returns;
mod checks;
mod go_regex;
mod goss;
mod http;
mod pattern;
mod port;
mod ready;
mod rule;
mod rules;
mod text;
mod timeout;

pub(crate) use carriage_returns::CarriageReturns;
pub use checks::Check;
pub(crate) use checks::{Checks, Results};
pub(crate) use goss::{Found, Matcher};
pub(crate) use http::NEEDS_CA;
pub use http::{HttpExpectations, JsonExpectation, Statuses, TlsSettings};
pub use pattern::Pattern;
pub use port::{Port, Protocol};
pub use ready::ReadyConditions;
pub(crate) use ready::log;
pub use text::Text;
pub use timeout::Timeout;

pub use crate::text::Description;
