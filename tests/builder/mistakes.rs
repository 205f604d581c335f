//! Mistakes that people make in recipes and on the command line: each error says what is wrong and
//! what to write instead, and nothing is written.

use std::fs;

use serde_json::json;

use crate::lab::Lab;

#[test]
fn an_empty_path_is_an_error_that_names_its_key() {
    let lab = Lab::new();
    for (recipe, key) in [
        ("contents = ''", "contents"),
        ("contents = [{ source = '' }]", "source"),
        ("contents = [{ tar = '' }]", "tar"),
        ("contents = [{ layer = '' }]", "layer"),
        ("path = [{ path = '/a', source = '' }]", "source"),
        ("store = { closure = '' }", "store.closure"),
        ("store = { source = '', closure = 'x' }", "store.source"),
        ("run = [{ command = 'x', inputs = '' }]", "inputs"),
        ("helpers = 'ca-certificates='", "helpers: ca-certificates"),
        ("from_image = ''", "from_image"),
    ] {
        let message = lab.rejected(&format!("name='x'\n{recipe}\n"));
        let expected = format!("{key}: the path is empty");
        assert!(message.contains(&expected), "{recipe}: {message}");
    }
}

#[test]
fn a_field_of_config_at_the_top_of_a_recipe_is_an_error_that_says_where_it_belongs() {
    let lab = Lab::new();
    for (key, value, field) in [
        ("Cmd", "['/bin/app']", "Cmd"),
        ("env", "['A=1']", "Env"),
        ("entrypoint", "['/bin/app']", "Entrypoint"),
        ("User", "'1000'", "User"),
        ("workdir", "'/srv'", "WorkingDir"),
        ("expose", "[80]", "ExposedPorts"),
    ] {
        let message = lab.rejected(&format!("name='x'\n{key} = {value}\n"));
        let expected = format!("unknown key \"{key}\"; did you mean config.{field}?");
        assert!(message.contains(&expected), "{message}");
        // The key that it names is one.
        if key == "Cmd" {
            lab.build(&format!("name='x'\nconfig.Cmd = {value}\n"));
        }
    }
}

#[test]
fn a_field_of_config_in_another_table_is_an_error_with_the_keys_of_that_table() {
    let lab = Lab::new();
    let message = lab.rejected("name='x'\n[[run]]\ncmd = 'true'\n");
    assert!(message.contains("unknown key \"cmd\""), "{message}");
    assert!(!message.contains("config.Cmd") && message.contains("command"), "{message}");
}

#[test]
fn a_key_of_the_recipe_after_the_header_of_a_table_is_an_error_that_says_where_it_belongs() {
    let lab = Lab::new();
    lab.file("rootfs/a", "");
    for (table, line, problem) in [
        ("[config]", "contents = 'rootfs'", "config has no field \"contents\""),
        ("[[path]]", "from_image = 'x'", "unknown key \"from_image\""),
        ("[accounts]", "helpers = 'tmp'", "unknown key \"helpers\""),
        ("[store]", "fromImage = 'x'", "unknown key \"fromImage\""),
        ("contents = 'rootfs'\n[[run]]", "contents = 'rootfs'", "unknown key \"contents\""),
    ] {
        let message = lab.rejected(&format!("name='x'\n{table}\n{line}\n"));
        let hint = "it is a key of the recipe: write it at the top level";
        assert!(message.contains(&format!("{problem}; {hint}")), "{message}");
    }
    lab.build("name='x'\ncontents = 'rootfs'\n[config]\n");
    let message = lab.rejected("name='x'\n[[path]]\npath='/a'\ncontents='3'\n");
    assert!(
        message.ends_with("unknown key \"contents\"; did you mean \"content\"?\n"),
        "{message}"
    );
    let json = json!({ "name": "x", "contents": [{ "source": "rootfs", "created": "now" }] });
    lab.file("recipe.json", json.to_string());
    let message = lab.seatrial(["build", "recipe.json", "-o", "x.tar"]).rejected(&lab, "x.tar");
    assert!(message.contains("write it at the top level"), "{message}");
    // In this table, the owner is meant.
    let message = lab.rejected("name='x'\n[[path]]\npath='/a'\nuid=1\n");
    assert!(message.contains("unknown key \"uid\"; valid keys: path, "), "{message}");
}

#[test]
fn a_program_as_one_string_is_an_error_that_shows_the_list_which_runs_it() {
    let lab = Lab::new();
    for (field, written) in [
        ("Cmd = 'echo hello'", r#"["echo", "hello"]"#),
        (r#"Cmd = "echo \"a b\" && ls""#, r#"["/bin/sh", "-c", "echo \"a b\" && ls"]"#),
        ("Entrypoint = 'echo $HOME'", r#"["/bin/sh", "-c", "echo $HOME"]"#),
        ("Healthcheck.Test = 'curl'", r#"["CMD-SHELL", "curl"]"#),
        ("Healthcheck = { Test = ['NONE'], Interval = '30' }", "write \"30s\"\n"),
        ("Healthcheck = { Test = ['NONE'], Timeout = 1.5 }", "write \"1.5s\"\n"),
        ("Healthcheck = { Test = ['NONE'], Retries = '3' }", "write 3\n"),
    ] {
        let message = lab.rejected(&format!("name='x'\nconfig.{field}\n"));
        assert!(message.contains("; write "), "{message}");
        assert!(message.contains(written), "{message}");
        // The suggestion is accepted.
        if let Some((name, _)) = field.split_once(" = ").filter(|_| written.starts_with('[')) {
            lab.build(&format!("name='x'\nconfig.{name} = {written}\n"));
            let findings = lab.seatrial(["inspect", "out.tar"]).ok();
            assert!(!findings.contains("begin Test with CMD"), "{findings}");
        }
    }
}

#[test]
fn a_value_of_another_type_is_an_error_that_names_the_key() {
    let lab = Lab::new();
    for (recipe, expected) in [
        ("max_layers = 'ten'", "max_layers: found the string \"ten\", expected a whole number"),
        ("uid = -1", "uid: found -1, expected a whole number from 0 to 4294967295"),
        (
            "package_layers = 'yes'",
            "package_layers: found the string \"yes\", expected true or false",
        ),
        (
            "path = [{ path = '/a', type = 'dir' }]",
            "type: unknown value \"dir\"; did you mean \"directory\"?",
        ),
        ("on_conflict = 'x'", "on_conflict: unknown value \"x\"; expected \""),
    ] {
        let message = lab.rejected(&format!("name='x'\n{recipe}\n"));
        assert!(message.contains("recipe.toml:2: "), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    // Docker rejects negative durations, so they are not suggested.
    let negative = "name='x'\nconfig.Healthcheck = { Test = ['NONE'], Interval = '-30' }\n";
    let message = lab.rejected(negative);
    assert!(message.ends_with("nanoseconds, but is the string \"-30\"\n"), "{message}");
    let message = lab.rejected("{\n\"name\": \"x\",\n\"max_layers\": \"a:b\"\n}");
    assert!(message.contains("recipe.toml:3: max_layers: found the string \"a:b\""), "{message}");
}

#[test]
fn a_key_that_is_there_twice_is_named() {
    let lab = Lab::new();
    for (recipe, expected) in [
        ("name = 'x'\nname = 'y'\n", "recipe.toml:2: \"name\" is there twice"),
        (
            "name = 'x'\n[config]\nUser = '1'\n[config]\n",
            "recipe.toml:4: \"config\" is there twice",
        ),
        ("{\"name\": \"x\", \"name\": \"y\"}", "recipe.toml:1: \"name\" is there twice"),
    ] {
        let message = lab.rejected(recipe);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn values_of_another_kind_are_errors_that_show_what_to_write() {
    let lab = Lab::new();
    for (recipe, expected) in [
        ("config.ExposedPorts = [80]", "write { \"80/tcp\" = {} }"),
        ("config.ExposedPorts = ['80']", "write { \"80\" = {} }"),
        ("config.Labels = { a = 1 }", "write a = \"1\""),
        (
            "from_image = 'docker:debian'",
            "no file docker:debian; for the image in a registry, write \"docker://debian\"",
        ),
        ("layering = 'autoo'", "unknown layering \"autoo\"; did you mean \"auto\"?\n"),
        ("layering = 'best'", "unknown layering \"best\"; expected \"auto\", \"balanced\""),
        ("run = [{ command = ' ' }]", "run[1]: command is empty"),
    ] {
        let message = lab.rejected(&format!("name='x'\n{recipe}\n"));
        assert!(message.contains(expected), "{recipe}: {message}");
    }
}

#[test]
fn a_file_of_another_kind_is_an_error_that_says_what_it_is() {
    let lab = Lab::new();
    lab.file("recipe.toml", "# of the app\nname = 'x'\n");
    lab.seatrial(["build", "recipe.toml", "-o", "image.tar"]).ok();
    let message = lab.seatrial(["layers", "image.tar"]).rejected(&lab, "x");
    assert!(message.contains("image.tar: it has binary data; expected TOML"), "{message}");
    fs::write(lab.path("latin.toml"), b"name = 'gr\xf6\xdfe'\n").unwrap();
    let message = lab.seatrial(["reference", "latin.toml"]).rejected(&lab, "x");
    assert!(message.contains("failed to read latin.toml: it is not UTF-8 text"), "{message}");
    let message = lab.seatrial(["inspect", "recipe.toml"]).rejected(&lab, "x");
    assert!(message.contains("not an image"), "{message}");
    assert!(message.ends_with("if it is a recipe, build it first\n"), "{message}");
    lab.file("note.bz2", b"BZh91AY&SY");
    let message = lab.rejected("name='x'\ncontents=[{ tar='note.bz2' }]\n");
    assert!(message.contains("a file compressed with bzip2"), "{message}");
}

#[test]
fn durations_of_a_health_check_may_have_units() {
    let lab = Lab::new();
    let built = lab.build(
        "name='x'\n[config.Healthcheck]\nTest=['CMD', '/check']\nInterval='30s'\n\
         Timeout='500ms'\nStartPeriod='1m1.5s'\nStartInterval=2000000\n",
    );
    // docs.docker.com, "Dockerfile reference": HEALTHCHECK; moby, container.HealthConfig.
    let expected = json!({
        "Test": ["CMD", "/check"], "Interval": 30_000_000_000_u64, "Timeout": 500_000_000,
        "StartPeriod": 61_500_000_000_u64, "StartInterval": 2_000_000,
    });
    assert_eq!(built.summary["config"]["Healthcheck"], expected);
    let message = lab.rejected("name='x'\nconfig.Healthcheck={ Interval='soon' }\n");
    let expected = "config.Healthcheck.Interval must be a duration such as \"30s\" or a whole \
                    number of nanoseconds, but is the string \"soon\"\n";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn mistakes_in_the_config_of_a_recipe_are_noted_but_not_those_of_its_base() {
    let lab = Lab::new();
    let build = |recipe: &str| {
        lab.file("recipe.toml", format!("name='x'\ntag='1'\n{recipe}\n"));
        let run = lab.seatrial(["build", "recipe.toml", "-o", "out.tar"]);
        let notes = run.stderr();
        run.ok();
        notes
    };
    for (config, note) in [
        ("WorkingDir='srv'", "WorkingDir is \"srv\", which is not an absolute path"),
        ("ExposedPorts={ '80/http'={} }", "exposed ports that no engine accepts: \"80/http\""),
        ("Volumes={ 'data'={} }", "volumes that are not absolute paths of folders: \"data\""),
        ("StopSignal='TERMINATE'", "StopSignal is \"TERMINATE\", which is not a signal"),
        ("Healthcheck={ Test=['NONE'], Interval=30 }", "invalid: Interval is 30 ns"),
        ("Env=['PATH=/opt/bin:$PATH']", "variables that contain their own name: PATH"),
    ] {
        let notes = build(&format!("config.{config}"));
        assert!(notes.starts_with("note: config: ") && notes.contains(note), "{notes}");
        assert_eq!(notes.lines().count(), 1, "{notes}");
        let quiet = lab.seatrial(["build", "-q", "recipe.toml", "-o", "base.tar"]);
        assert_eq!(quiet.stderr(), "");
        quiet.ok();
        assert_eq!(build("from_image='base.tar'\ninherit='all'"), "");
    }
    assert_eq!(build("config={ Env=['A=1', 'A=2', 'TOKEN=x'], WorkingDir='/srv' }"), "");
    let two = "platforms=['linux/amd64', 'linux/arm64']\nconfig.WorkingDir='srv'\n";
    lab.file("recipe.toml", format!("name='x'\ntag='1'\n{two}"));
    let run = lab.seatrial(["build", "recipe.toml", "-o", "out.tar", "--format", "oci"]);
    assert_eq!(run.stderr().lines().count(), 1, "once for all platforms: {}", run.stderr());
    run.ok();
}

#[test]
fn keys_without_effect_are_noted() {
    let lab = Lab::new();
    lab.file("root/bin/app", "");
    lab.build_with("name='base'\ntag='1'\ncontents='root'\n", "base.tar", &[]);
    let base = "from_image='base.tar'\n";
    for (recipe, note) in [
        ("from_image_name='x'\n", "from_image_name has no effect without from_image"),
        ("from_image_tag='x'\n", "from_image_tag has no effect without from_image"),
        ("replace='bin'\n", "replace has no effect without from_image"),
        ("inherit='all'\n", "inherit has no effect without from_image"),
        ("contents=[{layer='base.tar'}]\n", "base.tar is an image; to build on it, use from_image"),
        (
            &format!("{base}contents='root'\nreplace=['/bin', '/binx']\n"),
            "replace lists paths that the base image does not have: /binx",
        ),
        (&format!("{base}contents='root'\nreplace='/bin'\ninherit='all'\n"), ""),
        // A layer may have a file of this name.
        ("contents=[{layer='layer.tar'}]\n", ""),
    ] {
        lab.file("manifest.json", "[]");
        lab.tool("tar", ["-cf", "layer.tar", "manifest.json"]);
        lab.file("recipe.toml", format!("name='x'\ntag='1'\n{recipe}"));
        let run = lab.seatrial(["build", "recipe.toml", "-o", "out.tar"]);
        let expected = if note.is_empty() { String::new() } else { format!("note: {note}\n") };
        assert_eq!(run.stderr(), expected, "{recipe}");
        run.ok();
    }
}

#[test]
fn a_missing_input_is_named_with_its_recipe_and_key() {
    let lab = Lab::new();
    lab.file("sub/h.c", "int main;\n".repeat(100));
    let missing = "failed to read sub/rotfs: there is no such file; paths are relative to the \
                   recipe's folder";
    for (recipe, expected) in [
        ("contents='./rotfs'\n", format!("sub/a.toml: contents: {missing}")),
        ("contents=[{tar='rotfs'}]\n", format!("sub/a.toml: contents: tar: {missing}")),
        ("contents=[{layer='rotfs'}]\n", format!("sub/a.toml: contents: layer: {missing}")),
        ("from_image='./rotfs'\n", format!("sub/a.toml: from_image: {missing}")),
        (
            "contents='/nowhere/x'\n",
            "contents: failed to read /nowhere/x: there is no such file".to_owned(),
        ),
        ("contents=[{tar='h.c'}]\n", "sub/a.toml: contents: tar: sub/h.c: ".to_owned()),
    ] {
        lab.file("sub/a.toml", format!("name='x'\ntag='1'\n{recipe}"));
        let message = lab.seatrial(["build", "sub/a.toml"]).rejected(&lab, "x.tar");
        assert!(message.contains(&expected), "{recipe}: {message}");
    }
}
