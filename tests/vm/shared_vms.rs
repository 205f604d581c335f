//! A VM that all tests of a process share.

use std::path::{Path, PathBuf};
use std::process::Command;

use seatrial::build::Recipe;
use seatrial::engine::RunOptions;
use seatrial::harness::Daemon;

use crate::workbench::{GUEST, RUN_TIMEOUT};

/// The environment variable with a folder, if the process is the one whose tests share a VM.
const VARIABLE: &str = "SEATRIAL_TEST_SHARED";

/// Writes the process ID and the folder of the shared VM to the file `name`, and uses the engine
/// `count` times.
async fn use_shared_vm(name: &str, count: usize) {
    let Some(folder) = std::env::var_os(VARIABLE).map(PathBuf::from) else { return };
    let daemon = Daemon::shared(GUEST, Default::default()).await.unwrap();
    let vm = format!("{} {}", daemon.vm().pid(), daemon.vm().folder().display());
    std::fs::write(folder.join(name), vm).unwrap();
    let recipe = format!("name='{name}'\ntag='1'\ncontents='rootfs'\n");
    let image = Recipe::parse(&folder.join("recipe.toml"), &recipe).unwrap();
    let image = daemon.load_recipe(image).await.unwrap();
    for _ in 0..count {
        let options = RunOptions::command(&["/bin/busybox", "echo", name]);
        let output = image.run(&options, RUN_TIMEOUT).await.unwrap();
        assert_eq!(output.stdout.trim(), name, "{output:?}");
    }
}

#[tokio::test]
#[ignore = "run by the test below"]
async fn one() {
    use_shared_vm("one", 1).await;
}

#[tokio::test]
#[ignore = "run by the test below"]
async fn two() {
    use_shared_vm("two", 4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the test below"]
async fn three() {
    use_shared_vm("three", 6).await;
}

#[test]
fn tests_of_a_process_share_a_vm_which_ends_with_the_process() {
    let folder = tempfile::TempDir::new().unwrap();
    let bin = folder.path().join("rootfs/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
    let tests = ["one", "two", "three"];
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--test-threads=3"]).env(VARIABLE, folder.path());
    let output = command.args(tests.map(|test| format!("shared_vms::{test}"))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let [first, second, third] =
        tests.map(|test| std::fs::read_to_string(folder.path().join(test)).unwrap());
    assert_eq!([&second, &third], [&first; 2]);
    let (pid, vm_folder) = first.split_once(' ').unwrap();
    assert!(!Path::new("/proc").join(pid).exists(), "QEMU {pid} runs");
    assert!(!Path::new(vm_folder).exists(), "{vm_folder} remains");
}
