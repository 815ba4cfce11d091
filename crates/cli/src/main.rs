//! The `msdeblur` command.
fn main() {}
