//! Where numbers come from: commit, machine, versions.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use super::published;
use super::results::{Machine, Provenance};
use crate::hash;
use crate::workspace;

/// In the place of a commit, outside a repository.
pub(super) const UNKNOWN: &str = "unknown";

/// The part of a provenance that is known when a run begins.
pub(crate) fn of(program: &Path, started: String, seconds: f64) -> Provenance {
    // What is published is no part of the program.
    let (commit, dirty) = commit(&[published::FOLDER, published::PAGE]);
    Provenance {
        commit: commit.unwrap_or_else(|| UNKNOWN.to_owned()),
        dirty,
        command: command_line(std::env::args_os()),
        started,
        seconds,
        machine: machine(),
        versions: versions(program),
    }
}

/// The commit of the repository, if it is one, and whether files differ from it, those below `besides` not counted.
pub(super) fn commit(besides: &[&str]) -> (Option<String>, bool) {
    let mut arguments: Vec<String> = ["status", "--porcelain", "--", "."]
        .map(str::to_owned)
        .into();
    arguments.extend(besides.iter().map(|path| format!(":!{path}")));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let status = git(&arguments);
    (
        git(&["rev-parse", "HEAD"]),
        status.is_some_and(|files| !files.is_empty()),
    )
}

/// The command as it is typed: the first argument is the program, which `cargo xtask` runs. Bytes of a path that are no text are
/// replaced.
fn command_line(arguments: impl Iterator<Item = OsString>) -> String {
    let quoted = arguments.skip(1).map(|argument| {
        let argument = argument.to_string_lossy().into_owned();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=,:+@%".contains(&byte);
        if !argument.is_empty() && argument.bytes().all(is_plain) {
            argument
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    let words: Vec<String> = ["cargo".to_owned(), "xtask".to_owned()]
        .into_iter()
        .chain(quoted)
        .collect();
    words.join(" ")
}

fn git(arguments: &[&str]) -> Option<String> {
    said(
        Command::new("git")
            .current_dir(workspace::root())
            .args(arguments),
    )
}

/// What a command prints when it succeeds.
fn said(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = output.status.success().then_some(output.stdout)?;
    Some(String::from_utf8_lossy(&text).trim().to_owned())
}

fn versions(program: &Path) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::from([
        ("xtask".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("blur-synth".to_owned(), blur_synth::VERSION.to_owned()),
    ]);
    let printed = said(Command::new(program).arg("--version"));
    if let Some(version) = printed
        .as_deref()
        .and_then(|text| text.split_whitespace().last())
    {
        versions.insert("msdeblur".to_owned(), version.to_owned());
    }
    // The commit says nothing of a program that was given.
    if let Ok(sha256) = hash::sha256(program) {
        versions.insert("msdeblur, SHA-256".to_owned(), sha256);
    }
    versions
}

fn machine() -> Machine {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system =
        value_of(&release, "PRETTY_NAME", '=').unwrap_or_else(|| std::env::consts::OS.to_owned());
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = value_of(&memory, "MemTotal", ':')
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    Machine {
        os: system,
        cpu: value_of(&processor, "model name", ':')
            .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory: kibibytes.unwrap_or_default() * 1024,
    }
}

/// The value in the first line that begins with `name`.
fn value_of(text: &str, name: &str, separator: char) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once(separator))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

/// Now, in UTC, as in RFC 3339.
pub(crate) fn now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    rfc3339(seconds)
}

/// Seconds since the epoch as a date in the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
fn rfc3339(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that the leap day is the last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        time / 3600,
        time / 60 % 60,
        time % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // date -u -d @SECONDS +%FT%TZ
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }

    #[test]
    fn commands_can_be_typed_again() {
        let words = [
            "xtask",
            "bench-ood",
            "--conditions",
            "photos/*",
            "--out",
            "it's",
        ];
        assert_eq!(
            command_line(words.map(OsString::from).into_iter()),
            r"cargo xtask bench-ood --conditions 'photos/*' --out 'it'\''s'"
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_path_that_is_no_text_is_no_reason_to_lose_a_run() {
        let path = std::os::unix::ffi::OsStringExt::from_vec(b"a\xff".to_vec());
        assert_eq!(
            command_line(["xtask".into(), path].into_iter()),
            "cargo xtask 'a\u{fffd}'"
        );
    }

    #[test]
    fn values_are_found_by_name() {
        assert_eq!(
            value_of("NAME=\"x\"\nPRETTY_NAME=\"A B\"\n", "PRETTY_NAME", '=').unwrap(),
            "A B"
        );
        assert_eq!(
            value_of("model name\t: Fast 3000\n", "model name", ':').unwrap(),
            "Fast 3000"
        );
        assert_eq!(value_of("", "x", '='), None);
    }
}
