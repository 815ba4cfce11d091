//! SHA-256 of files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// The SHA-256 of a file in lower-case hexadecimal.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        let read = file
            .read(&mut buffer)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hexadecimal(&hasher.finalize()))
}

/// The SHA-256 of the program that runs: another build of the same version may compute something else.
///
/// # Errors
/// A system that does not say where its programs are.
pub(crate) fn of_this_program() -> Result<String> {
    // On Linux this is the file that runs, also when a build has replaced it by now.
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        return sha256(running);
    }
    sha256(&std::env::current_exe().context("cannot find the program that runs")?)
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares a file with the hash that is written in this repository.
///
/// # Errors
/// When the file cannot be read or differs.
pub(crate) fn expect(path: &Path, expected: &str) -> Result<()> {
    let found = sha256(path)?;
    if found == expected {
        return Ok(());
    }
    Err(Failure::error(
        format!(
            "{} has SHA-256 {found}, expected {expected}",
            path.display()
        ),
        "the download is damaged or is not what was asked for; delete it and look at your pip configuration \
         (index, find-links, proxy)",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-4, example of one block.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path).unwrap(), expected);
        expect(&path, expected).unwrap();
    }

    #[test]
    fn another_content_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abd");
        std::fs::write(&path, "abd").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let error = expect(&path, expected).unwrap_err().to_string();
        assert!(error.contains("abd") && error.contains(expected), "{error}");
    }
}
