//! Setups and further containers that fail, and those that are refused.

use crate::each_engine::on_each_engine;
use crate::sample_image::{SampleImage, outcomes};
use crate::verdicts::mismatches;

#[test]
fn a_restricted_root_is_not_started_beside_others_or_before_them_on_each_engine() {
    on_each_engine(&["docker-20.10"], does_not_start_a_restricted_root);
}

fn does_not_start_a_restricted_root(engine: &str) {
    let sample = SampleImage::new();
    let beside = "[container.store]\nready = {}\ncontainer = { restricted = true, user = '0' }\n\
                  [[run]]\nname = 'beside'\n";
    let after = "[[setup]]\ncontainer = { command = ['true'], user = '0' }\n\
                 [[setup]]\ncontainer = { command = ['true'], restricted = true, user = '0' }\n\
                 [[run]]\nname = 'after'\n";
    std::fs::write(sample.path("after.toml"), after).unwrap();
    let (output, verdict) = sample.check(beside, &["--expect", "after.toml", "--engine", engine]);
    assert_eq!(output.status.code(), Some(1), "{verdict:#}");
    let outcomes = outcomes(&verdict);
    for expected in [
        ("container store", "failed"),
        ("run beside", "skipped"),
        ("setup", "failed"),
        ("run after", "skipped"),
    ] {
        assert!(outcomes.contains(&expected), "{expected:?}: {verdict:#}");
    }
    let setup = mismatches(&verdict, "setup");
    assert_eq!(setup, ["user of setup command 2, [\"true\"]: 0, which is root"]);
}

#[test]
fn a_setup_that_fails_is_named_with_its_number_and_command() {
    let sample = SampleImage::new();
    let first = "[[setup]]\ncontainer.shell = 'true'\n[[setup]]\ncontainer";
    for (file, setting) in [("fails", ".shell = 'exit 3'"), ("absent", ".entrypoint = ['/absent']")]
    {
        std::fs::write(sample.path(file), format!("{first}{setting}\n")).unwrap();
    }
    let (output, verdict) = sample.check(
        "[[setup]]\ntimeout = 1\ncontainer.shell = 'sleep 99'\n",
        &["--expect", "fails", "--expect", "absent"],
    );
    assert_eq!(output.status.code(), Some(1), "{verdict:#}");
    let cases = verdict["cases"].as_array().unwrap().iter();
    let failed: Vec<String> = cases
        .filter(|case| case["name"] == "setup")
        .map(|case| case["mismatches"][0].to_string())
        .collect();
    let subject = |mismatch: &str, subject: &str| {
        assert!(mismatch.contains(&serde_json::json!(subject).to_string()), "{failed:#?}");
    };
    assert_eq!(failed.len(), 3, "{verdict:#}");
    subject(&failed[0], "setup command 1, [\"/bin/sh\", \"-c\", \"sleep 99\"]");
    subject(&failed[1], "setup command 2, [\"/bin/sh\", \"-c\", \"exit 3\"]");
    subject(&failed[2], "setup command 2, [\"/absent\"]");
    let hint = "the image has no program \"/absent\"";
    assert!(verdict.to_string().contains(&serde_json::json!([hint]).to_string()), "{verdict:#}");
}

#[test]
fn a_further_image_with_the_name_of_the_image_under_test_is_refused() {
    let sample = SampleImage::new();
    // Docker's long form of the name.
    sample.seatrial(&["build", "app.toml", "--name", "docker.io/sample/app", "-o", "old.tar"]);
    std::fs::write(sample.path("rootfs/www/new"), "").unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    std::fs::write(sample.path("e.toml"), "[container.old]\nimage = 'old.tar'\nready = {}\n")
        .unwrap();
    let output = sample.seatrial(&["check", "app.tar", "--expect", "e.toml"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = "app.tar and old.tar are different images with the same name, \
                    docker.io/sample/app:1.0";
    assert!(error.contains(expected), "{error}");
}
