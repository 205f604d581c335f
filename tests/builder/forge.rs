//! Forges images byte by byte, valid and invalid ones.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::lab::Lab;

pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Builds tars, including invalid ones.
pub struct TarBuilder(tar::Builder<Vec<u8>>);

impl TarBuilder {
    pub fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    /// Adds a member with any name, even one that the `tar` crate rejects.
    pub fn member(mut self, name: &str, kind: tar::EntryType, link: &str, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub fn file(self, name: &str, content: &[u8]) -> Self {
        self.member(name, tar::EntryType::Regular, "", content)
    }

    pub fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

pub fn hex256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A layer with one file, `etc/x`.
pub fn valid_layer() -> Vec<u8> {
    TarBuilder::new().file("etc/x", b"x").finish()
}

/// The config of an image with these uncompressed layers.
pub fn config(layers: &[&[u8]]) -> Value {
    let diff_ids: Vec<String> =
        layers.iter().map(|layer| format!("sha256:{}", hex256(layer))).collect();
    let rootfs = json!({ "type": "layers", "diff_ids": diff_ids });
    json!({ "architecture": "amd64", "os": "linux", "rootfs": rootfs })
}

/// The `manifest.json` of a docker-archive with one image.
pub fn manifest(config: &str, layers: &[&str]) -> Value {
    json!([{ "Config": config, "RepoTags": ["base:1"], "Layers": layers }])
}

/// A docker-archive with this config and one layer.
pub fn docker_archive(config: &[u8], layer: &[u8]) -> Vec<u8> {
    TarBuilder::new()
        .file("c.json", config)
        .file("manifest.json", manifest("c.json", &["l.tar"]).to_string().as_bytes())
        .file("l.tar", layer)
        .finish()
}

/// An OCI layout in a folder of a lab.
pub struct OciFolder<'a> {
    lab: &'a Lab,
    pub name: &'a str,
}

impl<'a> OciFolder<'a> {
    pub fn new(lab: &'a Lab, name: &'a str) -> Self {
        lab.file(format!("{name}/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
        Self { lab, name }
    }

    /// Writes a blob and returns its descriptor.
    pub fn blob(&self, bytes: &[u8], media_type: &str) -> Value {
        let hex = hex256(bytes);
        self.lab.file(format!("{}/blobs/sha256/{hex}", self.name), bytes);
        json!({
            "mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()
        })
    }

    /// Writes a manifest and returns its descriptor.
    pub fn manifest(&self, config: Value, layers: &[Value]) -> Value {
        self.document(
            OCI_MANIFEST,
            &json!({
                "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers
            }),
        )
    }

    /// Writes a JSON document and returns its descriptor.
    pub fn document(&self, media_type: &str, document: &Value) -> Value {
        self.blob(document.to_string().as_bytes(), media_type)
    }

    /// Writes an image with this config and one valid layer, and returns its descriptor.
    pub fn image(&self, config: &Value) -> Value {
        let layer = self.blob(&valid_layer(), OCI_LAYER);
        self.manifest(self.document(OCI_CONFIG, config), &[layer])
    }

    /// Writes `index.json`.
    pub fn index(&self, manifests: &[Value]) {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        self.lab.file(format!("{}/index.json", self.name), index.to_string());
    }
}

/// `value` with the entries of `more`.
pub fn with(mut value: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    value.as_object_mut().unwrap().extend(more);
    value
}

/// A valid docker-archive of which one document is replaced.
pub fn archive_with(document: &str, text: &str) -> Vec<u8> {
    let layer = valid_layer();
    let valid = [
        ("c.json", config(&[&layer]).to_string()),
        ("manifest.json", manifest("c.json", &["l.tar"]).to_string()),
    ];
    let mut archive = TarBuilder::new().file("l.tar", &layer);
    for (name, content) in valid {
        let content = if name == document { text } else { &content };
        archive = archive.file(name, content.as_bytes());
    }
    archive.finish()
}
