//! Files that `seatrial check --no-vm` compares: hard links, large files, and many of them.

use std::fs;

use serde_json::{Value, json};
use tar::EntryType;

use crate::forge::{OCI_CONFIG, OCI_LAYER, OciFolder, TarBuilder, config, with};
use crate::lab::{Lab, Run};

/// One byte more than the content of a file may have.
const TOO_LARGE: usize = (64 << 20) + 1;

/// Writes an OCI layout `layout` of an image `t` with these layers.
fn image(lab: &Lab, layers: &[&[u8]]) {
    let oci = OciFolder::new(lab, "layout");
    let blobs: Vec<Value> = layers.iter().map(|layer| oci.blob(layer, OCI_LAYER)).collect();
    let manifest = oci.manifest(oci.document(OCI_CONFIG, &config(layers)), &blobs);
    let name = json!({ "org.opencontainers.image.ref.name": "t" });
    oci.index(&[with(manifest, json!({ "annotations": name }))]);
}

const CHECK: [&str; 6] = ["check", "layout", "--no-vm", "--platform", "amd64", "--expect"];

/// Checks the image against `expectations` in a file called `name`.
fn check(lab: &Lab, name: &str, expectations: &str, more: &[&str]) -> Run {
    lab.file(name, expectations);
    lab.seatrial(CHECK.iter().chain([&name]).chain(more))
}

/// The subjects of the checks that did not pass, by test case.
fn mismatches(verdict: &Value, name: &str) -> Vec<(String, String)> {
    let mut cases = verdict["cases"].as_array().unwrap().iter();
    let case = cases.find(|case| case["name"] == name).unwrap_or_else(|| panic!("{verdict:#}"));
    let mismatches = case["mismatches"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    mismatches.map(|check| (text(&check["subject"]), text(&check["found"]))).collect()
}

#[test]
fn a_hard_link_to_a_file_of_a_lower_layer_has_its_content_as_other_tools_unpack_it() {
    let lab = Lab::new();
    let below = TarBuilder::new().file("a", b"one\n").file("gone", b"x").finish();
    let between = TarBuilder::new().member("b", EntryType::Link, "a", b"").finish();
    let above = TarBuilder::new().member("c", EntryType::Link, "b", b"").file("a", b"two\n");
    image(&lab, &[&below, &between, &above.finish()]);
    lab.tool("umoci", ["unpack", "--rootless", "--image", "layout:t", "bundle"]);
    let mut expectations = String::new();
    for (name, content) in [("a", "two\n"), ("b", "one\n"), ("c", "one\n")] {
        let unpacked = fs::read_to_string(lab.path("bundle/rootfs").join(name)).unwrap();
        assert_eq!(unpacked, content, "{name}");
        let sha256 = crate::forge::hex256(content.as_bytes());
        expectations += &format!(
            "[[file]]\npath = '/{name}'\ntype = 'file'\nsize = 4\ncontent = {content:?}\n\
             sha256 = '{sha256}'\n"
        );
    }
    check(&lab, "e.toml", &expectations, &[]).ok();
    check(&lab, "goss.yaml", "file: { /c: { exists: true, contents: [one] } }\n", &[]).ok();
}

#[test]
fn a_hard_link_to_nothing_is_a_failed_check_that_names_it() {
    let lab = Lab::new();
    let below = TarBuilder::new().file("a", b"x").finish();
    let between = TarBuilder::new().file(".wh.a", b"").finish();
    let above = TarBuilder::new().member("b", EntryType::Link, "a", b"").finish();
    image(&lab, &[&below, &between, &above]);
    let expectations = "[[file]]\npath = '/b'\ncontent = 'x'\n";
    let run = check(&lab, "e.toml", expectations, &["--json"]);
    assert_eq!(run.output.status.code(), Some(1), "{}", run.stderr());
    let verdict = serde_json::from_str(&run.stdout()).unwrap();
    let found = "a hard link to a, which the layers below do not have";
    assert_eq!(mismatches(&verdict, "file /b"), [("content".to_owned(), found.to_owned())]);
}

#[test]
fn a_file_that_is_too_large_does_not_hide_what_else_is_wrong() {
    let lab = Lab::new();
    let layer = TarBuilder::new().file("large", &vec![0; TOO_LARGE]).finish();
    image(&lab, &[&layer]);
    let wrong = "[[file]]\npath = '/large'\nmode = '0777'\nuid = 7\ncontent = 'x'\n";
    let run = check(&lab, "e.toml", wrong, &["--json"]);
    assert_eq!(run.output.status.code(), Some(1), "{}", run.stderr());
    let verdict: Value = serde_json::from_str(&run.stdout()).unwrap();
    let found = [("mode", "\"0644\""), ("user ID", "0")];
    let found = found.map(|(subject, found)| (subject.to_owned(), found.to_owned()));
    assert_eq!(mismatches(&verdict, "file /large"), found);
    assert!(run.stdout().contains("/large: it has 67108865 bytes, and files of up to 64 MiB"));
    // Nothing else is wrong, so that the content decides.
    let right = "[[file]]\npath = '/large'\nmode = '0644'\ncontent = 'x'\n";
    let run = check(&lab, "e.toml", right, &[]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    let advice = "a command in [[run]], such as sha256sum, can check it";
    assert!(run.stdout().replace("\n          ", " ").contains(advice), "{}", run.stdout());
    // There is no [[run]] in such a file.
    let goss = "file: { /large: { exists: true, mode: '0777', contents: ['x'] } }\n";
    let run = check(&lab, "goss.yaml", goss, &[]);
    assert_eq!(run.output.status.code(), Some(1), "{}", run.stderr());
    assert!(!run.stdout().contains("[[run]]"), "{}", run.stdout());
}

#[test]
fn accounts_in_a_file_that_is_too_large_are_an_error_of_the_tests_that_need_them() {
    let lab = Lab::new();
    let layer = TarBuilder::new().file("etc/passwd", &vec![b'\n'; TOO_LARGE]).file("bin", b"x");
    image(&lab, &[&layer.finish()]);
    let bin = "/bin: { exists: true, mode: '0644' }";
    check(&lab, "goss.yaml", &format!("file: {{ {bin} }}\n"), &[]).ok();
    let both = format!("file: {{ {bin} }}\nuser: {{ root: {{ exists: true }} }}\n");
    let run = check(&lab, "goss.yaml", &both, &["--json"]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    let verdict: Value = serde_json::from_str(&run.stdout()).unwrap();
    let outcome = |name: &str| {
        let mut cases = verdict["cases"].as_array().unwrap().iter();
        cases.find(|case| case["name"] == name).unwrap()["outcome"].clone()
    };
    assert_eq!((outcome("file /bin"), outcome("user root")), ("passed".into(), "error".into()));
    check(&lab, "goss.yaml", &both, &["--filter", "file /bin"]).ok();
}

#[test]
fn static_checks_hold_the_content_of_one_file_at_a_time() {
    let lab = Lab::new();
    let (count, content) = (16, vec![b'x'; 32 << 20]);
    let files = (0..count).map(|number| format!("usr/share/doc/p{number}/copyright"));
    let layer = files.fold(TarBuilder::new(), |layer, name| layer.file(&name, &content));
    image(&lab, &[&layer.finish()]);
    lab.file("license.yaml", "schemaVersion: 2.0.0\nlicenseTests: [{ debian: true }]\n");
    let files = (0..count).map(|number| {
        format!("[[file]]\npath = '/usr/share/doc/p{number}/copyright'\ncontent.matches = 'x$'\n")
    });
    lab.file("e.toml", files.collect::<String>());
    // Together, the files have 512 MiB. One of them and its copies take half of the limit; the rest
    // is for the stacks of threads on hosts with many CPUs.
    let limited = "ulimit -v 450000; export MALLOC_ARENA_MAX=1; exec \"$0\" \"$@\"";
    for expectations in ["license.yaml", "e.toml"] {
        let mut command = lab.command("bash");
        command.args(["-c", limited, env!("CARGO_BIN_EXE_seatrial")]);
        Run::of({
            command.args(CHECK).arg(expectations);
            command
        })
        .ok();
    }
}

#[test]
fn only_the_rules_for_a_label_or_variable_that_it_does_not_meet_are_shown() {
    let lab = Lab::new();
    lab.build("name='x'\n[config]\nLabels={ version='1.2' }\nEnv=['VERSION=1.2']\n");
    let rules = "{ contains = '1', not_contains = '2' }";
    let expectations = format!("[image]\nlabels.version = {rules}\n[env]\nhas.VERSION = {rules}\n");
    lab.file("e.toml", expectations);
    let run = lab.seatrial(["check", "out.tar", "--no-vm", "--expect", "e.toml", "--json"]);
    let verdict: Value = serde_json::from_str(&run.stdout()).unwrap();
    let failed = |case: &&Value| case["outcome"] == "failed";
    let failed = verdict["cases"].as_array().unwrap().iter().filter(failed);
    let expected: Vec<&Value> = failed.map(|case| &case["mismatches"][0]["expected"]).collect();
    assert_eq!(expected, ["does not contain \"2\""; 2], "{verdict:#}");
}

#[test]
fn a_filter_keeps_other_static_checks_from_failing_the_run() {
    let lab = Lab::new();
    image(&lab, &[&TarBuilder::new().file("a", b"x").finish()]);
    let expectations = "[image]\nshares_layers = { with = 'missing.tar' }\n[[file]]\npath = '/a'\n";
    let run = check(&lab, "e.toml", expectations, &[]);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    check(&lab, "e.toml", expectations, &["--filter", "file /a"]).ok();
}

#[test]
fn included_goss_files_replace_tests_of_the_files_that_include_them() {
    let lab = Lab::new();
    let layer = TarBuilder::new().file("a", b"one\n").file("b", b"two\n").finish();
    image(&lab, &[&layer]);
    // goss, `store.go`: the key decides which test is replaced.
    lab.file("more/one.yaml", "file: { /a: { exists: true, contents: [one] } }\n");
    lab.file("more/two.yaml", "gossfile: { ../three.yaml: {} }\n");
    lab.file("three.yaml", "file: { of b: { path: /b, exists: true, contents: [two] } }\n");
    lab.file("wrong.yaml", "file: { /a: { exists: false } }\n");
    let goss = "file: { /a: { exists: false }, of b: { path: /gone, exists: true } }\n\
                gossfile: { all: { file: 'more/*.yaml' }, wrong.yaml: { skip: true } }\n";
    let run = check(&lab, "goss.yaml", goss, &["--json"]);
    assert_eq!(run.output.status.code(), Some(0), "{}{}", run.stdout(), run.stderr());
    let verdict: Value = serde_json::from_str(&run.stdout()).unwrap();
    let names = verdict["cases"].as_array().unwrap().iter().map(|case| &case["name"]);
    let names: Vec<&str> = names.filter_map(|name| name.as_str()).collect();
    let files: Vec<&str> = names.into_iter().filter(|name| name.starts_with("file")).collect();
    assert_eq!(files, ["file /a", "file /b"]);
    // A service sees the same.
    let service = "[[service]]\nname='x'\nready={}\ngoss='goss.yaml'\n";
    let run = check(&lab, "e.toml", service, &["--filter", "service x: file /b"]);
    assert_eq!(run.output.status.code(), Some(0), "{}{}", run.stdout(), run.stderr());
    assert!(run.stdout().contains("service x: file /b"), "{}", run.stdout());
}

#[test]
fn a_failed_goss_test_shows_its_rule_in_words() {
    let lab = Lab::new();
    image(&lab, &[&TarBuilder::new().file("a", b"one\n").finish()]);
    let goss = "file: { /a: { exists: true, contents: [Welcome], size: { gt: 9 } } }\n";
    let run = check(&lab, "goss.yaml", goss, &["--json"]);
    let verdict: Value = serde_json::from_str(&run.stdout()).unwrap();
    let mut cases = verdict["cases"].as_array().unwrap().iter();
    let case = cases.find(|case| case["name"] == "file /a").unwrap();
    let expected = |index: usize| case["mismatches"][index]["expected"].as_str().unwrap();
    assert_eq!((expected(0), expected(1)), ("more than 9", "contains \"Welcome\""));
}

/// Each is a skipped test case on engines that cannot check it.
#[test]
fn parts_of_a_service_can_be_selected_as_reports_name_them() {
    let lab = Lab::new();
    lab.build("name='x'\n");
    let services = "[[service]]\nname='x'\nready={}\nstop={ signal='SIGUSR1' }\n\
                    [[service]]\nname='y'\nready={}\n";
    lab.file("e.toml", services);
    let check = ["check", "out.tar", "--no-vm", "--expect", "e.toml", "--filter"];
    let filtered = |filter| lab.seatrial(check.iter().chain([&filter]));
    let part = filtered("service x: stop").ok();
    assert!(part.contains("service x") && !part.contains("service y"), "{part}");
    let message = filtered("service y: stop").rejected(&lab, "nothing");
    assert!(message.ends_with("service x, service y, service x: stop\n"), "{message}");
}
