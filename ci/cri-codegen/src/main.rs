//! Generates the Rust types of the CRI methods that seatrial calls, from Kubernetes'
//! `api.proto`.
//!
//! usage: seatrial-cri-codegen api.proto > api.rs

use std::collections::{BTreeSet, HashSet};
use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use prost_build::{Config, Module, Service, ServiceGenerator};
use prost_types::{DescriptorProto, FileDescriptorProto};

/// The RPC methods that seatrial calls.
const METHODS: [&str; 15] = [
    "Attach",
    "ContainerStatus",
    "CreateContainer",
    "ExecSync",
    "ImageStatus",
    "PodSandboxStatus",
    "RemoveContainer",
    "RemoveImage",
    "RemovePodSandbox",
    "RunPodSandbox",
    "StartContainer",
    "Status",
    "StopContainer",
    "StopPodSandbox",
    "Version",
];

const HEADER: &str = "\
// @generated from api.proto by ci/cri-api; do not edit.
// Copyright The Kubernetes Authors. Licensed under the Apache License, Version 2.0.
// Only what the called methods need is here; api.proto documents every message and field.
/// A unary gRPC method, identified by its request type.
pub trait Method: ::prost::Message + 'static {
    type Response: ::prost::Message + Default + 'static;
    /// The path of the HTTP/2 request.
    const PATH: &'static str;
}
";

fn main() -> Result<(), Box<dyn Error>> {
    let proto = std::env::args().nth(1).ok_or("usage: seatrial-cri-codegen api.proto")?;
    let folder = Path::new(&proto).parent().ok_or("api.proto needs a path")?;
    let mut files = protox::compile([&proto], [folder])?.file;
    let mut file =
        files.pop().filter(|_| files.is_empty()).ok_or("api.proto imports other files")?;
    prune(&mut file)?;
    let module = Module::from_protobuf_package_name(file.package());
    let mut config = Config::new();
    config.service_generator(Box::new(Methods));
    let code = config.generate(vec![(module, file)])?.into_values().next().unwrap_or_default();
    print!("{HEADER}{code}");
    Ok(())
}

/// Removes the methods that are not in [`METHODS`] and the messages and enums that no remaining
/// method needs.
fn prune(file: &mut FileDescriptorProto) -> Result<(), Box<dyn Error>> {
    // Comments are found by the position of what they describe, which changes here.
    file.source_code_info = None;
    let mut queue = Vec::new();
    let mut missing = BTreeSet::from(METHODS);
    for service in &mut file.service {
        service.method.retain(|method| missing.remove(method.name()));
        let methods = service.method.iter();
        queue.extend(methods.flat_map(|m| [m.input_type().to_owned(), m.output_type().to_owned()]));
    }
    if !missing.is_empty() {
        return Err(format!("api.proto lacks the methods {missing:?}").into());
    }
    let package = format!(".{}.", file.package());
    let mut needed = HashSet::new();
    while let Some(path) = queue.pop() {
        let name = path.strip_prefix(&package).ok_or("a type of another package")?;
        let name = name.split('.').next().unwrap_or(name).to_owned();
        if let Some(message) = file.message_type.iter().find(|message| message.name() == name)
            && !needed.contains(&name)
        {
            referenced_types(message, &mut queue);
        }
        needed.insert(name);
    }
    file.message_type.retain(|message| needed.contains(message.name()));
    file.enum_type.retain(|kind| needed.contains(kind.name()));
    Ok(())
}

/// Adds the types of a message's fields, and of the messages nested in it, to `types`.
fn referenced_types(message: &DescriptorProto, types: &mut Vec<String>) {
    types.extend(message.field.iter().filter_map(|field| field.type_name.clone()));
    message.nested_type.iter().for_each(|nested| referenced_types(nested, types));
}

/// Implements the trait `Method` for the request type of each RPC method.
struct Methods;

impl ServiceGenerator for Methods {
    fn generate(&mut self, service: Service, code: &mut String) {
        for method in service.methods {
            let path = format!("/{}.{}/{}", service.package, service.proto_name, method.proto_name);
            let (request, response) = (method.input_type, method.output_type);
            let _ = writeln!(
                code,
                "impl Method for {request} {{
                    type Response = {response};
                    const PATH: &'static str = {path:?};
                }}"
            );
        }
    }
}
