//! Tests of the builder through its command line. The results are checked with other programs (GNU
//! tar, skopeo, umoci, crane) and against the specifications.

#![allow(clippy::unwrap_used)]

mod accounts; // users, groups and helper files
mod archives; // invalid and hostile images
mod base; // base images of all formats
mod base_contents; // contents on base images
mod base_inheritance; // what an image inherits from its base
#[cfg(feature = "vm")]
mod browser; // pages in Chromium
mod cache; // the layer cache
#[cfg(feature = "vm")]
mod checked_files; // hard links and large files in static checks
mod cli; // exit codes, messages, outputs
mod closures; // sizes and shapes of reference graphs
mod comparisons; // layers, diff, layer plans
mod content_tables; // targets, patterns, owners, tars and finished layers
mod contents; // files of all kinds in images
mod corpus; // a store of real packages
mod deep_paths; // very long paths, and symlinks to them
mod distroless; // Debian packages without dpkg
mod documents; // JSON documents of images
mod entries; // entries of every kind, as other programs unpack them
#[cfg(feature = "vm")]
mod expectation_mistakes; // what people write by mistake in expectations
mod explain; // where everything in an image comes from
mod export; // file systems of images as one tar
mod forge; // forged images for tests
mod full_file_systems; // outputs that do not fit
mod golden; // digests of whole archives
mod hard_links; // names of one file with different metadata
mod hostile; // images that would take much time or memory
mod hostile_contents; // contents that are not what they seem
mod image_contents; // files out of other images
mod image_files; // files in the place of images
mod killed_steps; // builds with steps that are killed
mod lab; // the fixture of all tests
mod layer_titles; // what people call a layer
mod layering; // strategies, pipelines, mistakes in them
mod layers; // layering, base layers, order, reproducibility
mod lint; // findings of inspect
mod lint_files; // findings about files
mod lower_hard_links; // hard links to files of lower layers
mod merge; // several images in one archive
mod metadata; // environment, names, architecture, tags, dates
mod mistakes; // what people write by mistake, and what they read then
mod named_layers; // layers that the recipe names
mod names; // several tags, names from the command line, annotations
mod other_tools; // layers made by GNU tar, bsdtar, umoci and buildah
mod outputs; // output files, links, devices and pipes
mod outputs_in_contents; // folders with outputs of earlier builds
mod package_layers; // root file systems split by package
mod path_attributes; // capabilities and extended attributes of single paths
mod path_properties; // trees of paths and contents
mod paths; // single paths, accounts and helpers
mod peers; // other programs read the archives
mod per_platform; // keys that differ for one of several platforms
mod platforms; // recipes with several platforms
mod properties; // merges, references, budgets, tar bytes
mod raw_tar; // tars block by block
mod reading; // helpers that read forged images
mod recipe_outputs; // outputs beside the files that recipes read
mod recipes; // keys of recipes and errors for mistakes
mod recorded_owners; // steps of users without a range of IDs
mod recursive_paths; // recursive changes of single paths
mod refused_outputs; // outputs that would replace inputs or each other
mod removed_paths; // paths that are removed and made again
#[cfg(feature = "vm")]
mod replay_page; // the page of replays in a browser
#[cfg(feature = "vm")]
mod report_media; // the page of a check on paper, in dark mode and without scripts
#[cfg(feature = "vm")]
mod report_page; // the page of a check in a browser
#[cfg(feature = "vm")]
mod report_values; // values in reports of checks
mod rootless; // images that Buildah makes without root
mod sandbox; // builds in sandboxes, where much is missing
mod sbom; // bills of materials
mod selection; // one of several images by name, platform and kind
mod shared_stages; // recipes to which several paths lead
mod stages; // base images that are recipes
mod step_cache; // when steps run again
mod step_closure; // store paths that steps name
mod step_failures; // steps that fail
mod step_host_names; // names of hosts that steps find
mod step_isolation; // secrets of the process that starts a build
mod step_races; // files that change while owners are recorded
mod step_users; // users of steps by name
mod steps; // commands that change an image
mod store; // which store paths an image gets, and symlinks in the store
mod tar_contents; // tars as contents
mod tar_layers; // layers as engines read them
mod tar_replacements; // members of tars that replace earlier ones
mod terminal; // hostile names and messages
#[cfg(feature = "vm")]
mod terminal_of_checks; // the same in reports, and of daemons
mod usage; // help, completions, mistakes
mod variables; // environment variables and numbers that mean nothing
