//! Notices about an image that was built: contents that were left out, and settings that had no
//! effect.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::archive::entry::display_path;
use crate::archive::tree::DirMetadata;
use crate::build::recipe::Recipe;
use crate::closure::StorePath;
use crate::image::manifest::OciPlatform;
use crate::image::{Inherit, Location, Platform};
use crate::lint::Finding;
use crate::text;

/// Collects notices while layers are listed, from several threads.
#[derive(Debug, Default)]
pub(in crate::build) struct Notices {
    /// The owner of the image's files.
    owner: (u64, u64),
    /// The platforms of the base and of the image, if the image cannot run the base's programs.
    foreign_base: Option<(String, String)>,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// Images that contents are from whose programs the image cannot run, with their platforms and
    /// that of the image.
    foreign_sources: BTreeSet<(String, String, String)>,
    /// Outputs in the contents.
    left_out: BTreeSet<String>,
    /// Folders that keep the owner that they have in the base.
    base_owner: BTreeSet<String>,
    /// Folders of the base that layers with store paths describe differently.
    store_parents: BTreeSet<String>,
    /// Paths in the config that look like store paths, and are not in the graph.
    unknown_paths: BTreeSet<String>,
    /// The same for which a content sets the owner.
    base_content_owner: BTreeSet<String>,
    /// Files whose capabilities are left out.
    dropped_capabilities: BTreeSet<String>,
    /// Patterns that match nothing, with their contents.
    unused_globs: BTreeSet<String>,
    /// Keys of the recipe that only matter with a base image.
    base_keys: BTreeSet<&'static str>,
    /// Paths in `replace` that the base lacks.
    unused_replace: BTreeSet<String>,
    /// Finished layers that are images.
    images: BTreeSet<String>,
    /// Tars with times that no container engine keeps.
    lost_times: BTreeSet<String>,
    /// Mistakes in the recipe's `config`, as sentences.
    mistakes: Vec<String>,
    /// Files with certificates that someone has added to those of the host's distribution.
    added_certificates: BTreeSet<String>,
}

impl Notices {
    /// Notices for an image whose files belong to `owner`.
    pub(in crate::build) fn new(owner: (u64, u64)) -> Self {
        Self { owner, ..Self::default() }
    }

    /// Notes that the platform `own` of the image cannot run the programs of a base for `base`, if
    /// it cannot.
    pub(in crate::build) fn set_base_platform(&mut self, base: &OciPlatform, own: &Platform) {
        if base.rules_out(own) {
            self.foreign_base = Some((base.to_string(), own.to_string()));
        }
    }

    /// Notes that the platform `own` of the image cannot run the programs of the image `source` for
    /// `platform`, from which contents are taken, if it cannot.
    pub(super) fn source_platform(
        &self,
        source: &Location,
        platform: &OciPlatform,
        own: &Platform,
    ) {
        if platform.rules_out(own) {
            let source = text::shorten(&source.to_string()).into_owned();
            let platform = text::shorten(&platform.to_string()).into_owned();
            let own = own.to_string();
            self.found().foreign_sources.insert((source, platform, own));
        }
    }

    /// Notes that the output at `path` is in the contents, and was left out.
    pub(in crate::build) fn left_out(&self, path: &Path) {
        self.found().left_out.insert(text::path(path));
    }

    /// Notes that the folder at `path` in the image keeps its `owner` in the base, if the recipe,
    /// or the content with the owner `of_content`, sets another one.
    pub(in crate::build) fn base_owner(
        &self,
        path: &[u8],
        owner: (u64, u64),
        of_content: Option<(u64, u64)>,
    ) {
        let wanted = of_content.unwrap_or(self.owner);
        if wanted != (0, 0) && owner != wanted {
            let mut found = self.found();
            let folders = match of_content {
                Some(_) => &mut found.base_content_owner,
                None => &mut found.base_owner,
            };
            folders.insert(display_path(path));
        }
    }

    /// Notes that layers with store paths change the base's folder at `path`, if they do.
    pub(in crate::build) fn store_parent(&self, path: &[u8], base: &DirMetadata) {
        let default = (DirMetadata::default().mode, self.owner.0, self.owner.1);
        if (base.mode, base.uid, base.gid) != default {
            self.found().store_parents.insert(display_path(path));
        }
    }

    /// Notes that `field` of the config names `path`, which is not in the reference graph.
    pub(super) fn unknown_path(&self, field: &str, path: &StorePath) {
        let path = text::shorten(path.as_str());
        self.found().unknown_paths.insert(format!("{path} ({})", text::shorten(field)));
    }

    /// Notes that the capabilities of the file at `path` in the image are left out.
    pub(in crate::build) fn dropped_capabilities(&self, path: &[u8]) {
        self.found().dropped_capabilities.insert(display_path(path));
    }

    /// Notes that the pattern `glob` of the content `source` matches nothing.
    pub(in crate::build) fn unused_glob(&self, glob: &str, source: &Path) {
        let glob = format!("{} of {}", text::quote(glob), text::path(source));
        self.found().unused_globs.insert(glob);
    }

    /// Notes the keys of `recipe`, which has no base image, that only matter with one.
    pub(in crate::build) fn without_base(&self, recipe: &Recipe) {
        self.found().base_keys.extend(
            [
                ("from_image_name", recipe.from_image_name.is_some()),
                ("from_image_tag", recipe.from_image_tag.is_some()),
                ("replace", !recipe.replace.is_empty()),
                ("inherit", recipe.inherit != Inherit::Nothing),
            ]
            .into_iter()
            .filter_map(|(key, is_set)| is_set.then_some(key)),
        );
    }

    /// Notes that the base lacks `path`, which is in `replace`.
    pub(in crate::build) fn unused_replace(&self, path: &[u8]) {
        self.found().unused_replace.insert(display_path(path));
    }

    /// Notes that the finished layer at `path` is an image.
    pub(super) fn layer_is_image(&self, path: &Path) {
        self.found().images.insert(text::path(path));
    }

    /// Notes that a member of the tar at `path` has a time that no container engine keeps.
    pub(in crate::build) fn lost_time(&self, path: &Path) {
        self.found().lost_times.insert(text::path(path));
    }

    /// Notes a mistake in the recipe's `config`.
    pub(in crate::build) fn mistake(&self, finding: &Finding) {
        let Finding { problem, impact, fix, .. } = finding;
        self.found().mistakes.push(format!("config: {problem}: {impact}; {fix}"));
    }

    /// Notes that the certificates that the image gets from the host have that in the file at
    /// `path`, which is not part of the host's distribution.
    pub(in crate::build) fn added_certificate(&self, path: &Path) {
        self.found().added_certificates.insert(text::path(path));
    }

    /// The notices, a sentence each.
    pub(in crate::build) fn all(&self) -> Vec<String> {
        let found = self.found();
        let mut notices = self.about_base(&found);
        notices.extend(about_contents(&found));
        notices
    }

    fn about_base(&self, found: &Found) -> Vec<String> {
        let (uid, gid) = self.owner;
        let mode = DirMetadata::default().mode;
        let foreign = self.foreign_base.as_ref().map(|(base, own)| {
            let base = text::shorten(base);
            format!(
                "the image is for {own}, but its base is for {base}: programs of the base do not \
                 run there"
            )
        });
        let notices = [
            foreign,
            about(&found.base_owner, |paths| {
                format!(
                    "uid {uid} and gid {gid} do not apply to folders that the base image has: \
                     {paths}; list them in replace to change their owner"
                )
            }),
            about(&found.store_parents, |paths| {
                format!(
                    "layers with store paths are the same on every base, so these folders of the \
                     base get mode 0{mode:o}, uid {uid} and gid {gid}: {paths}"
                )
            }),
            about(&found.base_content_owner, |paths| {
                format!(
                    "the owner of contents does not apply to folders that the base image has: \
                     {paths}; set it with [[path]], or list them in replace"
                )
            }),
            about(&found.unused_replace, |paths| {
                format!("replace lists paths that the base image does not have: {paths}")
            }),
        ];
        let keys = found.base_keys.iter();
        let keys = keys.map(|key| format!("{key} has no effect without from_image"));
        notices.into_iter().flatten().chain(keys).collect()
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn about_contents(found: &Found) -> Vec<String> {
    let is_output = match found.left_out.len() {
        1 => "it is an output",
        _ => "they are outputs",
    };
    let notices = [
        about(&found.left_out, |paths| {
            format!("left {paths} out of the contents, because {is_output}")
        }),
        about(&found.unknown_paths, |paths| {
            format!(
                "these are not in the reference graph and so not in the image, although config \
                 names them: {paths}"
            )
        }),
        about(&found.dropped_capabilities, |paths| {
            format!("left out the capabilities of {paths}; set xattrs = \"keep\" to keep them")
        }),
        about(&found.unused_globs, |globs| format!("patterns that match nothing: {globs}")),
        about(&found.added_certificates, |files| {
            format!(
                "the image trusts authorities that were added to those of this host's \
                 distribution: {files}; \"ca-certificates=FILE\" takes other certificates"
            )
        }),
        about(&found.lost_times, |tars| {
            format!(
                "times before 1970 or after 2262 become 1970-01-01T00:00:00Z, as container \
                 engines set them: {tars}"
            )
        }),
    ];
    let foreign = found.foreign_sources.iter().map(|(source, platform, own)| {
        format!(
            "the image is for {own}, but its contents from {source} are for {platform}: programs \
             among them do not run there"
        )
    });
    let images = found.images.iter();
    let images = images.map(|image| format!("{image} is an image; to build on it, use from_image"));
    notices
        .into_iter()
        .flatten()
        .chain(foreign)
        .chain(images)
        .chain(found.mistakes.clone())
        .collect()
}

/// The notice about `items`, which `sentence` makes of their list, if there are any.
fn about(items: &BTreeSet<String>, sentence: impl FnOnce(String) -> String) -> Option<String> {
    (!items.is_empty()).then(|| sentence(text::list(items)))
}
