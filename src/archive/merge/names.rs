//! The names of images: every name means one image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::input::Input;
use crate::archive::ArchiveError;
use crate::archive::image::{Image, best_by_rank};
use crate::image::manifest::OciPlatform;
use crate::image::{Digest, Platform};
use crate::text;

/// The names of images, each with the images of the first input that has it: one, or one for each
/// platform.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, (PathBuf, Vec<Digest>)>);

impl Names {
    /// Adds the names of an input.
    pub(super) fn add(&mut self, input: &Input) -> Result<(), ArchiveError> {
        let mut own: BTreeMap<&str, Vec<Digest>> = BTreeMap::new();
        for image in &input.images {
            for name in &image.references {
                own.entry(name).or_default().push(image.id());
            }
        }
        for (name, mut ids) in own {
            ids.sort_unstable();
            let added = self.0.entry(name.to_owned());
            let (first, first_ids) = added.or_insert_with(|| (input.path.clone(), ids.clone()));
            if *first_ids != ids {
                let (name, first) = (text::quote(name), text::path(first));
                let problem = format!(
                    "it has {name}, which is another image in {first}; leave one of them out, or \
                     give it another name or tag"
                );
                return Err(ArchiveError::invalid(&input.path, problem));
            }
        }
        Ok(())
    }
}

/// Of the images of one name for several platforms, keeps the one for `platform`.
pub(super) fn for_platform(
    path: &Path,
    images: Vec<Image>,
    platform: &Platform,
) -> Result<Vec<Image>, ArchiveError> {
    let mut groups: Vec<(Option<String>, Vec<Image>)> = Vec::new();
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    for image in images {
        let name = image.references.first().cloned();
        let number = name.as_ref().and_then(|name| numbers.get(name)).copied();
        match number.and_then(|number| groups.get_mut(number)) {
            Some((_, group)) => group.push(image),
            None => {
                numbers.extend(name.clone().map(|name| (name, groups.len())));
                groups.push((name, vec![image]));
            }
        }
    }
    let mut kept = Vec::new();
    for (name, group) in groups {
        let ranks: Vec<_> =
            group.iter().map(|image| OciPlatform::from(&image.config).rank_for(platform)).collect();
        if group.len() > 1 && ranks.iter().all(Option::is_none) {
            let platforms = group.iter().map(|image| OciPlatform::from(&image.config).to_string());
            let (name, found) = (text::quote(&name.unwrap_or_default()), text::list(platforms));
            let problem = format!(
                "{name} has images for {found}, but none for {platform}; select one with \
                 --platform, or use --format oci"
            );
            return Err(ArchiveError::invalid(path, problem));
        }
        match group.len() {
            1 => kept.extend(group),
            _ => kept.extend(best_by_rank(group, &ranks)),
        }
    }
    Ok(kept)
}
