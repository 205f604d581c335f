//! Steps that fail, hang, are killed or cannot run.

use crate::steps::{build, lab, recipe, with_command};

#[test]
fn a_step_that_fails_shows_its_last_lines_and_writes_nothing() {
    let lab = lab();
    let command = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; done; false; echo no";
    let run = build(&lab, &with_command(command, ""), &[]);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    // They are shown once.
    let message = run.stderr();
    assert_eq!(message.matches("line 12").count(), 1, "{message}");
    assert!(message.ends_with("failed with exit code 1\n"), "{message}");
    let run = build(&lab, &with_command(command, ""), &["--quiet"]);
    let message = run.stderr();
    let error = message.strip_prefix("seatrial: ").unwrap();
    assert!(error.contains("failed with exit code 1; its last lines:\n  line 3\n"), "{error}");
    assert!(error.ends_with("line 12\n"), "{error}");
    assert!(!lab.exists("out.tar"));
    let run = build(&lab, &with_command("kill -9 $$", ""), &[]);
    assert!(
        run.stderr().contains("failed with exit code 137 (signal 9, SIGKILL)"),
        "{}",
        run.stderr()
    );
}

#[test]
fn a_step_that_fails_because_it_has_no_network_gets_a_hint() {
    let lab = lab();
    let hint = "; the step has no network: set network = true if it needs one\n";
    // Debian's apt, and busybox.
    for (command, expected) in [
        ("echo \"  Temporary failure resolving 'deb.debian.org'\"; exit 100", true),
        ("busybox wget -q http://mirror.invalid/x", true),
        ("echo 'E: Unable to locate package curl'; exit 100", true),
        // Of esbuild.
        ("echo 'ERROR: Could not resolve \"react\"'; false", false),
    ] {
        let run = build(&lab, &with_command(command, ""), &[]);
        assert_eq!(run.stderr().contains(hint), expected, "{command}: {}", run.stderr());
    }
}

#[test]
fn a_step_that_may_not_mount_or_make_devices_gets_a_hint() {
    let lab = lab();
    let hint = "; mounts and devices need where = \"vm\"\n";
    for (command, expected) in [
        ("busybox mount -t tmpfs x /mnt", true),
        ("busybox mknod /x c 1 3", true),
        ("echo 'cat: /x: Permission denied'; false", false),
    ] {
        let run = build(&lab, &with_command(command, ""), &[]);
        assert_eq!(run.stderr().ends_with(hint), expected, "{command}: {}", run.stderr());
    }
}

#[test]
fn a_step_that_hangs_ends_with_its_timeout() {
    let lab = lab();
    let command = with_command("echo waits; sleep infinity", "timeout = 1");
    let run = build(&lab, &command, &["--quiet"]);
    assert_eq!(run.output.status.code(), Some(2));
    assert!(run.stderr().contains("did not end within 1 s"), "{}", run.stderr());
    assert!(run.stderr().contains("its last lines:\n  waits"), "{}", run.stderr());
}

#[test]
fn mistakes_in_steps_are_explained() {
    let lab = lab();
    for (step, expected) in [
        ("command = 'x'\nargs = ['x']", "run[1]: needs either command, a line for the shell, or"),
        ("", "run[1]: needs either command"),
        ("args = []", "run[1]: args needs a program"),
        ("command = 'x'\nworkdir = 'a'", "workdir \"a\" must begin with a slash"),
        ("command = 'x'\nenv = ['A']", "env entry \"A\" has no '='"),
        ("command = 'x'\ntimeout = 0", "timeout must be at least 1 second"),
        (
            "command = 'x'\nwhere = 'docker'",
            "where: unknown value \"docker\"; expected \"namespace\", \"vm\"",
        ),
        ("command = 'x'\ninputs = ['a/x', 'b/x']", "have the same target"),
        (
            "command = 'x'\ninputs = [{ source = 'a', target = '/proc/x' }]",
            "input target \"/proc/x\" must be an absolute path outside of /dev, /proc and /sys",
        ),
        ("comand = 'x'", "did you mean \"command\"?"),
    ] {
        let message = lab.rejected(&recipe(&format!("[[run]]\n{step}\n")));
        assert!(message.contains(expected), "{message}");
    }
    for (step, expected) in [
        ("args = ['/bin/missing']", "it does not start: bwrap: execvp /bin/missing: No such file"),
        ("command = 'true'\nworkdir = '/no'", "failed to enter workdir /no: No such file"),
        (
            "command = 'true'\nuser = 'app'\nworkdir = '/bin/sh'",
            "failed to enter workdir /bin/sh: Not a directory; make the folder in path or in an",
        ),
        (
            "command = 'true'\n[[path]]\npath = '/bin/sh'\nremove = true",
            "No such file or directory; the image has no shell for command, or lacks its \
             libraries: add them, or use args",
        ),
        ("command = 'x'\nuser = 'nobody'", "the image's /etc/passwd does not have \"nobody\""),
        ("command = 'x'\nuser = 'app:no'", "the image's /etc/group does not have \"no\""),
        ("command = 'x'\ninputs = 'missing'", "failed to read"),
        ("command = 'echo x > /.wh.x'", "names that begin with \".wh.\" mean a removal"),
    ] {
        let run = build(&lab, &recipe(&format!("[[run]]\n{step}\n")), &[]);
        assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
        assert!(run.stderr().contains(expected), "{}", run.stderr());
        assert!(!lab.exists("out.tar"));
    }
}

#[test]
fn an_image_for_an_architecture_that_the_host_does_not_run_is_refused() {
    if std::path::Path::new("/proc/sys/fs/binfmt_misc/qemu-s390x").exists() {
        return;
    }
    let lab = lab();
    let step = "[[run]]\ncommand = 'true'\n";
    let run = build(&lab, &recipe(step).replace("amd64", "s390x"), &[]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    let message = run.stderr();
    assert!(message.contains("the image is for s390x, whose programs do not run"), "{message}");
    assert!(message.contains("install the Debian package qemu-user-static"), "{message}");
    assert!(!lab.exists("out.tar"));
}
