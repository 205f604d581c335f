//! Recipes: formats, keys, and the errors for mistakes.

use serde_json::json;

use crate::lab::{Lab, STORE};

#[test]
fn a_recipe_may_be_json_with_the_names_of_dockertools() {
    let lab = Lab::new();
    lab.store(&[("a-app", &["b-libc"]), ("b-libc", &[])]);
    let toml = format!(
        "name='x'\ntag='1'\nmax_layers=5\ncontents=['/nix/store/a-app']\n\
         {STORE}[config]\nCmd=['/bin/app']\n"
    );
    let by_toml = lab.build(&toml);
    let recipe = json!({
        "name": "x", "tag": "1", "fromImage": null, "maxLayers": 5,
        "copyToRoot": ["/nix/store/a-app"],
        "includeStorePaths": true, "store": {"source": "store", "closure": "graph.json"},
        "config": {"Cmd": ["/bin/app"]},
    });
    let by_json = lab.build(&recipe.to_string());
    assert_eq!(by_json.bytes, by_toml.bytes);
}

#[test]
fn a_recipe_may_be_read_from_standard_input() {
    let lab = Lab::new();
    let pipe = "echo 'name=\"x\"\ntag=\"1\"' | $SEATRIAL reference -";
    let mut shell = lab.command("bash");
    shell.args(["-c", pipe]).env("SEATRIAL", env!("CARGO_BIN_EXE_seatrial"));
    assert_eq!(crate::lab::Run::of(shell).ok(), "x:1\n");
}

#[test]
fn the_error_for_a_value_of_another_type_shows_how_it_is_written() {
    let lab = Lab::new();
    let tables = |key| format!("expected a list of tables, which begin with [[{key}]] in TOML");
    for (recipe, expected) in [
        ("run='apt-get update'\n", tables("run")),
        ("[run]\ncommand='true'\n", format!("found a table, {}", tables("run"))),
        ("path='/etc/app'\n", tables("path")),
        ("[layer]\nname='x'\n", tables("layer")),
        ("run=['true']\n", "expected a table with command or args".to_owned()),
        ("accounts='app'\n", "expected a table with users and groups".to_owned()),
        ("[accounts.users]\nname='a'\n", tables("accounts.users")),
        ("[accounts.groups]\nname='a'\n", tables("accounts.groups")),
        ("accounts={users=['app']}\n", "expected a table with name and uid".to_owned()),
        ("annotations=['a=b']\n", "annotations: found a list, expected a table".to_owned()),
        ("config='x'\n", "expected a table".to_owned()),
    ] {
        let message = lab.rejected(&format!("name='x'\n{recipe}"));
        assert!(message.contains("recipe.toml:2: ") && message.contains(&expected), "{message}");
    }
}

#[test]
fn the_error_for_an_unknown_key_has_its_line_and_the_nearest_key() {
    let lab = Lab::new();
    for (recipe, expected) in [
        (
            "name='x'\ncontent=[]\n",
            "recipe.toml:2: unknown key \"content\"; did you mean \"contents\"?",
        ),
        (
            "name='x'\n[store]\nclosur='g'\n",
            "recipe.toml:3: unknown key \"closur\"; did you mean \"closure\"?",
        ),
        (
            "{\"name\": \"x\",\n \"maxLayer\": 3}",
            "recipe.toml:2: unknown key \"maxLayer\"; did you mean \"maxLayers\"?",
        ),
        (
            "name='x'\n[config]\nEntryPoint=[]\n",
            "config has no field \"EntryPoint\"; did you mean \"Entrypoint\"?",
        ),
    ] {
        let message = lab.rejected(recipe);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_renamed_key_is_an_error_that_names_the_new_one() {
    let lab = Lab::new();
    for (recipe, expected) in [
        (
            "name='x'\nlayout='single'\n",
            "recipe.toml:2: unknown key \"layout\"; it is now called \"layering\"",
        ),
        (
            "name='x'\nlayering='layered'\n",
            "recipe.toml:2: layering \"layered\" is now called \"popularity\"",
        ),
        (
            "name='x'\narchitectures=['amd64']\n",
            "recipe.toml:2: unknown key \"architectures\"; it is now called \"platforms\"",
        ),
        (
            "{\"name\": \"x\", \"architectures\": [\"amd64\"]}",
            "unknown key \"architectures\"; it is now called \"platforms\"",
        ),
        (
            "name='x'\n[per_architecture.amd64]\n",
            "unknown key \"per_architecture\"; it is now called \"per_platform\"",
        ),
        (
            "name='x'\ntag='1'\nplatforms=['linux/arm64']\n[per_architecture.arm64]\n",
            "it is now called \"per_platform\"",
        ),
        ("name='x'\nplatfroms=['linux/arm64']\n", "did you mean \"platforms\"?"),
    ] {
        let message = lab.rejected(recipe);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn errors_for_wrong_types_and_values_explain_them() {
    let lab = Lab::new();
    for (recipe, expected) in [
        ("tag='1'\n", "missing key \"name\""),
        ("name=7\n", "recipe.toml:1: name: found 7, expected a string"),
        ("name='x'\nuid='root'\n", "recipe.toml:2:"),
        (
            "name='x'\nlayering='flat'\n",
            "expected \"auto\", \"balanced\", \"popularity\", \"single\", or a pipeline",
        ),
        ("name='x'\ncreated='yesterday'\n", "created: invalid time \"yesterday\""),
        ("name='x'\nmtime='1960-01-01T00:00:00Z'\n", "out of range"),
        ("name='x'\nvariant='v7'\n", "variant needs architecture"),
        ("name='x'\n[config]\nCmd='echo hello'\n", "write [\"echo\", \"hello\"]"),
        ("name='x'\n[config]\nEnv=['NOVALUE']\n", "has no '='"),
        ("name='x'\n[config]\nEnv=['=1']\n", "has no name"),
        ("name='x'\ninherit=['Cmmd']\n", "did you mean \"Cmd\"?"),
        ("name='x'\nclear='Cmd'\n[config]\nCmd=['x']\n", "remove it from one of them"),
        ("name='x'\nreplace=['..']\n", "is not a path in the image"),
        ("name='x'\n[store]\ndir='store'\n", "must be an absolute path"),
        ("name='x'\nuname='a-user-name-that-no-tar-header-can-hold'\n", "longer than 31 bytes"),
        ("name='x\n", "recipe.toml:1:"),
        ("name='x'\nname='y'\n", "recipe.toml:2:"),
    ] {
        let message = lab.rejected(recipe);
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn errors_for_missing_inputs_name_the_file() {
    let lab = Lab::new();
    for (recipe, expected) in [
        (
            "name='x'\ncontents=['absent']\n",
            "recipe.toml: contents: failed to read absent: there is no such file; paths are",
        ),
        (
            "name='x'\nfrom_image='absent.tar'\n",
            "recipe.toml: from_image: failed to read absent.tar: there is no such file; paths are",
        ),
        (
            "name='x'\n[store]\nclosure='absent.json'\n",
            "recipe.toml: store.closure: failed to read absent.json: there is no such file; paths",
        ),
    ] {
        let message = lab.rejected(recipe);
        assert!(message.contains("failed to read") && message.contains(expected), "{message}");
    }
    let message = lab.seatrial(["build", "absent.toml"]).rejected(&lab, "absent.tar");
    assert!(message.contains("failed to read absent.toml: No such file"), "{message}");
}

#[test]
fn the_error_for_an_incomplete_graph_names_both_store_paths() {
    let lab = Lab::new();
    lab.store(&[("a-app", &["z-absent"])]);
    let message = lab.rejected(&format!("name='x'\ncontents='/nix/store/a-app'\n{STORE}"));
    assert!(message.contains("/nix/store/a-app refers to /nix/store/z-absent"), "{message}");
}

#[test]
fn the_image_has_every_store_path_that_the_config_names() {
    let lab = Lab::new();
    lab.store(&[
        ("a-cmd", &[]),
        ("b-env", &["c-dep"]),
        ("c-dep", &[]),
        ("d-label", &[]),
        ("e-none", &[]),
    ]);
    let built = lab.build(&format!(
        "name='x'\n{STORE}[config]\nCmd=['/nix/store/a-cmd/bin/cmd']\n\
         Env=['PATH=/bin:/nix/store/b-env/bin']\n\
         Labels={{ note = 'see /nix/store/d-label.' }}\n"
    ));
    let mut paths: Vec<String> = built.summary["layers"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|l| crate::lab::strings(&l["paths"]))
        .collect();
    paths.sort();
    assert_eq!(
        paths,
        ["/nix/store/a-cmd", "/nix/store/b-env", "/nix/store/c-dep", "/nix/store/d-label"]
    );
}

#[test]
fn contents_in_a_store_without_a_closure_are_an_error_with_a_hint() {
    let lab = Lab::new();
    lab.store(&[("a-app", &[])]);
    let message = lab.rejected("name='x'\ncontents='/nix/store/a-app'\n[store]\nsource='store'\n");
    assert!(message.contains("has no closure"), "{message}");
}

#[test]
fn healthchecks_and_other_docker_fields_reach_the_config() {
    let lab = Lab::new();
    let built = lab.build(
        "name='x'\n[config]\nStopSignal='SIGINT'\nTty=true\nUser='1000'\nWorkingDir='/srv'\n\
         ExposedPorts={ '80/tcp' = {} }\nVolumes={ '/data' = {} }\nShell=['/bin/sh', '-c']\n\
         [config.Healthcheck]\nTest=['CMD', 'true']\nInterval=1000000000\n",
    );
    assert_eq!(
        built.config()["config"],
        json!({
            "ExposedPorts": {"80/tcp": {}},
            "Healthcheck": {"Interval": 1_000_000_000, "Test": ["CMD", "true"]},
            "Shell": ["/bin/sh", "-c"], "StopSignal": "SIGINT", "Tty": true, "User": "1000",
            "Volumes": {"/data": {}}, "WorkingDir": "/srv",
        })
    );
}

#[test]
fn numbers_that_mean_no_user_or_group_are_rejected() {
    let lab = Lab::new();
    for key in ["uid", "gid"] {
        let message = lab.rejected(&format!("name='x'\n{key}=4294967295\n"));
        assert!(message.contains(&format!("{key} 4294967295 means no {key}")), "{message}");
        lab.build(&format!("name='x'\ntag='1'\n{key}=4294967294\n"));
    }
}

#[test]
fn a_config_that_readers_would_reject_is_not_written() {
    let lab = Lab::new();
    // JSON escapes quotes.
    let label = "\"".repeat(3 << 20);
    let message = lab.rejected(&format!("name='x'\n[config.Labels]\na='{label}'\n"));
    assert!(message.contains("readers of images accept at most 4 MiB"), "{message}");
    let label = "\"".repeat((2 << 20) - 1000);
    lab.build(&format!("name='x'\ntag='1'\n[config.Labels]\na='{label}'\n"));
    lab.seatrial(["inspect", "out.tar"]).ok();
}

#[test]
fn the_history_of_very_many_store_paths_is_shortened() {
    let lab = Lab::new();
    let names: Vec<String> = (0..20_000).map(|n| format!("{n:032}-{}", "x".repeat(175))).collect();
    let references: Vec<&str> = names[1..].iter().map(String::as_str).collect();
    let mut paths: Vec<(&str, &[&str])> = references.iter().map(|name| (*name, &[][..])).collect();
    paths.push((&names[0], &references));
    lab.store(&paths);
    let recipe = json!({
        "name": "x", "tag": "1", "layering": "single",
        "contents": format!("/nix/store/{}", names[0]),
        "store": { "source": "store", "closure": "graph.json" },
    });
    let built = lab.build(&recipe.to_string());
    let history = built.config()["history"][0]["comment"].as_str().unwrap().to_owned();
    assert!(history.ends_with(" ... and 19900 more"), "{}", history.len());
    let summary: serde_json::Value =
        serde_json::from_str(&lab.seatrial(["inspect", "out.tar", "--json"]).ok()).unwrap();
    assert_eq!(summary["layers"][0]["paths"].as_array().unwrap().len(), 100);
}
