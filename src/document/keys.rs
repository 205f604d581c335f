//! The keys of documents: those of a type, and the one before a place in a text.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// The keys that the table `T` may have, with the other names of some; none if `T` is not a table.
pub(crate) fn keys_of<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // It has no value to give, so this is always an error.
    let _ = T::deserialize(KeyReader(&mut keys));
    keys
}

/// Notes the keys that a type asks for.
struct KeyReader<'k>(&'k mut &'static [&'static str]);

/// The error of [`KeyReader`], which has no values.
#[derive(Debug)]
struct NoValue;

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no value")
    }
}

impl std::error::Error for NoValue {}

impl de::Error for NoValue {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for KeyReader<'_> {
    type Error = NoValue;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoValue> {
        Err(NoValue)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, NoValue> {
        *self.0 = fields;
        Err(NoValue)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The key at the end of `text`, which is followed by `separator`, if there is one.
pub(super) fn before(text: &str, separator: char) -> Option<&str> {
    let line = text.rsplit('\n').next()?.trim_end();
    let start = line.strip_suffix(separator)?.trim_end();
    let is_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let quoted = start.strip_suffix(['"', '\'']);
    let key = match quoted {
        Some(rest) => rest.rsplit(['"', '\'']).next()?,
        None => start.rsplit(|c| !is_key(c)).next()?,
    };
    (!key.is_empty()).then_some(key)
}
