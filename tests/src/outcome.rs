//! What a program that has ended leaves behind.

use std::process::{Command, ExitStatus};
use std::time::Duration;

use serde_json::Value;

use crate::Running;

/// How a program ended and what it printed.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
    /// Wall-clock time.
    pub duration: Duration,
}

/// One line of `--json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Field `type`.
    pub kind: String,
    /// Field `data`.
    pub data: Value,
}

impl Outcome {
    /// Runs a command to its end.
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        Running::start(command).wait()
    }

    /// Checks the exit code, and that nothing panicked or was printed that is meant for programmers.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self}");
        for word in [
            "panicked at",
            "RUST_BACKTRACE",
            "Exception raised from",
            "terminate called",
        ] {
            assert!(!self.stderr.contains(word), "{self}");
        }
        self
    }

    /// Checks that stdout is empty.
    #[track_caller]
    pub fn silent_on_stdout(self) -> Self {
        assert_eq!(self.stdout, "", "{self}");
        self
    }

    /// Checks that the first line on stderr contains every one of `words`, so that one line says it all.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        let first = self.stderr.lines().next().unwrap_or_default();
        for word in words {
            assert!(first.contains(word), "{word:?} is not in {first:?}\n{self}");
        }
        self
    }

    /// The lines of `--json`; each must be one object with `version` 1, `type` and `data`.
    #[track_caller]
    pub fn json(&self) -> Vec<Line> {
        self.stdout
            .lines()
            .map(|line| {
                let value: Value = serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("{error} in {line:?}\n{self}"));
                let object = value.as_object().expect("an object");
                let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
                keys.sort_unstable();
                assert_eq!(keys, ["data", "type", "version"], "{line}");
                assert_eq!(value["version"], 1, "{line}");
                Line {
                    kind: value["type"].as_str().expect("a word").to_owned(),
                    data: value["data"].clone(),
                }
            })
            .collect()
    }

    /// The data of the only line of this type.
    #[track_caller]
    pub fn only(&self, kind: &str) -> Value {
        let mut found: Vec<Line> = self.json();
        found.retain(|line| line.kind == kind);
        assert_eq!(found.len(), 1, "lines of type {kind}\n{self}");
        found.remove(0).data
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            status,
            stdout,
            stderr,
            ..
        } = self;
        write!(f, "{status}\nstdout:\n{stdout}\nstderr:\n{stderr}")
    }
}
