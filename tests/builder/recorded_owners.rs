//! Steps of a user who has no range of IDs: owners are recorded, and the image is the same as that
//! of a user who has one.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::lab::{Lab, Run};
use crate::steps::{CHANGES, RANGE, as_plain_user, lab, listed, plain_user_command, read, recipe};

/// Builds the recipe with and without a range of IDs, and returns what the first one printed. The
/// images must have the same bytes.
fn built_with_and_without_range(lab: &Lab, recipe: &str) -> String {
    lab.file("recipe.toml", recipe);
    let build = |output: &str, ranges: &str| {
        let run = as_plain_user(lab, &["build", "recipe.toml", "-o", output], ranges);
        let printed = run.stderr();
        run.ok();
        printed
    };
    let printed = build("home/single.tar", "");
    assert!(printed.contains("recording the owners of files: this user has no range"), "{printed}");
    let with_range = build("home/range.tar", RANGE);
    assert!(!with_range.contains("recording the owners"), "{with_range}");
    let [single, range] = ["home/single.tar", "home/range.tar"].map(|name| read(lab, name));
    assert_eq!(listed(lab, &single), listed(lab, &range));
    assert!(single.bytes == range.bytes);
    printed
}

/// A step with `command`.
pub fn step(command: &str, more: &str) -> String {
    format!("[[run]]\ncommand = \"\"\"{command}\"\"\"\n{more}\n")
}

/// The lines of GNU tar about entries of the top layer other than folders of the system.
pub fn top(lab: &Lab) -> Vec<String> {
    let lines = listed(lab, &read(lab, "home/single.tar"));
    lines.into_iter().filter(|line| !line.ends_with("0/0 srv/")).collect()
}

#[test]
fn without_a_range_of_ids_the_changes_of_a_step_are_the_same() {
    let lab = lab();
    let changes = format!("[[run]]\ncommand = '''{CHANGES}'''\ninputs = 'input.txt'\n");
    built_with_and_without_range(&lab, &recipe(&changes));
    let lines = top(&lab);
    for expected in [
        "drwxr-xr-x 1000/1001 var/lib/app/",
        "-rwsr-x--- 1000/1001 var/lib/app/data",
        "hrwsr-x--- 1000/1001 var/lib/app/more link to var/lib/app/data",
        "lrwxrwxrwx 0/0 var/lib/app/link -> data",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
    }
}

#[test]
fn root_of_a_user_namespace_with_a_single_id_gets_the_same_bytes() {
    let lab = lab();
    let changes = format!("[[run]]\ncommand = '''{CHANGES}'''\ninputs = 'input.txt'\n");
    lab.file("recipe.toml", recipe(&changes));
    let mut command = lab.command("unshare");
    command.args(["--user", "--map-root-user", "--", env!("CARGO_BIN_EXE_seatrial")]);
    command.args(["build", "recipe.toml", "-o", "single.tar"]);
    let run = Run::of(command);
    let printed = run.stderr();
    run.ok();
    assert!(printed.contains("this user namespace has a single ID"), "{printed}");
    lab.seatrial(["build", "recipe.toml", "-o", "all.tar", "--no-cache"]).ok();
    assert!(read(&lab, "single.tar").bytes == read(&lab, "all.tar").bytes);
}

#[test]
fn recorded_owners_are_those_that_commands_see_and_copy() {
    let lab = lab();
    let command = "cd /; mkdir -p srv/a; echo > srv/a/file; busybox chmod 6755 srv/a/file
busybox chown 1:2 srv/a srv/a/file; busybox chown 3 srv/a/file; busybox chown :4 srv/a/file
ln -s file srv/a/link; busybox chown -h 5:6 srv/a/link; mkfifo srv/a/pipe
busybox chown 7 srv/a/pipe
busybox stat -c '%u:%g %a %n' srv/a/*; busybox cp -a srv/a srv/b; busybox mv srv/b/link srv/b/moved
rm srv/b/pipe; mkfifo srv/b/pipe; ln srv/a/link srv/a/hard
busybox chown 0:0 srv/b/file; exec 3> srv/open; busybox chown 8 /proc/self/fd/3
exec 4> srv/opened; busybox chown 9 /dev/fd/4; cd srv; : > cwd; busybox chown 6 /proc/self/cwd/cwd";
    let command = command.replace("busybox", "/bin/busybox");
    let printed = built_with_and_without_range(&lab, &recipe(&step(&command, "")));
    for line in ["3:4 755 srv/a/file", "5:6 777 srv/a/link", "7:0 644 srv/a/pipe"] {
        assert!(printed.contains(&format!("\n  {line}\n")), "{line}: {printed}");
    }
    assert_eq!(
        top(&lab),
        [
            "drwxr-xr-x 1/2 srv/a/",
            "-rwxr-xr-x 3/4 srv/a/file",
            "lrwxrwxrwx 5/6 srv/a/hard -> file",
            "hrwxrwxrwx 5/6 srv/a/link link to srv/a/hard",
            "prw-r--r-- 7/0 srv/a/pipe",
            "drwxr-xr-x 1/2 srv/b/",
            "-rwxr-xr-x 0/0 srv/b/file",
            "lrwxrwxrwx 5/6 srv/b/moved -> file",
            "prw-r--r-- 0/0 srv/b/pipe",
            "-rw-r--r-- 6/0 srv/cwd",
            "-rw-r--r-- 8/0 srv/open",
            "-rw-r--r-- 9/0 srv/opened",
        ]
    );
}

#[test]
fn the_owners_of_layers_below_stay_without_a_range_of_ids() {
    let lab = lab();
    let base = "mkdir -p /srv/app/sub; echo > /srv/app/sub/file; ln -s file /srv/app/sub/link
ln -s file /srv/app/sub/other; mkfifo /srv/app/sub/pipe /srv/app/sub/mode /srv/app/sub/time
chown -R 1000:50 /srv/app
chown -h 1000:50 /srv/app/sub/link; chown -h 8:9 /srv/app/sub/other";
    let change = "cd /srv/app/sub; echo >> file; chmod 600 file; touch -h link; mv other moved
chmod 600 mode; touch time
ls -ln pipe link moved; ln pipe again; echo > new";
    let change = change.replace("touch", "/bin/busybox touch").replace("mv", "/bin/busybox mv");
    let steps = [step(base, ""), step(&change, "")].concat();
    let printed = built_with_and_without_range(&lab, &recipe(&steps));
    for owner in [
        "1000     50               4",
        "8        9                4",
        "1000     50               0",
    ] {
        assert!(printed.contains(owner), "{owner}: {printed}");
    }
    assert_eq!(
        top(&lab),
        [
            "drwxr-xr-x 1000/50 srv/app/",
            "drwxr-xr-x 1000/50 srv/app/sub/",
            "prw-r--r-- 1000/50 srv/app/sub/again",
            "-rw------- 1000/50 srv/app/sub/file",
            "lrwxrwxrwx 1000/50 srv/app/sub/link -> file",
            "prw------- 1000/50 srv/app/sub/mode",
            "lrwxrwxrwx 8/9 srv/app/sub/moved -> file",
            "-rw-r--r-- 0/0 srv/app/sub/new",
            "-rw------- 0/0 srv/app/sub/.wh.other",
            "prw-r--r-- 1000/50 srv/app/sub/pipe",
            "prw-r--r-- 1000/50 srv/app/sub/time",
        ]
    );
}

#[test]
fn files_belong_to_the_user_or_the_setgid_folder_that_they_are_created_in() {
    let lab = lab();
    let shared = "mkdir -p /srv/all; chown 0:50 /srv/all; chmod 2777 /srv/all
echo > /srv/all/root; mkdir /srv/all/folder; ln -s x /srv/all/link";
    let user = "cd /srv/all; /bin/busybox id; umask 027; echo > file; mkdir sub; mkfifo pipe
(ln -s x own; echo > sub/nested) & wait; ln -s target dangling; echo > dangling
chown 0 file || chown :50 file || echo refused; echo >> root || echo denied
(: > slash/) || echo refused; umask 777; echo > closed";
    let steps = [step(shared, ""), step(user, "user = 'app'")].concat();
    lab.file("recipe.toml", recipe(&steps));
    let run = as_plain_user(&lab, &["build", "recipe.toml", "-o", "home/single.tar"], "");
    let printed = run.stderr();
    run.ok();
    assert!(printed.contains("\n  uid=1000(app) gid=1001\n"), "{printed}");
    assert!(printed.contains("chown: file: Operation not permitted\n"), "{printed}");
    assert_eq!(
        top(&lab),
        [
            "drwxrwsrwx 0/50 srv/all/",
            "---------- 1000/50 srv/all/closed",
            "lrwxrwxrwx 1000/50 srv/all/dangling -> target",
            "-rw-r----- 1000/50 srv/all/file",
            "lrwxrwxrwx 1000/50 srv/all/own -> x",
            "prw-r----- 1000/50 srv/all/pipe",
            "-rw-r--r-- 0/50 srv/all/root",
            "drwxr-s--- 1000/50 srv/all/sub/",
            "-rw-r----- 1000/50 srv/all/sub/nested",
            "-rw-r----- 1000/50 srv/all/target",
        ]
    );
}

#[test]
fn a_step_without_a_range_of_ids_ends_with_its_timeout_and_leaves_nothing() {
    let lab = lab();
    lab.file(
        "recipe.toml",
        recipe(&step("echo > /file; chown 1 /file; sleep 87654", "timeout = 1")),
    );
    let run = as_plain_user(&lab, &["build", "recipe.toml", "-o", "home/out.tar"], "");
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("did not end within 1 s"), "{}", run.stderr());
    assert!(!lab.exists("home/out.tar"));
    let deadline = Instant::now() + Duration::from_secs(30);
    let work = lab.path("home/cache/seatrial/steps/work");
    while fs::read_dir(&work).unwrap().next().is_some() || is_running("87654") {
        assert!(Instant::now() < deadline, "it left processes or files");
        std::thread::yield_now();
    }
}

/// Creates files with `openat2`, with these flags, restrictions of the path, and size of both, and
/// removes an extended attribute. The numbers are those of x86-64.
#[cfg(target_arch = "x86_64")]
const NEWER_CALLS: &str = r#"mkdir -m 777 made; cd made; perl -e '
$) = "50 50"; $> = 1000;
sub create { my ($path, $flags, $resolve, $size) = @_;
  my $how = pack("QQQ", $flags, 0644, $resolve);
  my $result = syscall(437, -100, $path, $how, $size);
  print "$path: ", $result < 0 ? $! + 0 : "made", "\n" }
create("plain", 0101, 0, 24); create("below", 0101, 8, 24); create("../above", 0101, 8, 24);
create("unknown", 0101 | 1 << 40, 0, 24); create("short", 0101, 0, 16);
my ($file, $name) = ("plain", "user.seatrial.owner"); syscall(197, $file, $name);
print "removexattrat: ", syscall(466, -100, $file, 0, $name) < 0 ? $! + 0 : "removed", "\n"'"#;

#[test]
#[cfg(target_arch = "x86_64")]
fn newer_system_calls_create_files_of_the_user_only_where_linux_does() {
    let lab = lab();
    let commands = format!("fake_root_commands = '''\n{NEWER_CALLS}\n'''\n");
    let printed = built_with_and_without_range(&lab, &recipe(&commands));
    let created = ["plain: made", "below: made", "../above: 18", "unknown: 22", "short: 22"];
    for line in created.iter().chain(&["removexattrat: 38"]) {
        assert!(printed.contains(&format!("\n  {line}\n")), "{line}: {printed}");
    }
    assert_eq!(
        top(&lab),
        ["drwxrwxrwx 0/0 made/", "-rw-r--r-- 1000/50 made/below", "-rw-r--r-- 1000/50 made/plain"]
    );
}

#[test]
fn owners_are_recorded_if_time_for_real_time_scheduling_is_limited() {
    let lab = lab();
    lab.file("recipe.toml", recipe(&step("echo > /file", "user = 'app'")));
    let plain = plain_user_command(&lab, &["build", "recipe.toml", "-o", "home/single.tar"], "");
    let mut command = lab.command("prlimit");
    command.arg("--rttime=200000:200000").arg(plain.get_program()).args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Run::of(command).ok();
    assert_eq!(top(&lab), ["-rw-r--r-- 1000/1001 file"]);
}

#[test]
fn a_recorder_that_ends_early_is_a_failure_of_the_host() {
    let lab = lab();
    lab.file("recipe.toml", recipe(&step("echo runs; sleep 76543", "")));
    let mut command = plain_user_command(&lab, &["build", "recipe.toml", "-o", "home/x.tar"], "");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "  runs"));
    let program = lab.path("seatrial");
    let is_recorder = |process: &PathBuf| {
        let command = fs::read(process.join("cmdline")).unwrap_or_default();
        command.split(|byte| *byte == 0).any(|word| word == b"step-owners")
            && fs::read_link(process.join("exe")).is_ok_and(|path| path == program)
    };
    let mut processes = fs::read_dir("/proc").unwrap().flatten().map(|process| process.path());
    let recorder = processes.find(is_recorder).unwrap();
    let id = recorder.file_name().unwrap();
    assert!(Command::new("kill").arg("-KILL").arg(id).status().unwrap().success());
    let error: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{error:?}");
    assert!(error.iter().any(|line| line.contains("records the owners")), "{error:?}");
}

/// Whether a process has the argument `text`.
fn is_running(text: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut commands =
        processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    commands.any(|command| command.split(|byte| *byte == 0).any(|word| word == text.as_bytes()))
}
