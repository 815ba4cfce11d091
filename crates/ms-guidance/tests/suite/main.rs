//! Tests of the guided model against PyTorch and against its own promises, and of its checkpoint against damage.
//! One binary: linking libtorch takes longer than running them.
#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

mod checkpoint;
mod common;
mod configuration;
mod damage;
mod golden;
mod guidance;
mod locality;
