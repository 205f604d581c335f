//! The contents of a layer, as far as the history of its image tells, and a title for people.

use serde::Serialize;

use crate::text;

/// The contents of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LayerContents {
    /// Whether the layer is from the base image.
    pub base: bool,
    /// The name that the recipe gives the layer.
    pub name: Option<String>,
    /// The packages of dpkg or apk in the layer.
    pub packages: Vec<String>,
    /// The store paths in the layer.
    pub paths: Vec<String>,
    /// The command of the step that made the layer.
    pub step: Option<String>,
    /// The command that made the layer, if another builder did.
    pub created_by: Option<String>,
}

impl LayerContents {
    /// A title of at most `width` characters, escaped: the name of the layer, its first package or
    /// store path and the number of others, the command that made it, or else that it has contents.
    /// `number` is the layer's number in its image; the lowest layer is 1.
    pub fn title(&self, number: usize, width: usize) -> String {
        let number = format!("base layer {number}");
        match (self.base, self.known_title(width)) {
            (false, title) => title.unwrap_or_else(|| "contents".to_owned()),
            (true, None) => number,
            (true, Some(title)) => text::fit(&format!("{number}: {title}"), width),
        }
    }

    fn known_title(&self, width: usize) -> Option<String> {
        if let Some(name) = &self.name {
            return Some(text::fit(name, width));
        }
        if let Some(step) = &self.step {
            return Some(text::fit(&format!("step: {step}"), width));
        }
        let mut names = self.names();
        let Some(first) = names.next() else {
            return self.created_by.as_deref().map(|command| text::fit(&plain(command), width));
        };
        let more = match names.count() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        Some(format!("{}{more}", text::fit(first, width.saturating_sub(more.len()))))
    }

    /// The packages, then the names of the store paths without their hashes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let packages = self.packages.iter().map(String::as_str);
        let paths = self.paths.iter().filter_map(|path| path.rsplit('/').next());
        packages.chain(paths.map(|name| name.split_once('-').map_or(name, |(_, name)| name)))
    }
}

/// A command of Docker's history as it is in a Dockerfile.
fn plain(command: &str) -> String {
    let command = command.replace("/bin/sh -c ", "").replace("#(nop) ", "");
    command.trim().trim_end_matches("# buildkit").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_other_builders_are_shown_as_in_a_dockerfile() {
        // As Docker's classic builder and BuildKit write them.
        for (command, title) in [
            ("/bin/sh -c #(nop) ADD file:12ab in / ", "ADD file:12ab in /"),
            ("/bin/sh -c apk add curl", "apk add curl"),
            ("RUN /bin/sh -c apk add curl # buildkit", "RUN apk add curl"),
            ("COPY a.txt /a.txt # buildkit", "COPY a.txt /a.txt"),
        ] {
            let created_by = Some(command.to_owned());
            let contents = LayerContents { created_by, ..LayerContents::default() };
            assert_eq!(contents.title(1, 40), title);
        }
    }
}
