//! `cargo xtask docs`: pages that are made, not written: the reference of the command line by the program itself, the page of results from
//! the measurements that the repository keeps.

use std::fs;

use anyhow::{Context, Result};
use clap::Args;
use std::process::Command;

use crate::bench_ood::published;
use crate::failure::Failure;
use crate::libtorch;
use crate::report::say;
use crate::workspace;

const PAGE: &str = "docs/cli.md";

/// Write docs/cli.md from the parser of the program and docs/RESULTS.md from docs/results, or check that they are up to date
#[derive(Args, Debug, Default)]
pub(crate) struct Arguments {
    /// Change nothing; fail when a page is not what it would be if it were made now
    #[arg(long)]
    pub(crate) check: bool,
}

/// Writes or compares both pages.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    results_page(arguments.check)?;
    cli_page(arguments.check)
}

fn results_page(check: bool) -> Result<()> {
    let root = workspace::root();
    let outdated = if check {
        published::outdated(root)?
    } else {
        published::write(root)?
    };
    let [first, ..] = &outdated[..] else {
        say(format!("{} is up to date", published::PAGE));
        return Ok(());
    };
    if check {
        return Err(Failure::error(
            format!("{} is not what docs/results says", first.display()),
            "write it anew: cargo xtask docs",
        ));
    }
    for file in outdated {
        say(format!("{} written", file.display()));
    }
    Ok(())
}

/// Builds the program, asks it for its help, and writes or compares the page.
fn cli_page(check: bool) -> Result<()> {
    libtorch::ensure()?;
    workspace::run(workspace::cargo().args(["build", "--release", "--package", "cli"]))?;
    let made = workspace::output(Command::new(workspace::msdeblur()).arg("markdown-help"))?;
    let made = String::from_utf8(made).context("the help of msdeblur is not UTF-8")?;
    let path = workspace::root().join(PAGE);
    let committed = fs::read_to_string(&path).unwrap_or_default();
    if committed == made {
        say(format!("{PAGE} is up to date"));
        return Ok(());
    }
    if check {
        return Err(Failure::error(
            format!(
                "{PAGE} is not what the program says ({})",
                first_difference(&committed, &made)
            ),
            "write it anew: cargo xtask docs",
        ));
    }
    fs::write(&path, made).with_context(|| format!("cannot write {}", path.display()))?;
    say(format!("{PAGE} written"));
    Ok(())
}

/// Where two texts part, as `line 12: was "a", is "b"`.
fn first_difference(was: &str, is: &str) -> String {
    let (mut before, mut after) = (was.lines(), is.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (before.next(), after.next()) {
            (None, None) => return "line ends differ".to_owned(),
            (a, b) if a == b => {}
            (a, b) => {
                return format!(
                    "line {number}: was {:?}, is {:?}",
                    a.unwrap_or_default(),
                    b.unwrap_or_default()
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        assert_eq!(
            first_difference("a\nb\n", "a\nc\n"),
            "line 2: was \"b\", is \"c\""
        );
        assert_eq!(
            first_difference("a\n", "a\nb\n"),
            "line 2: was \"\", is \"b\""
        );
    }
}
