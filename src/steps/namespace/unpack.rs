//! Unpacks layers in the user namespace.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::Stdio;

use super::holder::{self, UserNamespace};
use crate::archive::ArchiveError;
use crate::archive::blob::FileSlice;
use crate::image::DiffId;
use crate::steps::overlay::{self, Owners};
use crate::steps::owners::Special;
use crate::steps::{OverlayFormat, StepError};

/// An unpacked layer.
pub(super) struct Unpacked {
    /// The size of its files in bytes.
    pub(super) size: u64,
    /// Its symlinks and the like with their owners, if the namespace has a single ID.
    pub(super) specials: Vec<Special>,
}

/// Unpacks the layer in `bytes` into `folder`.
pub(super) fn unpack(
    namespace: &UserNamespace,
    bytes: &FileSlice,
    diff_id: DiffId,
    folder: &Path,
) -> Result<Unpacked, StepError> {
    let failed = || StepError::io("run", "tar");
    let mut tar = namespace.command("tar");
    tar.args(["--extract", "--file=-", "--same-owner", "--numeric-owner", "--same-permissions"]);
    tar.args(["--xattrs", "--xattrs-include=*", "--warning=no-timestamp", "-C"]).arg(folder);
    tar.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = tar.spawn().map_err(failed())?;
    let errors = holder::collect(child.stderr.take());
    let input = child.stdin.take().ok_or_else(|| failed()(io::ErrorKind::Other.into()))?;
    let mut output = BufWriter::with_capacity(128 << 10, input);
    let has_ids = |uid, gid| namespace.ids.contain(uid, gid);
    let mut specials = Vec::new();
    let owners = match namespace.ids.single() {
        Some(_) => Owners::Recorded(&mut specials),
        None => Owners::Of(&has_ids),
    };
    let written = overlay::write(bytes, OverlayFormat::User, owners, &mut output)
        .and_then(|size| output.flush().map(|()| size));
    drop(output);
    let status = child.wait().map_err(failed())?;
    match written {
        // `tar` has the reason.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe && !status.success() => {}
        Err(error) => {
            let name = format!("layer {diff_id}");
            return Err(ArchiveError::invalid(&name, error.to_string()).into());
        }
        Ok(size) if status.success() => return Ok(Unpacked { size, specials }),
        Ok(_) => {}
    }
    Err(failed()(holder::failure(status, errors)))
}
