//! Reads the answers of registries, which must not stop and may not be of any size.

use std::time::Instant;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::HeaderMap;

use super::RegistryError;
use super::client::Client;
use super::pace::Pace;
use super::request::Request;

impl Client {
    /// Sends `request` and reads its answer of at most `limit` bytes. Both are repeated if the
    /// connection breaks.
    pub(super) async fn receive(
        &self,
        request: &Request<'_>,
        limit: usize,
    ) -> Result<(HeaderMap, Vec<u8>), RegistryError> {
        let mut attempts = self.attempts();
        loop {
            let response = self.send(request, &[200]).await?;
            let headers = response.headers().clone();
            match self.read(response, limit).await {
                Err(error) if error.is_broken_connection() => attempts.again(error).await?,
                content => return Ok((headers, content?)),
            }
        }
    }

    /// The next piece of an answer; `None` at its end.
    pub(super) async fn chunk(
        &self,
        response: &mut Response,
        pace: &mut Pace,
    ) -> Result<Option<Bytes>, RegistryError> {
        loop {
            let begin = Instant::now();
            let chunk = tokio::time::timeout(pace.rest(), response.chunk()).await;
            let failed = |error| self.unreachable(response.url(), error);
            let chunk = match chunk.map(|chunk| chunk.map_err(failed)) {
                Ok(Ok(Some(chunk))) => Some(chunk),
                Ok(ended) => return ended,
                Err(_) => None,
            };
            // The timer may be early by a fraction of a millisecond.
            let waited = if chunk.is_none() { pace.rest() } else { begin.elapsed() };
            let bytes = chunk.as_ref().map_or(0, Bytes::len);
            let too_few = |bytes| self.timeout_after(response.url(), bytes);
            pace.add(bytes, waited).map_err(too_few)?;
            if chunk.is_some() {
                return Ok(chunk);
            }
        }
    }

    /// Reads an answer of at most `limit` bytes.
    pub(super) async fn read(
        &self,
        mut response: Response,
        limit: usize,
    ) -> Result<Vec<u8>, RegistryError> {
        let (mut content, mut pace) = (Vec::new(), Pace::begin(self.idle));
        while let Some(chunk) = self.chunk(&mut response, &mut pace).await? {
            if content.len() + chunk.len() > limit {
                let problem = format!("an answer has more than {} KiB", limit >> 10);
                return Err(self.protocol(problem));
            }
            content.extend_from_slice(&chunk);
        }
        Ok(content)
    }
}
