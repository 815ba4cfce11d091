//! The `msdeblur` command.
//!
//! Arguments are handled in two levels: `args` is what was typed, `plan` is what will be done, checked as far as that is possible before
//! any work starts. stdout carries data alone (`--json`, `info`, `doctor`), stderr everything else.
//!
//! Exit codes: 0 everything done, 1 some inputs failed, 2 wrong usage or set-up, 130 interrupted.

mod args;
mod cancel;
mod conflicts;
mod deblur;
mod doctor;
mod evaluate;
mod folders;
mod hints;
mod info;
mod inputs;
mod markdown;
mod output;
mod pictures;
mod plan;
mod progress;
mod restoration;
mod small_tiles;
mod threads;
mod trace;
mod train;
mod train_dry_run;
mod train_mismatch;
mod train_setup;
mod words;

use std::io::Write;

use crate::args::{Args, Command};
use crate::hints::Problem;
use crate::output::{data_lost, write_stdout};

/// Wrong usage or set-up: nothing was done.
const USAGE: u8 = 2;
/// Some inputs failed.
const SOME_FAILED: u8 = 1;
/// Ctrl-C, as shells report it: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

fn main() {
    cancel::quit(run())
}

/// Does what was asked for; returns the exit code.
fn run() -> u8 {
    let args = match Args::read() {
        Ok(args) => args,
        Err(error) => {
            // A closed pipe behind `--help | head` is no failure.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(USAGE);
        }
    };
    let (name, result) = match args.command {
        Command::Deblur(args) => ("deblur", deblur::run(args)),
        Command::Evaluate(args) => ("evaluate", evaluate::run(&args)),
        Command::Train(args) => ("train", train::run(args)),
        Command::Info(args) => ("info", info::run(&args)),
        Command::Doctor(args) => ("doctor", doctor::run(&args)),
        Command::MarkdownHelp => {
            write_stdout(&markdown::reference());
            ("markdown-help", Ok(0))
        }
    };
    let code = result.unwrap_or_else(|problem: Problem| {
        // Where stderr is closed there is nobody to tell.
        let _ = std::io::stderr().write_all(problem.lines(name).as_bytes());
        USAGE
    });
    if code == 0 && data_lost() {
        USAGE
    } else {
        code
    }
}
