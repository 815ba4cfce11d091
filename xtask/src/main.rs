//! Project tasks, run as `cargo xtask TASK`.
//!
//! Everything that continuous integration does is a task here, so that the same command works on a
//! desk. This package builds on a machine without libtorch, because installing it is one of the tasks.

mod atomic;
mod bench_ood;
mod canvas;
mod ci;
mod datasets;
mod demo;
mod docs;
mod experiment;
mod failure;
mod golden;
mod hash;
mod libtorch;
mod lock;
mod progress;
mod python;
mod report;
mod space;
mod suite;
mod synth;
mod test;
mod tidy;
mod unpack;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Tasks of the msdeblur project",
    max_term_width = 100
)]
struct CommandLine {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Libtorch(libtorch::Arguments),
    Demo(demo::Arguments),
    Test(test::Arguments),
    Ci(ci::Arguments),
    Tidy(tidy::Arguments),
    Golden(golden::Arguments),
    Docs(docs::Arguments),
    Pictures(demo::pictures::Arguments),
    Synth(synth::Arguments),
    Datasets(datasets::Arguments),
    BenchOod(Box<bench_ood::Arguments>),
    Experiment(experiment::Arguments),
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().task {
        Task::Libtorch(arguments) => libtorch::run(&arguments),
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Ci(arguments) => ci::run(&arguments),
        Task::Tidy(arguments) => tidy::run(&arguments),
        Task::Golden(arguments) => golden::run(&arguments),
        Task::Docs(arguments) => docs::run(&arguments),
        Task::Pictures(arguments) => demo::pictures::run(&arguments),
        Task::Synth(arguments) => synth::run(&arguments),
        Task::Datasets(arguments) => datasets::run(&arguments),
        Task::BenchOod(arguments) => return bench_ood::main(&arguments),
        Task::Experiment(arguments) => return experiment::main(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            failure::print(&error);
            ExitCode::FAILURE
        }
    }
}
