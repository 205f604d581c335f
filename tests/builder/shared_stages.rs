//! Recipes that an image is built from, to which several paths lead.

use crate::lab::{Lab, Run};
use crate::stages::{build, stages};

#[test]
fn a_recipe_that_several_spellings_and_platforms_lead_to_is_built_once() {
    let lab = stages();
    let host = std::env::consts::ARCH;
    let middle = format!("name='middle'\narchitecture='{host}'\nfrom_image='./deps.toml'\n");
    lab.file("deps/middle.toml", middle);
    let images = ["deps/deps.toml", "deps/../deps/deps.toml", "deps/middle.toml"];
    let contents: Vec<String> = images
        .iter()
        .enumerate()
        .map(|(number, image)| {
            format!("{{ image='{image}', source='/etc/id', target='/{number}' }}")
        })
        .collect();
    lab.file("app.toml", format!("name='app'\ntag='1'\ncontents=[{}]\n", contents.join(", ")));
    let (built, messages) = build(&lab, "app.toml", &["--no-cache"]);
    assert_eq!(messages.matches("step 1/1").count(), 1, "{messages}");
    let content = |name: &str| built.member(name).unwrap().content;
    assert!(content("0") == content("1") && content("0") == content("2"));
    // Relative paths are those of the folder in which a recipe is named, also by a symlink.
    lab.link("other/deps.toml", "../deps/deps.toml");
    lab.file("other/packages/usr/lib/other", "other\n");
    let image = "{ image='other/deps.toml', source='/usr/lib/other' }";
    lab.file(
        "app.toml",
        format!("name='app'\ntag='1'\nfrom_image='deps/deps.toml'\ncontents={image}"),
    );
    assert!(build(&lab, "app.toml", &[]).0.member("other").is_some());
}

#[test]
fn recipes_that_share_recipes_take_no_longer_and_each_note_occurs_once() {
    let lab = Lab::new();
    lab.file("x", "x");
    lab.file("0.toml", "name='x'\ncontents={ source='x', target='/x' }\nreplace='/none'\n");
    for number in 1..=14 {
        let below = number - 1;
        let copies = ["./", "././", "./././", "././././"].map(|folder| {
            format!("{{ image='{folder}{below}.toml', source='/x', target='/x{number}' }}")
        });
        let recipe = format!("on_conflict='last'\nfrom_image='{below}.toml'\n");
        let recipe = format!("name='x'\n{recipe}contents=[{}]\n", copies.join(", "));
        lab.file(format!("{number}.toml"), recipe);
    }
    let mut command = lab.command("timeout");
    command.args(["-s", "KILL", "60", env!("CARGO_BIN_EXE_seatrial"), "build", "14.toml"]);
    let run = Run::of(command);
    let notes = run.stderr();
    run.ok();
    let note = "note: 0.toml: replace has no effect without from_image";
    assert_eq!(notes.matches(note).count(), 1, "{notes}");
}

#[test]
fn recipes_to_compare_with_are_built_as_the_command_line_says() {
    let lab = stages();
    lab.seatrial(["build", "app.toml", "-o", "app.tar"]).ok();
    lab.file("one.toml", "name='one'\n");
    for flag in ["--with", "--history"] {
        let layers = |more: &[&str]| {
            let fixed = ["layers", "one.toml", flag, "app.toml"];
            lab.seatrial(fixed.iter().chain(more)).stderr()
        };
        let messages = layers(&[]);
        assert!(messages.contains("step 1/1 (cached): "), "{messages}");
        for how in ["--no-cache", "--refresh", "--verify"] {
            let messages = layers(&[how]);
            assert!(messages.contains("step 1/1: "), "{flag} {how}: {messages}");
        }
    }
}
