//! Puts a folder into its place: whole or not at all, one run at a time, and never over somebody's data.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::marker::Marker;
use super::validate::{self, Libtorch, VERSION};
use crate::failure::Failure;
use crate::lock::Lock;

/// Holds other runs back until it is dropped; waits for its turn.
pub(crate) fn lock(destination: &Path) -> Result<Lock> {
    let path = parent(destination)?.join(".libtorch.lock");
    Lock::take(&path, "installing libtorch")
}

/// The folder that holds the destination; it is made when it is not there.
pub(crate) fn parent(destination: &Path) -> Result<PathBuf> {
    let parent = destination.parent().unwrap_or(Path::new("/")).to_owned();
    fs::create_dir_all(&parent).with_context(|| format!("cannot create {}", parent.display()))?;
    Ok(parent)
}

/// Where downloads are kept until the installation has succeeded, so that a stopped run can go on.
pub(crate) fn download_folder(destination: &Path) -> Result<PathBuf> {
    let folder = parent(destination)?.join("libtorch-download");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Refuses a destination that holds something that was not put there by this task. A link, an empty folder
/// and an earlier installation may be replaced.
pub(crate) fn refuse_foreign(destination: &Path) -> Result<()> {
    let Ok(data) = fs::symlink_metadata(destination) else {
        return Ok(());
    };
    let is_empty = || fs::read_dir(destination).is_ok_and(|mut entries| entries.next().is_none());
    if data.is_symlink() || (data.is_dir() && (is_empty() || Marker::is_in(destination))) {
        return Ok(());
    }
    let problem = validate::inspect(destination)
        .and_then(|_| validate::check_loads(destination))
        .map_or_else(
            |problem| problem.to_string(),
            |()| "it was not installed by this task".to_owned(),
        );
    Err(Failure::error(
        format!("{} is in the way: {problem}", destination.display()),
        "delete or move that folder, then run this again",
    ))
}

/// A temporary folder beside the destination, on the same file system, so that it can be renamed.
pub(crate) fn temporary(destination: &Path) -> Result<TempDir> {
    let parent = parent(destination)?;
    tempfile::Builder::new()
        .prefix(".libtorch-")
        .tempdir_in(&parent)
        .with_context(|| format!("cannot create a folder in {}", parent.display()))
}

/// Checks the unpacked folder, leaves the marker in it, and moves it into place.
pub(crate) fn finish(unpacked: &Path, destination: &Path, source: &str) -> Result<Libtorch> {
    let found = validate::inspect(unpacked).context("what was unpacked cannot be used")?;
    validate::check_loads(unpacked).context("what was unpacked cannot be used")?;
    Marker::describe(unpacked, &found.version, source)?.write(unpacked)?;
    // TempDir makes folders that only their owner may read; a build folder is for everybody on the machine.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(unpacked, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot change {}", unpacked.display()))?;
    }
    replace(destination, || fs::rename(unpacked, destination))?;
    Ok(Libtorch {
        folder: destination.to_owned(),
        version: found.version,
    })
}

/// Makes `destination` a link to `folder`.
pub(crate) fn link(folder: &Path, destination: &Path) -> Result<()> {
    #[cfg(unix)]
    let make = || std::os::unix::fs::symlink(folder, destination);
    #[cfg(windows)]
    let make = || std::os::windows::fs::symlink_dir(folder, destination);
    replace(destination, make).with_context(|| format!("cannot link to {}", folder.display()))
}

/// Moves what is at `destination` aside, puts the new one there, and only then deletes the old one.
fn replace(destination: &Path, put: impl FnOnce() -> std::io::Result<()>) -> Result<()> {
    refuse_foreign(destination)?;
    let aside = temporary(destination)?;
    let old = aside.path().join("old");
    let was_there = fs::symlink_metadata(destination).is_ok();
    if was_there {
        fs::rename(destination, &old)
            .with_context(|| format!("cannot move {} away", destination.display()))?;
    }
    if let Err(error) = put() {
        if was_there {
            // Nothing more can be done if this fails too; the error below names the cause of both.
            let _ = fs::rename(&old, destination);
        }
        return Err(error).with_context(|| format!("cannot create {}", destination.display()));
    }
    Ok(())
}

/// Writes `libtorch.so`, an empty library. `torch-sys` asks the linker for it, but everything that a program
/// uses is in `libtorch_cpu`; the real one would pull in `libtorch_cuda`.
pub(crate) fn write_empty_libtorch(libraries: &Path) -> Result<()> {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let library = libraries.join("libtorch.so");
    let output = Command::new(&compiler)
        .args(["-shared", "-nostdlib", "-Wl,-soname,libtorch.so", "-x", "c", "/dev/null", "-o"])
        .arg(&library)
        .output()
        .map_err(|error| {
            Failure::error(
                format!("cannot start the C compiler `{}`: {error}", compiler.to_string_lossy()),
                "install a C and C++ compiler (Debian, Ubuntu: apt install build-essential; Fedora: dnf install gcc-c++)",
            )
        })?;
    anyhow::ensure!(
        output.status.success(),
        "`{}` cannot make a shared library: {}",
        compiler.to_string_lossy(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Writes the file by which `torch-sys` checks the version.
pub(crate) fn write_build_version(folder: &Path) -> Result<()> {
    let path = folder.join("build-version");
    fs::write(&path, format!("{VERSION}\n"))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_somebody_else_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let destination = folder.path().join("libtorch");
        fs::create_dir(&destination).unwrap();
        refuse_foreign(&destination).unwrap();
        fs::write(destination.join("thesis.txt"), "years of work").unwrap();
        let error = link(folder.path(), &destination).unwrap_err();
        assert!(format!("{error:#}").contains("is in the way"), "{error:#}");
        assert_eq!(
            fs::read_to_string(destination.join("thesis.txt")).unwrap(),
            "years of work"
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_replaced_and_nothing_stays_behind() {
        let folder = tempfile::tempdir().unwrap();
        let destination = folder.path().join("libtorch");
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        for torch in [&first, &second] {
            fs::create_dir(torch).unwrap();
            fs::write(torch.join("of_the_user"), "kept").unwrap();
        }
        link(&first, &destination).unwrap();
        link(&second, &destination).unwrap();
        assert_eq!(fs::read_link(&destination).unwrap(), second);
        assert_eq!(
            fs::read_to_string(first.join("of_the_user")).unwrap(),
            "kept"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_failed_replacement_puts_the_old_one_back() {
        let folder = tempfile::tempdir().unwrap();
        let destination = folder.path().join("libtorch");
        fs::create_dir(&destination).unwrap();
        Marker::describe_nothing().write(&destination).unwrap();
        replace(&destination, || Err(std::io::Error::other("disk full"))).unwrap_err();
        assert!(Marker::is_in(&destination));
    }
}
