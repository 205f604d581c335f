//! `seatrial check --watch`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use seatrial::check::{
    self, CheckInput, Event, ExpectationsFile, KeptVm, Options, Outcome, RecipeOptions, arch_of,
};
use serde_json::Value;

use crate::cleanup::{Background, qemu_of};
use crate::sample_image::{SampleImage, outcomes};
use crate::workbench::GUEST;

#[test]
fn a_change_of_contents_recipe_or_expectations_runs_the_checks_again_until_ctrl_c() {
    let sample = SampleImage::new();
    let expect = |size: u64| {
        let text = format!("[[file]]\npath = '/www/index.html'\nsize = {size}\n");
        std::fs::write(sample.path("e.toml"), text).unwrap();
    };
    expect(14);
    let mut watch = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    watch.args(["check", "app.toml", "--expect", "e.toml", "--no-vm", "--watch"]);
    watch.current_dir(sample.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watch = Background(watch.spawn().unwrap());
    let mut stdout = BufReader::new(watch.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut stderr = BufReader::new(watch.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut result = || {
        assert!(stderr.any(|line| line.starts_with("waiting for changes")));
        stdout.find(|line| line.contains(" passed")).unwrap()
    };
    assert!(!result().contains("failed"));
    std::fs::write(sample.path("rootfs/www/index.html"), "other").unwrap();
    assert!(result().contains("1 failed"));
    expect(5);
    assert!(!result().contains("failed"));
    let recipe = std::fs::read_to_string(sample.path("app.toml")).unwrap();
    std::fs::write(sample.path("app.toml"), recipe.replace("rootfs", "nothing")).unwrap();
    assert!(stderr.any(|line| line.contains("nothing")));
    kill_process(Pid::from_child(&watch.0), Signal::INT).unwrap();
    assert_eq!(watch.0.wait().unwrap().code(), Some(130));
}

/// A shop, whose stock is in the image of another container.
const SHOP: &str = r#"
[container.store]
recipe = "store.toml"
ready = { port = 8001, timeout = "20s" }
[[run]]
name = "sells"
container.shell = "busybox wget -qO- http://store:8001/stock"
stdout = "apples"
[[run]]
name = "starts with the files of this host"
stdout = "new\n"
[run.container]
user = "0"
mounts = [{ path = "/data", source = "data", writable = true }]
shell = "cat /data/state; echo used >/data/state"
"#;
const STORE: &str = r#"
name = "sample/store"
contents = "store"
[config]
Entrypoint = ["/bin/busybox", "httpd", "-f", "-p", "8001", "-h", "/www"]
"#;

/// A sample image with everything that [`SHOP`] names.
fn shop() -> SampleImage {
    let sample = SampleImage::new();
    std::fs::create_dir_all(sample.path("store/bin")).unwrap();
    std::fs::create_dir_all(sample.path("store/www")).unwrap();
    std::fs::copy("/bin/busybox", sample.path("store/bin/busybox")).unwrap();
    std::fs::write(sample.path("store/www/stock"), "apples").unwrap();
    std::fs::write(sample.path("store.toml"), STORE).unwrap();
    std::fs::create_dir(sample.path("data")).unwrap();
    std::fs::write(sample.path("data/state"), "new\n").unwrap();
    std::fs::write(sample.path("e.toml"), SHOP).unwrap();
    sample
}

#[test]
#[ignore = "for the nightly run"]
fn a_change_of_another_container_s_recipe_or_contents_runs_the_checks_again_in_the_same_vm() {
    let sample = shop();
    let mut watch = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    watch.args(["check", "app.toml", "--expect", "e.toml", "--watch", "--json"]);
    watch.current_dir(sample.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watch = Background(watch.spawn().unwrap());
    let mut stdout = BufReader::new(watch.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut stderr = BufReader::new(watch.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut result = || -> Value {
        assert!(stderr.any(|line| line.starts_with("waiting for changes")));
        serde_json::from_str(&stdout.next().unwrap()).unwrap()
    };
    let verdict = result();
    let kept = ("run starts with the files of this host", "passed");
    assert!(outcomes(&verdict).contains(&("run sells", "passed")), "{verdict:#}");
    assert!(outcomes(&verdict).contains(&kept), "{verdict:#}");
    let (vm, _) = qemu_of(&watch.0);

    std::fs::write(sample.path("store/www/stock"), "pears").unwrap();
    let verdict = result();
    assert!(outcomes(&verdict).contains(&("run sells", "failed")), "{verdict:#}");
    assert!(outcomes(&verdict).contains(&kept), "{verdict:#}");
    assert_eq!(verdict["engine_runs"][0]["present_layers"], 1, "the image has not changed");
    std::fs::write(sample.path("store.toml"), STORE.replace("8001", "8002")).unwrap();
    let verdict = result();
    assert!(outcomes(&verdict).contains(&("container store", "failed")), "{verdict:#}");
    assert_eq!(qemu_of(&watch.0).0, vm);
    kill_process(Pid::from_child(&watch.0), Signal::INT).unwrap();
    assert_eq!(watch.0.wait().unwrap().code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_another_container_is_sent_again_only_after_a_change() {
    let sample = shop();
    let kept_vm = Some(KeptVm::default());
    let options = Options { engines: vec![GUEST.to_owned()], kept_vm, ..Options::default() };
    let run = || async {
        let (recipe, recipes) = (sample.path("app.toml"), RecipeOptions::default());
        let input = CheckInput::from_recipe(&recipe, arch_of(GUEST).into(), &recipes, 2);
        let file = ExpectationsFile::read(&sample.path("e.toml")).unwrap();
        let mut loads = Vec::new();
        let mut reporter = |event: Event<'_>| match event {
            Event::Progress(step) if step.starts_with("loading sample/store") => loads.push(step),
            _ => {}
        };
        let (inputs, files) = ([input.unwrap()], [file]);
        let verdict = check::run(&inputs, &files, &options, 2, &mut reporter).await.unwrap();
        let passed = |name: &str| {
            let case = verdict.cases.iter().find(|case| case.name == name).unwrap();
            matches!(case.outcome, Outcome::Passed)
        };
        assert!(passed("container store"), "{verdict:?}");
        (loads.len(), passed("run sells"))
    };
    assert_eq!(run().await, (1, true));
    assert_eq!(run().await, (0, true));
    std::fs::write(sample.path("store/www/stock"), "pears").unwrap();
    assert_eq!(run().await, (1, false));
    std::fs::write(sample.path("store/www/stock"), "apples").unwrap();
    assert_eq!(run().await, (1, true));
}

#[test]
fn files_that_an_expectations_file_names_are_watched_also_if_they_are_missing_at_first() {
    let sample = SampleImage::new();
    let own = "[[run]]\nname = 'x'\n\
               container.files = [{ path = '/x', source = 'conf/app.conf' }]\n";
    let structure_test = "schemaVersion: 2.0.0\ncontainerRunOptions: { envFile: app.env }\n\
                          commandTests: [{ name: a, command: b }]\n";
    std::fs::write(sample.path("e.toml"), own).unwrap();
    std::fs::write(sample.path("t.yaml"), structure_test).unwrap();
    let mut watch = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    watch.args(["check", "app.tar", "--expect", "e.toml", "--expect", "t.yaml"]);
    watch.args(["--no-vm", "--watch"]).current_dir(sample.path(""));
    let mut watch = Background(watch.stderr(Stdio::piped()).spawn().unwrap());
    let mut stderr = BufReader::new(watch.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut lines_until_waiting = || -> Vec<String> {
        stderr.by_ref().take_while(|line| !line.starts_with("waiting for changes")).collect()
    };
    let names = |lines: &[String], text: &str| {
        assert!(lines.iter().any(|line| line.contains(text)), "{text}: {lines:?}");
    };
    names(&lines_until_waiting(), "conf/app.conf: No such file");
    std::fs::create_dir(sample.path("conf")).unwrap();
    names(&lines_until_waiting(), "conf has changed");
    std::fs::write(sample.path("conf/app.conf"), "").unwrap();
    names(&lines_until_waiting(), "app.env");
    std::fs::write(sample.path("app.env"), "A=b\n").unwrap();
    let lines = lines_until_waiting();
    names(&lines, "app.env has changed");
    assert!(!lines.iter().any(|line| line.contains("No such file")), "{lines:?}");
    std::fs::write(sample.path("app.env"), "A=c\n").unwrap();
    names(&lines_until_waiting(), "app.env has changed");
    kill_process(Pid::from_child(&watch.0), Signal::INT).unwrap();
    assert_eq!(watch.0.wait().unwrap().code(), Some(130));
}
