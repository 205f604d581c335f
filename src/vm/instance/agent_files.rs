//! Reads files of the guest through the QEMU guest agent.

use std::path::PathBuf;

use serde_json::json;

use super::agent::{ANSWER_TIMEOUT, Agent, decode};
use super::vm::Vm;
use crate::vm::VmError;

/// The limit for the size of a file that is read as a whole, in bytes.
const FILE_SIZE_LIMIT: usize = 48 << 20;
/// How many bytes are read at once.
const PART_SIZE: usize = 1 << 20;

/// Reads files of the guest of a VM.
#[derive(Clone, Debug)]
pub(crate) struct GuestFiles {
    folder: PathBuf,
}

impl Vm {
    /// Returns a handle for reading files of the guest.
    pub(crate) fn files(&self) -> GuestFiles {
        GuestFiles { folder: self.folder().to_owned() }
    }
}

impl GuestFiles {
    /// Returns the content of the file at `path` from `offset` on, up to 1 MiB. A file that does
    /// not exist is empty.
    pub(crate) async fn read_part(&self, path: &str, offset: u64) -> Result<Vec<u8>, VmError> {
        let mut agent = Agent::connect(&self.folder, ANSWER_TIMEOUT).await?;
        match agent.read_range(path, offset, PART_SIZE).await {
            Err(VmError::Command { problem, .. }) if problem.contains("No such file") => {
                Ok(Vec::new())
            }
            read => read,
        }
    }
}

impl Agent {
    /// Returns the content of a file of the guest, or the first 48 MiB of it.
    ///
    /// # Errors
    /// If the file cannot be read, or the agent does not answer.
    pub async fn read_file(&mut self, path: &str) -> Result<String, VmError> {
        let bytes = self.read_range(path, 0, FILE_SIZE_LIMIT).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns the content from `offset` on, until `limit` bytes or more have been read.
    async fn read_range(
        &mut self,
        path: &str,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<u8>, VmError> {
        let open = json!({ "path": path, "mode": "r" });
        let handle = self.channel.execute("guest-file-open", open, ANSWER_TIMEOUT).await?;
        let seek = json!({ "handle": handle, "offset": offset, "whence": "set" });
        self.channel.execute("guest-file-seek", seek, ANSWER_TIMEOUT).await?;
        let mut bytes = Vec::new();
        while bytes.len() < limit {
            let part = json!({ "handle": handle, "count": PART_SIZE });
            let read = self.channel.execute("guest-file-read", part, ANSWER_TIMEOUT).await?;
            bytes.extend(decode(&read["buf-b64"]));
            if read["eof"] == true || read["count"] == 0 {
                break;
            }
        }
        let close = json!({ "handle": handle });
        self.channel.execute("guest-file-close", close, ANSWER_TIMEOUT).await?;
        Ok(bytes)
    }
}
