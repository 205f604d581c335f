//! goss files: verdicts as goss gives them, according to its documentation (`docs/gossfile.md`) and
//! its sources.

use serde_json::Value;

use crate::each_engine::{is_cri, on_each_engine};
use crate::sample_image::{SampleImage, outcomes};
use crate::service_checks::ANSWER;

/// The sample image with accounts.
fn sample() -> SampleImage {
    let sample = SampleImage::new();
    std::fs::create_dir_all(sample.path("rootfs/etc")).unwrap();
    let write = |path: &str, text: &str| std::fs::write(sample.path(path), text).unwrap();
    write("rootfs/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:7:8::/www:/bin/true\n");
    write("rootfs/etc/group", "root:x:0:\nweb:x:8:\nlog:x:9:web,root\n");
    std::fs::create_dir_all(sample.path("rootfs/var/lib/dpkg")).unwrap();
    write("rootfs/var/lib/dpkg/status", DPKG_STATUS);
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    sample
}

const DPKG_STATUS: &str = "\
Package: nginx
Status: install ok installed
Architecture: amd64
Version: 1.22.1-9

Package: vim
Status: deinstall ok config-files
Architecture: amd64
Version: 9.0
";

/// Runs `seatrial check` on `app.tar` with the goss file `yaml`.
fn check(sample: &SampleImage, yaml: &str, arguments: &[&str]) -> (Option<i32>, Value, String) {
    std::fs::write(sample.path("goss.yaml"), yaml).unwrap();
    let command = ["check", "app.tar", "--expect", "goss.yaml", "--json"];
    let output = sample.seatrial(&[&command, arguments].concat());
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), errors)
}

/// Tests of files, users and groups, and whether they pass.
const STATIC: &[(&str, bool)] = &[
    ("file: { /bin/busybox: { exists: true, mode: '0755', owner: root, group: root } }", true),
    ("file: { /bin/busybox: { exists: true, mode: '755' } }", false),
    ("file: { /bin/busybox: { exists: true, uid: 0, gid: '0', size: { gt: 1000 } } }", true),
    ("file: { /bin/busybox: { exists: true, size: { lt: 1000 } } }", false),
    // `equal` converts nothing.
    ("file: { /: { exists: { equal: true }, uid: { equal: 0 }, owner: { equal: root } } }", true),
    ("file: { /: { exists: { equal: 'true' } } }", false),
    ("file: { /: { exists: true, uid: { equal: '0' } } }", false),
    ("file: { /bin/busybox: { exists: true, mode: { equal: '0755' } } }", true),
    ("file: { /bin/busybox: { exists: true, mode: { equal: ['0755'] } } }", false),
    ("file: { /bin/sh: { exists: true, filetype: symlink, linked-to: busybox } }", true),
    ("file: { /bin/sh: { exists: true, filetype: file } }", false),
    // lstat(2): the length of the target.
    ("file: { /bin/sh: { exists: true, size: 7 } }", true),
    // ENOTDIR is an error, not an absent file.
    ("file: { /bin/busybox/x: { exists: false } }", false),
    ("file: { /www: { exists: true, filetype: directory } }", true),
    // Paths are cleaned: this is the symlink itself.
    ("file: { /bin/sh/: { exists: true, filetype: symlink } }", true),
    ("file: { /bin/busybox/.: { exists: true, filetype: file } }", true),
    ("file: { /bin/busybox/: { exists: false } }", false),
    ("file: { /nothing/../bin/sh: { exists: true } }", true),
    ("file: { /bin/busybox: { exists: true, owner: web } }", false),
    ("file: { /bin/busybox: { exists: true, group: web } }", false),
    ("file: { /bin/busybox: { exists: true, gid: 8 } }", false),
    ("file: { /bin/sh: { exists: true, linked-to: dash } }", false),
    ("file: { /bin/busybox: { exists: true, linked-to: busybox } }", false),
    ("file: { /www: { exists: true, contents: [x] } }", false),
    ("file: { a page: { path: /www/index.html, exists: true, contents: [ahoy] } }", true),
    ("file: { /www/index.html: { exists: true, contains: [ahoy, '/^<h1>/', '!bye'] } }", true),
    ("file: { /www/index.html: { exists: true, contents: ['/^ahoy/'] } }", false),
    ("file: { /www/index.html: { exists: true, contents: ['!ahoy'] } }", false),
    ("file: { /www/index.html: { exists: true, contents: [] } }", true),
    // A text that is not in a list must be equal as a whole.
    ("file: { /www/index.html: { exists: true, contents: ahoy } }", false),
    ("file: { /www/index.html: { exists: true, contents: \"<h1>ahoy</h1>\\n\" } }", true),
    ("file: { /www/index.html: { exists: true, contents: { contain-substring: ahoy } } }", true),
    ("file: { /www/index.html: { exists: true, contents: { not: { have-prefix: < } } } }", false),
    (
        "file: { /www/index.html: { exists: true, sha256: \
         303153d99e3f966a434949554e16ab74d85b24a7f2d362626fdbc81ba73cf123 } }",
        true,
    ),
    ("file: { /www/index.html: { exists: true, sha256: '00' } }", false),
    ("file: { /www/index.html: { exists: true, md5: a5ef57cc7fcf91ca225531b309a0e9bf } }", true),
    ("file: { /www/index.html: { exists: true, md5: '00' } }", false),
    (
        "file: { /www/index.html: { exists: true, sha512: \
         0679d29f8a487395cad1e3c83a38dee0421eb3da3d58086703c9f808ee07de6e\
         9247af15233483a6ad4f03d95396d3223b6308e5b26c8e452eba24383ca7e046 } }",
        true,
    ),
    ("file: { /www/index.html: { exists: true, sha512: '00' } }", false),
    // A matcher that cannot be applied fails, also within `not`.
    ("file: { /www/index.html: { exists: true, contents: { gt: 5 } } }", false),
    ("file: { /www/index.html: { exists: true, contents: { not: { gt: 5 } } } }", false),
    ("file: { /www/index.html: { exists: true, contents: { not: [zzz] } } }", false),
    (
        "file: { /www/index.html: { exists: true, contents: { not: { have-patterns: [x] } } } }",
        true,
    ),
    (
        "file: { /www/index.html: { exists: true, contents: \
         { or: [{ gt: 5 }, \"<h1>ahoy</h1>\\n\"] } } }",
        false,
    ),
    (
        "file: { /www/index.html: { exists: true, contents: { consist-of: [\"<h1>ahoy</h1>\", ''] \
         } } }",
        false,
    ),
    (
        "file: { /www/index.html: { exists: true, contents: { contain-elements: \
         [\"<h1>ahoy</h1>\", ''] } } }",
        true,
    ),
    ("file: { /bin/busybox: { exists: true, mode: ['0755'] } }", false),
    ("file: { /bin/busybox: { path: '', exists: true } }", true),
    // Go's syntax of regular expressions.
    ("file: { /www/index.html: { exists: true, contents: ['!/{\"a\"/', '/\\<h1/'] } }", true),
    ("file: { /www/index.html: { exists: true, contents: { match-regexp: '[[<]h1' } } }", true),
    ("user:\nfile: { /: { exists: true, filetype: directory } }", true),
    ("file: { /nothing: { exists: false } }", true),
    ("file: { /nothing: { exists: true } }", false),
    ("file: { /bin/sh: { exists: false } }", false),
    // The other properties of a file that does not exist are skipped.
    ("file: { /nothing: { exists: false, mode: '0755' } }", true),
    ("file: { /nothing: { exists: true, skip: true } }", true),
    ("command: { x: { exit-status: 0, skip: true } }", true),
    ("user: { web: { exists: true, uid: 7, gid: 8, home: /www, shell: /bin/true } }", true),
    ("user: { web: { exists: true, uid: '7', groups: [web, log] } }", true),
    ("user: { web: { exists: true, groups: { consist-of: [web] } } }", false),
    ("user: { web: { exists: true, uid: { ge: 8 } } }", false),
    ("user: { web: { exists: true, gid: 7 } }", false),
    ("user: { web: { exists: true, home: / } }", false),
    ("user: { web: { exists: true, shell: /bin/sh } }", false),
    ("user: { web: { username: '', exists: true } }", true),
    ("user: { a name: { username: root, exists: true, groups: [log] } }", true),
    // They are sorted.
    ("user: { a name: { username: root, exists: true, groups: { equal: [log, root] } } }", true),
    ("user: { mail: { exists: false } }", true),
    ("user: { mail: { exists: true } }", false),
    ("group: { log: { exists: true, gid: 9 } }", true),
    ("group: { log: { exists: true, gid: 8 } }", false),
    ("group: { a name: { groupname: mail, exists: false } }", true),
    ("package: { nginx: { installed: true, versions: [1.22.1-9] } }", true),
    ("package: { 'nginx:amd64': { installed: true } }", true),
    ("package: { a name: { name: nginx, installed: true, retry_count: 2 } }", true),
    ("package: { nginx: { installed: true, versions: [1.22.1] } }", false),
    ("package: { nginx: { installed: true, versions: { consist-of: [1.22.1-9] } } }", true),
    ("package: { nginx: { installed: true, versions: { equal: [1.22.1-9] } } }", true),
    ("package: { nginx: { installed: true, versions: { equal: 1.22.1-9 } } }", false),
    ("package: { nginx: { installed: true, versions: { equal: [have-prefix: '1'] } } }", false),
    ("package: { nginx: { installed: false } }", false),
    // Only its configuration files are left.
    ("package: { vim: { installed: false } }", true),
    ("package: { apache2: { installed: true } }", false),
];

#[test]
fn a_goss_test_of_files_users_or_groups_has_the_same_result_as_in_goss() {
    let sample = sample();
    for (yaml, passes) in STATIC {
        let (code, verdict, errors) = check(&sample, yaml, &["--no-vm"]);
        let expected = if *passes { 0 } else { 1 };
        assert_eq!(code, Some(expected), "{yaml}\n{errors}{verdict:#}");
    }
}

#[test]
fn what_a_goss_file_has_that_is_not_supported_is_bad_input_that_names_it() {
    let sample = sample();
    for (yaml, problem) in [
        ("mount: { /data: { exists: true } }", "of the type mount are not supported"),
        ("matching: { x: { content: a, matches: a } }", "of the type matching are not supported"),
        ("registry: { x: { exists: true } }", "of the type registry are not supported"),
        ("gossfile: { other.yaml: {} }", "goss.yaml: there is no goss file \"other.yaml\""),
        ("file: { '{{.Env.HOME}}': { exists: true } }", "templates in goss files"),
        ("file: { /x: { exist: true } }", "unknown key \"exist\"; did you mean \"exists\"?"),
        ("file: { /x: { mode: '0755' } }", "missing key \"exists\""),
        ("file: { /x: { exists: true, mode: 755 } }", "file /x: mode: write the mode as a string"),
        ("file: { /x: { exists: true, size: { about: 5 } } }", "unknown matcher \"about\""),
        ("file: { /x: { exists: true, contents: ['/(/'] } }", "file /x: contents: pattern"),
        ("file: {}", "the file has no tests"),
        ("port: { 'sctp:80': { listening: true } }", "invalid port \"sctp:80\""),
        ("http: { 'http://example.org/': { status: 200 } }", "requests to the container itself"),
        ("command: { a: { exit-status: { least: 3 } } }", "exit-status: unknown matcher"),
        ("command: { a: { exit-status: 0, retry_delay: x } }", "invalid retry_delay"),
        (
            "file: { /x: { exists: true, contents: { gjson: { a: b } } } }",
            "seatrial does not support goss's matcher gjson",
        ),
        ("x-anchors: { a: b }\nfile: { /x: { exists: true } }", "unknown key \"x-anchors\""),
        (
            "file:\n  /x: { exists: true }\n  /x: { exists: false }",
            "goss.yaml:3: \"/x\" is there twice",
        ),
        (
            "http: { 'https://localhost/': { status: 200 } }",
            "give ca-file, or allow-insecure: true",
        ),
        (
            "http: { 'http://localhost/': { status: 200, proxy: 'http://p' } }",
            "proxy is not support",
        ),
        (
            "http: { 'https://localhost/': { status: 200, cert-file: c } }",
            "give both cert-file and key-file, or neither",
        ),
    ] {
        let (code, _, errors) = check(&sample, yaml, &["--no-vm"]);
        assert_eq!(code, Some(2), "{yaml}\n{errors}");
        assert!(errors.contains(problem), "{yaml}\n{errors}");
    }
}

#[test]
fn skipped_tests_are_reported_as_skipped() {
    let sample = sample();
    let yaml = "file: { /x: { exists: true, skip: true } }\n\
                port: { tcp:80: { listening: true, skip: true } }";
    let (code, verdict, errors) = check(&sample, yaml, &["--no-vm"]);
    assert_eq!(code, Some(0), "{errors}{verdict:#}");
    for name in ["file /x", "port tcp:80"] {
        assert!(outcomes(&verdict).contains(&(name, "skipped")), "{verdict:#}");
    }
}

#[test]
fn packages_of_other_managers_than_dpkg_and_apk_are_an_error_that_names_the_manager() {
    let sample = SampleImage::new();
    let yaml = "package: { bash: { installed: true } }";
    let result = || {
        sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
        let (code, verdict, _) = check(&sample, yaml, &["--no-vm"]);
        (code, verdict.to_string())
    };
    let (code, verdict) = result();
    assert_eq!(code, Some(1), "{verdict}");
    assert!(verdict.contains("there is no database of dpkg or apk"), "{verdict}");
    for (path, manager) in [
        ("var/lib/pacman/local/ALPM_DB_VERSION", "pacman"),
        ("usr/lib/sysimage/rpm/rpmdb.sqlite", "rpm"),
    ] {
        let path = sample.path("rootfs").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "9").unwrap();
        let (code, verdict) = result();
        assert_eq!(code, Some(3), "{verdict}");
        let problem = format!("the packages are in a database of {manager}; seatrial reads those");
        assert!(verdict.contains(&problem), "{verdict}");
    }
    // A database of dpkg is what goss asks on Debian, whatever else there is.
    std::fs::create_dir_all(sample.path("rootfs/var/lib/dpkg")).unwrap();
    let status = DPKG_STATUS.replace("nginx", "bash");
    std::fs::write(sample.path("rootfs/var/lib/dpkg/status"), status).unwrap();
    assert_eq!(result().0, Some(0));
}

#[test]
fn a_json_file_with_tables_of_goss_is_a_goss_file() {
    let sample = sample();
    std::fs::write(sample.path("g.json"), r#"{"group": {"log": {"exists": true}}}"#).unwrap();
    let output = sample.seatrial(&["check", "app.tar", "--expect", "g.json", "--no-vm"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("group log"), "{printed}");
}

/// A web server of the sample image, as its own command.
const SERVER: &str = "\
    Cmd = [\"httpd -p 8080 -h /www; exec nc -ll -p 8081 -e /bin/sh /www/answer\"]";

/// Tests in the running container. They are made as its user.
const RUNNING: &str = r#"
file:
  /proc/self/status:
    exists: true
    contents: ["/^Uid:\\s+7\\s/", "/^Gid:\\s+$GID\\s/", "$GROUPS/^Groups:.*\\b9\\b/"]
command:
  ids:
    exec: /bin/busybox cat /proc/self/status
    exit-status: 0
    stdout: ["/^Uid:\\s+7\\s/", "/^Gid:\\s+$GID\\s/", "$GROUPS/^Groups:.*\\b9\\b/"]
  passes: { exec: "echo one; echo two >&2", exit-status: 0, stdout: [one], stderr: ["/^t.o$/"] }
  exit 3: { exit-status: 3 }
  echo x: { exit-status: 0, stdout: "x\n" }
  exit 7: { exit-status: { or: [{ lt: 3 }, "7"] } }
  exit 8: { exit-status: { and: [{ equal: 8 }, { not: { equal: "8" } }] } }
  sleeps: { exec: "sleep 2", exit-status: 0, timeout: 60000 }
  third:
    exec: "echo >>/dev/shm/a; exit $((3 - $(/bin/busybox wc -l </dev/shm/a)))"
    exit-status: 0
    retry_count: 2
    retry_delay: 10
port:
  tcp6:8080: { listening: true, ip: ["::"] }
  tcp:81: { listening: false }
process:
  httpd: { running: true }
  nginx: { running: false }
http:
  http://localhost:8080/index.html:
    status: { and: [{ ge: 200 }, { lt: 300 }] }
    headers: ["/^Content-Type: text/", "!X-Powered-By"]
    body: [ahoy, "!bye"]
  http://localhost:8081/echo:
    status: 201
    method: PUT
    request-headers: ["X-Name: value"]
    request-body: sent
    username: a
    password: b
    body:
    - '"method": "PUT"'
    - '"header": "value"'
    - '"login": "Basic YTpi"'
    - '"body": "sent"'
  http://localhost:8081/moved: { status: 302, no-follow-redirects: true }
  followed: { url: "http://localhost:8081/moved", status: 200, body: [ok] }
"#;

/// The check of a command that succeeds at the third attempt.
const THIRD: &str = "command third: exit code of [\"sh\", \"-c\", \
    \"echo >>/dev/shm/a; exit $((3 - $(/bin/busybox wc -l </dev/shm/a)))\"]";

#[test]
fn goss_tests_of_running_containers_have_the_same_results_as_in_goss_on_each_engine() {
    on_each_engine(&["docker-20.10"], has_the_results_of_goss);
}

fn has_the_results_of_goss(engine: &str) {
    let sample = sample();
    let recipe = std::fs::read_to_string(sample.path("app.toml")).unwrap();
    let recipe = recipe.replace("Cmd = [\"echo hello\"]", SERVER);
    std::fs::write(sample.path("app.toml"), recipe).unwrap();
    std::fs::write(sample.path("rootfs/www/answer"), ANSWER).unwrap();
    for applet in ["nc", "head"] {
        let link = sample.path("rootfs/bin").join(applet);
        std::os::unix::fs::symlink("busybox", link).unwrap();
    }
    // The user is "7:8". Over CRI, the group gets lost, and its other groups do not.
    let passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:7:6::/www:/bin/true\n";
    std::fs::write(sample.path("rootfs/etc/passwd"), passwd).unwrap();
    let (gid, groups) = if is_cri(engine) { ("6", "") } else { ("8", "!") };
    let running = RUNNING.replace("$GID", gid).replace("$GROUPS", groups);
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    let (code, verdict, errors) = check(&sample, &running, &["--engine", engine]);
    assert_eq!(code, Some(0), "{errors}{verdict:#}");
    assert!(outcomes(&verdict).contains(&("service of goss", "passed")), "{verdict:#}");
    assert!(outcomes(&verdict).contains(&("port tcp6:8080", "passed")), "{verdict:#}");
    let wrong = running
        .replace("exit 3: { exit-status: 3 }", "exit 3: { exit-status: 0 }")
        .replace("x\\n", "x")
        .replace("retry_count: 2", "retry_count: 1")
        .replace("lt: 300", "lt: 200")
        .replace("tcp:81: { listening: false }", "tcp:81: { listening: true }")
        .replace("nginx: { running: false }", "nginx: { running: true }")
        .replace("!X-Powered-By", "X-Powered-By")
        .replace("!bye", "!ahoy")
        .replace("ip: [\"::\"]", "ip: [\"127.0.0.1\"]")
        .replace("timeout: 60000", "timeout: 100")
        .replace("password: b", "password: c")
        .replace("no-follow-redirects: true", "no-follow-redirects: false")
        .replace(
            "moved\", status: 200, body: [ok]",
            "slow\", status: 200, timeout: 500, body: [ok]",
        );
    let (code, verdict, errors) = check(&sample, &wrong, &["--engine", engine]);
    assert_eq!(code, Some(1), "{errors}{verdict:#}");
    let failed = failed(&verdict);
    // On a busy machine, the half second of its timeout can end before the status is there.
    let slow = failed.iter().find(|it| it.ends_with(" of GET /slow at port 8081"));
    let slow = slow.unwrap_or_else(|| panic!("{verdict:#}")).as_str();
    assert_eq!(
        failed,
        [
            "port tcp6:8080: ip",
            "port tcp:81: listening",
            "process nginx: running",
            slow,
            "http http://localhost:8080/index.html: status of GET /index.html at port 8080",
            "http http://localhost:8080/index.html: headers of GET /index.html at port 8080",
            "http http://localhost:8080/index.html: body of GET /index.html at port 8080",
            "http http://localhost:8081/echo: body of PUT /echo at port 8081",
            "http http://localhost:8081/moved: status of GET /moved at port 8081",
            "command echo x: standard output of [\"sh\", \"-c\", \"echo x\"]",
            "command exit 3: exit code of [\"sh\", \"-c\", \"exit 3\"]",
            "command sleeps: duration of [\"sh\", \"-c\", \"sleep 2\"]",
            THIRD,
        ],
        "{verdict:#}"
    );
    // Of the container of all tests, only the selected one is made.
    let filtered = [&["--engine", engine][..], &["--filter", "process httpd"]].concat();
    let (code, verdict, errors) = check(&sample, &wrong, &filtered);
    assert_eq!(code, Some(0), "{errors}{verdict:#}");
    assert_eq!(outcomes(&verdict), [("process httpd", "passed")]);
}

/// The names of test cases with the subjects of their checks that have failed.
fn failed(verdict: &Value) -> Vec<String> {
    let mut failed = Vec::new();
    for case in verdict["cases"].as_array().unwrap() {
        let mismatches = case["mismatches"].as_array().into_iter().flatten();
        let subjects = mismatches.map(|it| it["subject"].as_str().unwrap());
        failed.extend(subjects.map(|it| format!("{}: {it}", case["name"].as_str().unwrap())));
    }
    failed
}
