//! Strategies in recipes, and mistakes in them.

use serde_json::{Value, json};

use crate::lab::{Lab, STORE, strings};

#[test]
fn each_strategy_splits_the_store_of_a_recipe() {
    let lab = Lab::with_store();
    // The sizes of a-app, b-zlib and c-libc as Nix archives are equal; the last in order is the
    // first primary path of auto.
    for (layering, max, expected) in [
        ("'auto'", 100, vec!["c-libc", "b-zlib", "a-app", ""]),
        ("'auto'", 3, vec!["c-libc", "a-app b-zlib", ""]),
        ("'balanced'", 100, vec!["c-libc", "b-zlib", "a-app", ""]),
        ("'popularity'", 3, vec!["c-libc", "a-app b-zlib", ""]),
        ("'single'", 3, vec!["a-app b-zlib c-libc"]),
        ("[['subcomponent_out', ['/nix/store/b-zlib']]]", 3, vec!["b-zlib c-libc", "a-app", ""]),
        ("[['remove_paths', '/nix/store/c-libc']]", 3, vec!["a-app b-zlib", ""]),
        ("'pipeline.json'", 100, vec!["a-app", "b-zlib", "c-libc", ""]),
    ] {
        lab.file("pipeline.json", r#"[["popularity_contest"], ["reverse"]]"#);
        let built = lab.build(&format!(
            "name='x'\nlayering={layering}\nmax_layers={max}\ncontents='/nix/store/a-app'\n{STORE}"
        ));
        let layers = built.summary["layers"].as_array().unwrap();
        let layers: Vec<String> = layers
            .iter()
            .map(|layer| strings(&layer["paths"]).join(" ").replace("/nix/store/", ""))
            .collect();
        assert_eq!(layers, expected, "{layering}");
    }
}

#[test]
fn the_default_is_popularity_for_the_store_of_nix_and_balanced_for_others() {
    let lab = Lab::with_store();
    let split = |dir: &str, layering: &str| {
        let graph = std::fs::read_to_string(lab.path("graph.json")).unwrap();
        lab.file("graph-of.json", graph.replace("/nix/store", dir));
        lab.file(
            "recipe.toml",
            format!(
                "name='x'\nmax_layers=3\ncontents='{dir}/a-app'\n{layering}\n\
                 [store]\ndir='{dir}'\nsource='store'\nclosure='graph-of.json'\n"
            ),
        );
        lab.seatrial(["layers", "recipe.toml", "--json"]).ok()
    };
    let [popularity, balanced] = ["layering='popularity'", "layering='balanced'"];
    for (dir, same, other) in
        [("/nix/store", popularity, balanced), ("/packages", balanced, popularity)]
    {
        assert_eq!(split(dir, ""), split(dir, same), "{dir}");
        assert_ne!(split(dir, ""), split(dir, other), "{dir}");
    }
}

#[test]
fn auto_is_the_same_with_sizes_in_the_graph_and_without() {
    let lab = Lab::with_store();
    lab.file("store/b-zlib/large-file", vec![b'x'; 5000]);
    lab.link("store/b-zlib/link", "large-file");
    lab.mode("store/a-app/bin/app", 0o755);
    // The sizes of the output of `nix-store --dump PATH`.
    let sizes = [("a-app", 496), ("b-zlib", 5856), ("c-libc", 464)];
    let mut graph: Value =
        serde_json::from_slice(&std::fs::read(lab.path("graph.json")).unwrap()).unwrap();
    let mut layers = |sizes: Option<&[(&str, u64)]>| {
        for node in graph.as_array_mut().unwrap() {
            let path = node["path"].as_str().unwrap().to_owned();
            let fields = node.as_object_mut().unwrap();
            fields.remove("narSize");
            let size = sizes.and_then(|sizes| sizes.iter().find(|(name, _)| path.ends_with(name)));
            fields.extend(size.map(|(_, size)| ("narSize".to_owned(), json!(size))));
        }
        lab.file("graph.json", graph.to_string());
        let recipe = "name='x'\nlayering='auto'\nmax_layers=3\ncontents='/nix/store/a-app'\n";
        let built = lab.build(&format!("{recipe}{STORE}"));
        let layers = built.summary["layers"].as_array().unwrap();
        layers.iter().map(|layer| strings(&layer["paths"]).join(" ")).collect::<Vec<_>>()
    };
    let expected = ["/nix/store/b-zlib /nix/store/c-libc", "/nix/store/a-app", ""];
    assert_eq!(layers(None), expected);
    assert_eq!(layers(Some(&sizes)), expected);
    // One byte decides.
    assert_eq!(
        layers(Some(&[("a-app", 495), ("b-zlib", 463), ("c-libc", 496)])),
        ["/nix/store/c-libc", "/nix/store/a-app /nix/store/b-zlib", ""]
    );
}

#[test]
fn mistakes_in_a_pipeline_are_found_before_any_file_is_read() {
    let lab = Lab::with_store();
    // Reading a file of this store path would fail.
    std::fs::remove_dir_all(lab.path("store/c-libc")).unwrap();
    for (layering, expected) in [
        ("'populairty'", "did you mean \"popularity\"?"),
        ("[['popularity_contst']]", "did you mean \"popularity_contest\"?"),
        ("[['limit_layer', 3]]", "did you mean \"limit_layers\"?"),
        ("['reverse']", "\"reverse\" is not an operation"),
        ("[['limit_layers']]", "limit_layers takes one argument, not 0; write"),
        ("[['limit_layers', 0]]", "limit_layers needs a number above 0, not 0"),
        ("[['split_every', '3']]", "split_every needs a number above 0"),
        ("[['reverse', 1]]", "reverse takes no argument, not 1"),
        ("[['over', 'rest']]", "over takes two arguments, not 1"),
        ("[['over', ['reverse'], ['reverse']]]", "over needs a key"),
        ("[['map', ['pipe', [['flaten']]]]]", "did you mean \"flatten\"?"),
        ("[['split_paths', [{ childrenof = 'x' }]]]", "split_paths needs a list of store paths"),
        ("[['subcomponent_in', 1]]", "subcomponent_in needs a store path"),
        ("[['subcomponent_in', '/nix/store/c-lib']]", "did you mean \"/nix/store/c-libc\"?"),
        ("[['over', 'x', ['remove_paths', ['/nix/store/z']]]]", "remove_paths names"),
        ("[['reverse']]", "reverse needs a list, but gets a graph"),
        ("[['popularity_contest'], ['split_every', 1]]", "apply it to each graph of the list"),
        ("[['split_paths', []], ['over', 'main', ['flatten']]]", "gets a table with rest"),
        ("[['split_paths', []], ['reverse']]", "make it a list with flatten"),
        ("[['popularity_contest']]", "makes 3 layers, but max_layers leaves 2"),
        ("'no/pipeline.json'", "failed to read"),
        ("{ a = 1 }", "must be the name of a strategy or a pipeline"),
    ] {
        let message = lab.rejected(&format!(
            "name='x'\nlayering={layering}\nmax_layers=3\ncontents='/nix/store/a-app'\n{STORE}"
        ));
        assert!(message.contains(expected), "{layering}: {message}");
    }
}

#[test]
fn one_layer_with_a_base_image_is_rejected_with_the_numbers() {
    let lab = Lab::with_store();
    lab.build_with(&format!("name='base'\ncontents='/nix/store/c-libc'\n{STORE}"), "base.tar", &[]);
    for layering in ["'auto'", "'popularity'", "'single'", "[['flatten']]"] {
        let message = lab.rejected(&format!(
            "name='x'\nlayering={layering}\nmax_layers=1\nfrom_image='base.tar'\n\
             contents='/nix/store/a-app'\n{STORE}"
        ));
        assert!(message.contains("max_layers is 1"), "{message}");
        assert!(message.contains("base image has 2 layers"), "{message}");
    }
}
