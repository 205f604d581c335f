//! container-structure-test files: verdicts as that program gives them, according to its README and
//! the sources of its Docker driver.

use std::process::Command;

use serde_json::Value;

use crate::each_engine::on_each_engine;
use crate::sample_image::{SampleImage, outcomes};
use crate::workbench::run;

/// Runs `seatrial check` on `app.tar` with the tests `yaml`, without the line with the version.
fn check(sample: &SampleImage, yaml: &str, arguments: &[&str]) -> (Option<i32>, Value, String) {
    std::fs::write(sample.path("t.yaml"), format!("schemaVersion: 2.0.0\n{yaml}")).unwrap();
    let command = ["check", "app.tar", "--expect", "t.yaml", "--json"];
    let output = sample.seatrial(&[&command, arguments].concat());
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), errors)
}

/// Tests of metadata and files, and whether the sample image passes them.
const STATIC: &[(&str, bool)] = &[
    ("metadataTest: { envVars: [{ key: VERSION, value: 1.2.3 }] }", true),
    ("metadataTest: { envVars: [{ key: VERSION, value: 1.2 }] }", false),
    ("metadataTest: { envVars: [{ key: VERSION, value: '2\\.\\d', isRegex: true }] }", true),
    ("metadataTest: { envVars: [{ key: VERSION, value: '^2', isRegex: true }] }", false),
    // All of several rules for one name count.
    (
        "metadataTest: { envVars: [{ key: PATH, value: /nowhere, isRegex: true },
            { key: PATH, value: /bin, isRegex: true }] }",
        false,
    ),
    (
        "metadataTest: { labels: [{ key: team, value: crew },
            { key: team, value: d, isRegex: true }] }",
        false,
    ),
    (
        "metadataTest: { labels: [{ key: team, value: deck },
            { key: team, value: d, isRegex: true }, { key: team, value: k$, isRegex: true }] }",
        true,
    ),
    ("metadataTest: { unboundEnvVars: [{ key: DEBUG }] }", true),
    ("metadataTest: { unboundEnvVars: [{ key: PATH }] }", false),
    ("metadataTest: { labels: [{ key: team, value: deck }] }", true),
    ("metadataTest: { labels: [{ key: team, value: d, isRegex: true }] }", true),
    ("metadataTest: { labels: [{ key: crew, value: deck }] }", false),
    ("metadataTest: { exposedPorts: ['80'], unexposedPorts: ['443'] }", true),
    ("metadataTest: { exposedPorts: ['443'] }", false),
    ("metadataTest: { unexposedPorts: ['80'] }", false),
    ("metadataTest: { volumes: [/data], unmountedVolumes: [/srv] }", true),
    ("metadataTest: { volumes: [/srv] }", false),
    ("metadataTest: { cmd: [echo] }", false),
    ("metadataTest: { cmd: [] }", false),
    ("metadataTest: { workdir: / }", false),
    ("metadataTest: { unmountedVolumes: [/data] }", false),
    ("metadataTest: { entrypoint: [/bin/sh, -c], cmd: [echo hello] }", true),
    // A list that is absent is not checked, an empty list must be empty.
    ("metadataTest: { workdir: /www, user: '7:8' }", true),
    ("metadataTest: { entrypoint: [] }", false),
    ("metadataTest: { user: root }", false),
    ("fileExistenceTests: [{ name: a, path: /bin/busybox, permissions: -rwxr-xr-x }]", true),
    ("fileExistenceTests: [{ name: a, path: /bin/busybox, permissions: -rwxr-x--- }]", false),
    ("fileExistenceTests: [{ name: a, path: /bin/sh, permissions: Lrwxrwxrwx }]", true),
    ("fileExistenceTests: [{ name: a, path: /www, permissions: drwxr-xr-x, uid: 0 }]", true),
    ("fileExistenceTests: [{ name: a, path: /www, gid: 7 }]", false),
    ("fileExistenceTests: [{ name: a, path: /www, uid: 7 }]", false),
    ("fileExistenceTests: [{ name: a, path: /www, uid: -1 }]", true),
    ("fileExistenceTests: [{ name: a, path: /nothing }]", false),
    ("fileExistenceTests: [{ name: a, path: /nothing, shouldExist: false }]", true),
    ("fileExistenceTests: [{ name: a, path: /www, shouldExist: false }]", false),
    ("fileExistenceTests: [{ name: a, path: /bin/busybox, isExecutableBy: other }]", true),
    ("fileExistenceTests: [{ name: a, path: /www/index.html, isExecutableBy: any }]", false),
    ("fileExistenceTests: [{ name: a, path: /bin/busybox, isExecutableBy: owner }]", true),
    ("fileExistenceTests: [{ name: a, path: /www/index.html, isExecutableBy: owner }]", false),
    ("fileExistenceTests: [{ name: a, path: /bin/busybox, isExecutableBy: group }]", true),
    ("fileExistenceTests: [{ name: a, path: /www/index.html, isExecutableBy: group }]", false),
    ("fileExistenceTests: [{ name: a, path: '$PATH/busybox' }]", true),
    ("fileExistenceTests: [{ name: a, path: '${NOTHING}/bin' }]", true),
    // Regular expressions match anywhere.
    ("fileContentTests: [{ name: a, path: /www/index.html, expectedContents: [a.o] }]", true),
    ("fileContentTests: [{ name: a, path: /www/index.html, expectedContents: ['^a'] }]", false),
    ("fileContentTests: [{ name: a, path: /www/index.html, excludedContents: [ahoy] }]", false),
    ("fileContentTests: [{ name: a, path: /bin/sh, expectedContents: [ELF] }]", true),
    ("fileContentTests: [{ name: a, path: /nothing, excludedContents: [x] }]", false),
    // Go's syntax of regular expressions.
    ("fileContentTests: [{ name: a, path: /www/index.html, excludedContents: ['{\"a\"}'] }]", true),
    (
        "fileContentTests: [{ name: a, path: /www/index.html, expectedContents: ['\\<h1\\>'] }]",
        true,
    ),
    ("fileContentTests: [{ name: a, path: /www/index.html, expectedContents: ['[[<]h'] }]", true),
    // A file must be read even if nothing is expected of its content.
    ("fileContentTests: [{ name: a, path: /www }]", false),
    // Variables are replaced in paths of existence tests only; global ones count, too.
    ("fileContentTests: [{ name: a, path: '/www/${NOTHING}index.html' }]", false),
    (
        "globalEnvVars: [{ key: D, value: '${VERSION}' }, { key: W, value: /www }]\n\
         fileExistenceTests: [{ name: a, path: $W/index.html }, { name: b, path: /$D, \
         shouldExist: false }]",
        true,
    ),
    ("fileExistenceTests: [{ name: a, path: /, permissions: drwxr-xr-x, uid: 0 }]", true),
    ("fileExistenceTests: [{ name: a, path: /bin/../www/./index.html }]", true),
    ("fileExistenceTests: [{ name: a, path: /bin/../index.html }]", false),
    // Paths are relative to /, and ~ is a name. Docker's API finds no file with a slash.
    ("fileExistenceTests: [{ name: a, path: bin/busybox }]", true),
    ("fileExistenceTests: [{ name: a, path: bin/busybox, shouldExist: false }]", false),
    ("fileExistenceTests: [{ name: a, path: ~/busybox, shouldExist: false }]", true),
    ("fileExistenceTests: [{ name: a, path: /www/ }]", true),
    ("fileExistenceTests: [{ name: a, path: /www/index.html/ }]", false),
    ("fileContentTests: [{ name: a, path: www/index.html, expectedContents: [ahoy] }]", true),
    ("metadataTest: { unmountedVolumes: [data] }", true),
    ("metadataTest: { unboundEnvVars: [{ key: A=B }] }", true),
    // As in YAML 1.1: a key without a value is absent, and scalars are strings where those belong.
    ("commandTests:\nfileExistenceTests: [{ name: a, path: /www, permissions: , uid: }]", true),
    ("metadataTest: { exposedPorts: [80], envVars: [{ key: VERSION, value: 1.2.3 }] }", true),
    ("fileExistenceTests: [{ name: 5, path: /nothing, shouldExist: no }]", true),
    (
        "fileExistenceTests:\n- &a { name: a, path: /www }\n- { <<: *a, name: b, \
         permissions: drwxr-xr-x }",
        true,
    ),
    ("licenseTests: [{ debian: false, files: [/www/index.html] }]", true),
    ("licenseTests: [{ debian: false, files: [/nothing] }]", false),
    ("licenseTests: [{ debian: true }]", false),
];

#[test]
fn a_structure_test_of_metadata_or_files_has_the_same_result_as_in_its_own_program() {
    let sample = SampleImage::new();
    for (yaml, passes) in STATIC {
        let (code, verdict, errors) = check(&sample, yaml, &["--no-vm"]);
        let expected = if *passes { 0 } else { 1 };
        assert_eq!(code, Some(expected), "{yaml}\n{errors}{verdict:#}");
    }
}

#[test]
fn license_tests_read_the_copyright_files_of_debian_packages() {
    let sample = SampleImage::new();
    let write = |path: &str, text: &str| {
        let path = sample.path("rootfs/usr/share/doc").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("a/copyright", "MIT");
    write("libgnutls30/copyright", "not the AGPL");
    write("README", "AGPL");
    std::os::unix::fs::symlink("a", sample.path("rootfs/usr/share/doc/b")).unwrap();
    let result = |sample: &SampleImage| {
        sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
        check(sample, "licenseTests: [{ debian: true }]", &["--no-vm"])
    };
    assert_eq!(result(&sample).0, Some(0));
    write("c/copyright", "the agpl");
    let (code, verdict, _) = result(&sample);
    assert_eq!(code, Some(1), "{verdict:#}");
    assert!(verdict.to_string().contains("/usr/share/doc/c/copyright"), "{verdict:#}");
}

#[test]
fn mistakes_in_structure_tests_are_bad_input_that_names_them() {
    let sample = SampleImage::new();
    for (yaml, problem) in [
        ("", "t.yaml: the file has no tests"),
        (
            "commandTest: []",
            "t.yaml:2: unknown key \"commandTest\"; did you mean \"commandTests\"?",
        ),
        ("fileExistenceTests: [{ name: a, path: /a, permissions: '0644' }]", "invalid permissions"),
        (
            "fileExistenceTests: [{ name: a, path: /a, isExecutableBy: me }]",
            "expected owner, group",
        ),
        ("commandTests: [{ name: a, command: b, expectedOutput: ['('] }]", "regular expression"),
        (
            "commandTests: [{ name: a, command: b, expectedOutput: [\\u0041] }]",
            "Go has no escape sequence \\u",
        ),
        (
            "commandTests: [{ name: a, command: b, expectedOutput: x }]",
            "t.yaml:2: expectedOutput: expected a list",
        ),
        ("commandTests: [{ name: a, command: b, setup: [[]] }]", "setup or teardown is empty"),
        (
            "commandTests: [{ name: a, command: b, envVars: [{ key: A, value: '' }] }]",
            "needs a key and a value",
        ),
        ("fileExistenceTests: [{ name: '', path: /a }]", "it needs a name and a path"),
        ("metadataTest: { volumes: [''] }", "volumes has an empty path"),
        ("tests: []", "unknown key \"tests\"; valid keys: schemaVersion, globalEnvVars"),
        (
            "commandTests: [{ name: a, command: b }]\ncontainerRunOptions: { bindMounts: [a:/b] }",
            "\"a:/b\" names a volume of Docker; write ./a for a folder beside this file",
        ),
        (
            "commandTests: [{ name: a, command: b }]\ncontainerRunOptions: { bindMounts: [/a] }",
            "expected HOST_PATH:CONTAINER_PATH",
        ),
        (
            "commandTests: [{ name: a, command: b }]\n\
             containerRunOptions: { bindMounts: ['./t.yaml:/b:rx'] }",
            "unknown option \"rx\"",
        ),
        (
            "commandTests: [{ name: a, command: b }]\n\
             containerRunOptions: { bindMounts: [./a:/b] }",
            "failed to mount ./a: No such file",
        ),
    ] {
        let (code, _, errors) = check(&sample, yaml, &["--no-vm"]);
        assert_eq!(code, Some(2), "{yaml}\n{errors}");
        assert!(errors.contains(problem), "{yaml}\n{errors}");
    }
    std::fs::write(sample.path("t.json"), r#"{"schemaVersion": "1.0.0"}"#).unwrap();
    let output = sample.seatrial(&["check", "app.tar", "--expect", "t.json", "--no-vm"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("unsupported schemaVersion \"1.0.0\""), "{errors}");
}

/// Tests of commands, and whether they pass. Each command runs with the image's `/bin/busybox`.
const COMMANDS: &str = r#"
globalEnvVars: [{ key: MORE, value: "${VERSION}+" }, { key: LESS, value: less }]
containerRunOptions:
  user: "0"
  capabilities: [NET_ADMIN]
  bindMounts: ["./mounted:/mnt/m", "./t.yaml:/mnt/t:ro"]
  envFile: variables
  envVars: [FROM_HOST, NOT_ON_HOST]
metadataTest: { unboundEnvVars: [{ key: HOME }] }
commandTests:
- name: passes
  command: echo
  args: [a, $MORE]
  expectedOutput: ["a 1.2.3\\+", "^a"]
  excludedError: ["."]
- { name: fails by output, command: echo, args: [a], excludedOutput: [a] }
- { name: fails by error, command: sh, args: [-c, "echo x >&2"], expectedError: ["^y"] }
- { name: passes by exit code, command: sh, args: [-c, exit 3], exitCode: 3 }
- { name: fails by exit code, command: sh, args: [-c, exit 3] }
- name: passes with setup
  setup: [[sh, -c, "echo one >/one; exit 7"], [sh, -c, "cat /one >/two"]]
  teardown: [[sh, -c, "exit 1"]]
  envVars: [{ key: LESS, value: own }]
  command: sh
  args:
  - -c
  - >
    cat /two; echo $LESS; id -u; [ -t 1 ] || echo no terminal;
    busybox env | busybox grep -E '^(FROM|NOT)_' | busybox sort
  expectedOutput: ["^one\nown\n0\nno terminal\nFROM_FILE=a b\nFROM_HOST=deck\n$"]
- { name: fails without setup, command: cat, args: [/one] }
- name: passes because variables of a test are replaced after a setup only
  envVars: [{ key: OWN, value: "own $VERSION" }]
  command: sh
  args: [-c, "echo [$OWN] $$"]
  expectedOutput: ["^\\[\\]\n$"]
- name: passes with a variable of the test
  envVars: [{ key: OWN, value: "own $VERSION" }]
  setup: [[sh, -c, "exit 0"]]
  command: echo
  args: [$OWN]
  expectedOutput: ["^own 1.2.3\n$"]
- name: passes with a capability
  command: busybox
  args: [grep, -E, "^CapEff:\t[0-9a-f]{12}[13579bdf][0-9a-f]{3}", /proc/self/status]
- name: passes with mounts
  setup: [[sh, -c, "echo new >/mnt/m/new"]]
  command: sh
  args: [-c, "cat /mnt/m/old /mnt/m/new; echo x >/mnt/t"]
  exitCode: 1
  expectedOutput: ["^old\nnew\n$"]
  expectedError: [Read-only file system]
"#;

/// The same command without the capability.
const DEFAULT_CAPABILITIES: &str = r#"
schemaVersion: 2.0.0
containerRunOptions: { user: "0" }
commandTests:
- name: fails without the capability
  command: busybox
  args: [grep, -E, "^CapEff:\t[0-9a-f]{12}[13579bdf][0-9a-f]{3}", /proc/self/status]
"#;

/// Options that change the output of all commands. Bit 12 of the capabilities is CAP_NET_ADMIN,
/// bit 21 CAP_SYS_ADMIN; the first 36 are in all kernels and engines.
const PRIVILEGED: &str = r#"
schemaVersion: 2.0.0
containerRunOptions: { user: "0", privileged: true, allocateTty: true }
commandTests:
- name: passes with a terminal and all capabilities
  command: sh
  args: [-c, "id -u; [ -t 1 ] && echo a terminal >&2; busybox grep CapEff /proc/self/status"]
  expectedOutput: ["(?s)^0\r?\na terminal\r?\n.*\t00000[01][0-9a-f]fffffffff"]
  excludedError: [.]
"#;

#[test]
fn structure_tests_of_commands_have_the_results_of_their_own_program_on_each_engine() {
    on_each_engine(&["docker-20.10"], has_the_results_of_their_own_program);
}

fn has_the_results_of_their_own_program(engine: &str) {
    let sample = SampleImage::new();
    std::fs::create_dir(sample.path("mounted")).unwrap();
    std::fs::write(sample.path("mounted/old"), "old\n").unwrap();
    let tests = format!("schemaVersion: 2.0.0\n{COMMANDS}");
    for (name, text) in [
        ("variables", "FROM_FILE=a b\n"),
        ("t.yaml", &tests),
        ("privileged.yaml", PRIVILEGED),
        ("default.yaml", DEFAULT_CAPABILITIES),
    ] {
        std::fs::write(sample.path(name), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    command.args(["check", "app.tar", "--expect", "t.yaml", "--expect", "privileged.yaml"]);
    command.args(["--expect", "default.yaml", "--json", "--engine", engine]);
    command.current_dir(sample.0.path());
    let output = run(command.env("FROM_HOST", "deck").env_remove("NOT_ON_HOST"));
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!sample.path("mounted/new").exists(), "the host's folder has changed");
    assert_eq!(output.status.code(), Some(1), "{verdict:#}");
    let outcomes = outcomes(&verdict);
    let commands: Vec<_> = outcomes
        .iter()
        .filter_map(|(name, outcome)| Some((name.strip_prefix("run ")?, outcome)))
        .collect();
    assert_eq!(commands.len(), 13, "{verdict:#}");
    // Engines set HOME.
    assert!(outcomes.contains(&("environment of a container", "passed")), "{verdict:#}");
    for (name, outcome) in commands {
        let expected = if name.starts_with("passes") { "passed" } else { "failed" };
        assert_eq!(*outcome, expected, "{name}: {verdict:#}");
    }
}
