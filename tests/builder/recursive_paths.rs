//! Recursive changes of single paths.

use crate::lab::Lab;
use crate::paths::{build, rejected};

#[test]
fn a_recursive_change_repeats_what_only_the_base_has_as_chown_would() {
    let lab = Lab::new();
    lab.file("base/srv/data/deep/file", "content");
    lab.mode("base/srv/data/deep/file", 0o640);
    lab.mode("base/srv/data/deep", 0o711);
    lab.file("base/srv/data/replaced", "old");
    lab.file("base/srv/data/gone", "");
    lab.link("base/srv/data/link", "deep/file");
    lab.file("base/srv/other", "");
    lab.build_with("name='b'\ntag='1'\ncontents='base'\nuid=7\n", "base.tar", &[]);
    lab.file("tree/srv/data/replaced", "new");
    let recipe = "from_image='base.tar'\ncontents='tree'\nlayering='single'\n\
        path=[{path='/srv/data/gone', remove=true},
              {path='/srv/data', owner='1000:1001', recursive=true}]\n";
    let built = build(&lab, recipe);
    let top = built.layers().pop().unwrap();
    let found: Vec<_> = top
        .iter()
        .map(|member| (member.name.as_str(), member.mode, member.owner, member.content.as_slice()))
        .collect();
    let (owner, content, new) = ((1000, 1001), b"content".as_slice(), b"new".as_slice());
    let expected = [
        ("srv/", 0o755, (7, 0), b"".as_slice()),
        ("srv/data/", 0o755, owner, b""),
        ("srv/data/.wh.gone", 0, owner, b""),
        ("srv/data/deep/", 0o711, owner, b""),
        ("srv/data/deep/file", 0o640, owner, content),
        ("srv/data/link", 0o777, owner, b""),
        ("srv/data/replaced", 0o644, owner, new),
    ];
    assert_eq!(found, expected);
    // More than a layer should repeat.
    lab.tool("truncate", ["-s", "260M", "base/srv/data/large"]);
    lab.build_with("name='b'\ntag='1'\ncontents='base'\n", "base.tar", &[]);
    let message = rejected(&lab, recipe);
    assert!(message.contains("has 260 MiB of files below"), "{message}");
}
