//! Names of files in an OCI layout, and what every layout in a tar begins and ends with.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::archive::write::{folder_header, write_member};
use crate::image::Digest;
use crate::image::manifest::{Descriptor, OCI_LAYOUT, OciIndex};

/// The file that marks an OCI layout.
pub(crate) const LAYOUT: &str = "oci-layout";

/// The file that lists the images.
pub(crate) const INDEX: &str = "index.json";

/// The path of the blob `digest` in a layout.
pub(crate) fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Writes the members before the blobs of a layout.
pub(crate) fn write_start(output: &mut dyn Write) -> io::Result<()> {
    write_member(output, LAYOUT, OCI_LAYOUT.as_bytes())?;
    output.write_all(&folder_header("blobs"))?;
    output.write_all(&folder_header("blobs/sha256"))
}

/// Writes the index of a layout, which lists `entries`.
pub(crate) fn write_index(output: &mut dyn Write, entries: Vec<Descriptor>) -> io::Result<()> {
    let index = OciIndex::new(entries, BTreeMap::new());
    write_member(output, INDEX, &serde_json::to_vec(&index)?)
}
