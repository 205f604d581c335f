//! Members of a tar that take the place of earlier ones; compared with umoci, which unpacks tars as
//! Docker and containerd do.

use std::fs;

use crate::content_tables::{build, rejected};
use crate::lab::Lab;
use crate::tar_layers::layout;

/// A tar in which a folder with files becomes a file, and a folder again, by the members that
/// `script` appends to `t/in.tar` in the folder `t`.
fn tar_of(lab: &Lab, script: &str) {
    let script = format!("rm -rf t; mkdir t; cd t; {script}");
    lab.tool("bash", ["-ec", &script]);
}

#[test]
fn a_file_in_the_place_of_a_folder_replaces_what_is_in_it_as_in_umoci() {
    let folder = "mkdir -p a/deep; echo 1 >a/x; echo 1 >a/deep/x; tar -cf in.tar a; rm -r a";
    let add = "tar -rf in.tar";
    for (name, script) in [
        ("a folder becomes a file", format!("{folder}; echo 2 >a; {add} a")),
        ("a folder becomes a symlink", format!("{folder}; ln -s etc a; {add} a")),
        (
            "a folder without a member of its own becomes a file",
            "mkdir a; echo 1 >a/x; tar -cf in.tar a/x; rm -r a; echo 2 >a; tar -rf in.tar a".into(),
        ),
        (
            "and a folder again",
            format!(
                "{folder}; echo 2 >a; {add} a; rm a; mkdir a; chmod 700 a; echo 3 >a/y; {add} a"
            ),
        ),
        (
            "a folder below that becomes a file",
            format!("{folder}; mkdir -p a; echo 2 >a/deep; {add} a/deep; echo >b; {add} b"),
        ),
        (
            "hard links to what is replaced",
            "mkdir a; echo 1 >a/x; ln a/x b; tar -cf in.tar a/x b; rm -r a; echo 2 >a; \
             tar -rf in.tar a"
                .into(),
        ),
        (
            "hard links to a file that takes the place of a hard link",
            "echo 1 >a; ln a b; tar -cf in.tar a b; rm b; echo 2 >b; ln b c; tar -rf in.tar b c"
                .into(),
        ),
    ] {
        let lab = Lab::new();
        tar_of(&lab, &script);
        let tar = fs::read(lab.path("t/in.tar")).unwrap();
        layout(&lab, &tar);
        lab.tool("umoci", ["raw", "unpack", "--rootless", "--image", "layout:t", "theirs"]);
        let built = build(&lab, "contents=[{tar='t/in.tar'}]\n");
        lab.file("layer.tar", built.layer_files().remove(0));
        let script = "mkdir ours; tar -xpf layer.tar -C ours
             for tree in ours theirs; do
                 (cd $tree; find . -mindepth 1 -printf '%P %y %m %n %l\\n' | sort
                  find . -type f | sort | xargs -r cat) >$tree.list
             done
             diff ours.list theirs.list; true";
        assert_eq!(lab.tool("bash", ["-ec", script]), "", "{name}");
    }
}

#[test]
fn a_file_in_the_place_of_a_folder_does_not_replace_that_of_another_content() {
    let lab = Lab::new();
    lab.file("tree/a/other", "");
    tar_of(&lab, "mkdir a; echo 1 >a/x; tar -cf in.tar a; rm -r a; echo 2 >a; tar -rf in.tar a");
    let message = rejected(&lab, "contents=['tree', {tar='t/in.tar'}]\n");
    assert!(message.contains("conflict at /a: a directory in"), "{message}");
    // What becomes a file has no members below it.
    tar_of(&lab, "mkdir a; echo 1 >a/x; echo 2 >f; tar -cf in.tar --transform s/f/a/ f a/x");
    let message = rejected(&lab, "contents=[{tar='t/in.tar'}]\n");
    assert!(message.contains("/a/x is below /a, which is not a directory"), "{message}");
}
