//! Parses pipelines: lists such as `["limit_layers", 10]`.

use std::num::NonZeroUsize;

use serde_json::Value;

use super::operation::{Operation, PathSpec, Pipeline};
use crate::text;
use crate::text::suggest;

/// A value that is not a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A value that is not a list of operations.
    #[error(
        "layering: {} is not an operation; expected a list such as [\"limit_layers\", 10]",
        text::excerpt(.0)
    )]
    NotAnOperation(String),
    /// An operation with an unknown name.
    #[error(
        "layering: unknown operation {}{hint}; valid operations: {known}",
        text::quote(name), known = NAMES.join(", ")
    )]
    Unknown {
        /// The name.
        name: String,
        /// The nearest name, as the end of a sentence.
        hint: String,
    },
    /// An operation with wrong arguments.
    #[error("layering: {operation} {problem}; write {example}")]
    Arguments {
        /// The operation.
        operation: &'static str,
        /// The problem with its arguments.
        problem: String,
        /// A correct operation.
        example: &'static str,
    },
}

/// Every operation: its name, and an example.
const OPERATIONS: [(&str, &str); 12] = [
    ("popularity_contest", "[\"popularity_contest\"]"),
    ("split_paths", "[\"split_paths\", [\"/nix/store/HASH-NAME\"]]"),
    ("subcomponent_out", "[\"subcomponent_out\", [\"/nix/store/HASH-NAME\"]]"),
    ("subcomponent_in", "[\"subcomponent_in\", [\"/nix/store/HASH-NAME\"]]"),
    ("over", "[\"over\", \"rest\", [\"popularity_contest\"]]"),
    ("map", "[\"map\", [\"split_every\", 10]]"),
    ("pipe", "[\"pipe\", [[\"popularity_contest\"], [\"limit_layers\", 10]]]"),
    ("split_every", "[\"split_every\", 10]"),
    ("limit_layers", "[\"limit_layers\", 10]"),
    ("remove_paths", "[\"remove_paths\", [\"/nix/store/HASH-NAME\"]]"),
    ("reverse", "[\"reverse\"]"),
    ("flatten", "[\"flatten\"]"),
];

/// The names of all operations.
const NAMES: [&str; OPERATIONS.len()] = {
    let mut names = [""; OPERATIONS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = OPERATIONS[index].0;
        index += 1;
    }
    names
};

impl Pipeline {
    /// Parses a list of operations.
    ///
    /// # Errors
    /// If it is not a list, or an operation is unknown or has wrong arguments.
    pub fn parse(value: &Value) -> Result<Self, ParseError> {
        let operations = value.as_array().ok_or_else(|| not_an_operation(value))?;
        operations.iter().map(operation).collect::<Result<_, _>>().map(Self)
    }
}

fn not_an_operation(value: &Value) -> ParseError {
    ParseError::NotAnOperation(value.to_string())
}

fn operation(value: &Value) -> Result<Operation, ParseError> {
    let Some((Value::String(name), arguments)) =
        value.as_array().and_then(|list| list.split_first())
    else {
        return Err(not_an_operation(value));
    };
    let Some((operation, example)) = OPERATIONS.iter().find(|(known, _)| known == name) else {
        let nearest = suggest::nearest(name, NAMES);
        return Err(ParseError::Unknown { name: name.clone(), hint: suggest::hint(&nearest) });
    };
    let call = Call { operation, example, arguments };
    match *operation {
        "popularity_contest" => call.none().map(|()| Operation::PopularityContest),
        "reverse" => call.none().map(|()| Operation::Reverse),
        "flatten" => call.none().map(|()| Operation::Flatten),
        "split_paths" => call.specs().map(Operation::SplitPaths),
        "subcomponent_out" => call.paths().map(Operation::SubcomponentOut),
        "subcomponent_in" => call.paths().map(Operation::SubcomponentIn),
        "remove_paths" => call.paths().map(Operation::RemovePaths),
        "split_every" => call.number().map(Operation::SplitEvery),
        "limit_layers" => call.number().map(Operation::LimitLayers),
        "map" => Ok(Operation::Map(Box::new(self::operation(call.only()?)?))),
        "pipe" => Ok(Operation::Pipe(Pipeline::parse(call.only()?)?)),
        _ => call.over(),
    }
}

/// An operation with its arguments, as written.
struct Call<'a> {
    operation: &'static str,
    example: &'static str,
    arguments: &'a [Value],
}

impl Call<'_> {
    fn error(&self, problem: impl Into<String>) -> ParseError {
        ParseError::Arguments {
            operation: self.operation,
            problem: problem.into(),
            example: self.example,
        }
    }

    fn count_error(&self, expected: &str) -> ParseError {
        self.error(format!("takes {expected}, not {}", self.arguments.len()))
    }

    fn none(&self) -> Result<(), ParseError> {
        match self.arguments {
            [] => Ok(()),
            _ => Err(self.count_error("no argument")),
        }
    }

    fn only(&self) -> Result<&Value, ParseError> {
        match self.arguments {
            [argument] => Ok(argument),
            _ => Err(self.count_error("one argument")),
        }
    }

    fn number(&self) -> Result<NonZeroUsize, ParseError> {
        let number = self.only()?.as_u64().and_then(|number| usize::try_from(number).ok());
        number
            .and_then(NonZeroUsize::new)
            .ok_or_else(|| self.error(format!("needs a number above 0, not {}", self.arguments[0])))
    }

    /// One path or a list of paths.
    fn paths(&self) -> Result<Vec<String>, ParseError> {
        strings(self.only()?).ok_or_else(|| self.error("needs a store path or a list of them"))
    }

    fn specs(&self) -> Result<Vec<PathSpec>, ParseError> {
        let spec = |value: &Value| match value {
            Value::String(path) => Some(PathSpec::Path(path.clone())),
            Value::Object(fields) if fields.len() == 1 => {
                fields.get("children_of").and_then(strings).map(PathSpec::ChildrenOf)
            }
            _ => None,
        };
        let specs = self.only()?.as_array().and_then(|list| list.iter().map(spec).collect());
        specs.ok_or_else(|| {
            self.error("needs a list of store paths or tables such as {\"children_of\": \"PATH\"}")
        })
    }

    fn over(&self) -> Result<Operation, ParseError> {
        match self.arguments {
            [Value::String(key), inner] => {
                Ok(Operation::Over(key.clone(), Box::new(operation(inner)?)))
            }
            [_, _] => Err(self.error("needs a key, such as \"main\" or \"rest\"")),
            _ => Err(self.count_error("two arguments")),
        }
    }
}

/// A string or a list of strings.
fn strings(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) => list.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}
