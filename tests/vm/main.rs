//! Tests with real engines, each in a new VM.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "../builder/forge.rs"]
#[allow(dead_code)]
mod forge; // forged images
#[path = "../builder/lab.rs"]
#[allow(dead_code)]
mod lab; // a folder in which the program runs
#[path = "../registry/service.rs"]
#[allow(dead_code)]
mod service; // docker-registry

mod arm64; // VMs of another architecture
mod base_images; // images on base images, some of them saved by Docker
mod check_results; // test cases that run, are skipped or are errors
mod cleanup; // no process or folder remains of a VM
mod container_environments; // the environment of containers
mod container_files; // files copied out of containers
mod container_settings; // settings of containers, and setups
mod containers; // containers of the library, for tests in Rust
mod drafts; // `seatrial expect` with an engine
mod each_engine; // the engines of a test in the gate and in the nightly run
mod ended_containers; // containers that end while others run beside them
mod engine_limits; // what engines cannot do
mod engines; // the table of docs/engines.md
mod environment_failures; // missing programs, mirrors, disk space
mod expectations_files; // mistakes in them, their schema, their drafts
mod faults; // an engine that fails during a request
mod files; // owners, capabilities, accounts and removed paths
mod full_disks; // a disk of the host that is full
mod goss; // goss files
mod goss_service; // goss files of services, and files of containers in goss files
mod health_checks; // the health check of an image is awaited
mod hints; // why a service is not reached
mod https; // requests over TLS
mod images; // images as Docker sees them
mod isolation; // limits for guests and for other users of the host
mod layered_checks; // layers that an engine has are not sent again
mod load; // `seatrial load`
mod memory_limits; // containers that reach their memory limit
mod named_vms; // `seatrial vm up`
mod network; // the network of containers
mod older_linux; // steps on Linux 6.1
mod pod_settings; // settings of containers, for a test in `services`
mod pods; // pods of containerd, as a kubelet makes them
mod pseudo_terminal; // the program on a terminal
mod registries; // images between registries, files and daemons
mod replay; // `seatrial replay`
mod restored_vms; // VMs restored from a snapshot
mod runtime_checks; // `seatrial check` on an engine
mod sample_image; // the image that the tests of `seatrial check` use
mod service_checks; // services that end, and answers to requests
mod service_ends; // services that end, and starts that fail
mod services; // services, and containers beside them
mod sessions; // `seatrial vm exec -i` and `-t`
mod setups; // setups and further containers that fail or are refused
mod shared_vms; // a VM that the tests of a process share
mod snapshots; // damaged, deleted and unused snapshots
mod static_checks; // `seatrial check` without an engine
mod steps; // steps of recipes as root in a VM
mod stores; // further containers of other images
mod structure_tests; // container-structure-test files
mod unmet_expectations; // a mismatch for each part of expectations
mod verdicts; // parts of verdicts in JSON
mod vm_settings; // `[vm]` in expectations files
mod watch; // `seatrial check --watch`
mod workbench; // a Docker daemon in a VM, and images for it
