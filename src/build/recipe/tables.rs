//! Lists of tables in recipes, which TOML writes with double brackets.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A table of a list.
pub(super) trait Table {
    /// The key of the list.
    const KEY: &'static str;
}

/// A list of tables. An error for anything else shows how it is written.
#[derive(Debug)]
pub(super) struct Tables<T>(Vec<T>);

impl<T> Default for Tables<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> From<Tables<T>> for Vec<T> {
    fn from(tables: Tables<T>) -> Self {
        tables.0
    }
}

impl<'de, T: Table + Deserialize<'de>> Deserialize<'de> for Tables<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, T: Table + Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = Tables<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of tables, which begin with [[{}]] in TOML", T::KEY)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Tables<T>, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Tables)
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}
