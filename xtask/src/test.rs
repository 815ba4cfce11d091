//! `cargo xtask test`: all tests, and a summary.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;

use crate::failure::Failure;
use crate::golden;
use crate::libtorch;
use crate::report::{duration, say};
use crate::workspace;

/// Run all tests: the workspace, each crate's libtorch-free part, the reference values
#[derive(Args, Debug, Default)]
pub(crate) struct Arguments {
    /// Passed on to the tests of the workspace, for example a part of a test's name
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

/// What `test result:` lines add up to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    suites: usize,
    passed: usize,
    failed: usize,
}

impl Count {
    /// Adds `test result: ok. 12 passed; 0 failed; …`; other lines count nothing.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let number = |word: &str| {
            let before = result.split(&format!(" {word}")).next()?;
            before.split_whitespace().next_back()?.parse::<usize>().ok()
        };
        self.suites += 1;
        self.passed += number("passed").unwrap_or(0);
        self.failed += number("failed").unwrap_or(0);
    }
}

/// Runs every suite, also after a failure, so that one run shows all that is wrong.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    libtorch::ensure()?;
    // The release profile: the C++ part of torch-sys is by far the slowest thing to build, and so it is built once
    // for tests, benches and the program; and the tests run real networks.
    let mut workspace_tests = vec![
        "test",
        "--workspace",
        "--exclude",
        "xtask",
        "--release",
        "--features",
        workspace::OPTIONAL_FEATURES,
        "--no-fail-fast",
    ];
    if !arguments.arguments.is_empty() {
        workspace_tests.push("--");
        workspace_tests.extend(arguments.arguments.iter().map(String::as_str));
    }
    let target = workspace::xtask_target();
    let target = target.to_string_lossy();
    // xtask is built for itself in a folder of its own, where its dependencies are compiled already.
    let xtask_tests = [
        "test",
        "--package",
        "xtask",
        "--profile",
        "xtask",
        "--target-dir",
        &target,
    ];
    let without_torch = [
        "test",
        "--package",
        "diffusion-sched",
        "--no-default-features",
        "--release",
    ];
    let suites: [(&str, &[&str]); 3] = [
        ("workspace", &workspace_tests),
        ("without libtorch", &without_torch),
        ("xtask", &xtask_tests),
    ];

    let mut summary = Vec::new();
    let mut failures = Vec::new();
    for (name, command) in suites {
        let start = Instant::now();
        let mut count = Count::default();
        say(format!("cargo {}", command.join(" ")));
        let outcome =
            workspace::run_observed(workspace::cargo().args(command), |line| count.add(line));
        summary.push(line(name, &count, start.elapsed()));
        if let Err(error) = outcome {
            failures.push(format!("{name}: {error:#}"));
        } else if count.passed == 0 && arguments.arguments.is_empty() {
            // A suite that runs nothing would otherwise pass for ever.
            failures.push(format!("{name}: no test ran"));
        }
    }
    let start = Instant::now();
    match golden::check_quietly() {
        Ok(outcome) => {
            let skipped = match outcome.skipped.len() {
                0 => String::new(),
                count => format!(", {count} skipped for want of Python packages"),
            };
            let time = duration(start.elapsed());
            summary.push(format!(
                "  {:<18} {} generators agree{skipped}, {time}",
                "reference values", outcome.agreed
            ));
            summary.extend(
                outcome
                    .skipped
                    .iter()
                    .map(|why| format!("    skipped {why}")),
            );
        }
        Err(error) => {
            summary.push(format!("  {:<18} differ", "reference values"));
            failures.push(format!("reference values: {error:#}"));
        }
    }
    workspace::print_line("\nsummary");
    for line in &summary {
        workspace::print_line(line);
    }
    if failures.is_empty() {
        workspace::print_line("all tests passed");
        return Ok(());
    }
    Err(Failure::error(
        failures.join("\n"),
        "the output above shows each failed test; `cargo test --release NAME` runs one alone",
    ))
}

fn line(name: &str, count: &Count, time: Duration) -> String {
    format!(
        "  {name:<18} {} passed, {} failed in {} suites, {}",
        count.passed,
        count.failed,
        count.suites,
        duration(time)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up() {
        let mut count = Count::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ] {
            count.add(line);
        }
        assert_eq!(
            count,
            Count {
                suites: 2,
                passed: 13,
                failed: 2
            }
        );
    }
}
