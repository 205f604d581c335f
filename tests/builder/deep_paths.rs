//! Layers of a few kilobytes whose entries have very deep paths, or lead to such paths through
//! symlinks: the directories above them could take gigabytes.

use tar::EntryType;

use crate::forge::{OCI_CONFIG, OCI_LAYER, OciFolder, TarBuilder, config, docker_archive};
use crate::hostile::{gzip, within_limits};
use crate::lab::Lab;

/// A path of 1900 components that begins with `first`.
fn deep(first: &str) -> String {
    format!("{first}{}", "/a".repeat(1900))
}

/// Writes an image with this layer to `name`.
fn image(lab: &Lab, name: &str, layer: &[u8]) {
    let config = config(&[layer]).to_string();
    lab.file(name, docker_archive(config.as_bytes(), &gzip(layer)));
}

/// A layer with `count` files, whose paths have no directory in common.
fn deep_files(count: usize) -> Vec<u8> {
    let add = |tar: TarBuilder, number: usize| {
        let path = format!("{}\0", deep(&number.to_string()));
        tar.member("././@LongLink", EntryType::GNULongName, "", path.as_bytes()).file("x", b"")
    };
    (0..count).fold(TarBuilder::new(), add).finish()
}

/// A layer with a symlink to `target`, and `count` files whose paths lead through it.
fn linked_files(target: &str, count: usize) -> Vec<u8> {
    let long = format!("{target}\0");
    let link = TarBuilder::new()
        .member("././@LongLink", EntryType::GNULongLink, "", long.as_bytes())
        .member("l", EntryType::Symlink, "x", b"");
    (0..count).fold(link, |tar, number| tar.file(&format!("l/{number}"), b"")).finish()
}

const COMMANDS: [&[&str]; 3] =
    [&["inspect", "x.tar"], &["export", "x.tar", "-o", "out.tar"], &["diff", "x.tar", "y.tar"]];

#[test]
fn deep_paths_are_read_but_their_directories_count_where_they_are_kept() {
    let lab = Lab::new();
    image(&lab, "y.tar", &deep_files(1));
    image(&lab, "x.tar", &deep_files(4));
    for (command, code) in COMMANDS.into_iter().zip([0, 0, 1]) {
        let run = within_limits(&lab, command);
        assert_eq!(run.output.status.code(), Some(code), "{}", run.stderr());
    }
    // 100 paths with directories of 360 MB, in 10 kB.
    image(&lab, "x.tar", &deep_files(100));
    within_limits(&lab, COMMANDS[0]).ok();
    std::fs::remove_file(lab.path("out.tar")).unwrap();
    for command in &COMMANDS[1..] {
        let message = within_limits(&lab, command).rejected(&lab, "out.tar");
        assert!(message.contains("raise the limit with --max-entries"), "{message}");
    }
}

#[test]
fn symlinks_cannot_lead_many_entries_to_long_paths() {
    let lab = Lab::new();
    image(&lab, "y.tar", &linked_files("usr/lib/x86_64-linux-gnu", 1));
    image(&lab, "x.tar", &linked_files("usr/lib/x86_64-linux-gnu", 20_000));
    for (command, code) in COMMANDS.into_iter().zip([0, 0, 1]) {
        let run = within_limits(&lab, command);
        assert_eq!(run.output.status.code(), Some(code), "{}", run.stderr());
    }
    std::fs::remove_file(lab.path("out.tar")).unwrap();
    image(&lab, "x.tar", &linked_files(&deep("a"), 20_000));
    for command in COMMANDS {
        let message = within_limits(&lab, command).rejected(&lab, "out.tar");
        assert!(message.contains("symlinks with long targets or to long paths"), "{message}");
    }
}

/// Symlinks, each of which leads to the next one through 500 components, the last one to `d`.
fn winding_links() -> TarBuilder {
    let add = |tar: TarBuilder, number: usize| {
        let target = match number {
            39 => "d".to_owned(),
            _ => format!("{}s{}", "d/../".repeat(250), number + 1),
        };
        let long = format!("{target}\0");
        tar.member("././@LongLink", EntryType::GNULongLink, "", long.as_bytes()).member(
            &format!("s{number}"),
            EntryType::Symlink,
            "x",
            b"",
        )
    };
    (0..40).fold(TarBuilder::new().member("d/", EntryType::Directory, "", b""), add)
}

/// An OCI layout of an image with these layers.
fn layout(lab: &Lab, name: &str, layers: &[Vec<u8>]) {
    let oci = OciFolder::new(lab, name);
    let slices: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let blobs: Vec<_> = slices.iter().map(|layer| oci.blob(layer, OCI_LAYER)).collect();
    oci.index(&[oci.manifest(oci.document(OCI_CONFIG, &config(&slices)), &blobs)]);
}

#[test]
fn symlinks_cannot_lead_many_entries_to_a_short_path_the_long_way() {
    let lab = Lab::new();
    let files = |links, count: usize| {
        (0..count).fold(links, |tar: TarBuilder, n| tar.file(&format!("s0/{n}"), b"")).finish()
    };
    image(&lab, "y.tar", &files(winding_links(), 1));
    image(&lab, "x.tar", &files(winding_links(), 10));
    for (command, code) in COMMANDS.into_iter().zip([0, 0, 1]) {
        let run = within_limits(&lab, command);
        assert_eq!(run.output.status.code(), Some(code), "{}", run.stderr());
    }
    std::fs::remove_file(lab.path("out.tar")).unwrap();
    image(&lab, "x.tar", &files(winding_links(), 100_000));
    for command in COMMANDS {
        let message = within_limits(&lab, command).rejected(&lab, "out.tar");
        assert!(message.contains("lead through symlinks with long targets"), "{message}");
    }
}

#[test]
fn symlinks_of_lower_layers_cannot_lead_many_hard_links_the_long_way() {
    let lab = Lab::new();
    let lower = winding_links().file("d/f", b"x").finish();
    let links = |count: usize| {
        let link = |tar: TarBuilder, n| tar.member(&format!("{n}"), EntryType::Link, "s0/f", b"");
        (0..count).fold(TarBuilder::new(), link).finish()
    };
    layout(&lab, "x", &[lower.clone(), links(10)]);
    within_limits(&lab, &["export", "x", "-o", "out.tar"]).ok();
    let listed = lab.tool("tar", ["-tvf", "out.tar"]);
    assert!(listed.contains("9 link to 0"), "{listed}");
    std::fs::remove_file(lab.path("out.tar")).unwrap();
    layout(&lab, "x", &[lower, links(100_000)]);
    let message = within_limits(&lab, &["export", "x", "-o", "out.tar"]).rejected(&lab, "out.tar");
    assert!(message.contains("lead through symlinks with long targets"), "{message}");
}
