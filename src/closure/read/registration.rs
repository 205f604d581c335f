//! Graphs as lines of text: for each path its name, its deriver, the number of its references and
//! the references (the text of `exportReferencesGraph`), or the same with hash and size after the
//! name (`nix-store --dump-db`, and the input of `nix-store --load-db`).

use super::reader::{Node, Reader, graph};
use crate::closure::{ClosureError, Graph};
use crate::text;

/// Other text that Nix prints: how it begins, and how errors name it.
const OTHER_OUTPUT: [(&str, &str); 2] = [
    ("digraph", "the output of nix-store --query --graph"),
    ("<?xml", "the output of nix-store --query --graphml"),
];
const PATH_LIST: &str = "a list of store paths without their references";
const PATH_TREE: &str = "the output of nix-store --query --tree";

pub(super) fn parse(text: &str, mut reader: Reader<'_>) -> Result<Graph, ClosureError> {
    let text = text.trim_start();
    if let Some((_, name)) = OTHER_OUTPUT.iter().find(|(start, _)| text.starts_with(start)) {
        return Err(ClosureError::OtherOutput(name));
    }
    let mut lines = text.lines().enumerate();
    check_start(text)?;
    let mut nodes = Vec::new();
    while let Some((_, path)) = lines.next() {
        if path.is_empty() {
            continue;
        }
        let path = reader.path(path)?;
        reader.count_node()?;
        let mut next = |what: &'static str| {
            lines.next().ok_or_else(|| invalid(format!("{path} ends without its {what}")))
        };
        let (_, second) = next("deriver")?;
        let is_deriver = second.is_empty() || second.starts_with('/');
        let nar_size = match is_deriver {
            true => None,
            false => {
                let size = number_in(next("size")?, "size")?;
                next("deriver")?;
                Some(size)
            }
        };
        let count = number_in(next("number of references")?, "number of references")?;
        let mut references = Vec::new();
        for _ in 0..count {
            references.push(reader.reference(next("references")?.1)?);
        }
        nodes.push(Node { path, references, nar_size });
    }
    graph(nodes)
}

/// Recognizes lists and trees of paths by their first lines: in a graph, the third line is a
/// number, or the second one is a hash.
fn check_start(text: &str) -> Result<(), ClosureError> {
    let first: Vec<&str> = text.lines().take(3).collect();
    let is_path = |line: &&&str| line.starts_with('/');
    if first.get(1).is_some_and(|line| line.starts_with(['├', '└', '+'])) {
        return Err(ClosureError::OtherOutput(PATH_TREE));
    }
    if first.iter().filter(is_path).count() == first.len() {
        return Err(ClosureError::OtherOutput(PATH_LIST));
    }
    Ok(())
}

fn number_in((line, text): (usize, &str), what: &str) -> Result<u64, ClosureError> {
    text.parse().map_err(|_| {
        invalid(format!("line {}: expected the {what}, found {}", line + 1, text::quote(text)))
    })
}

fn invalid(problem: String) -> ClosureError {
    ClosureError::Unknown(problem)
}

#[cfg(test)]
mod tests {
    use crate::closure::{Graph, StoreDir, parse};

    fn read(text: &str) -> Result<Graph, String> {
        parse(text, &StoreDir::new("/nix/store").unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn truncated_and_wrong_text_is_rejected_with_the_place() {
        for (text, problem) in [
            ("/nix/store/a-a\n\n", "ends without its number of references"),
            ("/nix/store/a-a\n\n2\n/nix/store/b-b\n", "ends without its references"),
            ("/nix/store/a-a\n\nx\n", "line 3: expected the number of references, found \"x\""),
            ("/nix/store/a-a\nsha256:0\n-1\n\n0\n", "line 3: expected the size, found \"-1\""),
            ("/etc/a\n\n0\n", "\"/etc/a\" is not a path of the store /nix/store"),
            ("/nix/store/a-a\n\n0\n/nix/store/a-a\n\n0\n", "lists /nix/store/a-a twice"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(problem), "{message}");
        }
    }
}
