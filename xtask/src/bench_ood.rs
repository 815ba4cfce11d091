//! `cargo xtask bench-ood`: how methods behave where they were not made for.

mod results;
