//! Expectations of a set of names, such as ports.

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Expected names, in any order.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(untagged)]
pub enum Names {
    /// Exactly these names.
    Exactly(Vec<String>),
    /// Some names.
    Some(SomeNames),
}

/// Names that must exist, and names that must not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SomeNames {
    /// Names that must exist; others are allowed.
    pub has: Vec<String>,
    /// Names that must not exist.
    pub absent: Vec<String>,
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamesVisitor;
        // An untagged enum would hide the reason why a table is wrong.
        impl<'de> Visitor<'de> for NamesVisitor {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of strings, or a table of has and absent")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Names, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Names::Exactly)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Names, A::Error> {
                SomeNames::deserialize(MapAccessDeserializer::new(map)).map(Names::Some)
            }
        }
        deserializer.deserialize_any(NamesVisitor)
    }
}
