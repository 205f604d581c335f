//! Reference graphs of unusual size and shape, and files that are no documents at all: bounded time
//! and memory.

use std::fmt::Write as _;
use std::os::unix::net::UnixListener;

use crate::hostile::{CPU_SECONDS, within_limits};
use crate::lab::{Lab, Run, STORE};

/// A graph of `count` paths; `references` are those of a path by number.
fn graph(count: usize, references: impl Fn(usize) -> Vec<usize>) -> String {
    let mut text = String::from("[");
    for number in 0..count {
        let references: Vec<String> =
            references(number).iter().map(|to| format!("\"/nix/store/{to}-x\"")).collect();
        let comma = if number == 0 { "" } else { "," };
        let references = references.join(",");
        write!(text, "{comma}{{\"path\":\"/nix/store/{number}-x\",\"references\":[{references}]}}")
            .unwrap();
    }
    text + "]"
}

/// Computes the reference of an image that needs path 0 of the graph, with at most `mib` MiB of
/// memory and a minute of CPU time: blow-ups take several.
fn reference(lab: &Lab, graph: &str, mib: u64) -> Run {
    lab.file("graph.json", graph);
    let recipe = format!("name='x'\nconfig.Cmd = ['/nix/store/0-x/bin/x']\n{STORE}");
    lab.file("recipe.toml", recipe);
    let mut command = lab.command("sh");
    let limits = format!("ulimit -v {}; ulimit -t {CPU_SECONDS}", mib << 10);
    let script = format!("{limits}; exec \"$0\" reference recipe.toml");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_seatrial")]);
    Run::of(command)
}

#[test]
fn long_cycles_and_chains_take_little_time_and_memory() {
    let lab = Lab::new();
    let count = 30_000;
    let cycle = graph(count, |number| vec![(number + 1) % count]);
    let chain = graph(count, |number| (number + 1..count).take(1).collect());
    // Every path refers to the next two: the counts grow with every path.
    let ladder = graph(8_000, |number| (number + 1..8_000).take(2).collect());
    for graph in [&cycle, &chain, &ladder] {
        reference(&lab, graph, 1024).ok();
    }
}

#[test]
fn a_graph_with_too_many_paths_is_rejected() {
    let lab = Lab::new();
    let run = reference(&lab, &graph(100_001, |_| Vec::new()), 512);
    assert!(run.rejected(&lab, "x").contains("more than 100000 paths"));
}

#[test]
fn a_pipe_socket_or_device_is_not_read_as_a_document() {
    let lab = Lab::new();
    lab.tool("mkfifo", ["pipe"]);
    let _socket = UnixListener::bind(lab.path("socket")).unwrap();
    lab.link("link", "/dev/zero");
    for (document, kind) in
        [("pipe", "pipe"), ("socket", "socket"), ("/dev/zero", "device"), ("link", "device")]
    {
        let message = lab.seatrial(["reference", document]).rejected(&lab, "x");
        assert!(message.contains(&format!("it is a {kind}")), "{message}");
        let store = format!("[store]\nsource = 'store'\nclosure = '{document}'\n");
        lab.file("recipe.toml", format!("name='x'\n{store}"));
        let message = lab.seatrial(["reference", "recipe.toml"]).rejected(&lab, "x");
        assert!(message.contains(&format!("it is a {kind}")), "{message}");
    }
}

#[test]
fn a_recipe_without_end_is_rejected() {
    let lab = Lab::new();
    let mut command = lab.command("sh");
    let script = "ulimit -v 524288; \"$0\" reference - < /dev/zero";
    command.args(["-c", script, env!("CARGO_BIN_EXE_seatrial")]);
    assert!(Run::of(command).rejected(&lab, "x").contains("limit of 4 MiB"));
    lab.file("large.toml", vec![b'#'; (4 << 20) + 1]);
    assert!(lab.seatrial(["reference", "large.toml"]).rejected(&lab, "x").contains("limit"));
}

#[test]
fn a_byte_order_mark_is_ignored() {
    let lab = Lab::with_store();
    let graph = std::fs::read_to_string(lab.path("graph.json")).unwrap();
    let recipe = format!("name='x'\ncontents='store/a-app'\n{STORE}");
    let plain = lab.build(&recipe);
    lab.file("graph.json", format!("\u{feff}{graph}"));
    assert_eq!(lab.build(&format!("\u{feff}{recipe}")).bytes, plain.bytes);
    lab.file("recipe.json", "\u{feff}{\"name\":\"x\",\"tag\":\"1\"}");
    assert_eq!(lab.seatrial(["reference", "recipe.json"]).ok().trim(), "x:1");
}

#[test]
fn a_config_with_endless_store_paths_takes_little_time() {
    let lab = Lab::with_store();
    let name = "a".repeat(1 << 20);
    for text in [format!("/nix/store/{name}"), "/nix/store/c-libc:".repeat(50_000)] {
        lab.file("recipe.toml", format!("name='x'\nconfig.Cmd = ['{text}']\n{STORE}"));
        within_limits(&lab, &["build", "recipe.toml"]).ok();
    }
}
