//! Capabilities and extended attributes; compared with setcap, getcap and getfattr.

use std::fs;

use crate::lab::{Lab, Run, is_root};
use crate::paths::{build, unpack};

#[test]
fn capabilities_and_attributes_are_as_setcap_and_setfattr_write_them() {
    let lab = Lab::new();
    for (index, text) in [
        "cap_net_bind_service=ep",
        "cap_net_raw,cap_net_admin=eip",
        "cap_chown=p",
        "all=ep",
        "cap_setuid=i",
        "=ep",
        "cap_bpf,cap_perfmon+ep",
        "cap_kill=p cap_kill+e",
        "all=ep cap_kill-ep",
    ]
    .iter()
    .enumerate()
    {
        let built = build(
            &lab,
            &format!(
                "[[path]]\npath='/bin/x'\ncontent='x'\ncapabilities='{text}'\n\
                 xattrs={{ 'user.a'='b c' }}\n"
            ),
        );
        if !is_root() {
            continue;
        }
        unpack(&lab, &built);
        let name = format!("own-{index}");
        lab.file(&name, "x");
        lab.tool("setcap", [*text, name.as_str()]);
        let value = |path: &str| {
            let all = lab.tool("getfattr", ["-d", "-m", "security", "-e", "hex", path]);
            all.lines().find(|line| line.starts_with("security.")).map(str::to_owned)
        };
        assert_eq!(value("out/bin/x"), value(&name), "{text}");
        assert!(lab.tool("getfattr", ["-d", "out/bin/x"]).contains("user.a=\"b c\""));
        fs::remove_dir_all(lab.path("out")).unwrap();
    }
}

#[test]
fn the_layer_cache_covers_changes_of_paths_and_attributes() {
    let lab = Lab::new();
    let recipe = |rest: &str| {
        let recipe = format!("path=[{{path='/file', content='x', {rest}}}]\n");
        let fresh = build(&lab, &recipe).bytes;
        assert!(build(&lab, &recipe).bytes == fresh, "{rest}");
        fresh
    };
    let keys = ["", "owner=1", "mode='0600'", "xattrs={'user.a'='1'}", "xattrs={'user.a'='2'}"];
    let mut images = keys.map(recipe).to_vec();
    assert_eq!(lab.cached_files("layers").len(), keys.len());
    images.sort();
    images.dedup();
    assert_eq!(images.len(), keys.len());
}

#[test]
fn extended_attributes_of_a_base_directory_stay_when_a_layer_repeats_it() {
    let lab = Lab::new();
    build(&lab, "[[path]]\npath='/srv'\ntype='directory'\nxattrs={'user.base'='1'}\n");
    fs::rename(lab.path("out.tar"), lab.path("base.tar")).unwrap();
    lab.file("tree/srv/new", "");
    let built = build(&lab, "from_image='base.tar'\ncontents='tree'\n");
    lab.file("layer.tar", &built.layer_files()[1]);
    let listed = Run::of({
        let mut command = lab.command("tar");
        command.args(["--xattrs", "-tvvf", "layer.tar"]);
        command
    });
    let listed = listed.ok();
    assert!(listed.contains("user.base"), "{listed}");
}

/// The access control list of the file `path` in the tar of a layer, as getfattr writes it.
fn access_list(layer: &[u8], path: &str) -> Option<String> {
    let mut archive = tar::Archive::new(layer);
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry = entries.find(|entry| &*entry.path_bytes() == path.as_bytes())?;
    let mut records = entry.pax_extensions().unwrap()?.map(Result::unwrap);
    let list = records.find(|record| record.key() == Ok("SCHILY.xattr.system.posix_acl_access"))?;
    Some(format!("system.posix_acl_access=0x{}", hex::encode(list.value_bytes())))
}

#[test]
fn a_mode_changes_the_access_control_list_of_a_file_as_chmod_does() {
    let lab = Lab::new();
    let list = |path: &str| lab.tool("getfacl", ["--omit-header", "--absolute-names", path]);
    let attribute = |path: &str| {
        let options = ["-e", "hex", "-n", "system.posix_acl_access", path];
        lab.tool("getfattr", options).lines().nth(1).map(str::to_owned)
    };
    for (entries, mode) in
        [("u:7:rwx,g::rx,m::rwx", "0640"), ("u:7:rw,g:8:r", "u=rwX,go="), ("u:7:rx", "g+w,o=u")]
    {
        lab.file("tree/file", "x");
        lab.mode("tree/file", 0o755);
        lab.tool("setfacl", ["-m", entries, "tree/file"]);
        lab.tool("bash", ["-c", "tar -C tree --xattrs --xattrs-include='*' -cf in.tar file"]);
        let built = build(
            &lab,
            &format!(
                "xattrs='keep'\n\
                 contents=[{{source='tree', target='/a', mode='{mode}'}},
                           {{tar='in.tar', target='/b', mode='{mode}'}},
                           {{tar='in.tar', target='/c'}}]\n\
                 [[path]]\npath='/c/file'\nmode='{mode}'\n"
            ),
        );
        lab.tool("chmod", [mode, "tree/file"]);
        let of_chmod = (attribute("tree/file"), list("tree/file"));
        let layer = built.layer_files().remove(0);
        for path in ["a/file", "b/file", "c/file"] {
            assert_eq!(access_list(&layer, path), of_chmod.0, "{path} {mode}");
        }
        if is_root() {
            unpack(&lab, &built);
            for path in ["out/a/file", "out/b/file", "out/c/file"] {
                assert_eq!((attribute(path), list(path)), of_chmod, "{path} {mode}");
            }
            fs::remove_dir_all(lab.path("out")).unwrap();
        }
        fs::remove_dir_all(lab.path("tree")).unwrap();
    }
}
