//! Steps: commands that change an image, in namespaces of this host. What they made is compared
//! with what GNU tar and umoci see in the image.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::lab::{Built, Lab, Run, is_root};

/// A user ID that no account of the host has.
const USER: &str = "54321";

/// A lab with a root file system of busybox, a user `app`, and files to change.
pub fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("rootfs/bin/busybox", fs::read("/bin/busybox").unwrap());
    lab.mode("rootfs/bin/busybox", 0o755);
    lab.link("rootfs/bin/sh", "busybox");
    for applet in ["cat", "chmod", "chown", "ls", "mkdir", "mkfifo", "rm", "id", "sleep", "ln"] {
        lab.link(&format!("rootfs/bin/{applet}"), "busybox");
    }
    lab.file(
        "rootfs/etc/passwd",
        "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n",
    );
    lab.file("rootfs/etc/group", "root:x:0:\nstaff:x:50:\n");
    lab.file("rootfs/etc/motd", "old\n");
    lab.file("rootfs/usr/share/doc/old", "old\n");
    lab.file("input.txt", "input\n");
    lab
}

pub fn recipe(steps: &str) -> String {
    format!("name='my/app'\ntag='1'\narchitecture='amd64'\ncontents=['rootfs']\n{steps}")
}

/// A recipe with one step.
pub fn with_command(command: &str, more: &str) -> String {
    recipe(&format!("[[run]]\ncommand = '''{command}'''\n{more}\n"))
}

/// Builds in the lab, and returns the finished program.
pub fn build(lab: &Lab, recipe: &str, arguments: &[&str]) -> Run {
    lab.file("recipe.toml", recipe);
    lab.seatrial(["build", "recipe.toml", "-o", "out.tar"].iter().chain(arguments))
}

/// The lines that a step printed.
pub fn printed(lab: &Lab, recipe: &str) -> Vec<String> {
    let run = build(lab, recipe, &["--no-cache"]);
    let lines = run.stderr();
    run.ok();
    lines.lines().filter_map(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
}

/// Runs the program as a plain user with these ranges of IDs, which are in a file that only this
/// process sees. Tests that do not run as root are a plain user already, with a range.
pub fn as_plain_user(lab: &Lab, arguments: &[&str], ranges: &str) -> Run {
    if !is_root() && ranges == RANGE {
        return lab.seatrial(arguments);
    }
    Run::of(plain_user_command(lab, arguments, ranges))
}

/// The command of [`as_plain_user`].
pub fn plain_user_command(lab: &Lab, arguments: &[&str], ranges: &str) -> Command {
    assert!(is_root(), "only root can become a user with other ranges of IDs: run this as root");
    lab.file("private/subid", ranges);
    lab.file("private/passwd", format!("plain:x:{USER}:{USER}::/nonexistent:/bin/sh\n"));
    fs::create_dir_all(lab.path("home")).unwrap();
    lab.tool("chown", [USER, "home"]);
    for folder in ["", "home"] {
        fs::set_permissions(lab.path(folder), fs::Permissions::from_mode(0o755)).unwrap();
    }
    // The program may be in a folder that other users cannot read. This process does not write the
    // copy: a program that another test starts meanwhile would have it open, and block its start.
    lab.tool("cp", [env!("CARGO_BIN_EXE_seatrial"), "seatrial"]);
    let mut command = lab.command("unshare");
    command.args(["--mount", "--", "sh", "-ec"]).arg(
        "mount --bind private/subid /etc/subuid; mount --bind private/subid /etc/subgid
         mount --bind private/passwd /etc/passwd
         exec setpriv --reuid $0 --regid $0 --clear-groups ./seatrial \"$@\"",
    );
    command.arg(USER).args(arguments);
    command.env("HOME", lab.path("home")).env("XDG_CACHE_HOME", lab.path("home/cache"));
    command
}

/// The range of IDs of the plain user.
pub const RANGE: &str = "plain:1000000:65536\n";

pub fn read(lab: &Lab, archive: &str) -> Built {
    Built { bytes: fs::read(lab.path(archive)).unwrap(), summary: serde_json::Value::Null }
}

/// The lines of GNU tar about the top layer: mode, owner, size, name, without the time.
pub fn listed(lab: &Lab, built: &Built) -> Vec<String> {
    lab.file("top.tar", built.layer_files().pop().unwrap());
    let lines = lab.tool("tar", ["--numeric-owner", "-tvf", "top.tar"]);
    let shown = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        [&fields[..2], &fields[5..]].concat().join(" ")
    };
    lines.lines().map(shown).collect()
}

/// Changes of all kinds.
pub const CHANGES: &str = "mkdir -p /var/lib/app; cat /inputs/input.txt > /var/lib/app/data
chown 1000:1001 /var/lib/app /var/lib/app/data; chmod 4750 /var/lib/app/data
ln /var/lib/app/data /var/lib/app/more; ln -s data /var/lib/app/link; mkfifo /var/lib/app/pipe
rm /etc/motd; rm -r /usr/share/doc; mkdir /usr/share/doc; cat /etc/group >> /etc/passwd";

#[test]
fn the_changes_of_a_step_become_a_layer_with_their_owners_modes_and_links() {
    let lab = lab();
    build(&lab, &with_command(CHANGES, "inputs = 'input.txt'"), &[]).ok();
    let built = read(&lab, "out.tar");
    assert_eq!(
        listed(&lab, &built),
        [
            "drwxr-xr-x 0/0 etc/",
            "-rw------- 0/0 etc/.wh.motd",
            "-rw-r--r-- 0/0 etc/passwd",
            "drwxr-xr-x 0/0 usr/",
            "drwxr-xr-x 0/0 usr/share/",
            "drwxr-xr-x 0/0 usr/share/doc/",
            "-rw------- 0/0 usr/share/doc/.wh..wh..opq",
            "drwxr-xr-x 0/0 var/",
            "drwxr-xr-x 0/0 var/lib/",
            "drwxr-xr-x 1000/1001 var/lib/app/",
            "-rwsr-x--- 1000/1001 var/lib/app/data",
            "lrwxrwxrwx 0/0 var/lib/app/link -> data",
            "hrwsr-x--- 1000/1001 var/lib/app/more link to var/lib/app/data",
            "prw-r--r-- 0/0 var/lib/app/pipe",
        ]
    );
    assert_eq!(built.member("var/lib/app/data").unwrap().content, b"input\n");
    let times = built.layers().pop().unwrap().into_iter().map(|member| member.mtime);
    assert_eq!(times.max(), Some(1), "the recipe's mtime is the latest");
}

#[test]
fn umoci_unpacks_what_a_step_changed() {
    let lab = lab();
    build(&lab, &with_command(CHANGES, "inputs = 'input.txt'"), &["--format", "oci"]).ok();
    fs::create_dir(lab.path("layout")).unwrap();
    lab.tool("tar", ["-xf", "out.tar", "-C", "layout"]);
    lab.tool("umoci", ["unpack", "--rootless", "--image", "layout:1", "bundle"]);
    assert!(!lab.exists("bundle/rootfs/etc/motd"));
    assert!(!lab.exists("bundle/rootfs/usr/share/doc/old"));
    let inode = |name: &str| {
        use std::os::unix::fs::MetadataExt;
        lab.path(format!("bundle/rootfs/var/lib/app/{name}")).metadata().unwrap().ino()
    };
    assert_eq!(inode("data"), inode("more"));
    let names: Vec<_> = fs::read_dir(lab.path("bundle/rootfs")).unwrap().collect();
    let names: Vec<_> = names.into_iter().map(|name| name.unwrap().file_name()).collect();
    for name in ["dev", "proc", "inputs"] {
        assert!(!names.contains(&name.into()), "{name} is in the image");
    }
}

#[test]
fn programs_in_a_step_are_told_which_time_files_have_unless_the_recipe_says_another() {
    let lab = lab();
    let show = "echo $SOURCE_DATE_EPOCH";
    // 1980-01-01T00:00:00Z, the earliest time in a zip archive; `date -d 2024-05-06 +%s`.
    for (more, epoch) in [("", "315532800"), ("env = ['SOURCE_DATE_EPOCH=7']", "7")] {
        assert_eq!(printed(&lab, &with_command(show, more)), [epoch]);
    }
    let dated = with_command(show, "").replace("tag='1'", "tag='1'\nmtime='2024-05-06'");
    assert_eq!(printed(&lab, &dated), ["1714953600"]);
}

#[test]
fn python_does_not_compile_again_what_a_step_has_compiled() {
    let lab = lab();
    let compile = "python3 -m compileall -q .";
    let recipe = format!(
        "name='x'\ntag='1'\ncontents={{ source='app', target='/app' }}
        extraCommands = 'cd app; echo x=1 > made.py; {compile}'\n"
    );
    lab.file("app/kept.py", "y=2\n");
    build(&lab, &recipe, &[]).ok();
    fs::create_dir(lab.path("unpacked")).unwrap();
    for (index, layer) in read(&lab, "out.tar").layer_files().into_iter().enumerate() {
        lab.file(format!("{index}.tar"), layer);
        lab.tool("tar", ["-xf", &format!("{index}.tar"), "-C", "unpacked"]);
    }
    let import = "import sys; sys.path.insert(0, 'unpacked/app'); import made";
    let mut python = lab.command("python3");
    python.args(["-v", "-c", import]);
    let run = Run::of(python);
    let trace = run.stderr();
    run.ok();
    assert!(trace.contains("made.cpython") && !trace.contains("stale"), "{trace}");
}

#[test]
fn root_and_a_plain_user_get_the_same_bytes() {
    let lab = lab();
    build(&lab, &with_command(CHANGES, "inputs = 'input.txt'"), &[]).ok();
    as_plain_user(&lab, &["build", "recipe.toml", "-o", "home/out.tar"], RANGE).ok();
    assert!(read(&lab, "out.tar").bytes == read(&lab, "home/out.tar").bytes);
}

#[test]
fn extended_attributes_and_capabilities_of_a_step_are_in_its_layer() {
    let lab = lab();
    let commands = "fakeRootCommands = 'cp input web; setcap cap_net_bind_service=ep web'\n";
    lab.file("rootfs/input", "x");
    build(&lab, &recipe(commands), &[]).ok();
    lab.file("top.tar", read(&lab, "out.tar").layer_files().pop().unwrap());
    fs::create_dir(lab.path("unpacked")).unwrap();
    let shown = lab.tool("tar", ["--xattrs", "--xattrs-include=*", "-tvvf", "top.tar"]);
    assert!(shown.contains("security.capability"), "{shown}");
    // VFS_CAP_REVISION_2 with the effective flag, then bit 10, as in capability.h of Linux.
    let value = b"SCHILY.xattr.security.capability=\x01\0\0\x02\0\x04\0\0";
    let top = fs::read(lab.path("top.tar")).unwrap();
    assert!(top.windows(value.len()).any(|window| window == value));
}

#[test]
fn steps_build_on_each_other_and_on_a_base_with_whiteouts() {
    let lab = lab();
    build(&lab, &with_command(CHANGES, "inputs = 'input.txt'"), &["--format", "oci"]).ok();
    fs::rename(lab.path("out.tar"), lab.path("base.tar")).unwrap();
    let recipe = "name='x'\ntag='1'\nfrom_image='base.tar'\n[config]\nEnv=['IMAGE=1', 'OWN=0']
[[run]]\ncommand = 'ls /etc /usr/share/doc; ls -ln /var/lib/app; rm /etc/group; mkdir /etc/group'
[[run]]\ncommand = 'ls -A /etc/group /etc; echo $IMAGE $OWN $PATH'\nenv = ['OWN=2']\n";
    let lines = printed(&lab, recipe);
    let text = lines.join("\n");
    assert!(text.starts_with("/etc:\ngroup\nhosts\npasswd\n\n/usr/share/doc:\n"), "{text}");
    let owner = "1000     1001             6 Jan  1  1970 data";
    assert_eq!(lines.iter().filter(|line| line.contains(owner)).count(), 1, "{text}");
    assert!(text.contains("/etc:\ngroup\nhosts\npasswd\n\n/etc/group:\n"), "{text}");
    assert!(text.ends_with("1 2 /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    let layers = read(&lab, "out.tar").layer_files().len();
    assert_eq!(layers, 4);
}

#[test]
fn steps_run_on_a_layer_that_the_image_has_twice() {
    let lab = lab();
    let [add, remove] = ["echo new > /etc/motd", "rm /etc/motd"].map(|command| {
        format!("[[run]]\ncommand = '{command}; rm -rf /var; [ -e /etc/passwd ]'\n")
    });
    let show = "[[run]]\ncommand = 'cat /etc/motd'\n";
    let steps = [&*add, &remove, &add, "[[run]]\ncommand = 'true'\n", show].concat();
    assert!(printed(&lab, &recipe(&steps)).contains(&"new".to_owned()));
    let diff_ids = read(&lab, "out.tar").config()["rootfs"]["diff_ids"].clone();
    assert_eq!(diff_ids[1], diff_ids[3]);
}

#[test]
fn a_step_runs_as_another_user_in_its_folder() {
    let lab = lab();
    let command = "id; echo $HOME $PWD; cat /inputs/input.txt; echo x > /etc/motd";
    for (user, id, home) in [
        ("app", "uid=1000(app) gid=1001", "/home/app"),
        ("app:staff", "uid=1000(app) gid=50(staff)", "/home/app"),
        ("7:8", "uid=7 gid=8", "/"),
    ] {
        let more = format!("user = '{user}'\nworkdir = '/usr/share'\ninputs = 'input.txt'");
        let run = build(&lab, &with_command(command, &more), &[]);
        let output = run.stderr();
        let expected = format!("  {id}\n  {home} /usr/share\n  input\n");
        assert!(output.contains(&expected), "{output}");
        assert!(output.contains("can't create /etc/motd: Permission denied"), "{output}");
        assert_eq!(run.output.status.code(), Some(2));
    }
}

#[test]
fn a_step_sees_nothing_of_the_host_but_its_inputs() {
    let lab = lab();
    let secret = lab.file("secret", "x").display().to_string();
    let command = format!(
        "set +e; ls {secret} /etc/hostname /home /usr/lib; cat /proc/net/dev; env; ls /proc /
         echo x > /inputs/input.txt; busybox mount -t tmpfs x /etc; busybox unshare -U true
         busybox mknod /dev/sda b 8 0;
         cat /proc/keys; exit 0"
    );
    let recipe = with_command(&command.replace("busybox", "/bin/busybox"), "inputs = 'input.txt'");
    let lines = printed(&lab, &recipe);
    let text = lines.join("\n");
    for path in [secret.as_str(), "/etc/hostname", "/home", "/usr/lib"] {
        assert!(text.contains(&format!("ls: {path}: No such file or directory")), "{text}");
    }
    let interfaces: Vec<&String> = lines.iter().filter(|line| line.contains(": ")).collect();
    let interfaces = interfaces.iter().filter(|line| line.trim_start().starts_with("eth"));
    assert_eq!(interfaces.count(), 0, "{text}");
    let processes = lines.iter().filter(|line| line.parse::<u32>().is_ok()).count();
    assert!((1..=4).contains(&processes), "{text}");
    assert!(text.contains("can't create /inputs/input.txt: Read-only file system"), "{text}");
    assert!(text.contains("mount: permission denied"), "{text}");
    assert!(text.contains("unshare: unshare(0x10000000): Operation not permitted"), "{text}");
    assert!(text.contains("mknod: /dev/sda: Operation not permitted"), "{text}");
    assert!(text.contains("can't open '/proc/keys': Permission denied"), "{text}");
    assert!(!text.contains("XDG_CACHE_HOME"), "{text}");
    assert_eq!(fs::read(lab.path("input.txt")).unwrap(), b"input\n");
}

#[test]
fn the_commands_of_docker_tools_change_a_layer_or_the_image() {
    let lab = lab();
    let recipe = "name='my/app'\ntag='1'\ncontents=['tree']\nfrom_image='base.tar'
extraCommands = 'mkdir data; echo made > data/file; rm old; ls bin 2>&1 || true'
fakeRootCommands = 'chown -R 1234:5678 data'\n";
    lab.file("tree/old", "x");
    lab.file("tree/kept", "x");
    lab.file("base.toml", "name='base'\ntag='1'\ncontents='rootfs'\n");
    lab.seatrial(["build", "base.toml"]).ok();
    let lines = printed(&lab, recipe).join("\n");
    assert!(lines.contains("cannot access 'bin'"), "only the layer is in the folder: {lines}");
    let built = read(&lab, "out.tar");
    assert_eq!(built.layers().len(), 4);
    assert!(built.names(2).contains(&".wh.old".to_owned()), "{:?}", built.names(2));
    assert_eq!(built.member("data/file").unwrap().owner, (1234, 5678));
    let rooted = "name='my/app'\ntag='1'\nfrom_image='base.tar'\nenableFakechroot=true
fakeRootCommands = 'chown 5:6 /etc/motd'\nrunAsRoot = 'ls /etc/motd'\n";
    assert_eq!(printed(&lab, rooted), ["/etc/motd"]);
    assert_eq!(read(&lab, "out.tar").member("etc/motd").unwrap().owner, (5, 6));
}

#[test]
fn steps_count_as_layers() {
    let lab = lab();
    let message = lab.rejected(&format!("max_layers = 1\n{}", with_command("true", "")));
    assert!(message.contains("max_layers is 1"), "{message}");
}
