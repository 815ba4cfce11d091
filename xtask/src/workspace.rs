//! Where the workspace is, and how its commands are run.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// The root folder of the workspace.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Features that are off by default and tested, linted and documented with the rest.
pub(crate) const OPTIONAL_FEATURES: &str = "blur-synth/kernel-files,image-quality/torch";

/// Where `.cargo/config.toml` says that libtorch is.
pub(crate) fn libtorch() -> PathBuf {
    root().join("target").join("libtorch")
}

/// A cargo command that runs in the root of the workspace.
pub(crate) fn cargo() -> Command {
    // Under `cargo xtask` this is the same cargo that started the task.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // cargo hands the default of `.cargo/config.toml` on to what it runs. Handed on again, it would count as a change
    // of the environment, and torch-sys would be compiled once more, here and in the next plain cargo command.
    if std::env::var_os("LIBTORCH").is_some_and(|value| Path::new(&value) == libtorch()) {
        command.env_remove("LIBTORCH");
    }
    command
}

/// The target folder of xtask itself, as the alias in `.cargo/config.toml` names it.
pub(crate) fn xtask_target() -> PathBuf {
    root().join("target").join("xtask")
}

/// The program that `cargo build --release -p cli` makes.
pub(crate) fn msdeblur() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |folder| root().join(folder));
    target
        .join("release")
        .join(format!("msdeblur{}", std::env::consts::EXE_SUFFIX))
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program
        .file_stem()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    std::iter::once(name)
        .chain(
            command
                .get_args()
                .map(|argument| argument.to_string_lossy().into_owned()),
        )
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs `command` with the terminal as its own; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let text = shown(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{text}`"))?;
    if status.success() {
        Ok(())
    } else {
        Err(anyhow::anyhow!("`{text}` failed ({status})"))
    }
}

/// Runs `command` and returns its standard output; standard error goes to the terminal.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let text = shown(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{text}`"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(anyhow::anyhow!("`{text}` failed ({})", output.status))
    }
}

/// Runs `command`, passes each line of its standard output on, and hands it to `observe`.
pub(crate) fn run_observed(command: &mut Command, mut observe: impl FnMut(&str)) -> Result<()> {
    let text = shown(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{text}`"))?;
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        // Test output may hold any bytes; a line that is not UTF-8 is shown with replacements.
        while reader
            .read_until(b'\n', &mut line)
            .with_context(|| format!("cannot read the output of `{text}`"))?
            > 0
        {
            let shown = String::from_utf8_lossy(&line);
            let shown = shown.trim_end_matches(['\n', '\r']);
            print_line(shown);
            observe(shown);
            line.clear();
        }
    }
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for `{text}`"))?;
    if status.success() {
        Ok(())
    } else {
        Err(anyhow::anyhow!("`{text}` failed ({status})"))
    }
}

/// Writes a line of a task's result to standard output; a closed pipe is not an error.
pub(crate) fn print_line(line: &str) {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    // Whoever closed the pipe has read enough.
    let _ = writeln!(stdout, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_of_cargo_is_not_handed_on() {
        let is_default = std::env::var_os("LIBTORCH").is_some_and(|value| value == libtorch());
        let command = cargo();
        let is_removed = command
            .get_envs()
            .any(|(name, value)| name == "LIBTORCH" && value.is_none());
        assert_eq!(is_removed, is_default);
    }

    #[test]
    fn a_failed_command_is_an_error_with_its_words() {
        let error = run(cargo().args(["no-such-command"]).stderr(Stdio::null())).unwrap_err();
        assert!(
            error.to_string().contains("cargo no-such-command"),
            "{error}"
        );
    }

    #[test]
    fn observed_lines_are_those_of_standard_output() {
        let mut lines = Vec::new();
        run_observed(cargo().arg("--version"), |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("cargo "), "{lines:?}");
    }
}
