//! Applies the operations of a pipeline to a graph.

use std::collections::HashSet;

use super::operation::{Operation, PathSpec, Pipeline};
use super::value::{Node, Part, Value};
use crate::closure::StorePath;
use crate::layering::graph::{PathGraph, reachable};
use crate::layering::popularity;
use crate::text;

/// An operation that cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The value is of another kind than the operation needs.
    #[error("layering: {operation} needs {expected}, but gets {found}{hint}")]
    Shape {
        /// The operation.
        operation: &'static str,
        /// The kind of value that it needs.
        expected: &'static str,
        /// The kind of value that it gets.
        found: String,
        /// How to fix it, as the end of a sentence.
        hint: &'static str,
    },
    /// The table does not have the key that `over` names.
    #[error("layering: over names {}, but gets {found}", text::quote(key))]
    Key {
        /// The key.
        key: String,
        /// The table.
        found: String,
    },
}

impl Pipeline {
    /// Splits `graph` into layers.
    ///
    /// # Errors
    /// If an operation cannot be applied to the result of the one before it.
    pub(in crate::layering) fn layers(
        &self,
        graph: &PathGraph,
    ) -> Result<Vec<Vec<StorePath>>, RunError> {
        let all = Part((0..graph.len()).map(|path| Node { path, piece: 0 }).collect());
        let result = Run { graph }.pipe(self, Value::Graph(all))?;
        let numbers = |part: Part| part.0.into_iter().map(|node| node.path).collect();
        Ok(graph.named(result.graphs().into_iter().map(numbers)))
    }
}

struct Run<'g> {
    graph: &'g PathGraph,
}

impl Run<'_> {
    fn pipe(&self, pipeline: &Pipeline, value: Value) -> Result<Value, RunError> {
        pipeline.0.iter().try_fold(value, |value, operation| self.apply(operation, value))
    }

    fn apply(&self, operation: &Operation, value: Value) -> Result<Value, RunError> {
        let name = operation.name();
        Ok(match operation {
            Operation::Pipe(pipeline) => self.pipe(pipeline, value)?,
            Operation::Flatten => {
                Value::List(value.graphs().into_iter().map(Value::Graph).collect())
            }
            Operation::Over(key, inner) => self.over(key, inner, value)?,
            Operation::Map(inner) => {
                let applied = list(name, value)?.into_iter().map(|item| self.apply(inner, item));
                Value::List(applied.collect::<Result<_, _>>()?)
            }
            Operation::Reverse => Value::List(list(name, value)?.into_iter().rev().collect()),
            Operation::LimitLayers(limit) => limited(list(name, value)?, limit.get())?,
            Operation::PopularityContest => self.popularity(&part(name, value)?),
            Operation::SplitEvery(count) => {
                let part = part(name, value)?;
                let chunks = part.0.chunks(count.get()).map(|chunk| Part(chunk.to_vec()));
                Value::List(chunks.map(Value::Graph).collect())
            }
            Operation::RemovePaths(paths) => {
                let part = part(name, value)?;
                let removed = self.positions(&part, paths);
                Value::Graph(part.filtered(|at| !removed.contains(&at)))
            }
            Operation::SubcomponentOut(paths) => {
                self.subcomponent(part(name, value)?, paths, self.graph.references())
            }
            Operation::SubcomponentIn(paths) => {
                self.subcomponent(part(name, value)?, paths, self.graph.dependents())
            }
            Operation::SplitPaths(specs) => self.split_paths(part(name, value)?, specs),
        })
    }

    fn over(&self, key: &str, inner: &Operation, value: Value) -> Result<Value, RunError> {
        let found = value.noun();
        let Value::Table(fields) = value else {
            return Err(shape("over", "a table", found));
        };
        if !fields.iter().any(|(name, _)| *name == key) {
            return Err(RunError::Key { key: key.to_owned(), found });
        }
        let apply = |(name, value)| match name == key {
            true => Ok((name, self.apply(inner, value)?)),
            false => Ok((name, value)),
        };
        Ok(Value::Table(fields.into_iter().map(apply).collect::<Result<_, RunError>>()?))
    }

    fn popularity(&self, part: &Part) -> Value {
        let paths: Vec<usize> = part.0.iter().map(|node| node.path).collect();
        let references = part.edges(self.graph.references());
        let ranked = popularity::ranked_among(self.graph, &paths, &references);
        let alone = |path| Value::Graph(Part(vec![Node { path, piece: 0 }]));
        Value::List(ranked.into_iter().map(alone).collect())
    }

    /// The positions in `part` of those of `paths` that it has.
    fn positions(&self, part: &Part, paths: &[String]) -> HashSet<usize> {
        let wanted: HashSet<&str> = paths.iter().map(String::as_str).collect();
        let name = |node: &Node| self.graph.paths()[node.path].as_str();
        let found = part.0.iter().enumerate().filter(|(_, node)| wanted.contains(name(node)));
        found.map(|(at, _)| at).collect()
    }

    fn subcomponent(&self, part: Part, paths: &[String], edges: &[Vec<usize>]) -> Value {
        let start = self.positions(&part, paths);
        let main: HashSet<usize> = reachable(&part.edges(edges), start).into_iter().collect();
        Value::Table(vec![
            ("main", Value::Graph(part.filtered(|at| main.contains(&at)))),
            ("rest", Value::Graph(part.filtered(|at| !main.contains(&at)))),
        ])
    }

    /// Splits off paths: everything that the roots of the graph reach only through them is their
    /// own.
    fn split_paths(&self, part: Part, specs: &[PathSpec]) -> Value {
        let mut references = part.edges(self.graph.references());
        let mut split: HashSet<usize> = HashSet::new();
        for spec in specs {
            match spec {
                PathSpec::Path(path) => {
                    split.extend(self.positions(&part, std::slice::from_ref(path)));
                }
                PathSpec::ChildrenOf(paths) => {
                    let parents = self.positions(&part, paths);
                    split.extend(parents.into_iter().flat_map(|at| &references[at]));
                }
            }
        }
        if split.is_empty() {
            return Value::Table(vec![("rest", Value::Graph(part))]);
        }
        let referred: HashSet<usize> = references.iter().flatten().copied().collect();
        let mut roots = (0..part.0.len()).filter(|path| !referred.contains(path));
        if let (Some(root), None) = (roots.next(), roots.next())
            && split.contains(&root)
        {
            return Value::Table(vec![("main", Value::Graph(part))]);
        }
        let of_split: HashSet<usize> =
            reachable(&references, split.iter().copied()).into_iter().collect();
        references.iter_mut().for_each(|to| to.retain(|path| !split.contains(path)));
        let others = (0..part.0.len()).filter(|at| !of_split.contains(at));
        let of_rest: HashSet<usize> = reachable(&references, others).into_iter().collect();
        let parts = [
            ("main", part.filtered(|at| of_split.contains(&at) && !of_rest.contains(&at))),
            ("common", part.filtered(|at| of_split.contains(&at) && of_rest.contains(&at))),
            ("rest", part.filtered(|at| !of_split.contains(&at))),
        ];
        let fields = parts.into_iter().filter(|(_, part)| !part.0.is_empty());
        Value::Table(fields.map(|(key, part)| (key, Value::Graph(part))).collect())
    }
}

/// Merges all graphs of a list from the one at `limit` on into one.
fn limited(mut values: Vec<Value>, limit: usize) -> Result<Value, RunError> {
    if values.len() > limit {
        let rest = values.split_off(limit - 1);
        let parts: Vec<Part> =
            rest.into_iter().map(|value| part("limit_layers", value)).collect::<Result<_, _>>()?;
        values.push(Value::Graph(Part::merged(parts)));
    }
    Ok(Value::List(values))
}

fn part(operation: &'static str, value: Value) -> Result<Part, RunError> {
    match value {
        Value::Graph(part) => Ok(part),
        other => Err(shape(operation, "a graph", other.noun())),
    }
}

fn list(operation: &'static str, value: Value) -> Result<Vec<Value>, RunError> {
    match value {
        Value::List(values) => Ok(values),
        other => Err(shape(operation, "a list", other.noun())),
    }
}

fn shape(operation: &'static str, expected: &'static str, found: String) -> RunError {
    let hint = match (expected, found.as_str()) {
        ("a graph", "a list") => "; apply it to each graph of the list with map",
        ("a graph", _) => "; apply it to one key of the table with over",
        ("a list", "a graph") => "; split the graph first, as with popularity_contest",
        ("a list", _) => "; make it a list with flatten",
        _ => "",
    };
    RunError::Shape { operation, expected, found, hint }
}
