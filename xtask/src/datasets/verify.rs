//! `cargo xtask datasets verify`: every file of a set, read to its end.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::json;

use super::cache::Cache;
use super::catalogue::Catalogue;
use super::check::{Check, Findings};
use crate::report;

/// Checks one set against its manifest, its lists and its receipt.
///
/// # Errors
/// When the set is not here or cannot be listed. What is wrong with it is in the findings.
pub(crate) fn verify(catalogue: &Catalogue, cache: &Cache, name: &str) -> Result<Findings> {
    let entry = catalogue.get(name)?;
    let (receipt, data) = cache.find(name)?;
    Check {
        entry: &entry,
        folder: &data,
        known: Some(&receipt.files),
        is_ours: receipt.adopted.is_none(),
        decode: true,
    }
    .run()
}

/// One line for each problem, and a summary.
pub(crate) fn lines(name: &str, findings: &Findings) -> String {
    let mut text = String::new();
    for problem in &findings.problems {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name}: {}: {}: {}",
            problem.fault.name(),
            problem.path,
            problem.detail
        );
    }
    let bytes = findings.files.iter().map(|file| file.size).sum();
    let verdict = match findings.problems.len() {
        0 => "all right".to_owned(),
        1 => "1 problem".to_owned(),
        several => format!("{several} problems"),
    };
    let _ = write!(
        text,
        "{name}: {verdict}; {} files, {} pairs, {}",
        findings.files.len(),
        findings.pairs,
        report::megabytes(bytes)
    );
    text
}

/// The same for programs: one object in one line.
pub(crate) fn json(name: &str, findings: &Findings) -> String {
    let bytes: u64 = findings.files.iter().map(|file| file.size).sum();
    json!({
        "version": 1,
        "type": "verified",
        "data": {
            "name": name,
            "is_whole": findings.problems.is_empty(),
            "files": findings.files.len(),
            "pairs": findings.pairs,
            "bytes": bytes,
            "problems": findings.problems,
        },
    })
    .to_string()
}
