//! `seatrial layers` and `seatrial diff`.

use std::fs;

use serde_json::{Value, json};

use crate::lab::{Lab, STORE, strings};

/// The JSON that the program prints, and its exit code.
fn json_of(lab: &Lab, arguments: &[&str]) -> (Value, Option<i32>) {
    let run = lab.seatrial(arguments);
    let value = serde_json::from_str(&run.stdout());
    (value.unwrap_or_else(|_| panic!("{}", run.stderr())), run.output.status.code())
}

#[test]
fn layers_shows_the_split_that_a_build_has() {
    let lab = Lab::with_store();
    let recipe = format!("name='x'\nmax_layers=3\ncontents='/nix/store/a-app'\n{STORE}");
    let built = lab.build(&recipe);
    let (layers, _) = json_of(&lab, &["layers", "recipe.toml", "--json"]);
    let of = |value: &Value, field: &str| -> Vec<Value> {
        value["layers"].as_array().unwrap().iter().map(|layer| layer[field].clone()).collect()
    };
    for field in ["size", "paths", "base"] {
        assert_eq!(of(&layers, field), of(&built.summary, field), "{field}");
    }
    let entries: Vec<Value> = built.layers().iter().map(|layer| json!(layer.len())).collect();
    assert_eq!(of(&layers, "entries"), entries);
    let text = lab.seatrial(["layers", "recipe.toml"]).ok();
    assert!(text.starts_with("x: 3 layers, "), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains(" app and 1 more\n"), "{text}");
}

#[test]
fn layers_names_the_images_that_have_the_same_layers() {
    let lab = Lab::with_store();
    let recipe = |max, rest: &str| {
        format!("name='x'\nmax_layers={max}\n{rest}contents='/nix/store/a-app'\n{STORE}")
    };
    lab.build_with(&recipe(9, ""), "other.tar", &[]);
    lab.file("other.toml", recipe(9, ""));
    lab.file("recipe.toml", recipe(3, ""));
    let arguments =
        ["layers", "recipe.toml", "--json", "--with", "other.tar", "--with", "other.toml"];
    let shared = |value: &Value| -> Vec<usize> {
        let layers = value["layers"].as_array().unwrap();
        layers.iter().map(|layer| strings(&layer["shared_with"]).len()).collect()
    };
    assert_eq!(shared(&json_of(&lab, &arguments).0), [2, 0, 0]);
    lab.file("recipe.toml", recipe(9, "from_image='other.tar'\n"));
    assert_eq!(shared(&json_of(&lab, &arguments).0), [1, 1, 1, 1, 0]);
}

/// A graph of packages with their versions and sizes; all depend on the first.
fn build(lab: &Lab, name: &str, packages: &[(&str, u32, u64)]) {
    let path =
        |(name, version, _): &(&str, u32, u64)| format!("/nix/store/{version}x-{name}-1.{version}");
    let graph: Vec<Value> = packages
        .iter()
        .map(|package| {
            let references = [path(&packages[0])];
            json!({ "path": path(package), "references": references, "narSize": package.2 })
        })
        .collect();
    lab.file(name, Value::from(graph).to_string());
    let roots: Vec<String> = packages.iter().map(path).collect();
    let roots = json!(roots);
    lab.file(
        "recipe.toml",
        format!("name='x'\ntag='1'\n[store]\nroots={roots}\nclosure='{name}'\n"),
    );
}

#[test]
fn a_plan_is_learned_from_earlier_builds_and_keeps_layers_apart_that_change() {
    let lab = Lab::new();
    // `often` changes with every build, `large` never.
    let packages =
        |version| [("libc", 7, 500), ("large", 8, 9000), ("often", version, 100), ("other", 9, 20)];
    for version in 0..4 {
        build(&lab, &format!("{version}.json"), &packages(version));
    }
    let history = ["0.json", "1.json", "2.json"];
    let mut arguments =
        vec!["layers", "recipe.toml", "--json", "--write-plan", "plan.json", "--history"];
    arguments.extend(history);
    let (found, _) = json_of(&lab, &arguments);
    assert_eq!((&found["builds"], &found["learned"]), (&json!(4), &json!(2)));
    let shipped = |strategy: &str, layers: Value| {
        let measured = found["measured"].as_array().unwrap().iter();
        let mut measured =
            measured.filter(|one| one["strategy"] == strategy && one["layers"] == layers);
        measured.next().unwrap()["shipped"].clone()
    };
    assert_eq!(shipped("single", json!(1)), json!([9620, 9620]));
    assert_eq!(shipped("each", Value::Null), json!([100, 100]));
    assert_eq!(shipped("plan", json!(10)), json!([100, 100]));
    let plan: Value =
        serde_json::from_slice(&std::fs::read(lab.path("plan.json")).unwrap()).unwrap();
    assert_eq!(plan, found["plan"]);
    assert_eq!(plan["layers"].as_array().unwrap().last().unwrap(), &json!(["often"]));
    let text =
        lab.seatrial([vec!["layers", "recipe.toml", "--history"], history.to_vec()].concat());
    let text = text.ok();
    assert!(text.contains("2 updates after the first 2 of 4 builds"), "{text}");
    for strategy in ["popularity", "auto", "balanced"] {
        assert_eq!(shipped(strategy, json!(10)), json!([100, 100]), "{strategy}");
    }
    assert!(text.contains("with 10 layers, all ship the same"), "{text}");
}

#[test]
fn a_plan_decides_the_layers_by_the_names_of_packages() {
    let lab = Lab::new();
    for (name, package) in [("aa-zlib-1.2", "zlib"), ("bb-libfoo2-2.0", "foo"), ("cc-new-1", "new")]
    {
        lab.file(format!("store/{name}/{package}"), package);
    }
    lab.file(
        "graph.json",
        json!([
            { "path": "/nix/store/aa-zlib-1.2", "references": [] },
            { "path": "/nix/store/bb-libfoo2-2.0", "references": [] },
            { "path": "/nix/store/cc-new-1", "references": [] },
        ])
        .to_string(),
    );
    let layers = |plan: &Value, max| {
        lab.file("plan.json", plan.to_string());
        let roots =
            "roots=['/nix/store/aa-zlib-1.2','/nix/store/bb-libfoo2-2.0','/nix/store/cc-new-1']";
        let built = lab
            .build(&format!("name='x'\nlayering='plan.json'\nmax_layers={max}\n{STORE}{roots}\n"));
        let layers = built.summary["layers"].as_array().unwrap();
        let paths = |layer: &Value| strings(&layer["paths"]).join(" ").replace("/nix/store/", "");
        layers.iter().map(paths).collect::<Vec<_>>()
    };
    // `libfoo1` had another number in its name; `new` is in no layer of the plan.
    let plan = json!({ "layers": [["libfoo1", "absent"], ["zlib"]] });
    assert_eq!(layers(&plan, 9), ["bb-libfoo2-2.0", "aa-zlib-1.2", "cc-new-1"]);
    assert_eq!(layers(&plan, 2), ["bb-libfoo2-2.0", "aa-zlib-1.2 cc-new-1"]);
    for (plan, expected) in [
        (json!({ "layers": [["a"], ["a"]] }), "has \"a\" in two layers"),
        (json!({ "layer": [] }), "plan.json: unknown key \"layer\"; did you mean \"layers\"?"),
        (json!("plan"), "must be the name of a strategy or a pipeline"),
    ] {
        lab.file("plan.json", plan.to_string());
        let message = lab.rejected("name='x'\nlayering='plan.json'\n");
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn diff_lists_layers_files_and_config_and_exits_with_1() {
    let lab = Lab::new();
    lab.file("old/bin/app", "one");
    lab.file("old/etc/gone", "");
    lab.file("old/etc/mode", "");
    lab.file("old/etc/same", "same");
    lab.link("old/etc/link", "same");
    lab.file("new/bin/app", "two");
    lab.file("new/etc/added", "");
    lab.file("new/etc/mode", "");
    lab.mode("new/etc/mode", 0o755);
    lab.file("new/etc/same", "same");
    lab.link("new/etc/link", "mode");
    lab.file("base/base", "base");
    lab.build_with("name='base'\ncontents='base'\n", "base.tar", &[]);
    let recipe = |contents: &str, config: &str| {
        format!("name='x'\nfrom_image='base.tar'\ncontents='{contents}'\n[config]\n{config}\n")
    };
    let old = lab.build_with(&recipe("old", "Cmd=['a']"), "old.tar", &[]);
    lab.file("new.toml", recipe("new", "Env=['A=1']"));
    let new = lab.build_with(&recipe("new", "Env=['A=1']"), "new.tar", &[]);
    let (archives, code) = json_of(&lab, &["diff", "old.tar", "new.tar", "--json"]);
    let (of_recipe, _) = json_of(&lab, &["diff", "old.tar", "new.toml", "--json"]);
    assert_eq!(archives, of_recipe);
    assert_eq!(code, Some(1));
    assert_eq!(
        archives["files"],
        json!({
            "added": ["/etc/added"],
            "removed": ["/etc/gone"],
            "changed": [
                { "path": "/bin/app", "differences": ["content"] },
                { "path": "/etc/link", "differences": ["target"] },
                { "path": "/etc/mode", "differences": ["mode"] },
            ],
        })
    );
    assert_eq!(
        archives["config"],
        json!([
            { "field": "config.Cmd", "first": ["a"], "second": null },
            { "field": "config.Env", "first": null, "second": ["A=1"] },
        ])
    );
    let states: Vec<&str> = archives["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["kept", "new", "gone"]);
    assert_eq!(archives["ship"], new.layer_files()[1].len());
    assert_eq!(archives["layers"][2]["diff_id"], old.summary["layers"][1]["diff_id"]);
    let text = lab.seatrial(["diff", "old.tar", "new.tar"]).stdout();
    assert!(text.contains("layers: 1 kept, 0 moved, 1 new, 1 gone; "), "{text}");
    assert!(text.contains("~ /bin/app (content)\n"), "{text}");
    assert!(text.contains("config.Env:\n  - not set\n  + [\"A=1\"]\n"), "{text}");
}

#[test]
fn diff_of_the_same_image_exits_with_0() {
    let lab = Lab::with_store();
    let recipe = format!("name='x'\ncontents='/nix/store/a-app'\n{STORE}");
    lab.build_with(&recipe, "out.tar", &[]);
    let compressed = ["--format", "oci", "--compress", "gzip"];
    lab.build_with(&recipe, "oci.tar", &compressed);
    let run = lab.seatrial(["diff", "out.tar", "oci.tar"]);
    assert_eq!(run.ok(), "the images are the same\n");
    let (found, code) = json_of(&lab, &["diff", "out.tar", "recipe.toml", "--json"]);
    assert_eq!((&found["same"], &found["ship"], code), (&json!(true), &json!(0), Some(0)));
}

#[test]
fn a_layer_that_lies_on_other_layers_has_moved() {
    let lab = Lab::with_store();
    let recipe = |reverse: &str| {
        format!(
            "name='x'\nlayering=[['popularity_contest']{reverse}]\n\
             contents='/nix/store/a-app'\n{STORE}"
        )
    };
    lab.build_with(&recipe(""), "one.tar", &[]);
    lab.build_with(&recipe(", ['reverse']"), "two.tar", &[]);
    let (found, code) = json_of(&lab, &["diff", "one.tar", "two.tar", "--json"]);
    let layers = found["layers"].as_array().unwrap();
    assert!(layers.iter().all(|layer| layer["state"] == "moved" || layer["state"] == "kept"));
    assert_eq!(layers[0]["state"], "moved");
    assert_eq!((&found["ship"], code), (&json!(0), Some(1)));
    assert_eq!(found["files"], json!({ "added": [], "removed": [], "changed": [] }));
}

#[test]
fn a_page_has_the_differences_without_scripts_and_with_all_text_escaped() {
    let lab = Lab::new();
    lab.file("one/etc/app.conf", "1");
    lab.file("two/etc/app.conf", "2");
    lab.file("two/<script>alert(1)</script>", "");
    for (name, env) in [("one", "A=1"), ("two", "A=<b>&2")] {
        lab.file(
            format!("{name}.toml"),
            format!(
                "name='x'\ntag='1'\narchitecture='amd64'\ncontents='{name}'\n\
                 config.Env=['{env}']\n"
            ),
        );
    }
    let reports = ["--report", "html=diff.html", "--report", "json=diff.json"];
    let run = lab.seatrial(["diff", "one.toml", "two.toml"].into_iter().chain(reports));
    assert_eq!(run.output.status.code(), Some(1));
    let page = fs::read_to_string(lab.path("diff.html")).unwrap();
    for expected in
        ["The images differ", "/etc/app.conf (content", "&lt;script&gt;", "A=&lt;b&gt;&amp;2"]
    {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(!page.contains("<script") && !page.contains("://"), "{page}");
    // An independent parser of HTML finds every element closed.
    let check = "import sys, html.parser\n\
        class P(html.parser.HTMLParser):\n\
        \u{20} open = []\n\
        \u{20} def handle_starttag(s, t, a): t in ('meta', 'br') or s.open.append(t)\n\
        \u{20} def handle_endtag(s, t): assert s.open.pop() == t, t\n\
        p = P(); p.feed(open('diff.html').read()); p.close(); assert p.open == []\n";
    lab.tool("python3", ["-c", check]);
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(lab.path("diff.json")).unwrap()).unwrap();
    assert_eq!(json["same"], false);
    let error = lab.seatrial(["diff", "one.toml", "two.toml", "--report", "junit=x"]);
    assert!(error.stderr().contains("expected one of html, json"), "{}", error.stderr());
}
