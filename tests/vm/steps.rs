//! Steps of recipes with `where = "vm"`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::service::Registry;

/// A folder with a root file system of busybox.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["rootfs/bin", "rootfs/etc", "rootfs/usr/share/doc", "rootfs/mnt"] {
        std::fs::create_dir_all(path(name)).unwrap();
    }
    std::fs::copy("/bin/busybox", path("rootfs/bin/busybox")).unwrap();
    for applet in ["sh", "cat", "chmod", "chown", "mkdir", "mount", "rm", "ln", "df", "ip"] {
        std::os::unix::fs::symlink("busybox", path("rootfs/bin").join(applet)).unwrap();
    }
    for name in ["rootfs/etc/motd", "rootfs/usr/share/doc/old", "input.txt"] {
        std::fs::write(path(name), "text\n").unwrap();
    }
    folder
}

/// Builds a recipe with `steps`, and returns the finished program.
fn build(folder: &TempDir, steps: &str) -> Output {
    program(folder, steps).output().unwrap()
}

/// The program that builds a recipe with `steps`.
fn program(folder: &TempDir, steps: &str) -> Command {
    let recipe = format!("name='x'\ntag='1'\narchitecture='amd64'\ncontents=['rootfs']\n{steps}");
    std::fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    program.args(["build", "recipe.toml", "-o", "out.tar", "--json"]).current_dir(folder.path());
    // Guests are in the cache; the results of steps must not be.
    program.arg("--no-cache");
    program
}

/// The diff IDs of the image's layers.
fn layers(output: &Output) -> Vec<String> {
    let error = String::from_utf8_lossy(&output.stderr);
    let image: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"));
    let layers = image["layers"].as_array().unwrap().iter();
    layers.map(|layer| layer["diff_id"].as_str().unwrap().to_owned()).collect()
}

/// Changes of all kinds.
const CHANGES: &str = "command = '''mkdir -p /var/lib/app
cat /inputs/input.txt > /var/lib/app/data; chown 1000:1001 /var/lib/app/data
chmod 4750 /var/lib/app/data; ln /var/lib/app/data /var/lib/app/more
rm /etc/motd; rm -r /usr/share/doc; mkdir /usr/share/doc'''\ninputs = 'input.txt'\n";

#[test]
fn a_recipe_with_a_step_in_a_vm_is_pushed() {
    let (folder, registry) = (folder(), Registry::start());
    let build = program(&folder, "[[run]]\nwhere = 'vm'\ncommand = 'echo made > /made'\n");
    let folder = build.get_current_dir().unwrap();
    let image = registry.name("x:1");
    let mut push = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    push.args(["push", "recipe.toml", &image, "--no-cache"]).current_dir(folder);
    let output = push.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut export = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    export.args(["export", &format!("docker://{image}"), "-o", "files.tar"]).current_dir(folder);
    let output = export.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let tar = Command::new("tar").args(["-xOf", "files.tar", "made"]).current_dir(folder).output();
    assert_eq!(String::from_utf8(tar.unwrap().stdout).unwrap(), "made\n");
}

#[test]
fn a_step_is_root_of_a_vm_and_makes_the_same_layer_as_in_a_namespace() {
    let folder = folder();
    let root = "command = '''mount -t tmpfs none /mnt; df /mnt; echo > /mnt/file; ip a
test ! -e /etc/motd; test ! -e /usr/share/doc/old; test ! -e /inputs
test $(busybox stat -c %u:%a:%h /var/lib/app/data) = 1000:4750:2
busybox mknod /device c 1 3; chmod 600 /device'''\nwhere = 'vm'\n";
    // A step without changes makes the same layer twice.
    let nothing = "[[run]]\nwhere = 'vm'\ncommand = 'true'\n".repeat(2);
    let steps = format!("[[run]]\nwhere = 'vm'\n{CHANGES}\n{nothing}[[run]]\n{root}");
    let output = build(&folder, &steps);
    let in_vm = layers(&output);
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(printed.matches("starting docker-28").count(), 1, "one VM: {printed}");
    assert!(printed.contains("  none "), "df shows the mounted file system: {printed}");
    assert!(!printed.contains("eth0"), "there is a network: {printed}");
    let mut tar = Command::new("tar");
    tar.args(["-xOf", "out.tar", "005/layer.tar"]).current_dir(folder.path());
    std::fs::write(folder.path().join("top.tar"), tar.output().unwrap().stdout).unwrap();
    let mut tar = Command::new("tar");
    let listed = tar.args(["--numeric-owner", "-tvf", "top.tar"]).current_dir(folder.path());
    let listed = String::from_utf8(listed.output().unwrap().stdout).unwrap();
    let expected = "crw------- 0/0             1,3 1970-01-01 00:00 device\n";
    assert_eq!(listed, expected);
    let in_namespace = layers(&build(&folder, &format!("[[run]]\n{CHANGES}")));
    assert_eq!(in_vm[..2], in_namespace[..]);
}

#[test]
fn a_step_in_a_vm_finds_host_names_as_in_a_namespace_and_makes_the_same_layer() {
    let folder = folder();
    let link = folder.path().join("rootfs/etc/resolv.conf");
    // As systemd-resolved makes it; the folder does not exist.
    std::os::unix::fs::symlink("../run/systemd/resolve/stub-resolv.conf", link).unwrap();
    let steps = |place: &str| {
        [
            "cat /etc/hosts /etc/resolv.conf; busybox wget http://localhost:1/ || true
             echo more >> /etc/hosts'''\nnetwork = true\n",
            "cat /etc/hosts > /seen'''\ninputs = [
             { source = 'input.txt', target = '/etc/hosts' }]\n",
        ]
        .map(|step| format!("[[run]]\nwhere = '{place}'\ncommand = '''{step}"))
        .concat()
    };
    let output = build(&folder, &steps("vm"));
    let in_vm = layers(&output);
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    for expected in ["  127.0.0.1\tlocalhost build\n", "  nameserver ", "Connection refused"] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    assert_eq!(in_vm, layers(&build(&folder, &steps("namespace"))));
}

#[test]
fn a_step_in_a_vm_is_the_given_user_and_can_only_read_its_inputs() {
    let folder = folder();
    let passwd = "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n";
    std::fs::write(folder.path().join("rootfs/etc/passwd"), passwd).unwrap();
    let step = "[[run]]\nwhere = 'vm'\nuser = 'app'\nworkdir = '/mnt'\ninputs = 'input.txt'\n\
        env = { NAME = \"a b\\nc\" }\ncommand = '''busybox id; busybox pwd; echo $HOME $PATH
echo \"$NAME\"; cat /inputs/input.txt; busybox hostname
echo changed > /inputs/input.txt || echo read-only'''\n";
    let output = build(&folder, step);
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for expected in [
        "  uid=1000(app) gid=1001 groups=1001\n  /mnt\n  /home/app ",
        &format!("/home/app {path}\n  a b\n  c\n  text\n  build\n"),
        "Read-only file system\n  read-only\n",
    ] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_image_for_an_architecture_without_vms_is_refused() {
    let folder = folder();
    let recipe = "name='x'\ntag='1'\narchitecture='s390x'\ncontents=['rootfs']\n\
        [[run]]\ncommand='true'\nwhere='vm'\n";
    std::fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    let output = program.args(["build", "recipe.toml", "-o", "out.tar"]);
    let output = output.current_dir(folder.path()).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("is for s390x, and where = \"vm\" has VMs for amd64"), "{message}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn large_layers_are_sent_once_and_the_next_vm_has_them() {
    let folder = folder();
    // Random, so that no snapshot has them yet, and larger than the limit for snapshots.
    let mut large = vec![0; 20 << 20];
    let mut random = std::fs::File::open("/dev/urandom").unwrap();
    std::io::Read::read_exact(&mut random, &mut large).unwrap();
    std::fs::write(folder.path().join("rootfs/large"), &large).unwrap();
    let step = |number| format!("[[run]]\nwhere = 'vm'\ncommand = 'echo {number} > /made'\n");
    let [first, second] = [1, 2].map(|number| build(&folder, &step(number)));
    let printed = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let loaded = |output: &Output| printed(output).contains("sending layer");
    assert!(loaded(&first) && printed(&first).contains("saving a snapshot"), "{first:?}");
    assert!(!loaded(&second), "{}", printed(&second));
    let (first, second) = (layers(&first), layers(&second));
    assert!(first[0] == second[0] && first[1] != second[1], "{first:?} {second:?}");
    let mut list = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    let listed = list.args(["vm", "list", "--json"]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("with 1 layer (for build steps)"), "{listed}");
}

#[test]
fn a_step_that_fails_in_a_vm_writes_nothing() {
    let folder = folder();
    for (step, expected) in [
        (
            "command = 'echo says; exit 7'",
            "  says\nseatrial: step \"echo says; exit 7\" failed with exit code 7\n",
        ),
        ("args = ['/bin/missing']", "it does not start: failed to start \"/bin/missing\""),
        ("command = 'true'\nuser = 'app'", "the image's /etc/passwd does not have \"app\""),
        ("command = 'true'\nworkdir = '/missing'", "working directory /missing: No such file"),
        ("command = 'busybox sleep 600'\ntimeout = 1", "did not end within 1 s"),
    ] {
        let output = build(&folder, &format!("[[run]]\nwhere = 'vm'\n{step}\n"));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(!folder.path().join("out.tar").exists());
    }
}

#[test]
fn a_vm_that_is_killed_during_a_step_is_named_as_the_cause() {
    let folder = folder();
    let step = "[[run]]\nwhere = 'vm'\ncommand = 'echo begun; busybox sleep 600'\n";
    let mut build = program(&folder, step).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(build.stderr.take().unwrap()).lines().map(Result::unwrap);
    let begun = lines.by_ref().find(|line| line.trim() == "begun");
    assert!(begun.is_some());
    let parent = build.id().to_string();
    assert!(Command::new("pkill").args(["-KILL", "-P", &parent]).status().unwrap().success());
    let rest: Vec<String> = lines.collect();
    let rest = rest.join("\n");
    assert!(rest.contains("QEMU exited (signal 9)"), "{rest}");
    assert_eq!(build.wait().unwrap().code(), Some(3), "{rest}");
}
