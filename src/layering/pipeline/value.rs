//! The values that pass through a pipeline.

use std::collections::HashMap;

/// A graph, a list or a table.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Graph(Part),
    List(Vec<Value>),
    Table(Vec<(&'static str, Value)>),
}

/// A part of the graph: paths by number, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Part(pub(super) Vec<Node>);

/// A path of a part. Paths refer to each other only within a piece: merging graphs does not bring
/// back the references between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) path: usize,
    pub(super) piece: usize,
}

impl Value {
    /// The noun for messages.
    pub(super) fn noun(&self) -> String {
        match self {
            Self::Graph(_) => "a graph".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Table(fields) => {
                let keys: Vec<&str> = fields.iter().map(|(key, _)| *key).collect();
                format!("a table with {}", keys.join(", "))
            }
        }
    }

    /// Every graph in this value, in order.
    pub(super) fn graphs(self) -> Vec<Part> {
        match self {
            Self::Graph(part) => vec![part],
            Self::List(values) => values.into_iter().flat_map(Self::graphs).collect(),
            Self::Table(fields) => {
                fields.into_iter().flat_map(|(_, value)| value.graphs()).collect()
            }
        }
    }
}

impl Part {
    /// The paths of this part that `keep` selects by position.
    pub(super) fn filtered(&self, keep: impl Fn(usize) -> bool) -> Self {
        Self(self.0.iter().enumerate().filter(|(at, _)| keep(*at)).map(|(_, node)| *node).collect())
    }

    /// One part with the paths of all `parts`.
    pub(super) fn merged(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut merged = Self::default();
        let mut pieces = 0;
        for part in parts {
            let first = pieces;
            for node in part.0 {
                pieces = pieces.max(first + node.piece + 1);
                merged.0.push(Node { piece: first + node.piece, ..node });
            }
        }
        merged
    }

    /// The references between the paths of this part, by position; `edges` are those of the whole
    /// graph.
    pub(super) fn edges(&self, edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
        let positions: HashMap<usize, usize> =
            self.0.iter().enumerate().map(|(at, node)| (node.path, at)).collect();
        let of = |node: &Node| {
            edges[node.path]
                .iter()
                .filter_map(|to| positions.get(to).copied())
                .filter(|to| self.0[*to].piece == node.piece)
                .collect()
        };
        self.0.iter().map(of).collect()
    }
}
