//! `seatrial check --watch`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::sample_image::SampleImage;

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
    let mut watch = watch.spawn().unwrap();
    let mut stdout = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut stderr = BufReader::new(watch.stderr.take().unwrap()).lines().map(Result::unwrap);
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
    kill_process(Pid::from_child(&watch), Signal::INT).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(130));
}
