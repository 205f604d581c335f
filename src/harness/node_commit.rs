//! Images that are made from containers on a Kubernetes node. CRI has no call for that, so `ctr`,
//! the runtime's own client, makes the layer and imports the image on the node.

use std::time::Duration;

use serde_json::{Value, json};

use super::daemon::Daemon;
use super::error::HarnessError;
use crate::engine::{EngineError, FileToCopy, random_name};
use crate::image::Digest;

/// The name of these images; their tags are random.
const NAME: &str = "seatrial.invalid/committed";
/// The time limit for making the layer, and that for importing the image.
pub(super) const TIMEOUT: Duration = Duration::from_secs(300);
/// Writes a layer with the changes of the container `$2` to the new folder `$1`, and prints its
/// SHA-256 digest; after it, the image config with the digest `$3`.
const MAKE_LAYER: &str = r#"
mkdir -p "$1"; cd "$1"
ctr -n k8s.io snapshots diff --media-type application/vnd.oci.image.layer.v1.tar "$2" >layer.tar
sha256sum layer.tar | cut -c -64
ctr -n k8s.io content get "$3""#;
/// Adds the files of a tar to the folder `$1`, imports the image in it, and removes it.
const IMPORT: &str = r#"
cd "$1"; tar -x --no-same-owner; tar -c -- * | ctr -n k8s.io images import -
cd /; rm -rf "$1""#;

impl Daemon {
    /// Makes an image from a container of `image` that has ended: the same config, with the files
    /// that the container has left. Returns its name.
    pub(super) async fn commit_on_node(
        &self,
        image: &str,
        container: &str,
    ) -> Result<String, HarnessError> {
        let folder = self.new_disk_folder();
        let config = self.engine().inspect(image).await?.id;
        let printed = self.sh(MAKE_LAYER, &[&folder, container, &config], &[]).await?;
        let name = format!("{NAME}:{}", random_name());
        let files = printed
            .split_once('\n')
            .and_then(|(layer, config)| image_files(&name, config, layer.trim()))
            .ok_or_else(|| unexpected("its image has an invalid config"))?;
        let archive = FileToCopy::archive(&files).map_err(|error| unexpected(error.to_string()))?;
        self.sh(IMPORT, &[&folder], &archive).await?;
        Ok(name)
    }

    /// Runs a script in the guest, and returns its standard output.
    async fn sh(
        &self,
        script: &str,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<String, HarnessError> {
        let arguments = [&["-ec", script, "sh"], arguments].concat();
        let mut agent = self.vm().agent(TIMEOUT).await?;
        let output = agent.run_with_input("/bin/sh", &arguments, input, TIMEOUT).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.code {
            Some(0) => Ok(text(&output.stdout)),
            _ => Err(unexpected(text(&output.stderr))),
        }
    }
}

fn unexpected(problem: impl std::fmt::Display) -> HarnessError {
    let problem = format!("failed to make an image from the container: {problem}");
    EngineError::Unexpected(problem).into()
}

/// Returns the files of a docker-archive, except for `layer.tar`: of the image with `config` and
/// this layer above its own. The runtime has these, so that their files may be empty. `None` if the
/// config is invalid.
fn image_files(name: &str, config: &str, layer: &str) -> Option<Vec<FileToCopy>> {
    let mut config: Value = serde_json::from_str(config).ok()?;
    let diff_ids = config.get_mut("rootfs")?.get_mut("diff_ids")?.as_array_mut()?;
    let present = diff_ids.len();
    diff_ids.push(json!(format!("sha256:{layer}")));
    if let Some(history) = config.get_mut("history").and_then(Value::as_array_mut) {
        history.push(json!({ "comment": "files of a container" }));
    }
    let config = serde_json::to_vec(&config).ok()?;
    let config_name = format!("{}.json", Digest::of(&config).hex());
    let mut layers = vec!["empty.tar"; present];
    layers.push("layer.tar");
    let manifest = json!([{ "Config": &config_name, "RepoTags": [name], "Layers": layers }]);
    let file =
        |path: &str, content: Vec<u8>| FileToCopy { path: path.into(), content, mode: 0o644 };
    Some(vec![
        file(&config_name, config),
        file("empty.tar", vec![0; 1024]),
        file("manifest.json", serde_json::to_vec(&manifest).ok()?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_has_the_config_of_the_containers_image_with_one_layer_more() {
        let config = r#"{"config": {"Cmd": ["x"]}, "rootfs": {"diff_ids": ["sha256:a"]}}"#;
        let files = image_files("app:1", config, "b").unwrap();
        let json = |index: usize| serde_json::from_slice::<Value>(&files[index].content).unwrap();
        let expected = json!({
            "config": { "Cmd": ["x"] },
            "rootfs": { "diff_ids": ["sha256:a", "sha256:b"] },
        });
        assert_eq!(json(0), expected);
        assert_eq!(files[0].path, format!("{}.json", Digest::of(&files[0].content).hex()));
        assert_eq!(json(2)[0]["Layers"], json!(["empty.tar", "layer.tar"]));
        assert_eq!(json(2)[0]["RepoTags"], json!(["app:1"]));
        assert!(image_files("app:1", "{}", "b").is_none());
    }
}
