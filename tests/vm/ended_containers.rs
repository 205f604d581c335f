//! Further containers that end while commands and services run beside them.

use serde_json::Value;

use crate::each_engine::{is_cri, on_each_engine};
use crate::sample_image::SampleImage;
use crate::verdicts::{case, mismatches};

/// The store ends when the first command has connected to it.
const EXPECTATIONS: &str = r#"
[container.store]
ready.log = "line 12"
[container.store.container]
user = "0"
shell = """
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $n; done
busybox nc -l -p 8001 >/dev/null; echo no more stock >&2; exit 3"""
[container.other]
container.shell = "exec sleep 999"
[[run]]
name = "ends the store"
container.shell = "echo x | busybox nc store 8001"
[[run]]
name = "passes after that"
container.shell = "true"
[[run]]
name = "passes again"
container.shell = "true"
[[run]]
name = "does not take itself for the store"
container.user = "0"
container.env = { STORE = "{store.address}" }
container.shell = """
httpd -p 8001 -h /www; echo $STORE
for host in 127.0.0.1 store $STORE; do busybox wget -qO- http://$host:8001/index.html; done; true"""
[[run]]
name = "needs the store"
container.shell = "echo x | busybox nc store 8001"
[[service]]
name = "needs it as well"
container.shell = "exec sleep 999"
ready = { exec = ["/bin/busybox", "nc", "store", "8001"], timeout = "1s" }
"#;

fn hints<'v>(verdict: &'v Value, name: &str) -> Vec<&'v str> {
    let hints = case(verdict, name)["hints"].as_array().into_iter().flatten();
    let hints = hints.map(|hint| hint.as_str().unwrap());
    hints.filter(|hint| hint.starts_with("container ")).collect()
}

fn names_containers_that_have_ended(engine: &str) {
    let sample = SampleImage::new();
    let arguments = ["--engine", engine, "--report", "junit=report.xml"];
    let (_, verdict) = sample.check(EXPECTATIONS, &arguments);
    for (name, outcome) in [("run passes again", "passed"), ("run needs the store", "failed")] {
        assert_eq!(case(&verdict, name)["outcome"], outcome, "{verdict:#}");
    }
    let first_line = "container store has ended with exit code 3 after ";
    // It may end a moment after the command.
    let noted = ["run ends the store", "run passes after that"].map(|name| hints(&verdict, name));
    let [note] = noted.concat()[..] else { panic!("{noted:?}") };
    assert!(note.starts_with(first_line) && !note.contains('\n'), "{note}");
    assert_eq!(hints(&verdict, "run passes again"), [""; 0]);
    // Containers of a pod have one address.
    if !is_cri(engine) {
        let case = case(&verdict, "run does not take itself for the store");
        assert_eq!(case["output"], "255.255.255.255\n<h1>ahoy</h1>\n", "{case:#}");
    }
    for name in ["run needs the store", "service needs it as well"] {
        let hints = hints(&verdict, name);
        let [hint] = hints[..] else { panic!("{name}: {hints:?}") };
        let (end, output) = hint.split_once('\n').unwrap();
        assert!(end.starts_with(first_line), "{hint}");
        let lines: String = (3..=12).map(|number| format!("  line {number}\n")).collect();
        let expected =
            format!("last 10 of 12 lines of output\n{lines}standard error\n  no more stock");
        assert_eq!(output, expected);
    }
    let junit = std::fs::read_to_string(sample.path("report.xml")).unwrap();
    assert!(junit.contains(&format!("hint: {first_line}")), "{junit}");
    assert!(junit.contains("\n    no more stock\n"), "{junit}");
}

/// Without conditions, it has been ready.
const SHORT_LIVED: &str = r#"
[container.worker]
ready = {}
container.shell = "sleep 0.3; echo no work >&2; exit 3"
[[run]]
name = "beside it"
container.shell = "true"
[[service]]
name = "also beside it"
container.shell = "exec sleep 999"
ready = {}
"#;

fn fails_with_a_container_that_ends_right_after_its_start(engine: &str) {
    let sample = SampleImage::new();
    let (output, verdict) = sample.check(SHORT_LIVED, &["--engine", engine]);
    assert_eq!(output.status.code(), Some(1), "{verdict:#}");
    let found = mismatches(&verdict, "container worker");
    assert!(found[0].contains("exit code 3"), "{found:?}");
    assert_eq!(case(&verdict, "container worker")["stderr"], "no work\n", "{verdict:#}");
    for name in ["run beside it", "service also beside it"] {
        assert_eq!(case(&verdict, name)["outcome"], "skipped", "{verdict:#}");
    }
}

#[test]
fn a_container_that_ends_right_after_its_start_fails_on_each_engine() {
    let gate = ["containerd-1.7"];
    on_each_engine(&gate, fails_with_a_container_that_ends_right_after_its_start);
}

#[test]
fn a_container_that_ends_is_named_in_what_fails_after_that_on_each_engine() {
    on_each_engine(&["docker-20.10"], names_containers_that_have_ended);
}
