//! The key `from_image`: a text, or a table with the arguments of dockerTools' `pullImage`.

use std::fmt;
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::image_source::ImageSource;
use crate::image::{Digest, Location, Platform, RemoteReference};
use crate::text;

/// The key's value, as written.
#[derive(Debug)]
pub(super) enum FromImageSetting {
    /// A path, a location such as `docker://debian:12`, or a recipe.
    Text(String),
    /// An image in a registry, by digest.
    PullImage(Box<PullImage>),
}

/// The arguments of nixpkgs' `dockerTools.pullImage`. The digest identifies the image, so the hash
/// of the archive that Nix would make has no meaning here.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PullImage {
    #[serde(rename = "imageName", alias = "image_name")]
    image_name: String,
    #[serde(rename = "imageDigest", alias = "image_digest")]
    image_digest: String,
    #[serde(rename = "finalImageName", alias = "final_image_name")]
    final_image_name: Option<String>,
    #[serde(rename = "finalImageTag", alias = "final_image_tag")]
    final_image_tag: Option<String>,
    os: Option<String>,
    arch: Option<String>,
    #[serde(rename = "tlsVerify", alias = "tls_verify")]
    tls_verify: Option<bool>,
    #[serde(rename = "name")]
    _name: Option<IgnoredAny>,
    #[serde(rename = "hash")]
    _hash: Option<IgnoredAny>,
    #[serde(rename = "sha256")]
    _sha256: Option<IgnoredAny>,
    #[serde(rename = "outputHash", alias = "output_hash")]
    _output_hash: Option<IgnoredAny>,
    #[serde(rename = "outputHashAlgo", alias = "output_hash_algo")]
    _output_hash_algo: Option<IgnoredAny>,
}

/// The base image of a recipe.
#[derive(Debug)]
pub(super) struct FromImage {
    pub(super) source: ImageSource,
    /// The platform that it is for, if the key has one.
    pub(super) platform: Option<Platform>,
}

impl FromImageSetting {
    /// Checks the value, and resolves relative paths in `folder`.
    pub(super) fn resolve(self, folder: &Path) -> Result<FromImage, String> {
        match self {
            Self::Text(text) => {
                let source = ImageSource::parse("from_image", &text, folder)?;
                Ok(FromImage { source, platform: None })
            }
            Self::PullImage(image) => image.resolve().map_err(|e| format!("from_image: {e}")),
        }
    }
}

impl PullImage {
    fn resolve(self) -> Result<FromImage, String> {
        let name: RemoteReference =
            self.image_name.parse().map_err(|e| format!("imageName: {e}"))?;
        let digest: Digest = self.image_digest.parse().map_err(|e| format!("imageDigest: {e}"))?;
        if let Some(os) = self.os.filter(|os| os != Platform::OS) {
            return Err(format!("os is {}; only {} is supported", text::quote(&os), Platform::OS));
        }
        if self.tls_verify == Some(false) {
            return Err(
                "tlsVerify = false is not supported; set insecure = true for the registry \
                        in registries.conf"
                    .to_owned(),
            );
        }
        let platform = self.arch.map(|arch| arch.parse().map_err(|e| format!("arch: {e}")));
        // The image's own name matters only to those who load it.
        let finals = [self.final_image_name, self.final_image_tag];
        drop(finals);
        let source = ImageSource::Image(Location::Registry(name.at(digest)));
        Ok(FromImage { source, platform: platform.transpose()? })
    }
}

impl<'de> Deserialize<'de> for FromImageSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;
        impl<'de> Visitor<'de> for TextOrTable {
            type Value = FromImageSetting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, docker://REFERENCE, or a table of pullImage's arguments")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<FromImageSetting, E> {
                Ok(FromImageSetting::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<FromImageSetting, A::Error> {
                let arguments =
                    PullImage::deserialize(de::value::MapAccessDeserializer::new(table));
                arguments.map(Box::new).map(FromImageSetting::PullImage)
            }
        }
        deserializer.deserialize_any(TextOrTable)
    }
}
