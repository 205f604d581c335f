//! Root file systems as Distroless images have them, made by hand: Debian packages without dpkg,
//! with a file for each package in `status.d`, whose name need not be that of the package, and the
//! checksums of its regular files.

use serde_json::Value;

use crate::lab::{Lab, strings};
use crate::package_layers::{POPULAR, build, files, packages};

/// A root file system with four packages, and files that none of them lists.
fn distroless() -> Lab {
    let lab = Lab::new();
    for (stem, fields, sums) in [
        (
            "libc6",
            "Package: libc6\nArchitecture: amd64\nSource: glibc\nVersion: 2.36-9+deb12u10\n\
             Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>\n\
             Description: GNU C Library\n shared libraries\n",
            "d41d8cd98f00b204e9800998ecf8427e  lib/x86_64-linux-gnu/libc.so.6\n",
        ),
        (
            "base",
            "Package: base-files\nArchitecture: amd64\nVersion: 12.4+deb12u11\n",
            "d41d8cd98f00b204e9800998ecf8427e  usr/lib/os-release\n",
        ),
        (
            "libssl3",
            "Package: libssl3\nSource: openssl (3.0.16-1)\nArchitecture: amd64\n\
             Version: 3.0.16-1~deb12u1\nDepends: libc6 (>= 2.34)\n",
            "d41d8cd98f00b204e9800998ecf8427e  usr/lib/x86_64-linux-gnu/libssl.so.3\n",
        ),
        // tzdata has no checksums in some of the images.
        ("tzdata", "Package: tzdata\nArchitecture: all\nVersion: 2025b-0+deb12u1\n", ""),
    ] {
        lab.file(format!("root/var/lib/dpkg/status.d/{stem}"), fields);
        if !sums.is_empty() {
            lab.file(format!("root/var/lib/dpkg/status.d/{stem}.md5sums"), sums);
        }
    }
    lab.file("root/lib/x86_64-linux-gnu/libc.so.6", vec![b'c'; 9000]);
    lab.file("root/usr/lib/x86_64-linux-gnu/libssl.so.3", vec![b's'; 5000]);
    lab.file("root/usr/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    lab.file("root/usr/share/zoneinfo/UTC", "TZif");
    lab.link("root/etc/os-release", "../usr/lib/os-release");
    lab.file("root/etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\n");
    lab
}

#[test]
fn packages_of_distroless_images_are_split_too() {
    let lab = distroless();
    let expected = [
        vec![
            "lib/x86_64-linux-gnu/libc.so.6",
            "var/lib/dpkg/status.d/libc6",
            "var/lib/dpkg/status.d/libc6.md5sums",
        ],
        vec![
            "usr/lib/os-release",
            "var/lib/dpkg/status.d/base",
            "var/lib/dpkg/status.d/base.md5sums",
        ],
        vec![
            "usr/lib/x86_64-linux-gnu/libssl.so.3",
            "var/lib/dpkg/status.d/libssl3",
            "var/lib/dpkg/status.d/libssl3.md5sums",
        ],
        vec!["var/lib/dpkg/status.d/tzdata"],
        // What no package lists.
        vec!["etc/os-release", "etc/passwd", "usr/share/zoneinfo/UTC"],
    ];
    assert_eq!(files(&build(&lab, POPULAR)), expected);
    assert_eq!(packages(&lab, POPULAR), ["libc6", "base-files", "libssl3", "tzdata", ""]);
}

#[test]
fn an_update_of_a_distroless_package_changes_its_layer_only() {
    let lab = distroless();
    let diff_ids = || strings(&build(&lab, POPULAR).config()["rootfs"]["diff_ids"]);
    let before = diff_ids();
    lab.file("root/usr/lib/x86_64-linux-gnu/libssl.so.3", "new");
    lab.file(
        "root/var/lib/dpkg/status.d/libssl3",
        "Package: libssl3\nArchitecture: amd64\nVersion: 3.0.17-1\nDepends: libc6\n",
    );
    let after = diff_ids();
    assert_eq!(before.iter().filter(|diff_id| !after.contains(diff_id)).count(), 1);
    assert_eq!(before.len(), after.len());
}

#[test]
fn a_bill_of_materials_lists_distroless_packages_with_their_layers() {
    let lab = distroless();
    let recipe = format!("name='x'\ntag='1'\narchitecture='amd64'\n{POPULAR}");
    lab.build_with(&recipe, "x.tar", &["--sbom", "cyclonedx", "--sbom-file", "x.cdx.json"]);
    let bill: Value =
        serde_json::from_slice(&std::fs::read(lab.path("x.cdx.json")).unwrap()).unwrap();
    let layer = |component: &Value| {
        let properties = component["properties"].as_array().unwrap().iter();
        let mut layers = properties.filter(|property| property["name"] == "seatrial:layer");
        layers.next().unwrap()["value"].as_str().unwrap().to_owned()
    };
    let components = bill["components"].as_array().unwrap();
    let purls: Vec<&str> =
        components.iter().map(|component| component["purl"].as_str().unwrap()).collect();
    assert_eq!(
        purls,
        [
            "pkg:deb/debian/base-files@12.4%2Bdeb12u11?arch=amd64&distro=debian-12",
            "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12",
            "pkg:deb/debian/libssl3@3.0.16-1~deb12u1?arch=amd64&distro=debian-12",
            "pkg:deb/debian/tzdata@2025b-0%2Bdeb12u1?arch=all&distro=debian-12",
        ]
    );
    let diff_ids = strings(&build(&lab, POPULAR).config()["rootfs"]["diff_ids"]);
    let layers: Vec<String> = components.iter().map(layer).collect();
    assert_eq!(layers, [&diff_ids[1], &diff_ids[0], &diff_ids[2], &diff_ids[3]].map(Clone::clone));
}
