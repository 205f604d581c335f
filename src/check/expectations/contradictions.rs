//! Mistakes that concern several keys of expectations.

use super::{
    ExecExpectations, Expectations, FileExpectations, HttpExpectations, Names, RunExpectations,
    ServiceExpectations, SomeNames, Start, companion, repeated_name,
};
use crate::text;

/// Describes a mistake that concerns several keys of `expectations`, if there is one.
pub(super) fn first(expectations: &Expectations) -> Option<String> {
    let mistake = || companion::mistake(&expectations.container);
    let files = || {
        let running = expectations.service.iter().flat_map(|service| &service.file);
        expectations.file.iter().chain(running).find_map(FileExpectations::mistake)
    };
    let addresses =
        || companion::unknown_address(&expectations.container, expectations.containers());
    let names = || repeated_name::find(expectations);
    let runs = || expectations.run.iter().find_map(RunExpectations::mistake);
    let mistake = expectations.vm.mistake().or_else(mistake).or_else(addresses);
    let mistake = mistake.or_else(|| never_there(expectations)).or_else(files).or_else(runs);
    mistake.or_else(names).or_else(|| {
        let companions = &expectations.container;
        let companions = companions.iter().map(|(name, spec)| spec.as_service(name));
        let mut services = companions.chain(expectations.service.iter().cloned());
        services.find_map(|service| of_service(&service))
    })
}

/// Describes a name that must be absent and that no image has, whatever it contains, if there is
/// one.
fn never_there(expectations: &Expectations) -> Option<String> {
    let is_malformed = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
    if let Some(name) = expectations.env.absent.iter().find(is_malformed) {
        let name = text::quote(name);
        return Some(format!("invalid name of a variable {name} in absent; write the name alone"));
    }
    let Some(Names::Some(SomeNames { absent, .. })) = &expectations.image.volumes else {
        return None;
    };
    let path = absent.iter().find(|path| !path.starts_with('/'))?;
    Some(format!("invalid volume {} in absent; expected an absolute path", text::quote(path)))
}

/// Describes a mistake that concerns several keys of `service`, if there is one.
fn of_service(service: &ServiceExpectations) -> Option<String> {
    let name = text::quote(&service.name);
    let needs_network = service.ready.port.is_some() || service.requests().next().is_some();
    let of_requests = || service.http.iter().find_map(HttpExpectations::mistake);
    if let Some(problem) = service.ready.mistake().or_else(of_requests) {
        return Some(format!("service {name}: {problem}"));
    }
    if service.container.network == Some(false) && needs_network {
        return Some(format!(
            "service {name} has no network, so its port cannot be reached; leave out network"
        ));
    }
    if let Some(problem) = service.exec.iter().find_map(ExecExpectations::mistake) {
        return Some(format!("service {name}: {problem}"));
    }
    let is_running = [
        ("stop", service.stop.is_some()),
        ("file", !service.file.is_empty()),
        ("http", !service.http.is_empty()),
        ("exec", !service.exec.is_empty()),
        ("goss", service.goss.is_some()),
    ];
    if service.start == Start::Fails
        && let Some((key, _)) = is_running.iter().find(|(_, is_set)| *is_set)
    {
        return Some(format!("the start of service {name} fails; leave out {key}"));
    }
    (service.exit_code.is_some() && service.stop.is_some())
        .then(|| format!("service {name} ends by itself with exit_code; leave out stop"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn error(text: &str) -> String {
        Expectations::parse(Path::new("e.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_service_that_contradicts_itself_is_an_error_that_names_it() {
        for (keys, problem) in [
            (
                "ready={ port=80 }\ncontainer={ network=false }",
                "service \"x\" has no network, so its port cannot be reached; leave out network",
            ),
            (
                "ready={}\nhttp=[{ port=80 }]\ncontainer={ network=false }",
                "service \"x\" has no network, so its port cannot be reached; leave out network",
            ),
            ("ready={}\nhttp=[{ port=80, method='A B' }]", "service \"x\": invalid method \"A B\""),
            (
                "ready={ http={ port=80, path='a b' } }",
                "service \"x\": invalid path \"a b\"; write it with / first and %20 for spaces",
            ),
            (
                "ready={ http={ port=80, tls={} } }",
                "service \"x\": tls needs ca, a file with the certificate of the authority; \
                 without verification, write verify = false",
            ),
            (
                "ready={ http={ port=80, json={ a=1 } } }",
                "service \"x\": invalid JSON Pointer \"a\"; write it as \"/items/0/name\"",
            ),
            (
                "ready={ http={ port=80, headers={ 'a b'='' } } }",
                "service \"x\": invalid name of a header \"a b\"",
            ),
            (
                "ready={}\nexec=[{ command=['a'], shell='b' }]",
                "service \"x\": \"shell\" and \"command\" of exec exclude each other",
            ),
            ("ready={}\nexec=[{ user='7' }]", "service \"x\": exec needs \"command\" or \"shell\""),
            (
                "ready={}\nexec=[{ shell='a', working_dir='srv' }]",
                "service \"x\": invalid working_dir \"srv\" of exec; expected an absolute path",
            ),
            (
                "ready={}\nexec=[{ shell='a', env={ 'A=B'='c' } }]",
                "service \"x\": invalid name of a variable \"A=B\"",
            ),
            (
                "ready={}\nexit_code=0\nstop={}",
                "service \"x\" ends by itself with exit_code; leave out stop",
            ),
            (
                "start='fails'\nready={}\nhttp=[{ port=80 }]",
                "the start of service \"x\" fails; leave out http",
            ),
            (
                "start='fails'\nready={}\nexec=[{ command=['a'] }]",
                "the start of service \"x\" fails; leave out exec",
            ),
            (
                "start='fails'\nready={}\ngoss='goss.yaml'",
                "the start of service \"x\" fails; leave out goss",
            ),
        ] {
            let text = format!("[[service]]\nname='x'\n{keys}\n");
            assert_eq!(error(&text), format!("e.toml: {problem}"), "{text}");
        }
    }

    #[test]
    fn a_property_of_a_file_that_must_not_exist_is_an_error() {
        let text = "[[file]]\npath='/x'\nexists=false\nmode='0755'\n";
        let problem = "file \"/x\" must not exist, so its mode is never checked";
        assert_eq!(error(text), format!("e.toml: {problem}"));
        assert_eq!(error("[[file]]\npath=''\n"), "e.toml: a file has an empty path");
    }

    #[test]
    fn a_path_or_name_that_no_image_can_have_is_an_error() {
        let absolute = "expected an absolute path";
        let volume = "in absent; expected an absolute path";
        for (text, problem) in [
            (
                "[[file]]\npath='~/.ssh/id_rsa'\nexists=false",
                format!(
                    "invalid path \"~/.ssh/id_rsa\" of a file; {absolute}: no shell replaces ~"
                ),
            ),
            ("[[file]]\npath='etc/x'", format!("invalid path \"etc/x\" of a file; {absolute}")),
            (
                "[[service]]\nname='x'\nready={}\nfile=[{ path='$HOME/x', exists=false }]",
                format!("invalid path \"$HOME/x\" of a file; {absolute}"),
            ),
            (
                "[[file]]\npath='/etc/entry.sh/'\nexists=false",
                "file \"/etc/entry.sh/\" must not exist, but only a folder would be found there; \
                 leave out the slash at the end"
                    .to_owned(),
            ),
            ("[image]\nvolumes={ absent=['data'] }", format!("invalid volume \"data\" {volume}")),
            (
                "[env]\nabsent=['A=B']",
                "invalid name of a variable \"A=B\" in absent; write the name alone".to_owned(),
            ),
            (
                "[env]\nabsent=['']",
                "invalid name of a variable \"\" in absent; write the name alone".to_owned(),
            ),
        ] {
            assert_eq!(error(text), format!("e.toml: {problem}"), "{text}");
        }
        for text in [
            "[[file]]\npath='/etc/'",
            // VOLUME of a Dockerfile keeps the slash.
            "[image]\nvolumes={ absent=['/data/'] }",
            "[[file]]\npath='/'\nexists=false",
            "[[file]]\npath='/~/x'\nexists=false",
            "[image]\nvolumes={ has=['data'], absent=['/data'] }",
            "[image]\nvolumes=['data']",
            "[env]\nabsent=['A']",
        ] {
            assert!(Expectations::parse(Path::new("e.toml"), text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_key_of_a_command_that_is_never_checked_is_an_error() {
        for (keys, problem) in [
            (
                "start='fails'\nexit_code=1",
                "the start of run \"x\" must fail, so its exit_code is never checked",
            ),
            (
                "start='fails'\nstderr='no'",
                "the start of run \"x\" must fail, so its stderr is never checked",
            ),
            ("start_error='no'", "start_error of run \"x\" needs start = \"fails\""),
        ] {
            let text = format!("[[run]]\nname='x'\n{keys}\n");
            assert_eq!(error(&text), format!("e.toml: {problem}"));
        }
    }

    #[test]
    fn the_address_of_a_container_that_there_is_not_is_an_error() {
        let text = "[[run]]\nname='x'\ncontainer.env={ A='{bd.address}:1' }\n";
        let problem = "e.toml: there is no container \"bd\" for {bd.address}; \
                       did you mean \"db\"?";
        assert_eq!(error(&format!("{text}[container.db]\n")), problem);
        assert!(Expectations::parse(Path::new("e.toml"), text).is_ok());
    }

    #[test]
    fn a_vm_that_cannot_be_is_an_error_that_names_the_limits() {
        for (key, value, expected) in [
            ("memory_mib", 100, "at least 256"),
            ("cpus", 0, "1 to 64"),
            ("disk_gib", 8, "16 to 8192"),
        ] {
            let error = error(&format!("[vm]\n{key} = {value}\n"));
            let problem = format!("invalid {key} {value} in vm; expected {expected}");
            assert_eq!(error, format!("e.toml: {problem}"));
        }
    }
}
