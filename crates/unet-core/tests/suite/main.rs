//! Tests of the network against PyTorch and against its own promises. One binary: linking libtorch takes longer than running them.
#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

mod common;
mod configuration;
mod golden;
mod locality;
mod robustness;
