//! `cargo xtask bench-ood`: how methods behave where they were not made for.

#[cfg(test)]
mod fixture;
mod results;
mod statistics;
