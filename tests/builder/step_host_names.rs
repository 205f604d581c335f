//! The files about names of hosts that steps see: `/etc/hosts` and `/etc/resolv.conf`.

use std::fs;

use crate::lab::{Lab, Run};
use crate::steps::{build, lab, printed, read, with_command};

/// The generated `/etc/hosts`, as docs/recipe.md describes it.
const GENERATED: [&str; 2] = ["127.0.0.1\tlocalhost build", "::1\tlocalhost"];

/// The names of the files in the top layer of the image.
fn top_layer(lab: &Lab) -> Vec<String> {
    let layer = read(lab, "out.tar").layers().pop().unwrap();
    layer.into_iter().map(|member| member.name).collect()
}

#[test]
fn a_step_finds_localhost_and_its_own_name_and_the_file_with_them_is_not_in_its_layer() {
    let lab = lab();
    let ask = "for host in localhost $(busybox hostname); do
        busybox wget http://$host:1/ 2>&1 || echo refused; done; echo > /made";
    let lines = printed(&lab, &with_command(ask, ""));
    let is_found = |line: &&String| line.contains("Connection refused");
    assert_eq!(lines.iter().filter(is_found).count(), 2, "{lines:?}");
    assert_eq!(top_layer(&lab), ["made"]);
}

#[test]
fn the_file_with_host_names_is_below_those_of_the_image_and_of_the_inputs() {
    let lab = lab();
    lab.file("own", "192.0.2.1\town\n");
    lab.file("folder/hosts", "192.0.2.2\tfolder\n");
    let show = |more: &str| printed(&lab, &with_command("cat /etc/hosts; echo > /made", more));
    assert_eq!(show(""), GENERATED);
    let input = "inputs = [{ source = 'own', target = '/etc/hosts' }]";
    assert_eq!(show(input), ["192.0.2.1\town"]);
    let etc = "inputs = [{ source = 'folder', target = '/etc' }]";
    for network in ["", "\nnetwork = true"] {
        assert_eq!(show(&format!("{etc}{network}")), ["192.0.2.2\tfolder"]);
        assert_eq!(top_layer(&lab), ["made"]);
    }
    lab.file("rootfs/etc/hosts", "192.0.2.3\timage\n");
    assert_eq!(show(""), ["192.0.2.3\timage"]);
    assert_eq!(top_layer(&lab), ["made"]);
}

#[test]
fn a_step_can_change_replace_and_remove_the_file_with_host_names() {
    let lab = lab();
    let generated = format!("{}\n", GENERATED.join("\n"));
    let unpack = "cd /x; echo unpacked > etc/hosts; /bin/busybox tar -cf /x.tar etc; cd /
        /bin/busybox tar -xf /x.tar; rm -r /x /x.tar";
    for (command, content) in [
        ("echo more >> /etc/hosts", Some(format!("{generated}more\n"))),
        ("echo moved > /x; /bin/busybox mv /x /etc/hosts", Some("moved\n".to_owned())),
        (&*format!("mkdir -p /x/etc; {unpack}"), Some("unpacked\n".to_owned())),
        ("rm /etc/hosts", None),
        ("rm -r /etc", None),
        ("rm -r /etc; mkdir /etc", None),
    ] {
        // The next step sees what this one has left.
        let steps = with_command(command, "") + "[[run]]\ncommand='cat /etc/hosts || true'\n";
        let lines = printed(&lab, &steps).join("\n");
        match content {
            Some(content) => {
                let found = read(&lab, "out.tar").member("etc/hosts").unwrap().content;
                assert_eq!(String::from_utf8(found).unwrap(), content, "{command}");
                assert_eq!(format!("{lines}\n"), content, "{command}");
            }
            None => assert!(lines.contains("No such file or directory"), "{command}: {lines}"),
        }
        assert_eq!(top_layer(&lab), Vec::<String>::new(), "{command}");
    }
}

#[test]
fn users_of_the_image_can_read_the_files_about_hosts_whatever_the_umask_is() {
    let lab = lab();
    let command = "cat /etc/hosts; cat /etc/resolv.conf > /dev/null";
    lab.file("recipe.toml", with_command(command, "user = 'app'\nnetwork = true"));
    let mut shell = lab.command("sh");
    shell.args(["-c", "umask 077; exec \"$0\" build recipe.toml --no-cache"]);
    shell.arg(env!("CARGO_BIN_EXE_seatrial"));
    let run = Run::of(shell);
    let output = run.stderr();
    run.ok();
    assert!(output.contains(&format!("  {}\n  {}\n", GENERATED[0], GENERATED[1])), "{output}");
}

#[test]
fn host_files_are_where_symlinks_of_the_image_lead_and_not_in_the_layer() {
    let lab = lab();
    let resolver = fs::read_to_string("/etc/resolv.conf").unwrap();
    let lines: Vec<&str> = resolver.lines().collect();
    let show = with_command("cat /etc/resolv.conf; echo > /made", "network = true");
    // As systemd-resolved makes it.
    lab.link("rootfs/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf");
    for folder in ["", "rootfs/run", "rootfs/run/systemd/resolve"] {
        fs::create_dir_all(lab.path(folder)).unwrap();
        assert_eq!(printed(&lab, &show), lines, "{folder}");
        assert_eq!(top_layer(&lab), ["made"], "{folder}");
    }
    // An input at the same path wins.
    lab.file("own", "nameserver 192.0.2.1\n");
    let own = "network = true\ninputs = [{ source = 'own', target = '/etc/resolv.conf' }]";
    let own = with_command("cat /etc/resolv.conf", own);
    lab.file("rootfs/run/systemd/resolve/stub-resolv.conf", "");
    assert_eq!(printed(&lab, &own), ["nameserver 192.0.2.1"]);
    // The folder itself is a symlink.
    fs::rename(lab.path("rootfs/etc"), lab.path("rootfs/system")).unwrap();
    lab.link("rootfs/etc", "system");
    let both = with_command("cat /etc/hosts /etc/resolv.conf; echo > /made", "network = true");
    assert_eq!(printed(&lab, &both), [&GENERATED[..], &lines].concat());
    assert_eq!(top_layer(&lab), ["made"]);
}

#[test]
fn a_note_says_that_the_resolver_of_the_host_cannot_be_mounted() {
    let lab = lab();
    let recipe = with_command("echo > /made", "network = true");
    for target in ["resolv.conf", "/bin", "motd/file"] {
        lab.link("rootfs/etc/resolv.conf", target);
        let run = build(&lab, &recipe, &["--no-cache"]);
        let note = "names of hosts are not resolved: the host's /etc/resolv.conf is not";
        assert!(run.stderr().contains(note), "{target}: {}", run.stderr());
        run.ok();
        assert_eq!(top_layer(&lab), ["made"], "{target}");
        fs::remove_file(lab.path("rootfs/etc/resolv.conf")).unwrap();
    }
}
