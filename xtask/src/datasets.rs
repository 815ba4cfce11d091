//! `cargo xtask datasets`: fetches, checks and finds the data sets of the field.

// The command that uses these follows in the same branch.
#![allow(dead_code)]

mod convert;
mod file_list;
mod lanczos;
mod manifest;
mod sources;
mod take;
mod transfer;
mod validate;
