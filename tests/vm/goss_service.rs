//! goss files in the container of a service, and files that a container creates or changes, which
//! `dgoss` sees.

use serde_json::Value;

use crate::each_engine::{is_cri, on_each_engine};
use crate::sample_image::{RECIPE, SampleImage, outcomes};
use crate::verdicts::case;

/// The command that a user gives to `dgoss run`: it writes files, and serves.
const EXPECTATIONS: &str = r#"
[[service]]
name = "web"
ready = { port = 8080 }
goss = "tests/goss.yaml"
log = "serves ahoy"
[service.container]
command = ["$START"]
env = { NAME = "ahoy" }
user = "0"
capabilities = { drop = ["DAC_OVERRIDE"] }
mounts = [{ path = "/conf", source = "conf" }]
"#;

/// On Podman, the root of the container has mode 0555 if no layer has an entry for it.
const START: &str = "\
    chmod 755 /; \
    echo $NAME >/made; chmod 4750 /made; ln -s made /link; ln -s loop /loop; mkfifo /pipe; \
    echo crew:x:9: >>/etc/group; echo mate:x:5:9::/home:/bin/sh >>/etc/passwd; \
    mkdir -p /var/lib/dpkg/status.d; cd /var/lib/dpkg/status.d; \
    printf 'Package: single\\nVersion: 2\\n' >single; printf x >single.md5sums; cd /; \
    printf 'Package: made\\nVersion: 1\\n' >/var/lib/dpkg/status; \
    i=0; while [ $i -lt 70 ]; do printf 'Package: part%s\\nVersion: 1\\n' $i \
    >/var/lib/dpkg/status.d/part$i; i=$((i + 1)); done; \
    truncate -s 80M /large; echo secret >/foreign; chmod 600 /foreign; chown 7 /foreign; \
    syslogd -O /dev/null; echo serves $NAME; exec httpd -f -p 8080 -h /www";

/// Tests that pass.
const GOSS: &str = r#"
file:
  /made: { exists: true, mode: "4750", owner: root, contents: [ahoy], size: 5 }
  /link: { exists: true, filetype: symlink, linked-to: made, contents: [ahoy], size: 4 }
  /pipe: { exists: true, filetype: pipe }
  /large: { exists: true, size: 83886080, group: root }
  /conf/app.conf: { exists: true, contents: [mounted] }
  /bin/gone: { exists: false }
  /dev/log: { exists: true, filetype: socket, mode: "0666" }
  /foreign: { exists: true, mode: "0600", uid: 7 }
  /nothing/at/all: { exists: false }
  /proc/1/comm: { exists: true, contents: [httpd] }
  /proc/self/status: { exists: true, contents: ["/^Uid:\\s+0\\s/", "/^Groups:.*\\b4\\b/"] }
  /skipped: { exists: true, skip: true }
user: { mate: { exists: true, uid: 5, groups: [crew], home: /home } }
group: { crew: { exists: true, gid: 9 } }
package:
  made: { installed: true, versions: ["1"] }
  single: { installed: true }
  part69: { installed: true }
port: { tcp6:8080: { listening: true } }
process: { httpd: { running: true } }
command: { "test $NAME = ahoy && ! test -e /nothing": { exit-status: 0 } }
http: { "http://localhost:8080/index.html": { status: 200, body: [ahoy] } }
"#;

/// The sample image with what START needs.
fn sample() -> SampleImage {
    let sample = SampleImage::new();
    for applet in
        ["chmod", "ln", "mkfifo", "mkdir", "truncate", "test", "printf", "chown", "syslogd"]
    {
        let link = sample.path("rootfs/bin").join(applet);
        std::os::unix::fs::symlink("busybox", link).unwrap();
    }
    for folder in ["conf", "tests", "rootfs/etc"] {
        std::fs::create_dir_all(sample.path(folder)).unwrap();
    }
    let write = |path: &str, text: &str| std::fs::write(sample.path(path), text).unwrap();
    write("rootfs/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    write("rootfs/etc/group", "root:x:0:\nadm:x:4:root\n");
    write("conf/app.conf", "mounted\n");
    std::os::unix::fs::symlink("dev", sample.path("rootfs/devices")).unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    sample
}

/// Expectations of the service with this goss file.
fn expectations(sample: &SampleImage, goss: &str) -> String {
    std::fs::write(sample.path("tests/goss.yaml"), goss).unwrap();
    EXPECTATIONS.replace("$START", START)
}

fn names_of(verdict: &Value, outcome: &str) -> Vec<String> {
    let cases = outcomes(verdict).into_iter().filter(|(_, it)| *it == outcome);
    cases.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn a_goss_file_of_a_service_sees_its_container_on_each_engine() {
    on_each_engine(&["docker-20.10"], sees_the_container);
}

fn sees_the_container(engine: &str) {
    let sample = sample();
    let (output, verdict) = sample.check(&expectations(&sample, GOSS), &["--engine", engine]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{errors}{verdict:#}");
    assert_eq!(case(&verdict, "service web")["outcome"], "passed");
    for test in ["file /made", "user mate", "package made", "port tcp6:8080", "process httpd"] {
        assert_eq!(case(&verdict, &format!("service web: {test}"))["outcome"], "passed");
    }
    let skipped = "service web: file /skipped";
    assert!(names_of(&verdict, "skipped").contains(&skipped.to_owned()), "{verdict:#}");
    let wrong = GOSS
        .replace("contents: [ahoy], size: 5", "contents: [bye], size: 6")
        .replace("uid: 5", "uid: 6")
        .replace("made: { installed: true", "made: { installed: false")
        .replace("filetype: pipe", "filetype: file")
        .replace("file:\n", "file:\n  /loop: { exists: true, contents: [x] }\n")
        .replace("group: root", "group: root, contents: [x]")
        // Without the capability, root reads no files of others, and a file has none below it.
        .replace("uid: 7 }", "contents: [secret] }\n  /made/nothing: { exists: false }")
        .replace("listening: true", "listening: false");
    let expected = expectations(&sample, &wrong).replace("user = \"0\"", "user = \"root\"");
    let (output, verdict) = sample.check(&expected, &["--engine", engine]);
    assert_eq!(output.status.code(), Some(3), "{verdict:#}");
    let failed = [
        "file /foreign",
        "file /loop",
        "file /made",
        "file /made/nothing",
        "file /pipe",
        "user mate",
        "package made",
        "port tcp6:8080",
    ];
    let mut names = names_of(&verdict, "failed");
    names.sort_by_key(|name| failed.iter().position(|it| name.ends_with(it)));
    assert_eq!(names, failed.map(|name| format!("service web: {name}")));
    let foreign = case(&verdict, "service web: file /foreign")["mismatches"][0].clone();
    assert!(foreign["found"].as_str().unwrap().starts_with("Permission denied"), "{foreign}");
    assert_eq!(names_of(&verdict, "error"), ["service web: file /large"]);
    let large = "it has 83886080 bytes, and files of up to 64 MiB are read";
    let problem = case(&verdict, "service web: file /large")["problem"].clone();
    assert!(problem.as_str().unwrap().contains(large), "{problem}");
    refuses_files(&sample, engine);
}

/// Tests of what root cannot read without the capability. goss takes such accounts and packages as
/// absent.
const REFUSED: &str = "file: { /foreign: { exists: true, contents: [secret] } }\n\
                       user: { mate: { exists: true }, root: { exists: false } }\n\
                       package: { made: { installed: true } }\n";

fn refuses_files(sample: &SampleImage, engine: &str) {
    let refuse = "for file in /etc/passwd /var/lib/dpkg/status; do \
                  chown 7 $file; chmod 600 $file; done; syslogd";
    let expected = expectations(sample, REFUSED).replace("syslogd", refuse);
    let (output, verdict) = sample.check(&expected, &["--engine", engine]);
    assert_eq!(output.status.code(), Some(1), "{verdict:#}");
    assert_eq!(case(&verdict, "service web: user root")["outcome"], "passed", "{verdict:#}");
    for (test, file) in [("file /foreign", ""), ("user mate", "passwd"), ("package made", "status")]
    {
        let case = case(&verdict, &format!("service web: {test}"));
        let found = case["mismatches"][0]["found"].as_str().unwrap_or_else(|| panic!("{case:#}"));
        assert!(found.contains(file) && found.contains("Permission denied"), "{case:#}");
    }
}

/// A goss file without tests that need a container that keeps running.
const FILES: &str = "file:\n  /made: { exists: true, contents: [made] }\n\
                     \x20 /bin/busybox: { exists: true, gid: 0 }\n\
                     \x20 /loop: { exists: true, contents: [x] }\n\
                     \x20 /devices/null: { exists: false }\n\
                     group: { absent: { exists: true } }\n";

#[test]
fn files_of_a_container_that_has_ended_are_checked_on_each_engine() {
    on_each_engine(&["docker-20.10"], checks_the_ended_container);
}

fn checks_the_ended_container(engine: &str) {
    let sample = sample();
    let recipe = RECIPE.replace("echo hello", "echo made >/made; ln -s loop /loop; exit 3");
    let recipe = recipe.replace("User = \"7:8\"", "User = \"0:8\"");
    std::fs::write(sample.path("app.toml"), &recipe).unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    std::fs::write(sample.path("goss.yaml"), FILES).unwrap();
    let check = ["check", "app.tar", "--expect", "goss.yaml", "--json", "--engine", engine];
    let output = sample.seatrial(&check);
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Nothing in the file says that the container keeps running.
    assert!(!outcomes(&verdict).iter().any(|(name, _)| name.starts_with("service")));
    let hint_of = |name: &str| case(&verdict, name)["hints"][0].as_str().unwrap().to_owned();
    let owned = case(&verdict, "file /bin/busybox");
    match engine.starts_with("podman") {
        // It returns files with the owner of the container's processes.
        true => assert!(owned["problem"].to_string().contains("Podman does not return"), "{owned}"),
        false => assert_eq!(owned["outcome"], "passed", "{verdict:#}"),
    }
    // It is gone, which says nothing about the time before.
    let device = case(&verdict, "file /devices/null");
    assert!(device["problem"].to_string().contains("the container has ended"), "{device:#}");
    // Symlinks that form a loop lead nowhere.
    assert_eq!(case(&verdict, "file /loop")["outcome"], "failed", "{verdict:#}");
    let group = case(&verdict, "group absent");
    assert_eq!(group["outcome"], "failed", "{verdict:#}");
    match is_cri(engine) {
        false => {
            assert_eq!(case(&verdict, "file /made")["outcome"], "passed", "{verdict:#}");
            let hint = "the container had ended before this was checked: its command ended with \
                        exit code 3";
            assert!(hint_of("group absent").starts_with(hint), "{verdict:#}");
        }
        // Over CRI, files of a container that has ended cannot be read.
        true => {
            let hint = "the image alone was checked, not a container: ";
            assert!(hint_of("group absent").starts_with(hint), "{verdict:#}");
        }
    }
}

#[test]
fn files_of_an_image_without_a_command_are_checked_in_the_image() {
    let sample = sample();
    let recipe = RECIPE.replace("Cmd = [\"echo hello\"]\n", "");
    let recipe = recipe.replace("Entrypoint = [\"/bin/sh\", \"-c\"]\n", "");
    std::fs::write(sample.path("app.toml"), &recipe).unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    let goss = "file: { /bin/sh: { exists: true } }\ncommand: { 'true': { exit-status: 0 } }\n";
    std::fs::write(sample.path("goss.yaml"), goss).unwrap();
    std::fs::write(sample.path("files.yaml"), "file: { /bin/sh: { exists: true } }\n").unwrap();
    let check = ["check", "app.tar", "--expect", "goss.yaml", "--expect", "files.yaml", "--json"];
    let check = [&check[..], &["--engine", "docker-20.10"]].concat();
    let output = sample.seatrial(&check);
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    // As in dgoss, also if all tests of the file are about files.
    assert_eq!(case(&verdict, "service of goss (2)")["outcome"], "failed", "{verdict:#}");
    let file = case(&verdict, "file /bin/sh");
    assert_eq!(file["outcome"], "passed", "{verdict:#}");
    let hint = file["hints"][0].as_str().unwrap();
    let expected = "the image alone was checked, not a container: the engine did not start the \
                    container: ";
    assert!(hint.starts_with(expected), "{hint}");
    assert_eq!(case(&verdict, "service of goss")["outcome"], "failed");
    assert_eq!(case(&verdict, "command true")["outcome"], "skipped");
}

#[test]
fn without_an_engine_a_goss_file_that_a_service_names_is_skipped() {
    let sample = sample();
    let (output, verdict) = sample.check(&expectations(&sample, GOSS), &["--no-vm"]);
    assert_eq!(output.status.code(), Some(0), "{verdict:#}");
    let case = case(&verdict, "service web: file /conf/app.conf");
    assert_eq!(case["outcome"], "skipped", "{verdict:#}");
    assert!(case["reason"].as_str().unwrap().starts_with("needs an engine"), "{case:#}");
    assert_eq!(names_of(&verdict, "passed"), ["environment of the config"]);
}
