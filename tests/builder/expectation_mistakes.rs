//! Mistakes in files with expectations: each error names the key, and what to write instead.

use crate::lab::Lab;

/// Checks an image with the expectations `text` in a file called `name`, which must be rejected,
/// and returns the message.
fn rejected(lab: &Lab, name: &str, text: &str) -> String {
    lab.file(name, text);
    let arguments = ["check", "out.tar", "--no-vm", "--expect", name];
    lab.seatrial(arguments).rejected(lab, "nothing")
}

fn lab() -> Lab {
    let lab = Lab::new();
    lab.build("name='x'\n");
    lab
}

// https://github.com/GoogleContainerTools/container-structure-test, README, "Metadata Test" and
// "Command Tests".
#[test]
fn all_keys_of_a_container_structure_test_are_listed() {
    let lab = lab();
    let test = |text: &str| rejected(&lab, "t.yaml", &format!("schemaVersion: 2.0.0\n{text}\n"));
    let message = test("metadataTest: { nosuchkey: 1 }");
    for key in [
        "envVars",
        "unboundEnvVars",
        "exposedPorts",
        "unexposedPorts",
        "entrypoint",
        "cmd",
        "workdir",
        "volumes",
        "unmountedVolumes",
        "labels",
        "user",
    ] {
        assert!(message.contains(key), "{key}: {message}");
    }
    let message = test("commandTests: [{ name: a, command: b, nosuchkey: 1 }]");
    for key in ["expectedOutput", "excludedOutput", "expectedError", "exitCode", "envVars", "args"]
    {
        assert!(message.contains(key), "{key}: {message}");
    }
}

#[test]
fn regular_expressions_and_contradictions_of_a_container_structure_test_are_explained_once() {
    let lab = lab();
    let test = |text: &str| rejected(&lab, "t.yaml", &format!("schemaVersion: 2.0.0\n{text}\n"));
    for (pattern, problem) in [("(", "unclosed group"), ("a**", "Go does not nest repetitions")] {
        let message = test(&format!(
            "fileContentTests: [{{ name: x, path: /x, expectedContents: ['{pattern}'] }}]"
        ));
        let expected = format!("invalid regular expression \"{pattern}\": {problem}\n");
        assert_eq!(message, format!("seatrial: t.yaml: file content test \"x\": {expected}"));
    }
    for key in ["envVars", "labels"] {
        let message = test(&format!(
            "metadataTest: {{ {key}: [{{ key: V, value: 1 }}, {{ key: V, value: 2 }}] }}"
        ));
        let expected = format!("t.yaml: {key}: \"V\" cannot be both \"1\" and \"2\"\n");
        assert!(message.ends_with(&expected), "{message}");
    }
}

#[test]
fn certificates_that_have_no_end_or_do_not_belong_together_are_mistakes() {
    let lab = lab();
    let pairs = [1, 2].map(|_| rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap());
    for (number, pair) in pairs.iter().enumerate() {
        lab.file(format!("{number}.pem"), pair.cert.pem());
        lab.file(format!("{number}.key"), pair.signing_key.serialize_pem());
    }
    lab.tool("mkfifo", ["pipe"]);
    let test = |tls: &str| {
        let text = format!("[[service]]\nname='x'\nready.http={{ port=1, tls={{ {tls} }} }}\n");
        lab.file("e.toml", text);
        lab.seatrial(["check", "out.tar", "--no-vm", "--expect", "e.toml"])
    };
    test("certificate='0.pem', key='0.key', ca='1.pem'").ok();
    for (tls, problem) in [
        ("certificate='0.pem', key='1.key', verify=false", "1.key: they do not belong together"),
        ("certificate='pipe', key='0.key', verify=false", "pipe: it is a pipe, not a regular file"),
        ("certificate='0.pem', key='pipe', verify=false", "pipe: it is a pipe, not a regular file"),
        (
            "certificate='/dev/zero', key='0.key', verify=false",
            "it is a device, not a regular file",
        ),
        ("ca='/dev/zero'", "/dev/zero: it is a device, not a regular file"),
    ] {
        let message = test(tls).rejected(&lab, "nothing");
        assert!(message.contains(problem), "{message}");
    }
}

#[test]
fn a_misspelt_table_of_a_goss_file_is_named() {
    let lab = lab();
    let message = rejected(&lab, "g.yaml", "fil: { /etc/passwd: { exists: true } }\n");
    assert!(message.contains("unknown key \"fil\""), "{message}");
    assert!(message.ends_with("; or \"file\", for a goss file\n"), "{message}");
    let message = rejected(&lab, "g.yaml", "schemaVersion: 2.0.0\nmetadataTest: { fil: 1 }\n");
    assert!(!message.contains("goss"), "{message}");
}

#[test]
fn a_value_that_does_not_fit_is_an_error_that_names_the_key_and_shows_what_to_write() {
    let lab = lab();
    let run = "[[run]]\nname='x'\n";
    let service = "[[service]]\nname='x'\n";
    for (text, expected) in [
        (
            format!("{run}container.command='/bin/app -x'\n"),
            "e.toml:3: container.command: found the string \"/bin/app -x\", expected a list; \
             write [\"/bin/app\", \"-x\"]",
        ),
        (
            format!("{run}container={{ command='a | b' }}\n"),
            "e.toml:3: command: found the string \"a | b\", expected a list; \
             write [\"/bin/sh\", \"-c\", \"a | b\"]",
        ),
        (
            "[image]\nexposed_ports={ absent=['443/tpc'] }\n".to_owned(),
            "e.toml:2: invalid port \"443/tpc\"; write a number or a range",
        ),
        (
            "[image]\nexposed_ports={ has=['80/tcp', 'https'] }\n".to_owned(),
            "e.toml:2: invalid port \"https\"; write a number or a range",
        ),
        (
            format!("{service}ready={{ port=80000 }}\n"),
            "invalid port 80000; expected 1 to 65535, or text such as \"53/udp\"",
        ),
        (
            format!("{run}container.command='{}'\n", "word ".repeat(12).trim()),
            &format!("write [{}]\n", ["\"word\""; 12].join(", ")),
        ),
        (
            format!("{service}ready.exec='pg_isready -U x'\n"),
            "e.toml:3: ready.exec: found the string \"pg_isready -U x\", expected a list of \
             strings; write [\"pg_isready\", \"-U\", \"x\"]\n",
        ),
        (
            format!("{service}ready={{ exec='pg_isready -U x' }}\n"),
            "expected a list of strings; write [\"pg_isready\", \"-U\", \"x\"]\n",
        ),
        (
            format!("{service}[service.ready]\nexec='pg_isready -U x'\n"),
            "expected a list of strings; write [\"pg_isready\", \"-U\", \"x\"]\n",
        ),
        (
            r#"{"service": [{"name": "x", "ready": {"exec": "pg_isready -U x"}}]}"#.to_owned(),
            "exec: found the string \"pg_isready -U x\", expected a list of strings; \
             write [\"pg_isready\", \"-U\", \"x\"]\n",
        ),
        (
            format!("{service}ready={{}}\nexec='pg_isready'\n"),
            "expected a list of tables; write [{ command = [\"pg_isready\"] }]\n",
        ),
        (
            format!("{service}ready={{}}\n[service.exec]\ncommand=['pg_isready']\n"),
            "found a table, expected a list of tables; in TOML, a list of tables is written \
             [[KEY]]",
        ),
        (
            "[image]\ncmd='FOO=1 app'\n".to_owned(),
            "cmd: found the string \"FOO=1 app\", expected a list; \
             write [\"/bin/sh\", \"-c\", \"FOO=1 app\"]\n",
        ),
        (
            format!("{run}stdout={{ matches='.*' }}\n"),
            "e.toml:3: every text matches /.*/; write a stricter pattern, or \"^\" for any value\n",
        ),
        (
            format!("{run}stdout={{ matches='(' }}\n"),
            "e.toml:3: invalid regular expression \"(\": unclosed group\n",
        ),
        (
            "[[file]]\npath='/x'\ntype='dir'\n".to_owned(),
            "e.toml:3: type: unknown value \"dir\"; did you mean \"directory\"?",
        ),
        (
            "[[file]]\npath='/x'\nhas={ A='1' }\n".to_owned(),
            "e.toml:3: unknown key \"has\"; it is a key of [env]: write it below that header",
        ),
    ] {
        let message = rejected(&lab, "e.toml", &text);
        assert!(message.contains(expected), "{message}");
    }
    let yaml = "schemaVersion: 2.0.0\nmetadataTest: { unexposedPorts: ['443/tpc'] }\n";
    let message = rejected(&lab, "t.yaml", yaml);
    assert!(message.contains("t.yaml: invalid port \"443/tpc\""), "{message}");
    let yaml = "schemaVersion: 2.0.0\ncommandTests:\n- name: a\n  command: b\n  args: c\n";
    let message = rejected(&lab, "t.yaml", yaml);
    assert!(message.contains("t.yaml:5: args: expected a list"), "{message}");
}

#[test]
fn a_mistake_in_a_goss_file_of_a_service_names_both_files() {
    let lab = lab();
    lab.file("goss.yaml", "file: { /x: { exist: true } }\n");
    lab.file("other.yaml", "a: b\n");
    lab.file("broken.yaml", "file:\n  /x: [\n");
    lab.file("http.yaml", "http: { 'http://localhost/': { status: 200 } }\n");
    for (keys, problem) in [
        ("goss='gone.yaml'", "service \"x\": failed to read gone.yaml: No such file"),
        ("goss='goss.yaml'", "service \"x\": goss.yaml:1: unknown key \"exist\""),
        ("goss='other.yaml'", "service \"x\": other.yaml: it is not a goss file"),
        ("goss='e.toml'", "service \"x\": e.toml: it is not a goss file"),
        ("goss='broken.yaml'", "service \"x\": broken.yaml:"),
        (
            "goss='http.yaml'\ncontainer.network=false",
            "service \"x\" has no network, so the http tests of its goss file cannot reach it",
        ),
    ] {
        let text = format!("[[service]]\nname='x'\nready={{}}\n{keys}\n");
        let message = rejected(&lab, "e.toml", &text);
        assert!(message.contains(&format!("e.toml: {problem}")), "{message}");
    }
}

#[test]
fn goss_files_that_include_each_other_without_end_are_mistakes() {
    let lab = lab();
    lab.file("b.yaml", "gossfile: { g.yaml: {} }\n");
    let message = rejected(&lab, "g.yaml", "gossfile: { b.yaml: {} }\n");
    assert!(message.contains("b.yaml: goss files include each other: g.yaml"), "{message}");
    for number in 0..60 {
        let next = format!("gossfile: {{ c{}.yaml: {{}} }}\n", number + 1);
        lab.file(format!("c{number}.yaml"), next);
    }
    let message = rejected(&lab, "g.yaml", "gossfile: { c0.yaml: {} }\n");
    assert!(message.contains("more than 49 goss files include each other in turn"), "{message}");
    let includes = (0..501).map(|number| format!("./{}d.yaml: {{}}", "./".repeat(number)));
    let includes = includes.collect::<Vec<String>>().join(", ");
    lab.file("d.yaml", "file: { /x: { exists: true } }\n");
    let message = rejected(&lab, "g.yaml", &format!("gossfile: {{ {includes} }}\n"));
    assert!(message.contains("more than 500 goss files are included"), "{message}");
}

/// Docker refuses such an image, but it can be built and read.
#[test]
fn a_draft_of_an_image_with_an_invalid_port_holds() {
    let lab = Lab::new();
    lab.build("name='x'\n[config]\nExposedPorts={ \"99999/tcp\"={} }\n");
    let draft = lab.seatrial(["expect", "out.tar"]).ok();
    assert!(draft.contains("\"99999/tcp\""), "{draft}");
    lab.file("e.toml", &draft);
    lab.seatrial(["check", "out.tar", "--no-vm", "--expect", "e.toml"]).ok();
}

#[test]
fn contradicting_values_of_a_variable_that_seems_to_be_a_secret_are_not_printed() {
    let lab = lab();
    let message = |key: &str| {
        let yaml = format!(
            "schemaVersion: 2.0.0\nmetadataTest: {{ envVars: [{{ key: {key}, value: one1 }}, \
             {{ key: {key}, value: two2 }}] }}\n"
        );
        rejected(&lab, "t.yaml", &yaml)
    };
    let expected = "envVars: \"DB_PASSWORD\" cannot have two values\n";
    assert!(message("DB_PASSWORD").ends_with(expected), "{}", message("DB_PASSWORD"));
    let expected = "envVars: \"MODE\" cannot be both \"one1\" and \"two2\"\n";
    assert!(message("MODE").ends_with(expected), "{}", message("MODE"));
}
