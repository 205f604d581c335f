//! Reads files of the guest through the QEMU guest agent.

use serde_json::json;

use super::agent::{ANSWER_TIMEOUT, Agent, decode};
use crate::vm::VmError;

/// The limit for the size of a file, in bytes.
const FILE_SIZE_LIMIT: usize = 48 << 20;
/// How many bytes are read at once.
const PART_SIZE: usize = 1 << 20;

impl Agent {
    /// Returns the content of a file of the guest, or the first 48 MiB of it.
    ///
    /// # Errors
    /// If the file cannot be read, or the agent does not answer.
    pub async fn read_file(&mut self, path: &str) -> Result<String, VmError> {
        let open = json!({ "path": path, "mode": "r" });
        let handle = self.channel.execute("guest-file-open", open, ANSWER_TIMEOUT).await?;
        let mut bytes = Vec::new();
        while bytes.len() < FILE_SIZE_LIMIT {
            let part = json!({ "handle": handle, "count": PART_SIZE });
            let read = self.channel.execute("guest-file-read", part, ANSWER_TIMEOUT).await?;
            bytes.extend(decode(&read["buf-b64"]));
            if read["eof"] == true || read["count"] == 0 {
                break;
            }
        }
        let close = json!({ "handle": handle });
        self.channel.execute("guest-file-close", close, ANSWER_TIMEOUT).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
