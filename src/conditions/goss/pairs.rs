//! Pairs of matchers with the elements of a list.

use std::collections::VecDeque;

/// Whether each matcher gets an element of its own. The elements that a matcher matches are
/// `candidates[matcher]`, indexes less than `count`. This is a maximum matching of a bipartite
/// graph, made of augmenting paths.
pub(super) fn can_pair(candidates: &[Vec<usize>], count: usize) -> bool {
    let mut owners = vec![None; count];
    let mut elements = vec![None; candidates.len()];
    (0..candidates.len()).all(|matcher| augment(candidates, matcher, &mut owners, &mut elements))
}

/// Gives the matcher `first` an element, if need be by giving other elements to other matchers.
/// Returns whether that is possible.
fn augment(
    candidates: &[Vec<usize>],
    first: usize,
    owners: &mut [Option<usize>],
    elements: &mut [Option<usize>],
) -> bool {
    let mut reached_from = vec![None; owners.len()];
    let mut queue = VecDeque::from([first]);
    while let Some(matcher) = queue.pop_front() {
        for &element in &candidates[matcher] {
            if reached_from[element].is_some() {
                continue;
            }
            reached_from[element] = Some(matcher);
            if let Some(owner) = owners[element] {
                queue.push_back(owner);
                continue;
            }
            // Each matcher on the path hands its element on to the one before it.
            let mut next = Some(element);
            while let Some(element) = next {
                let Some(matcher) = reached_from[element] else { break };
                owners[element] = Some(matcher);
                next = elements[matcher].replace(element);
            }
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All ways of giving each matcher an element, one after the other.
    fn tries_all(candidates: &[Vec<usize>], taken: &mut Vec<usize>) -> bool {
        let Some((first, rest)) = candidates.split_first() else { return true };
        first.iter().any(|element| {
            if taken.contains(element) {
                return false;
            }
            taken.push(*element);
            let found = tries_all(rest, taken);
            taken.pop();
            found
        })
    }

    #[test]
    fn matchers_and_elements_are_paired_if_any_way_exists() {
        // Every graph of 3 matchers and 4 elements.
        for graph in 0..1 << 12 {
            let edges = |matcher: u32| {
                (0..4).filter(|element| graph >> (4 * matcher + *element as u32) & 1 == 1).collect()
            };
            let candidates: Vec<Vec<usize>> = (0..3).map(edges).collect();
            let expected = tries_all(&candidates, &mut Vec::new());
            assert_eq!(can_pair(&candidates, 4), expected, "{candidates:?}");
        }
        assert!(can_pair(&[], 2));
        assert!(!can_pair(&[vec![]], 0));
    }
}
