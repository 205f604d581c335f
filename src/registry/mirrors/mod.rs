//! Mirrors, registries without verified TLS, and credential helpers, as in the settings of Podman
//! and Docker (containers-registries.conf(5); docs.docker.com, "daemon configuration file").

mod docker;
mod podman;
mod settings;

use std::collections::VecDeque;

use self::docker::Daemon;
pub(super) use self::podman::Helpers;
use self::podman::{Pull, Settings};
pub(super) use self::settings::{is_absent, user_file};
use super::RegistryError;
use super::endpoint::Endpoint;
use crate::image::RemoteReference;

/// The settings of Podman and Docker.
#[derive(Debug, Default)]
pub(super) struct Mirrors {
    podman: Settings,
    daemon: Daemon,
}

impl Mirrors {
    /// Reads the settings.
    pub(super) fn read() -> Result<Self, RegistryError> {
        Ok(Self { podman: podman::read()?, daemon: docker::read()? })
    }

    /// The places of credentials in the order in which they are asked, if the settings name them.
    pub(super) fn credential_helpers(&self) -> &Helpers {
        &self.podman.helpers
    }

    /// Whether `host`, with a port or without, may have no verified TLS.
    pub(super) fn is_insecure(&self, host: &str) -> bool {
        let rule = podman::find_host(&self.podman.rules, host);
        rule.is_some_and(|rule| rule.place.insecure) || self.daemon.is_insecure(host)
    }

    /// The registry of `reference` itself.
    pub(super) fn own(&self, reference: &RemoteReference) -> Result<Endpoint, RegistryError> {
        let rule = podman::find(&self.podman.rules, reference);
        if let Some((rule, _)) = rule.filter(|(rule, _)| rule.blocked) {
            let (registry, path) = (reference.name(), rule.path.clone());
            return Err(RegistryError::Blocked { registry, path });
        }
        let is_insecure = rule.is_some_and(|(rule, _)| rule.place.insecure)
            || self.daemon.is_insecure(reference.registry());
        Ok(Endpoint { reference: reference.clone(), is_insecure, is_mirror: false })
    }

    /// The places to pull `reference` from, in order. The last is the registry itself.
    pub(super) fn endpoints(
        &self,
        reference: &RemoteReference,
    ) -> Result<VecDeque<Endpoint>, RegistryError> {
        let mut own = self.own(reference)?;
        let mut endpoints = VecDeque::new();
        if let Some((rule, length)) = podman::find(&self.podman.rules, reference) {
            let by_digest = reference.digest.is_some();
            let mirrors = rule.mirrors.iter().filter(|mirror| match mirror.pull {
                Pull::All => true,
                Pull::Digest => by_digest,
                Pull::Tag => !by_digest,
            });
            for mirror in mirrors {
                endpoints.push_back(Endpoint {
                    reference: mirror.place.relocated(reference, length, &rule.path)?,
                    is_insecure: mirror.place.insecure
                        || self.daemon.is_insecure(mirror.place.host()),
                    is_mirror: true,
                });
            }
            own.reference = rule.place.relocated(reference, length, &rule.path)?;
        }
        endpoints.extend(self.daemon.mirrors(reference)?);
        endpoints.push_back(own);
        Ok(endpoints)
    }
}
