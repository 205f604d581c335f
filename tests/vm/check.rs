//! `seatrial check`: what is as expected passes, what is not fails and shows both sides.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use seatrial::archive::Choice;
use seatrial::trial::statics::Subject;
use seatrial::trial::{Case, Expectations, Outcome};
use serde_json::Value;
use tempfile::TempDir;

struct Desk(TempDir);

const RECIPE: &str = r#"
name = "desk/app"
tag = "1.0"
architecture = "amd64"
contents = "rootfs"
[config]
Env = ["PATH=/bin", "VERSION=1.2.3"]
Entrypoint = ["/bin/sh", "-c"]
Cmd = ["echo hello"]
User = "7:8"
WorkingDir = "/www"
ExposedPorts = { "80/tcp" = {} }
Volumes = { "/data" = {} }
StopSignal = "SIGTERM"
Shell = ["/bin/sh"]
Labels = { team = "deck" }
Healthcheck = { Test = ["CMD", "/bin/true"] }
"#;

impl Desk {
    fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        std::fs::create_dir_all(desk.path("rootfs/bin")).unwrap();
        std::fs::create_dir_all(desk.path("rootfs/www")).unwrap();
        std::fs::copy("/bin/busybox", desk.path("rootfs/bin/busybox")).unwrap();
        for applet in ["sh", "cat", "echo", "sleep", "true", "httpd", "id"] {
            std::os::unix::fs::symlink("busybox", desk.path("rootfs/bin").join(applet)).unwrap();
        }
        std::fs::write(desk.path("rootfs/www/index.html"), "<h1>ahoy</h1>\n").unwrap();
        std::fs::write(desk.path("app.toml"), RECIPE).unwrap();
        desk.seatrial(&["build", "app.toml", "-o", "app.tar"]);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn seatrial(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_seatrial"))
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    /// What does not pass, line by line, of the expectations `text`, by the archive alone.
    fn mismatches(&self, text: &str) -> Vec<String> {
        let subject = Subject::open(&self.path("app.tar"), &Choice::default(), 2).unwrap();
        let expected =
            Expectations::parse(Path::new("e.toml"), text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let cases = subject.cases(&expected, self.0.path()).unwrap();
        cases.iter().flat_map(told).collect()
    }

    fn check(&self, expectations: &str, arguments: &[&str]) -> (Output, Value) {
        std::fs::write(self.path("e.toml"), expectations).unwrap();
        let output =
            self.seatrial(&[&["check", "app.tar", "--expect", "e.toml", "--json"], arguments].concat());
        let verdict = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        (output, verdict)
    }
}

fn told(case: &Case) -> Vec<String> {
    match &case.outcome {
        Outcome::Failed { mismatches } => mismatches
            .iter()
            .map(|m| format!("{}: {}: expected {}, found {}", case.name, m.what, m.expected, m.found))
            .collect(),
        _ => Vec::new(),
    }
}

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
    ("[image]\nos='linux'", "[image]\nos='windows'", r#"config: os: expected "windows", found "linux""#),
    ("[image]\nuser='7:8'", "[image]\nuser='root'", r#"config: user: expected "root", found "7:8""#),
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
        r#"config: exposed ports: expected {"8/udp"}, found {"80/tcp"}"#,
    ),
    ("[image]\nvolumes=['/data']", "[image]\nvolumes=[]", r#"config: volumes: expected {}, found {"/data"}"#),
    (
        "[image.labels]\nteam='deck'",
        "[image.labels]\nteam='x'",
        r#"config: label team: expected Some("x"), found Some("deck")"#,
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
        r#"environment of the config: PATH: expected Some("/sbin"), found Some("/bin")"#,
    ),
    (
        "[env]\nabsent=['DEBUG']",
        "[env]\nabsent=['PATH']",
        r#"environment of the config: PATH: expected None, found Some("/bin")"#,
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
        "file /bin: type: expected File, found Directory",
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
        [r#"environment of the config: occurrences of PATH: expected one, found "/bin" and "/sbin""#]
    );
    assert_eq!(desk.mismatches("[env]\nunique=false"), [""; 0]);
}

#[test]
fn without_a_machine_what_needs_one_is_skipped_and_never_passed() {
    let desk = Desk::new();
    let (output, verdict) = desk.check("[[run]]\nname='x'\n[[service]]\nname='y'\nup={}\n", &["--no-vm"]);
    assert_eq!(output.status.code(), Some(0));
    let outcomes = verdict["cases"].as_array().unwrap().iter();
    let skipped: Vec<&str> = outcomes
        .filter(|case| case["outcome"] == "skipped" && case["reason"] == "it needs an engine")
        .map(|case| case["name"].as_str().unwrap())
        .collect();
    assert_eq!(skipped, ["loaded under its name", "environment of a container", "run x", "service y"]);
    let (output, _) = desk.check("[image]\narchitecture='s390x'\n", &["--no-vm"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn mistakes_in_expectations_name_the_line_and_the_nearest_key() {
    let desk = Desk::new();
    std::fs::write(desk.path("e.toml"), "[image]\n\narchitectur='x'\n").unwrap();
    let output = desk.seatrial(&["check", "app.tar", "--expect", "e.toml", "--no-vm"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "seatrial: e.toml:3: unknown key \"architectur\"; did you mean \"architecture\"?\n");
    std::fs::write(desk.path("e.toml"), "[env.matches]\nPATH='('\n").unwrap();
    let output = desk.seatrial(&["check", "app.tar", "--expect", "e.toml", "--no-vm"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("seatrial: e.toml:2: regex parse error"));
    let schema: Value = serde_json::from_slice(&desk.seatrial(&["check", "--schema"]).stdout).unwrap();
    assert!(schema["properties"]["image"].is_object());
}

/// What runs and services are, and of those that are wrong what is said.
const LIVE: &str = r#"
[image]
architecture = "amd64"
[env]
has = { PATH = "/bin" }
[[run]]
name = "by itself"
stdout = "hello\n"
[[run]]
name = "as told"
container = { shell = "id -u; echo $MORE; cat; echo x >/vol/x && echo kept; exit 3", user = "0", env = { MORE = "more" }, stdin = "given", volumes = ["/vol"] }
exit_code = 3
stdout = { contains = ["0\n", "more\n", "given", "kept"] }
[[run]]
name = "wrong"
container = { command = ["echo out; echo err >&2; exit 4"] }
stdout = "other\n"
stderr = { lacks = "err" }
[[run]]
name = "slow"
container = { command = ["sleep 100"] }
within = 8
[[service]]
name = "web"
container = { user = "0", shell = "trap 'exit 5' TERM; httpd -p 80 -h /www; echo serving; while :; do sleep 0.2; done" }
up = { port = 80, log = "serving" }
http = [{ port = 80, path = "/index.html", body = { contains = "ahoy" } }, { port = 80, path = "/absent", status = 404 }]
stop = { within = 20, exit_code = 5 }
[[service]]
name = "short-lived"
up = { log = "never said" }
"#;

#[test]
fn runs_and_services_on_a_real_engine_pass_and_fail_as_they_should_and_reports_say_so() {
    let desk = Desk::new();
    let reports = [
        "--report",
        "junit=r.xml",
        "--report",
        "html=r.html",
        "--report",
        "json=r.json",
        "--report",
        "jsonl=r.jsonl",
    ];
    let (output, verdict) = desk.check(LIVE, &reports);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let of = |name: &str| {
        let cases = verdict["cases"].as_array().unwrap();
        cases.iter().find(|case| case["name"] == name).unwrap_or_else(|| panic!("no {name} in {verdict:#}"))
    };
    for name in [
        "config",
        "loaded under its name",
        "environment of a container",
        "run by itself",
        "run as told",
        "service web",
    ] {
        assert_eq!(of(name)["outcome"], "passed", "{:#}", of(name));
    }
    let found = |name: &str| -> Vec<String> {
        let mismatches = of(name)["mismatches"].as_array().unwrap_or_else(|| panic!("{:#}", of(name)));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        mismatches.iter().map(|m| format!("{}: {}", text(&m["what"]), text(&m["found"]))).collect()
    };
    assert_eq!(
        found("run wrong"),
        ["exit code: 4", "standard output: \"out\\n\"", "standard error: \"err\\n\""]
    );
    assert_eq!(found("run slow"), ["its end: it was still running"]);
    assert_eq!(found("service short-lived"), ["the service: it ended"]);
    assert_eq!(verdict["machines"].as_array().unwrap().len(), 1);

    // Read by another: Python's parser of XML counts the same.
    let count = "import sys, xml.etree.ElementTree as t; r = t.parse(sys.argv[1]).getroot(); \
                 c = r.findall('.//testcase'); print(len(c), len([x for x in c if x.find('failure') is not None]))";
    let counted = Command::new("python3").args(["-c", count]).arg(desk.path("r.xml")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&counted.stdout), "10 3\n", "{counted:?}");
    let schema = ["--noout", "--schema", concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/junit.xsd")];
    let valid = Command::new("xmllint").args(schema).arg(desk.path("r.xml")).output().unwrap();
    assert!(valid.status.success(), "{valid:?}");
    let page = opened(&desk.path("r.html"));
    assert!(page.contains("<h1>Not as expected</h1>") && page.contains("run slow") && page.contains("<svg"));
    assert!(!page.contains("<h1>ahoy"), "what an image prints is not part of the page");
    let json: Value = serde_json::from_slice(&std::fs::read(desk.path("r.json")).unwrap()).unwrap();
    assert_eq!(json["cases"].as_array().unwrap().len(), 10);
    let lines = std::fs::read_to_string(desk.path("r.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, *json["cases"].as_array().unwrap());
}

/// The page as a browser has it once it is open; a picture of it is kept under `target/tmp`.
fn opened(page: &Path) -> String {
    let profile = TempDir::new().unwrap();
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.png");
    let _ = std::fs::remove_file(&picture);
    let browse = |what: &str| {
        let quiet = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
        ];
        let mut chromium = Command::new("timeout");
        chromium.args(["60", "chromium"]).args(quiet).arg("--window-size=1000,1400");
        chromium.arg(format!("--user-data-dir={}", profile.path().display())).arg(what).arg(page);
        let output = chromium.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    browse(&format!("--screenshot={}", picture.display()));
    assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    browse("--dump-dom")
}

#[test]
fn an_oci_layout_and_an_image_for_another_architecture_are_tried_as_far_as_that_goes() {
    let desk = Desk::new();
    std::fs::write(desk.path("app.toml"), RECIPE.replace("amd64", "arm64")).unwrap();
    desk.seatrial(&["build", "app.toml", "--format", "oci", "-o", "app.tar"]);
    let (output, verdict) = desk.check("[image]\narchitecture='arm64'\n[[run]]\nname='x'\n", &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let outcomes: Vec<(&str, &str)> = verdict["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| (case["name"].as_str().unwrap(), case["outcome"].as_str().unwrap()))
        .collect();
    let expected = [
        ("config", "passed"),
        ("environment of the config", "passed"),
        ("loaded under its name", "passed"),
        ("environment of a container", "skipped"),
        ("run x", "skipped"),
    ];
    assert_eq!(outcomes, expected);
}
