//! Parses the JSON documents of images, which are untrusted.
//!
//! A document is checked before it is decoded: its number of values is limited, and it must mean
//! the same to every parser. [`schema`](crate::image::schema) explains why keys matter.

use std::cell::Cell;
use std::fmt;
use std::path::Path;

use serde::Deserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::ArchiveError;
use crate::image::schema::{Object, Shape};
use crate::text;

/// The most values that a document may have. Small values take more memory than text: 2 MiB of
/// zeros in a list would take 60 MiB. A large index has 10 000 manifests with ten values each.
const VALUES_MAX: usize = 200_000;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Parses the document `bytes` of the image at `image`; messages call it `name`.
pub(crate) fn parse<T: DeserializeOwned>(
    image: &Path,
    name: &str,
    bytes: &[u8],
    shape: Shape,
) -> Result<T, ArchiveError> {
    let invalid = |problem: &str| ArchiveError::invalid(image, format!("{name}: {problem}"));
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(invalid("it begins with a byte order mark, which engines do not accept"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8 text"))?;
    check(text, shape)
        .and_then(|()| serde_json::from_str(text))
        .map_err(|error| invalid(&describe(&error)))
}

/// The message of `error`, which may contain a long value of the document.
fn describe(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    match message.strip_suffix(&position) {
        Some(message) => format!("{}{position}", text::shorten(message)),
        None => text::shorten(&message).into_owned(),
    }
}

/// Checks the keys and the number of values in `text`.
fn check(text: &str, shape: Shape) -> serde_json::Result<()> {
    let mut parser = serde_json::Deserializer::from_str(text);
    Checker { shape, left: &Cell::new(VALUES_MAX) }.deserialize(&mut parser)?;
    parser.end()
}

/// Checks a value.
#[derive(Clone, Copy)]
struct Checker<'a> {
    shape: Shape,
    /// The number of values that the document may still have.
    left: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Checker<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => return Err(D::Error::custom(format!("more than {VALUES_MAX} values"))),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checker<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let shape = match self.shape {
            Shape::List(object) => Shape::Object(object),
            Shape::Free | Shape::Object(_) => Shape::Free,
        };
        while items.next_element_seed(Self { shape, ..self })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Shape::Object(object) = self.shape else {
            while entries.next_key_seed(FreeKey)?.is_some() {
                entries.next_value_seed(Self { shape: Shape::Free, ..self })?;
            }
            return Ok(());
        };
        let mut seen = 0_u64;
        while let Some(index) = entries.next_key_seed(KnownKey(object))? {
            let known = index.and_then(|index| Some((1 << index, object.keys.get(index)?)));
            let Some((bit, (key, shape))) = known else {
                entries.next_value_seed(Self { shape: Shape::Free, ..self })?;
                continue;
            };
            if seen & bit != 0 {
                let problem = format!("the key {key:?} occurs twice in {}", object.name);
                return Err(A::Error::custom(problem));
            }
            seen |= bit;
            entries.next_value_seed(Self { shape: *shape, ..self })?;
        }
        Ok(())
    }
}

/// Parses a key to its index among the known ones; a different spelling of a known key is an error.
struct KnownKey(&'static Object);

impl<'de> DeserializeSeed<'de> for KnownKey {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KnownKey {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        let Some(index) = self.0.position(key) else {
            return Ok(None);
        };
        match self.0.keys.get(index) {
            Some((known, _)) if *known != key => Err(E::custom(format!(
                "the key \"{}\" in {} is {known:?} to Docker and other engines, which ignore case; \
                 remove it",
                key.escape_default(),
                self.0.name
            ))),
            _ => Ok(Some(index)),
        }
    }
}

/// Skips a key.
struct FreeKey;

impl<'de> DeserializeSeed<'de> for FreeKey {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FreeKey {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}
