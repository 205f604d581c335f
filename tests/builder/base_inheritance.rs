//! Fields of the config that an image inherits from its base.

use std::fs;

use serde_json::{Value, json};

use crate::base::{lab, old_docker_save, on_base};
use crate::lab::Lab;

#[test]
fn only_the_environment_is_inherited_by_default() {
    let lab = lab();
    assert_eq!(on_base(&lab, "").config()["config"], json!({"Env": ["A=1"]}));
    let all = on_base(&lab, "inherit='all'\n").config();
    assert_eq!(
        all["config"],
        json!({
            "Cmd": ["sh"], "Entrypoint": ["/init"], "Env": ["A=1"], "Labels": {"a": "b"},
            "User": "nobody",
        })
    );
    let some = on_base(&lab, "inherit=['User', 'Labels']\n[config]\nLabels={ c = 'd' }\n").config();
    assert_eq!(
        some["config"],
        json!({"Env": ["A=1"], "Labels": {"a": "b", "c": "d"}, "User": "nobody"})
    );
}

#[test]
fn an_entrypoint_drops_the_inherited_cmd_and_fields_can_be_cleared_or_empty() {
    let lab = lab();
    let config =
        |more: &str| on_base(&lab, &format!("inherit='all'\n{more}")).config()["config"].clone();
    let entrypoint = config("[config]\nEntrypoint=['/own']\n");
    assert_eq!((entrypoint.get("Cmd"), &entrypoint["Entrypoint"]), (None, &json!(["/own"])));
    let empty = config("[config]\nEntrypoint=[]\n");
    assert_eq!((empty.get("Cmd"), &empty["Entrypoint"]), (None, &json!([])));
    let cleared = config("clear=['Entrypoint', 'Env']\n");
    assert_eq!(
        (cleared.get("Entrypoint"), cleared.get("Env"), &cleared["Cmd"]),
        (None, None, &json!(["sh"]))
    );
}

#[test]
fn unknown_fields_of_a_base_config_survive_inheritance() {
    let lab = Lab::new();
    old_docker_save(&lab);
    let config: Value =
        serde_json::from_slice(&fs::read(lab.path("save/config.json")).unwrap()).unwrap();
    let mut config = config;
    config["config"]["VendorThing"] = json!({"a": [1]});
    config["vendor.top"] = json!("kept");
    lab.file("save/config.json", config.to_string());
    lab.tool("tar", ["-cf", "old.tar", "-C", "save", "."]);
    let recipe = "name='x'\nfrom_image='old.tar'\narchitecture='amd64'\n";
    let all = lab.build(&format!("{recipe}inherit='all'\n")).config();
    assert_eq!(
        (&all["config"]["VendorThing"], &all["vendor.top"]),
        (&json!({"a": [1]}), &json!("kept"))
    );
    let none = lab.build(recipe).config();
    assert!(none["config"].get("VendorThing").is_none() && none.get("vendor.top").is_none());
}
