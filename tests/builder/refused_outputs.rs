//! Outputs that would replace a file that their command reads, or each other: they are refused.

use std::fs;

use crate::lab::{Lab, STORE};
use crate::outputs::{RECIPE, lab};

/// Runs `seatrial` with `arguments`, which must fail because it would replace `file`, and leave it
/// as it is. Returns the message.
fn refused(lab: &Lab, file: &str, arguments: &[&str]) -> String {
    let before = fs::read(lab.path(file)).unwrap();
    let run = lab.seatrial(arguments);
    assert_eq!(run.output.status.code(), Some(2), "{arguments:?}: {}", run.stderr());
    assert_eq!(fs::read(lab.path(file)).unwrap(), before, "{arguments:?}");
    assert_eq!(run.stdout(), "", "{arguments:?}");
    run.stderr()
}

#[test]
fn an_output_replaces_no_input_of_its_command() {
    let lab = lab();
    lab.file("tree/bin/app", "#!/bin/sh\n");
    lab.build_with(RECIPE, "base.tar", &[]);
    lab.file("base.toml", "name = 'base'\ntag = '2'\nfrom_image = 'base.tar'\n");
    lab.link("link.tar", "base.tar");
    let recipe = "it is the recipe; choose another file for --";
    for (file, arguments, reason) in [
        ("recipe.toml", &["build", "recipe.toml", "-o", "recipe.toml"][..], recipe),
        ("recipe.toml", &["build", "recipe.toml", "-o", "tree/../recipe.toml"], recipe),
        (
            "recipe.toml",
            &["build", "recipe.toml", "--sbom", "spdx", "--sbom-file", "recipe.toml"],
            recipe,
        ),
        ("base.tar", &["build", "base.toml"], "failed to write base.tar: it is the base image"),
        ("base.tar", &["build", "base.toml", "-o", "link.tar"], "it is the base image"),
        ("base.tar", &["export", "base.tar", "-o", "base.tar"], "an input of this command"),
        ("base.tar", &["merge", "base.tar", "-o", "base.tar"], "an input of this command"),
        (
            "base.tar",
            &["diff", "base.tar", "link.tar", "--report", "json=base.tar"],
            "an input of this command",
        ),
        (
            "base.tar",
            &["diff", "base.toml", "recipe.toml", "--report", "html=base.tar"],
            "it is the base image",
        ),
        (
            "recipe.toml",
            &["layers", "recipe.toml", "--history", "base.toml", "--write-plan", "recipe.toml"],
            recipe,
        ),
    ] {
        let message = refused(&lab, file, arguments);
        assert!(message.contains(reason), "{arguments:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    assert!(lab.path("link.tar").is_symlink());
}

#[test]
fn an_output_replaces_no_program_of_the_contents() {
    let lab = lab();
    lab.file("tree/bin/app", "#!/bin/sh\n");
    for arguments in [
        &["-o", "tree/bin/app"][..],
        &["-o", "out.tar", "--sbom", "spdx", "--sbom-file", "tree/bin/app"],
    ] {
        let command: Vec<&str> =
            ["build", "recipe.toml"].iter().chain(arguments).copied().collect();
        let message = refused(&lab, "tree/bin/app", &command);
        let expected = "failed to write tree/bin/app: it is one of the contents, and not an output";
        assert!(message.contains(expected), "{message}");
        assert!(!lab.exists("out.tar"));
    }
    // Outputs of earlier builds are replaced.
    let both = ["-o", "tree/x.tar", "--sbom", "cyclonedx", "--sbom-file", "tree/x.json"];
    for _ in 0..2 {
        lab.seatrial(["build", "recipe.toml"].iter().chain(&both)).ok();
    }
}

#[test]
fn no_report_and_no_plan_gets_into_the_contents() {
    let lab = Lab::with_store();
    lab.file("app/x", "hi\n");
    lab.file("app/kept/y", "hi\n");
    let excluded = "{source='app', exclude=['kept']}";
    let contents = format!("contents=[{excluded}, '/nix/store/a-app']\n");
    lab.file("b.toml", format!("name='b'\ntag='1'\n{contents}{STORE}"));
    lab.build_with(RECIPE.replace("tree", "app").as_str(), "b.tar", &[]);
    lab.file("ex.toml", "[image]\nos = 'linux'\n");
    let commands = [
        &["diff", "b.toml", "b.tar", "--report", "json="][..],
        &["layers", "b.toml", "--history", "b.toml", "--write-plan", ""],
        #[cfg(feature = "vm")]
        &["check", "b.toml", "--no-vm", "--expect", "ex.toml", "--report", "json="],
    ];
    for arguments in commands {
        let (last, others) = arguments.split_last().unwrap();
        let with = |file: &str| [others, &[&*format!("{last}{file}")]].concat().join(" ");
        let flag = others.last().unwrap();
        for (file, problem) in [
            ("app/x", "app/x: it is one of the contents; choose another file for"),
            ("app/new", "app/new: it would be one of the contents from then on; choose another"),
        ] {
            let line = with(file);
            let message = refused(&lab, "app/x", &line.split(' ').collect::<Vec<_>>());
            assert!(message.contains(problem) && message.contains(flag), "{message}");
            assert!(!lab.exists("app/new"));
        }
        // Contents that are left out may be replaced.
        let line = with("app/kept/y");
        lab.seatrial(line.split(' '));
        assert_ne!(fs::read(lab.path("app/kept/y")).unwrap(), b"hi\n", "{line}");
        lab.file("app/kept/y", "hi\n");
    }
}

#[test]
fn a_hard_link_to_a_content_is_replaced_and_the_content_stays() {
    let lab = lab();
    fs::hard_link(lab.path("tree/file"), lab.path("hl")).unwrap();
    let message = refused(&lab, "hl", &["build", "recipe.toml", "-o", "tree/file"]);
    assert!(message.contains("tree/file"), "{message}");
    lab.seatrial(["build", "recipe.toml", "-o", "hl"]).ok();
    assert_eq!(fs::read(lab.path("tree/file")).unwrap(), b"content\n");
    assert!(fs::read(lab.path("hl")).unwrap() == lab.build(RECIPE).bytes);
}

#[test]
fn two_outputs_of_one_command_do_not_replace_each_other() {
    let lab = lab();
    lab.build_with(RECIPE, "image.tar", &[]);
    lab.link("link", "same");
    for (arguments, other) in [
        (
            &["build", "recipe.toml", "-o", "same", "--sbom", "spdx", "--sbom-file", "link"][..],
            "link: it is also the output of --output",
        ),
        (
            &["diff", "image.tar", "image.tar", "--report", "html=same", "--report", "json=same"],
            "same: it is also the output of --report html",
        ),
    ] {
        let message = refused(&lab, "image.tar", arguments);
        assert!(message.contains(other), "{message}");
        assert!(!lab.exists("same"));
    }
}

#[cfg(feature = "vm")]
#[test]
fn a_report_of_a_check_replaces_no_input() {
    let lab = lab();
    lab.build_with(RECIPE, "image.tar", &[]);
    lab.file("app.expect.toml", "[image]\nos = 'linux'\n");
    for file in ["app.expect.toml", "image.tar"] {
        let report = format!("html={file}");
        let command = ["check", "image.tar", "--no-vm", "--expect", "app.expect.toml", "--report"];
        let command: Vec<&str> = command.iter().copied().chain([&*report]).collect();
        let message = refused(&lab, file, &command);
        assert!(message.contains("it is an input of this command"), "{message}");
    }
}

#[cfg(feature = "registry")]
#[test]
fn a_copy_does_not_replace_its_source() {
    let lab = lab();
    lab.build_with(RECIPE, "image.tar", &[]);
    for destination in ["docker-archive:image.tar", "oci-archive:image.tar:1"] {
        let message = refused(&lab, "image.tar", &["copy", "image.tar", destination]);
        assert!(message.contains("image.tar: it is the source"), "{message}");
    }
}
