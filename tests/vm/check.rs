//! `seatrial check` by the archive alone: what is as expected passes, what is not fails and shows both sides.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::desk::Desk;

/// Every kind that an archive tells: what is right, what is wrong, and what is said of that.
const STATIC: &[(&str, &str, &str)] = &[
    (
        "[image]\nreference='desk/app:1.0'",
        "[image]\nreference='a:1'",
        "config: reference: expected a:1, found desk/app:1.0",
    ),
    ("[image]\ntag='1.0'", "[image]\ntag='2'", "config: tag: expected 2, found 1.0"),
    (
        "[image]\narchitecture='amd64'",
        "[image]\narchitecture='arm64'",
        r#"config: architecture: expected "arm64", found "amd64""#,
    ),
    (
        "[image]\nos='linux'",
        "[image]\nos='windows'",
        r#"config: os: expected "windows", found "linux""#,
    ),
    (
        "[image]\nuser='7:8'",
        "[image]\nuser='root'",
        r#"config: user: expected "root", found "7:8""#,
    ),
    (
        "[image]\nworking_dir='/www'",
        "[image]\nworking_dir='/'",
        r#"config: working directory: expected "/", found "/www""#,
    ),
    (
        "[image]\nstop_signal='SIGTERM'",
        "[image]\nstop_signal='SIGINT'",
        r#"config: stop signal: expected "SIGINT", found "SIGTERM""#,
    ),
    (
        "[image]\ncreated='1970-01-01T00:00:01Z'",
        "[image]\ncreated='now'",
        r#"config: created: expected "now", found "1970-01-01T00:00:01Z""#,
    ),
    (
        "[image]\nentrypoint=['/bin/sh', '-c']",
        "[image]\nentrypoint=[]",
        r#"config: entrypoint: expected [], found ["/bin/sh", "-c"]"#,
    ),
    (
        "[image]\ncmd=['echo hello']",
        "[image]\ncmd=['x']",
        r#"config: command: expected ["x"], found ["echo hello"]"#,
    ),
    (
        "[image]\nshell=['/bin/sh']",
        "[image]\nshell=['x']",
        r#"config: shell: expected ["x"], found ["/bin/sh"]"#,
    ),
    (
        "[image]\nexposed_ports=['80/tcp']",
        "[image]\nexposed_ports=['8/udp']",
        r#"config: exposed ports: expected ["8/udp"], found ["80/tcp"]"#,
    ),
    (
        "[image]\nvolumes=['/data']",
        "[image]\nvolumes=[]",
        r#"config: volumes: expected [], found ["/data"]"#,
    ),
    (
        "[image.labels]\nteam='deck'",
        "[image.labels]\nteam='x'",
        r#"config: label team: expected "x", found "deck""#,
    ),
    (
        "[image]\nhealthcheck={ Test = ['CMD', '/bin/true'] }",
        "[image]\nhealthcheck={ Test = ['NONE'] }",
        "config: healthcheck: ",
    ),
    ("[image]\nlayers=1", "[image]\nlayers=2", "config: number of layers: expected 2, found 1"),
    (
        "[image]\nmax_layers=1",
        "[image]\nmax_layers=0",
        "config: number of layers: expected 0 at most, found 1",
    ),
    (
        "[image]\nmax_size=9000000",
        "[image]\nmax_size=10",
        "config: size of all layers: expected 10 bytes at most, found ",
    ),
    (
        "[image]\nshares_layers={ with = 'app.tar' }",
        "[image]\nshares_layers={ with = 'app.tar', at_least = 2 }",
        "config: layers in common with app.tar: expected 2 at least, found 1",
    ),
    (
        "[env]\nhas={ PATH = '/bin' }",
        "[env]\nhas={ PATH = '/sbin' }",
        r#"environment of the config: PATH: expected "/sbin", found "/bin""#,
    ),
    (
        "[env]\nabsent=['DEBUG']",
        "[env]\nabsent=['PATH']",
        r#"environment of the config: PATH: expected nothing, found "/bin""#,
    ),
    (
        "[env]\nmatches={ VERSION = '^1\\.' }",
        "[env]\nmatches={ VERSION = '^2' }",
        "environment of the config: VERSION: expected matches /^2/",
    ),
    (
        "[env]\nexactly={ PATH = '/bin', VERSION = '1.2.3' }",
        "[env]\nexactly={ PATH = '/bin' }",
        "environment of the config: all of it: ",
    ),
    (
        "[[file]]\npath='/bin/sh'",
        "[[file]]\npath='/bin/bash'",
        "file /bin/bash: existence: expected it exists, found nothing",
    ),
    (
        "[[file]]\npath='/x'\nexists=false",
        "[[file]]\npath='/bin/sh'\nexists=false",
        "file /bin/sh: existence: expected nothing, found it exists",
    ),
    (
        "[[file]]\npath='/bin'\ntype='directory'",
        "[[file]]\npath='/bin'\ntype='file'",
        r#"file /bin: type: expected "file", found "directory""#,
    ),
    (
        "[[file]]\npath='/bin/busybox'\nmode='0755'",
        "[[file]]\npath='/bin/busybox'\nmode='0700'",
        "file /bin/busybox: mode: expected 0700, found 0755",
    ),
    (
        "[[file]]\npath='/bin/busybox'\nuid=0\ngid=0",
        "[[file]]\npath='/bin/busybox'\nuid=1",
        "file /bin/busybox: user: expected 1, found 0",
    ),
    (
        "[[file]]\npath='/www/index.html'\nsize=14",
        "[[file]]\npath='/www/index.html'\nsize=1",
        "file /www/index.html: size: expected 1, found 14",
    ),
    (
        "[[file]]\npath='/bin/sh'\ntarget='busybox'",
        "[[file]]\npath='/bin/sh'\ntarget='dash'",
        r#"file /bin/sh: target: expected "dash", found "busybox""#,
    ),
    // Both by sha256sum(1).
    (
        "[[file]]\npath='/www/index.html'\nsha256='SHA'",
        "[[file]]\npath='/www/index.html'\nsha256='0'",
        "file /www/index.html: sha256: expected 0, found ",
    ),
    (
        "[[file]]\npath='/www/index.html'\ncontent={ contains = 'ahoy' }",
        "[[file]]\npath='/www/index.html'\ncontent='x'",
        r#"file /www/index.html: content: expected "x", found "<h1>ahoy</h1>\n""#,
    ),
];

#[test]
fn every_kind_that_an_archive_tells_passes_where_it_is_right_and_fails_where_it_is_wrong() {
    let desk = Desk::new();
    let sum = Command::new("sha256sum").arg(desk.path("rootfs/www/index.html")).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap()[..64].to_owned();
    for (right, wrong, said) in STATIC {
        assert_eq!(desk.mismatches(&right.replace("SHA", &sum)), [""; 0], "{right}");
        let found = desk.mismatches(wrong);
        assert!(found.len() == 1 && found[0].starts_with(said), "{wrong}\n{found:?}\n{said}");
    }
}

#[test]
fn a_name_that_is_there_twice_fails_unless_that_is_allowed() {
    let desk = Desk::new();
    // No builder of ours makes such an image; so its config is changed in the archive of another.
    let archive = std::fs::read(desk.path("app.tar")).unwrap();
    let mut reader = tar::Archive::new(&archive[..]);
    let mut writer = tar::Builder::new(std::fs::File::create(desk.path("app.tar")).unwrap());
    for entry in reader.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        let mut name = entry.path().unwrap().to_str().unwrap().to_owned();
        let text = String::from_utf8_lossy(&content).into_owned();
        if name.ends_with(".json") && text.contains("\"PATH=/bin\"") {
            content = text.replace("\"PATH=/bin\"", "\"PATH=/bin\",\"PATH=/sbin\"").into_bytes();
            name = "config.json".to_owned();
        } else if name == "manifest.json" {
            let mut manifest: Value = serde_json::from_slice(&content).unwrap();
            manifest[0]["Config"] = "config.json".into();
            content = manifest.to_string().into_bytes();
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        writer.append_data(&mut header, name, &content[..]).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    let said = desk.mismatches("");
    assert_eq!(
        said,
        [
            r#"environment of the config: occurrences of PATH: expected one, found "/bin" and "/sbin""#
        ]
    );
    assert_eq!(desk.mismatches("[env]\nunique=false"), [""; 0]);
}

#[test]
fn without_a_machine_what_needs_one_is_skipped_and_never_passed() {
    let desk = Desk::new();
    let (output, verdict) =
        desk.check("[[run]]\nname='x'\n[[service]]\nname='y'\nready={}\n", &["--no-vm"]);
    assert_eq!(output.status.code(), Some(0));
    let outcomes = verdict["cases"].as_array().unwrap().iter();
    let skipped: Vec<&str> = outcomes
        .filter(|case| case["outcome"] == "skipped" && case["reason"] == "it needs an engine")
        .map(|case| case["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        skipped,
        ["loads with the expected name", "environment of a container", "run x", "service y"]
    );
    let (output, _) = desk.check("[image]\narchitecture='s390x'\n", &["--no-vm"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_engine_that_cannot_be_had_is_told_whatever_was_filtered_for() {
    let desk = Desk::new();
    std::fs::write(desk.path("e.toml"), "[[run]]\nname='x'\nstdout=''\n").unwrap();
    let arguments = ["check", "app.tar", "--expect", "e.toml", "--filter", "run x", "--json"];
    // Without programs no machine can be started.
    let mut command = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    let cache = TempDir::new().unwrap();
    command.env("PATH", "/nowhere").env("XDG_CACHE_HOME", cache.path());
    let output = command.args(arguments).current_dir(desk.0.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdict["cases"][0]["outcome"], "error");
}

#[test]
fn mistakes_in_expectations_name_the_line_and_the_nearest_key() {
    let desk = Desk::new();
    std::fs::write(desk.path("e.toml"), "[image]\n\narchitectur='x'\n").unwrap();
    let output = desk.seatrial(&["check", "app.tar", "--expect", "e.toml", "--no-vm"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said,
        "seatrial: e.toml:3: unknown key \"architectur\"; did you mean \"architecture\"?\n"
    );
    std::fs::write(desk.path("e.toml"), "[[run]]\nname='x'\ncommand=['y']\n").unwrap();
    let output = desk.seatrial(&["check", "app.tar", "--expect", "e.toml", "--no-vm"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let known = "name, container, exit_code, stdout, stderr, timeout";
    assert_eq!(said, format!("seatrial: e.toml:3: unknown key \"command\"; valid keys: {known}\n"));
    std::fs::write(desk.path("e.toml"), "[env.matches]\nPATH='('\n").unwrap();
    let output = desk.seatrial(&["check", "app.tar", "--expect", "e.toml", "--no-vm"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .starts_with("seatrial: e.toml:2: regex parse error")
    );
    let schema: Value =
        serde_json::from_slice(&desk.seatrial(&["check", "--schema"]).stdout).unwrap();
    assert!(schema["properties"]["image"].is_object());
}
