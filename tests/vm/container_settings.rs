//! Settings of containers, and commands of a setup, whose result all test cases get; and what an
//! engine cannot do of these.

use crate::each_engine::{is_cri, on_each_engine};
use crate::sample_image::{RECIPE, SampleImage, outcomes};
use crate::verdicts::case;

/// Settings of containers, and a setup for all test cases.
const SETTINGS: &str = r#"
[[setup]]
container = { shell = "echo kept >/www/kept", user = "0" }
[[setup]]
container = { shell = "cat /www/kept >/www/copy", user = "0" }
[[setup]]
container = { command = ["echo more >/www/more"], user = "0" }
[[setup]]
container = { shell = "exit 0", user = "0", working_dir = "/", env = { MADE = "1", VERSION = "2" } }
[[run]]
name = "has the image's user, folder and variables"
container = { shell = "id -u; pwd; echo $VERSION $MADE. is process $$" }
stdout = "7\n/www\n1.2.3 . is process 1\n"
[[run]]
name = "keeps the image's own command and sees the files of the setup"
stdout = "hello\n"
[[run]]
name = "files of the setup, on a terminal"
stdout = "kept\r\nmore\r\nterminal\r\nend\r\n"
stderr = ""
container.tty = true
container.shell = "cat /www/copy /www/more; [ -t 1 ] && echo terminal; echo end >&2"
[[run]]
name = "settings"
stdout = { matches = [
  "(?s)^deck\n.*10.1.2.3\tmast.*CapEff:\t0000000000000400\nsail\n.*77\n$",
] }
[run.container]
shell = """
cat /proc/sys/kernel/hostname /etc/hosts; busybox grep CapEff /proc/self/status; cat /srv/a/sail
id -G"""
user = "0"
groups = ["77"]
hostname = "deck"
hosts = { mast = "10.1.2.3" }
memory_mib = 64
pids_limit = 50
network = true
capabilities = { add = ["NET_BIND_SERVICE"], drop = ["ALL"] }
sysctls = { "net.ipv4.ip_unprivileged_port_start" = "0" }
files = [{ path = "/srv/a/sail", content = "sail\n", mode = "0400" }]
[[run]]
name = "init"
container = { init = true, shell = "[ $$ = 1 ] || echo another process is the first" }
stdout = "another process is the first\n"
[[run]]
name = "read-only root"
stderr = { contains = "Read-only file system" }
[run.container]
shell = "echo x >/mnt/x && ! echo >/x"
user = "0"
read_only = true
tmpfs = ["/mnt"]
[[run]]
name = "files in a read-only root"
stdout = "sail\n-r--------    1 0        0                5 /srv/a/sail\nkeel\n"
stderr = { matches = ["(?s)/srv/a/sail: Read-only.*/srv/b: Read-only"] }
[run.container]
shell = """
cat /srv/a/sail; busybox ls -ln /srv/a/sail | busybox sed 's/ [A-Z].* / /'; cat /srv/keel
! (echo x >/srv/a/sail) && ! (echo x >/srv/b)"""
user = "0"
read_only = true
files = [
  { path = "/srv/a/sail", content = "sail\n", mode = "0400" },
  { path = "/srv/keel", content = "keel\n" },
]
"#;

#[test]
fn settings_of_containers_and_commands_of_a_setup_apply_on_each_engine() {
    on_each_engine(&["containerd-1.7"], applies_settings_and_setup);
}

fn applies_settings_and_setup(engine: &str) {
    let sample = SampleImage::new();
    let (output, verdict) = sample.check(SETTINGS, &["--engine", engine]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    // CRI starts no init process.
    let init = if is_cri(engine) { "skipped" } else { "passed" };
    assert_eq!(case(&verdict, "run init")["outcome"], init, "{verdict:#}");
    let others = outcomes(&verdict).into_iter().filter(|(name, _)| *name != "run init");
    assert_eq!(others.filter(|(_, outcome)| *outcome == "passed").count(), 9, "{verdict:#}");
}

#[test]
#[ignore = "for the nightly run"]
fn settings_of_containers_apply_in_dockers_containerd_store() {
    applies_settings_and_setup("docker-28-containerd");
}

/// Expectations that CRI cannot meet, the names of their test cases, and parts of the reasons.
const NOT_OVER_CRI: [(&str, &str, &str); 5] = [
    ("[[run]]\nname='init over cri'\ncontainer.init=true\n", "run init over cri", "init"),
    (
        "[[run]]\nname='volume over cri'\ncontainer.volumes=['/vol']\n",
        "run volume over cri",
        "volumes",
    ),
    ("[[run]]\nname='group over cri'\ncontainer.groups=['web']\n", "run group over cri", "group"),
    (
        "[[service]]\nname='user over cri'\nready={}\nexec=[{ command=['/bin/id'], user='7' }]\n",
        "service user over cri",
        "as the user of the container",
    ),
    (
        "[[service]]\nname='healthy over cri'\nready.healthy=true\n",
        "service healthy over cri",
        "health checks",
    ),
];

/// Only a part of the service cannot be checked over CRI.
const PARTS_NOT_OVER_CRI: &str = r#"
[[service]]
name = "web"
ready.log = "hello"
file = [{ path = "/www/index.html" }]
stop.signal = "SIGHUP"
exec = [{ command = ["/bin/busybox", "false"] }]
container.shell = "echo hello; exec sleep 999"
"#;

#[test]
fn a_service_runs_without_the_parts_that_an_engine_cannot_check() {
    let sample = SampleImage::new();
    // The same parts are skipped if the others cannot be checked.
    let after_failure = "[[setup]]\ncontainer.shell = 'exit 3'\n";
    let after_failure = after_failure.to_owned() + &PARTS_NOT_OVER_CRI.replace("web", "after");
    std::fs::write(sample.path("after.toml"), after_failure).unwrap();
    let arguments = ["--engine", "containerd-1.7", "--expect", "after.toml"];
    let (_, verdict) = sample.check(PARTS_NOT_OVER_CRI, &arguments);
    let outcomes = outcomes(&verdict);
    let web: Vec<_> = outcomes.iter().filter(|(name, _)| name.starts_with("service")).collect();
    let expected = [("service web", "failed"), ("service web: stop", "skipped")];
    let skipped = ["service after", "service after: stop"];
    let skipped = skipped.map(|name| (name, "skipped"));
    let expected: Vec<_> = expected.iter().chain(&skipped).collect();
    assert_eq!(web, expected, "{verdict:#}");
    let mismatches = case(&verdict, "service web")["mismatches"].as_array().unwrap();
    assert!(mismatches[0]["subject"].as_str().unwrap().contains("false"), "{verdict:#}");
    let reason = |name: &str| case(&verdict, name)["reason"].as_str().unwrap();
    assert!(reason("service web: stop").contains("stop signal"), "{verdict:#}");
}

/// The values of variables that engines add. Docker gives a container its hostname.
const ADDED_VARIABLES: &str = r#"
[[run]]
name = "variables"
stdout = "?"
container.shell = """
echo "[$PATH] [$TERM] [$container] [$HOME]"; [ "$HOSTNAME" = $(/bin/busybox hostname) ]; echo $?"""
[[run]]
name = "variables on a terminal"
stdout = "?"
container = { tty = true, shell = 'echo "[$PATH] [$TERM] [$container] [$HOME]"; sleep 0' }
"#;

#[test]
#[ignore = "for the nightly run"]
fn a_setup_does_not_change_the_variables_that_an_engine_adds_on_each_engine() {
    on_each_engine(&["docker-20.10"], keeps_added_variables);
}

fn keeps_added_variables(engine: &str) {
    let sample = SampleImage::new();
    let recipe = RECIPE.replace("\"PATH=/bin\", ", "");
    std::fs::write(sample.path("app.toml"), recipe).unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    // Podman keeps it.
    let hostname = if engine.starts_with("docker") { "HOSTNAME = 'setup'," } else { "" };
    let setup = format!(
        "[[setup]]\ncontainer.shell = 'true'\n[[setup]]\ncontainer = {{ shell = '/bin/true', \
         env = {{ {hostname} PATH = '/setup', container = 'setup', MADE = '1' }} }}\n"
    );
    std::fs::write(sample.path("setup.toml"), setup + ADDED_VARIABLES).unwrap();
    let arguments = ["--engine", engine, "--expect", "setup.toml"];
    let (_, verdict) = sample.check(ADDED_VARIABLES, &arguments);
    let cases = verdict["cases"].as_array().unwrap().iter();
    let runs = cases.filter(|case| case["name"].as_str().unwrap().starts_with("run variables"));
    let found: Vec<_> = runs.map(|case| (&case["output"], &case["stderr"])).collect();
    let [plain, terminal, plain_after, terminal_after] = found[..] else { panic!("{verdict:#}") };
    let output = plain.0.as_str().unwrap();
    assert!(output.starts_with("[/usr/local/sbin:") && output.ends_with("\n0\n"), "{verdict:#}");
    assert_eq!((plain_after, terminal_after), (plain, terminal), "{verdict:#}");
}

#[test]
fn what_needs_a_container_that_an_engine_cannot_run_is_skipped_with_that_reason() {
    let sample = SampleImage::new();
    // CRI starts no init process.
    let expectations = "[container.cri]\ncontainer.init = true\n[[run]]\nname = \"after cri\"\n";
    std::fs::write(sample.path("alone.toml"), NOT_OVER_CRI.map(|(text, _, _)| text).concat())
        .unwrap();
    // Without other test cases, no container is started.
    let arguments = ["--engine", "containerd-1.7", "--expect", "alone.toml", "--filter", "cri"];
    let (output, verdict) = sample.check(expectations, &arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let reason = case(&verdict, "container cri")["reason"].as_str().unwrap();
    let expected = format!("container cri was skipped: {reason}");
    assert_eq!(case(&verdict, "run after cri")["reason"], expected, "{verdict:#}");
    for (_, name, part) in NOT_OVER_CRI {
        let case = case(&verdict, name);
        let reason = case["reason"].as_str().unwrap_or_else(|| panic!("{case:#}"));
        assert!(case["outcome"] == "skipped" && reason.contains(part), "{case:#}");
    }
}
