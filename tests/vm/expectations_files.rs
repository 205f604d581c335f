//! Mistakes in expectations files, their schema, and their drafts.

use serde_json::Value;

use crate::sample_image::{RECIPE, SampleImage, outcomes};
use crate::workbench::stdout;

/// Runs `seatrial check` with mistaken expectations, and returns the error.
fn mistake(sample: &SampleImage, expectations: &str) -> String {
    std::fs::write(sample.path("e.toml"), expectations).unwrap();
    let output = sample.seatrial(&["check", "app.tar", "--expect", "e.toml", "--no-vm"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn mistakes_in_expectations_name_the_line_and_the_nearest_key() {
    let sample = SampleImage::new();
    assert_eq!(
        mistake(&sample, "[image]\n\narchitectur='x'\n"),
        "seatrial: e.toml:3: unknown key \"architectur\"; did you mean \"architecture\"?\n"
    );
    assert_eq!(
        mistake(&sample, "[[run]]\nname='x'\ncommand=['y']\n"),
        "seatrial: e.toml:3: unknown key \"command\"; it is a key of \"container\"\n"
    );
    assert_eq!(
        mistake(&sample, "[[run]]\nname='x'\nwhatever=1\n"),
        "seatrial: e.toml:3: unknown key \"whatever\"; \
         valid keys: name, setup, container, start, start_error, exit_code, stdout, stderr, \
         timeout\n"
    );
    let error = mistake(&sample, "[env.matches]\nPATH='('\n");
    assert!(
        error.starts_with("seatrial: e.toml:2: invalid regular expression \"(\": unclosed group"),
        "{error}"
    );
}

#[test]
fn test_cases_of_several_files_with_the_same_name_are_told_apart() {
    let sample = SampleImage::new();
    for (file, path) in [("a.toml", "/bin/sh"), ("b.toml", "/absent")] {
        let text = format!("[[file]]\nname='shell'\npath='{path}'\n[[run]]\nname='starts'\n");
        std::fs::write(sample.path(file), text).unwrap();
    }
    let check = |filter: &str| {
        let output = sample.seatrial(
            &[
                &["check", "app.tar", "--expect", "a.toml", "--expect", "b.toml", "--json"][..],
                &["--no-vm", "--filter", filter],
            ]
            .concat(),
        );
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
        outcomes(&verdict)
            .into_iter()
            .map(|(name, outcome)| format!("{name} {outcome}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(check("shell"), ["file shell passed", "file shell (2) failed"]);
    assert_eq!(check("starts (2)"), ["run starts (2) skipped"]);
}

#[test]
fn an_old_name_of_a_key_is_an_error_that_names_the_new_one() {
    let sample = SampleImage::new();
    let expectations = "[[service]]\nname='x'\nup={ port=80 }\n";
    let error = "seatrial: e.toml:3: unknown key \"up\"; it is now called \"ready\"\n";
    assert_eq!(mistake(&sample, expectations), error);
}

#[test]
fn the_schema_describes_the_keys_of_an_expectations_file() {
    let output = SampleImage::new().seatrial(&["check", "--schema"]);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["image"].is_object());
    let rules = &schema["$defs"]["Rules"]["properties"]["not_matches"];
    assert!(rules["description"].is_string(), "{schema:#}");
}

#[test]
fn a_draft_for_an_image_that_starts_a_shell_says_to_give_a_command() {
    let sample = SampleImage::new();
    let recipe = "name='x'\ncontents='rootfs'\n[config]\nCmd=['/bin/sh']\n";
    std::fs::write(sample.path("shell.toml"), recipe).unwrap();
    let draft = stdout(&sample.seatrial(&["expect", "shell.toml"]));
    assert!(draft.contains("# The image starts a shell. Guess: "), "{draft}");
    assert!(draft.lines().all(|line| line.len() <= 80), "{draft}");
    let uncommented = draft.split_once("# [[run]]").unwrap().1.replace("# ", "");
    sample.static_mismatches(&format!("[[run]]{uncommented}"));
}

#[test]
fn the_programs_of_entrypoint_and_cmd_are_drafted_each_once() {
    let sample = SampleImage::new();
    for (cmd, paths) in [("cat", &["/bin/sh", "/bin/cat"][..]), ("/bin/sh", &["/bin/sh"])] {
        let recipe = RECIPE.replace("\"/bin/sh\", \"-c\"", "\"/bin/sh\"");
        let recipe = recipe.replace("\"echo hello\"", &format!("\"{cmd}\""));
        std::fs::write(sample.path("app.toml"), recipe).unwrap();
        let draft = stdout(&sample.seatrial(&["expect", "app.toml"]));
        let found: Vec<&str> = draft.lines().filter(|line| line.starts_with("path = ")).collect();
        let expected: Vec<String> = paths.iter().map(|path| format!("path = \"{path}\"")).collect();
        assert_eq!(found, expected, "{draft}");
    }
}

#[test]
fn an_image_meets_the_draft_of_its_expectations() {
    let sample = SampleImage::new();
    let draft = sample.seatrial(&["expect", "app.tar"]);
    let draft = String::from_utf8(draft.stdout).unwrap();
    for line in [
        "entrypoint = [\"/bin/sh\", \"-c\"]",
        "user = \"7:8\"",
        "exposed_ports = [\"80/tcp\"]",
        "VERSION = \"1.2.3\"",
        "path = \"/bin/sh\"",
        "# ready = { port = 80 }",
    ] {
        assert!(draft.lines().any(|found| found == line), "{line}: {draft}");
    }
    assert!(draft.matches("# Guess: ").count() >= 4, "{draft}");
    assert!(draft.lines().all(|line| line.len() <= 80), "{draft}");
    assert!(draft.contains("deny = [\n    \"architecture-of-files\",\n"), "{draft}");
    assert_eq!(stdout(&sample.seatrial(&["expect", "app.toml"])), draft);
    let by_name = sample.seatrial(&["expect", "app.toml", "--tag", "1.0"]);
    let error = String::from_utf8_lossy(&by_name.stderr);
    assert_eq!(by_name.status.code(), Some(2), "{error}");
    assert_eq!(error, "seatrial: a recipe has one image; leave out --name and --tag\n");
    assert_eq!(sample.static_mismatches(&draft), [""; 0], "{draft}");
    let changed = draft.replace("7:8", "0");
    assert_eq!(sample.static_mismatches(&changed).len(), 1, "{changed}");
    // The commented service is valid, too.
    let commented =
        draft.replace("# [[", "[[").replace("# name", "name").replace("# ready", "ready");
    sample.static_mismatches(&commented);
}
