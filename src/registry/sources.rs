//! The places that an image is pulled from: mirrors, then its registry.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use super::client::Client;
use super::endpoint::Endpoint;
use super::{Registries, RegistryError};
use crate::image::RemoteReference;
use crate::text::errors;

/// The places that have not failed yet, of which the first is asked.
pub(super) struct Sources<'r> {
    registries: &'r Registries,
    endpoints: VecDeque<Endpoint>,
    /// The failures of mirrors.
    failures: Vec<String>,
}

impl Registries {
    /// The places to pull `reference` from.
    pub(super) fn sources(
        &self,
        reference: &RemoteReference,
    ) -> Result<Sources<'_>, RegistryError> {
        let mut endpoints = self.mirrors()?.endpoints(reference)?;
        let failed = self.0.failed_mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        endpoints.retain(|one| !one.is_mirror || !failed.contains(&one.reference.name()));
        drop(failed);
        Ok(Sources { registries: self, endpoints, failures: Vec::new() })
    }
}

impl Sources<'_> {
    /// The client for the first place, and the image there.
    pub(super) async fn first(&self) -> Result<(Arc<Client>, RemoteReference), RegistryError> {
        let Some(endpoint) = self.endpoints.front() else {
            return Err(RegistryError::Usage("there is nowhere to pull from".to_owned()));
        };
        Ok((self.registries.client_at(endpoint).await?, endpoint.reference.clone()))
    }

    /// Goes on to the next place, because the first failed with `error`.
    ///
    /// # Errors
    /// `error`, with those of the mirrors before it, if another place would not help, or there is
    /// none.
    pub(super) fn skip(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        let is_local = matches!(
            error,
            RegistryError::Cache { .. }
                | RegistryError::CacheFolder { .. }
                | RegistryError::Archive(_)
                | RegistryError::Runtime(_)
        );
        let failed = self.endpoints.pop_front();
        if is_local || (self.endpoints.is_empty() && self.failures.is_empty()) {
            return Err(error);
        }
        if self.endpoints.is_empty() {
            let mirrors = self.failures.join("; ");
            return Err(RegistryError::Mirrored { mirrors, source: Box::new(error) });
        }
        self.failures.push(errors::chain(&error));
        // A mirror may have some images and not others.
        if let (Some(failed), false) = (failed, matches!(error, RegistryError::NotFound { .. })) {
            let known = &self.registries.0.failed_mirrors;
            known.lock().unwrap_or_else(PoisonError::into_inner).insert(failed.reference.name());
        }
        Ok(())
    }
}
