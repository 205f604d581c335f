//! Users who may push to some repositories of a registry and not to others. Token servers give them
//! a token without the permission (distribution `docs/spec/auth/token.md`, "Requesting a Token").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::lab::{Lab, Run};
use crate::server::Server;
use crate::service::{Registry, json as parsed, recipe, seatrial};
use crate::tokens::services_for;

/// A registry in which `captain` may do everything, and `mate` may use the repositories in `mine`
/// only.
fn services(lab: &Lab) -> (Server, Registry) {
    services_for(lab, |user, scope| match user {
        Some("captain") => true,
        Some("mate") => scope.starts_with("repository:mine/"),
        _ => false,
    })
}

fn login(lab: &Lab, registry: &Registry, user: &str) {
    let entry = json!({ "auth": STANDARD.encode(format!("{user}:hunter2")) });
    let auths = json!({ "auths": { registry.address.to_string(): entry } });
    lab.file("home/.docker/config.json", auths.to_string());
}

fn assert_not_permitted(run: &Run, repository: &str) {
    let message = run.stderr();
    assert_eq!(run.output.status.code(), Some(2), "{message}");
    let expected =
        format!("denies access to {repository} for the user mate: this user has no permission");
    assert!(message.contains(&expected), "{message}");
    assert!(!message.contains("hunter2") && !message.contains("password"), "{message}");
}

#[test]
fn a_push_without_permission_for_one_repository_says_so_and_sets_no_tag_anywhere() {
    let lab = Lab::new();
    recipe(&lab, "");
    let (_server, registry) = services(&lab);
    login(&lab, &registry, "mate");
    let (mine, yours) = (registry.name("mine/app:1"), registry.name("yours/app:1"));
    assert_not_permitted(&seatrial(&lab, ["push", "app.toml", &yours]), "yours/app");
    assert_eq!(registry.writes(), 0);
    for order in [[&mine, &yours], [&yours, &mine]] {
        let [first, second] = order;
        assert_not_permitted(&seatrial(&lab, ["push", "app.toml", first, second]), "yours/app");
        assert_eq!(registry.count("PUT", "/manifests/"), 0, "{}", registry.log());
    }
    seatrial(&lab, ["push", "app.toml", &mine]).ok();
}

#[test]
fn an_image_that_a_user_may_not_read_is_neither_pulled_nor_copied_nor_used_as_a_base() {
    let lab = Lab::new();
    recipe(&lab, "");
    let (_server, registry) = services(&lab);
    login(&lab, &registry, "captain");
    let (mine, yours) = (registry.name("mine/app:1"), registry.name("yours/app:1"));
    seatrial(&lab, ["push", "app.toml", &yours]).ok();
    login(&lab, &registry, "mate");
    let writes = registry.writes();
    let source = format!("docker://{yours}");
    let pulled = seatrial(&lab, ["pull", &yours, "--no-cache", "-o", "pulled.tar"]);
    assert_not_permitted(&pulled, "yours/app");
    let copied = seatrial(&lab, ["copy", "--no-cache", &source, &format!("docker://{mine}")]);
    assert_not_permitted(&copied, "yours/app");
    let based = format!("name = 'mine/app'\ntag = '1'\nfrom_image = '{source}'\n");
    lab.file("based.toml", based);
    let built = seatrial(&lab, ["build", "based.toml", "--no-cache", "-o", "built.tar"]);
    assert_not_permitted(&built, "yours/app");
    assert!(!lab.path("pulled.tar").exists() && !lab.path("built.tar").exists());
    assert_eq!(registry.writes(), writes, "{}", registry.log());
}

#[test]
fn a_blob_that_only_an_unreadable_repository_has_is_sent_instead_of_mounted() {
    let lab = Lab::new();
    recipe(&lab, "");
    let (_server, registry) = services(&lab);
    login(&lab, &registry, "captain");
    seatrial(&lab, ["push", "app.toml", &registry.name("yours/app:1")]).ok();
    login(&lab, &registry, "mate");
    let image = registry.name("mine/app:1");
    let pushed = parsed(&seatrial(&lab, ["push", "app.toml", &image, "--json"]).ok());
    assert!(registry.count("POST", "mount=") > 0, "{}", registry.log());
    let counts = ["sent", "mounted"].map(|key| pushed["pushed"][0][key].clone());
    assert_eq!(counts, [2, 0], "{pushed}");
}
