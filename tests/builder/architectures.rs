//! One recipe for several architectures: an index that others pick from.

use serde_json::Value;

use crate::lab::Lab;

const RECIPE: &str = r#"
name = "x/multi"
tag = "1"
architectures = ["amd64", "aarch64"]
contents = "shared"
[config]
Cmd = ["/app"]
[per_architecture.amd64]
contents = ["shared", "for-amd64"]
[per_architecture.aarch64]
contents = ["shared", "for-arm64"]
[per_architecture.aarch64.config]
Cmd = ["/app", "--arm"]
"#;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("shared/etc/shared", "for all\n");
    lab.file("for-amd64/app", "amd64 program\n");
    lab.file("for-arm64/app", "arm64 program\n");
    lab
}

fn inspected(lab: &Lab, architecture: &str, image: &str) -> Value {
    let told = lab.tool("skopeo", ["--override-arch", architecture, "inspect", "--config", image]);
    serde_json::from_str(&told).unwrap()
}

#[test]
fn each_reader_picks_its_own_image() {
    let lab = lab();
    for format in ["oci", "dual"] {
        let built = lab.build_with(RECIPE, "multi.tar", &["--format", format]);
        assert_eq!(built.summary["images"].as_array().unwrap().len(), 2);
        for (architecture, command) in [("amd64", 1), ("arm64", 2)] {
            let told = lab
                .seatrial(["inspect", "multi.tar", "--architecture", architecture, "--json"])
                .ok();
            let told: Value = serde_json::from_str(&told).unwrap();
            assert_eq!(told["architecture"], architecture, "{format}");
            let config = inspected(&lab, architecture, "oci-archive:multi.tar");
            assert_eq!(config["architecture"], architecture);
            assert_eq!(config["config"]["Cmd"].as_array().unwrap().len(), command);
            let copy = format!("dir:{format}-{architecture}");
            lab.tool(
                "skopeo",
                ["--override-arch", architecture, "copy", "-q", "oci-archive:multi.tar", &copy],
            );
        }
    }
    // The other half of a dual archive knows no platforms: it has the image for this machine.
    let host = std::env::consts::ARCH;
    let expected = if host == "aarch64" { "arm64" } else { "amd64" };
    let config = inspected(&lab, expected, "docker-archive:multi.tar");
    assert_eq!(config["architecture"], expected);
}

#[test]
fn what_architectures_share_is_in_the_archive_once() {
    let lab = lab();
    let same = "name='x'\ntag='1'\narchitectures=['amd64','arm64','s390x']\ncontents='shared'\n";
    lab.build_with(same, "multi.tar", &["--format", "oci"]);
    let listed = lab.tool("tar", ["-tf", "multi.tar"]);
    // One layer, a config and a manifest for each, and the index of them.
    let blobs = listed
        .lines()
        .filter(|name| name.starts_with("blobs/sha256/") && !name.ends_with('/'))
        .count();
    assert_eq!(blobs, 1 + 3 * 2 + 1, "{listed}");
}

#[test]
fn a_docker_archive_holds_one_architecture() {
    let lab = lab();
    assert!(lab.refused(RECIPE).contains("a docker-archive holds one; use --format oci or dual"));
    // A stream is for this machine's daemon.
    lab.file("recipe.toml", RECIPE);
    lab.tool(
        "bash",
        ["-c", &format!("{} stream recipe.toml > image.tar", env!("CARGO_BIN_EXE_seatrial"))],
    );
    let told = lab.seatrial(["inspect", "image.tar", "--json"]).ok();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        told["architecture"],
        if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" }
    );
}

#[test]
fn mistakes_are_told() {
    let lab = lab();
    for (recipe, problem) in [
        ("name='x'\ntag='1'\narchitectures=[]\n", "must be a list of names"),
        ("name='x'\narchitectures=['amd64','arm64']\n", "needs a tag"),
        ("name='x'\ntag='1'\narchitectures=['amd64','x86_64']\n", "lists linux/amd64 twice"),
        (
            "name='x'\ntag='1'\narchitectures=['amd64']\narchitecture='arm64'\n",
            "exclude each other",
        ),
        ("name='x'\n[per_architecture.arm64]\n", "but architectures lists none"),
        (
            "name='x'\ntag='1'\narchitectures=['arm64','amd64']\n[per_architecture.arm46]\n",
            "did you mean \"arm64\"?",
        ),
        (
            "name='x'\ntag='1'\narchitectures=['arm64']\n[per_architecture.arm64]\ntag='2'\n",
            "has tag, which is the same for all",
        ),
        (
            "name='x'\ntag='1'\narchitectures=['arm64']\n[per_architecture.arm64]\ncontnets='a'\n",
            "did you mean \"contents\"?",
        ),
    ] {
        let told = lab.refused(recipe);
        assert!(told.contains(problem), "{recipe}\n{told}");
    }
}
