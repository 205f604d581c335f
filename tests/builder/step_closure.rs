//! Store paths that the output of steps names.

use crate::steps::{build, lab, read, with_command};

#[test]
fn store_paths_that_only_a_step_names_are_added_with_what_they_refer_to() {
    let lab = lab();
    lab.store(&[
        ("a-app", &["b-zlib", "c-libc"]),
        ("b-zlib", &["c-libc"]),
        ("c-libc", &[]),
        ("d-link", &[]),
        ("e-unrelated", &[]),
        ("f-made", &[]),
    ]);
    // Behind more than one chunk of content, and as the target of a symlink.
    let names = "i=0; while [ $i -lt 30000 ]; do echo 0123456789; i=$((i+1)); done > /script
echo 'exec /nix/store/b-zlib/bin/zlib.' >> /script; ln -s /nix/store/d-link/bin/link /link
mkdir -p /nix/store/f-made; echo made > /nix/store/f-made/file; echo /nix/store/f-made > /made";
    let store = "store = { source='store', closure='graph.json', roots='/nix/store/c-libc' }\n";
    let of = |command: &str, store: &str| {
        let recipe = format!("{store}{}", with_command(command, ""));
        build(&lab, &recipe, &[]).ok();
        read(&lab, "out.tar")
    };
    let without = of("true", store);
    let built = of(names, store);
    assert_eq!(built.layers().len(), without.layers().len() + 1);
    let top = built.layers().pop().unwrap();
    let files: Vec<&str> = top.iter().map(|member| member.name.as_str()).collect();
    let expected = [
        "nix/",
        "nix/store/",
        "nix/store/b-zlib/",
        "nix/store/b-zlib/bin/",
        "nix/store/b-zlib/bin/zlib",
        "nix/store/d-link/",
        "nix/store/d-link/bin/",
        "nix/store/d-link/bin/link",
    ];
    assert_eq!(files, expected, "c-libc is there already, f-made is the step's own");
    let history = built.config()["history"].as_array().unwrap().last().unwrap().clone();
    assert!(history["comment"].as_str().unwrap().contains("/nix/store/b-zlib"), "{history}");
    assert_eq!(built.bytes, of(names, store).bytes, "from the cache");
    let excluded = store.replace("roots=", "exclude='/nix/store/b-zlib', roots=");
    let top = of(names, &excluded).layers().pop().unwrap();
    assert!(!top.iter().any(|member| member.name.contains("b-zlib")));
}
