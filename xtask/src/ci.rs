//! `cargo xtask ci`: everything that continuous integration checks, cheapest first.

use std::time::Instant;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::docs;
use crate::failure::Failure;
use crate::libtorch;
use crate::report::{duration, say};
use crate::test;
use crate::tidy;
use crate::workspace;

/// Check everything that continuous integration checks
#[derive(Args, Debug, Default)]
pub(crate) struct Arguments {
    /// Run one step alone
    #[arg(long, value_enum, value_name = "STEP")]
    only: Option<Step>,
}

/// The steps in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Formatting
    Fmt,
    /// Rules of the repository
    Tidy,
    /// Lints, warnings are errors
    Clippy,
    /// Documentation of the code, warnings are errors
    Doc,
    /// All tests and reference values
    Test,
    /// docs/cli.md is what the program says
    CliPage,
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    fn run(self) -> Result<()> {
        let target = workspace::xtask_target();
        match self {
            Self::Fmt => workspace::run(workspace::cargo().args(["fmt", "--all", "--", "--check"])),
            Self::Tidy => tidy::run(&tidy::Arguments::default()),
            Self::Clippy => {
                libtorch::ensure()?;
                // The release profile here and below, because the tests use it and torch-sys is slow to build twice.
                let workspace_lints = [
                    "clippy",
                    "--workspace",
                    "--exclude",
                    "xtask",
                    "--all-targets",
                    "--release",
                    "--features",
                    workspace::OPTIONAL_FEATURES,
                ];
                workspace::run(
                    workspace::cargo()
                        .args(workspace_lints)
                        .args(["--", "-D", "warnings"]),
                )?;
                let xtask_lints = [
                    "clippy",
                    "--package",
                    "xtask",
                    "--all-targets",
                    "--profile",
                    "xtask",
                    "--target-dir",
                ];
                workspace::run(
                    workspace::cargo()
                        .args(xtask_lints)
                        .arg(&target)
                        .args(["--", "-D", "warnings"]),
                )
            }
            Self::Doc => {
                libtorch::ensure()?;
                let documented = [
                    "doc",
                    "--workspace",
                    "--exclude",
                    "xtask",
                    "--no-deps",
                    "--release",
                    "--features",
                    workspace::OPTIONAL_FEATURES,
                ];
                workspace::run(
                    workspace::cargo()
                        .args(documented)
                        .env("RUSTDOCFLAGS", "-D warnings"),
                )
            }
            Self::Test => test::run(&test::Arguments::default()),
            Self::CliPage => docs::run(&docs::Arguments { check: true }),
        }
    }
}

/// Runs the steps and stops at the first that fails.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let steps = arguments
        .only
        .map_or_else(|| Step::value_variants().to_vec(), |step| vec![step]);
    let mut summary = Vec::new();
    for step in steps {
        let start = Instant::now();
        say(format!("ci: {}", step.name()));
        step.run().map_err(|error| {
            crate::failure::print(&error);
            Failure::error(
                format!(
                    "the step `{}` of ci failed after {}",
                    step.name(),
                    duration(start.elapsed())
                ),
                format!("run it alone: cargo xtask ci --only {}", step.name()),
            )
        })?;
        summary.push(format!("{} {}", step.name(), duration(start.elapsed())));
    }
    workspace::print_line(&format!("ci passed: {}", summary.join(", ")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_can_be_named_on_the_command_line() {
        for step in Step::value_variants() {
            assert_eq!(Step::from_str(&step.name(), false), Ok(*step));
        }
    }
}
