//! Text of others in messages and reports: names, paths, labels, tags, output of containers,
//! messages of daemons. Everything that is printed goes through this module.
//!
//! A value is escaped and shortened where a message is composed: [`shorten()`], [`quote`],
//! [`bytes()`], [`path`], [`list`]. What is printed is escaped once more as a whole, except for
//! its line breaks: [`lines`], [`message`], [`SafeWriter`]. Escaping twice changes nothing.

#[cfg(feature = "vm")]
mod description;
mod escape;
mod layout;
mod shorten;

pub(crate) mod errors;
pub(crate) mod suggest;
#[cfg(feature = "vm")]
pub(crate) mod value;

#[cfg(feature = "vm")]
pub use description::Description;
#[cfg(feature = "vm")]
pub(crate) use description::Part;
pub(crate) use escape::{SafeWriter, escape, json, lines};
#[cfg(feature = "vm")]
pub(crate) use layout::{end_of_output, last_lines};
pub(crate) use layout::{fit, message, paragraph};
#[cfg(feature = "vm")]
pub(crate) use shorten::ends;
pub(crate) use shorten::{bytes, excerpt, list, path, quote, quote_up_to, quoted_list, shorten};
