//! The files of a run, made from its results alone.

use std::path::Path;

use anyhow::Result;

use super::results::Results;
use super::statistics::{Settings, analyse};
use super::{merge, report, tables};
use crate::atomic;

/// The page.
pub(super) const REPORT: &str = "report.html";
/// The tables for spreadsheets and for documents.
const CSV: &str = "results.csv";
const MARKDOWN: &str = "results.md";

/// Writes `results.json`, `results.csv`, `results.md` and `report.html` into the run's folder, each whole or not at all, and returns the summary
/// table as Markdown.
///
/// # Errors
/// Results that do not fit together; a folder that cannot be written.
pub(super) fn write(results: &Results, folder: &Path) -> Result<String> {
    put(folder, merge::RESULTS, &results.to_json()?)?;
    let analysis = analyse(results, Settings::default());
    put(folder, CSV, &tables::csv(results)?)?;
    put(folder, MARKDOWN, &tables::markdown(results, &analysis))?;
    put(folder, REPORT, &report::html(results, &analysis, folder)?)?;
    Ok(tables::summary(results, &analysis))
}

fn put(folder: &Path, name: &str, text: &str) -> Result<()> {
    atomic::write(&folder.join(name), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_ood::fixture;

    #[test]
    fn the_same_results_give_the_same_files_and_replace_old_ones() {
        let folder = tempfile::tempdir().unwrap();
        let results = fixture::whole_run(folder.path());
        let files = || {
            [CSV, MARKDOWN, REPORT, merge::RESULTS]
                .map(|name| std::fs::read_to_string(folder.path().join(name)).unwrap())
        };
        let summary = write(&results, folder.path()).unwrap();
        assert!(summary.contains("| guided − unguided | PSNR |"));
        let first = files();
        assert!(first[1].contains(&summary));
        write(&results, folder.path()).unwrap();
        assert!(first == files());
    }
}
