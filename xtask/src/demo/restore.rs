//! Runs the real program on the blurry photos.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::failure::Failure;
use crate::workspace;

/// Restores `inputs` into `folder` and returns the output of each, in the same order. What the program printed is
/// kept in `log`.
///
/// # Errors
/// When the program fails, or does not say where it wrote each photo.
pub(super) fn restore(
    inputs: &[PathBuf],
    folder: &Path,
    options: &[String],
    log: &Path,
) -> Result<Vec<PathBuf>> {
    let mut command = Command::new(workspace::msdeblur());
    command
        .arg("deblur")
        .args(inputs)
        .arg("--output")
        .arg(folder)
        .args(["--force", "--json"])
        .args(options);
    let text = workspace::shown(&command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{text}`"))?;
    fs::write(log, &output.stdout).with_context(|| format!("cannot write {}", log.display()))?;
    if !output.status.success() {
        return Err(Failure::error(
            format!("`{text}` failed ({})", output.status),
            "`msdeblur doctor` looks for what may be missing",
        ));
    }
    let outputs = outputs(&String::from_utf8_lossy(&output.stdout))?;
    inputs
        .iter()
        .map(|input| {
            let output = outputs
                .get(input)
                .with_context(|| format!("`{text}` says nothing about {}", input.display()))?;
            Ok(output.clone())
        })
        .collect()
}

/// Reads `{"version":1,"type":"restored","data":{"input":…,"output":…}}` lines.
fn outputs(json_lines: &str) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let mut outputs = BTreeMap::new();
    for line in json_lines.lines() {
        let value: Value =
            serde_json::from_str(line).with_context(|| format!("not a JSON line: {line}"))?;
        anyhow::ensure!(
            value["version"] == 1,
            "a JSON line of an unknown version: {line}"
        );
        if value["type"] == "restored" {
            let path = |name: &str| value["data"][name].as_str().map(PathBuf::from);
            let input = path("input").with_context(|| format!("no input in {line}"))?;
            let output = path("output").with_context(|| format!("no output in {line}"))?;
            outputs.insert(input, output);
        }
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_from_json_lines() {
        let text = "{\"version\":1,\"type\":\"restored\",\"data\":{\"input\":\"a.png\",\"output\":\"o/a.png\"}}\n\
                    {\"version\":1,\"type\":\"summary\",\"data\":{\"inputs\":1}}\n";
        let found = outputs(text).unwrap();
        assert_eq!(found, BTreeMap::from([("a.png".into(), "o/a.png".into())]));
        outputs("restored a.png").unwrap_err();
        outputs("{\"version\":2}").unwrap_err();
    }
}
