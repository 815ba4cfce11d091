//! Is this folder a libtorch that the workspace can be built and run with?

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::marker::Marker;

/// The release that `tch` is written against. Its C++ interface is not stable between minor releases.
pub(crate) const VERSION: &str = "2.11.0";

/// A folder that was inspected and can be used.
#[derive(Debug)]
pub(crate) struct Libtorch {
    /// The folder that holds `lib` and `include`.
    pub(crate) folder: PathBuf,
    /// The version that its headers state.
    pub(crate) version: String,
}

/// Why a folder cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// There is no such folder.
    Absent(PathBuf),
    /// A file of the link set is missing or empty.
    Missing(PathBuf),
    /// A library is not of this platform's format, for example a text file or a failed download.
    NotALibrary(PathBuf),
    /// The headers do not say which version they are of.
    UnknownVersion(PathBuf),
    /// Another release of libtorch.
    WrongVersion { found: String, file: PathBuf },
    /// A file differs in size from what was installed.
    Changed {
        file: PathBuf,
        installed: u64,
        found: u64,
    },
    /// libtorch itself is there, but libraries that it needs are not found by the loader.
    Unresolved {
        library: PathBuf,
        needed: Vec<String>,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(folder) => write!(f, "{} is not a folder", folder.display()),
            Self::Missing(file) => write!(f, "{} is missing or empty", file.display()),
            Self::NotALibrary(file) => write!(
                f,
                "{} is not a shared library of this platform",
                file.display()
            ),
            Self::UnknownVersion(folder) => {
                write!(
                    f,
                    "{} does not say which version it is of",
                    folder.display()
                )
            }
            Self::WrongVersion { found, file } => {
                write!(
                    f,
                    "{} says version {found}, needed is {VERSION}",
                    file.display()
                )
            }
            Self::Changed {
                file,
                installed,
                found,
            } => {
                write!(
                    f,
                    "{} has {found} bytes, {installed} were installed",
                    file.display()
                )
            }
            Self::Unresolved { library, needed } => {
                write!(
                    f,
                    "{} needs {}, which the loader does not find",
                    library.display(),
                    needed.join(", ")
                )
            }
        }
    }
}

impl std::error::Error for Problem {}

/// The shared libraries that `torch-sys` links, by their file names on this platform.
pub(crate) fn link_set() -> &'static [&'static str] {
    if cfg!(target_os = "windows") {
        &[
            "torch_cpu.dll",
            "torch_cpu.lib",
            "torch.lib",
            "c10.dll",
            "c10.lib",
        ]
    } else if cfg!(target_os = "macos") {
        &["libtorch_cpu.dylib", "libtorch.dylib", "libc10.dylib"]
    } else {
        &["libtorch_cpu.so", "libtorch.so", "libc10.so"]
    }
}

/// Checks the libraries, the headers, the version and, where the folder was installed by this task,
/// the sizes of what was installed. Reads a few bytes of each file, so it takes milliseconds.
///
/// # Errors
/// The first [`Problem`] found.
pub(crate) fn inspect(folder: &Path) -> Result<Libtorch, Problem> {
    if !folder.is_dir() {
        return Err(Problem::Absent(folder.to_owned()));
    }
    let libraries = folder.join("lib");
    for name in link_set() {
        let file = libraries.join(name);
        if fs::metadata(&file).map_or(0, |data| data.len()) == 0 {
            return Err(Problem::Missing(file));
        }
        if !has_library_format(&file) {
            return Err(Problem::NotALibrary(file));
        }
    }
    let header = folder.join("include/torch/csrc/api/include/torch/torch.h");
    if !header.is_file() {
        return Err(Problem::Missing(header));
    }
    let version = check_version(folder)?;
    if let Some(marker) = Marker::read(folder) {
        for entry in &marker.files {
            let file = folder.join(&entry.path);
            let found = fs::metadata(&file).map_or(0, |data| data.len());
            if found != entry.size {
                return Err(Problem::Changed {
                    file,
                    installed: entry.size,
                    found,
                });
            }
        }
    }
    Ok(Libtorch {
        folder: folder.to_owned(),
        version,
    })
}

/// Asks the loader whether everything that `libtorch_cpu` needs is found. Linux only; elsewhere, or
/// where there is no `ldd`, nothing is asked.
///
/// # Errors
/// [`Problem::Unresolved`] with the names that were not found.
pub(crate) fn check_loads(folder: &Path) -> Result<(), Problem> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let library = folder.join("lib/libtorch_cpu.so");
    // A search path set by hand would hide what a plain run lacks.
    let Ok(output) = Command::new("ldd")
        .arg(&library)
        .env_remove("LD_LIBRARY_PATH")
        .stderr(Stdio::null())
        .output()
    else {
        return Ok(());
    };
    let needed = not_found(&String::from_utf8_lossy(&output.stdout));
    if needed.is_empty() {
        Ok(())
    } else {
        Err(Problem::Unresolved { library, needed })
    }
}

/// The names that `ldd` reports as `name => not found`.
fn not_found(listing: &str) -> Vec<String> {
    listing
        .lines()
        .filter(|line| line.contains("not found"))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// The version is stated twice: in the headers, which always exist, and in `build-version`, which
/// only the official archive has and which `torch-sys` compares letter by letter.
fn check_version(folder: &Path) -> Result<String, Problem> {
    let build_version = folder.join("build-version");
    if let Ok(text) = fs::read_to_string(&build_version) {
        let found = text.trim().split('+').next().unwrap_or_default();
        if found != VERSION {
            return Err(Problem::WrongVersion {
                found: found.to_owned(),
                file: build_version,
            });
        }
    }
    for header in [
        "include/torch/headeronly/version.h",
        "include/torch/csrc/api/include/torch/version.h",
    ] {
        let header = folder.join(header);
        let Some([major, minor, patch]) = fs::read_to_string(&header)
            .ok()
            .as_deref()
            .and_then(header_version)
        else {
            continue;
        };
        let found = format!("{major}.{minor}.{patch}");
        // A patch release keeps the interface, so 2.11.1 of a user's own Python is welcome.
        let same_minor = VERSION
            .rsplit_once('.')
            .is_some_and(|(wanted, _)| wanted == format!("{major}.{minor}"));
        return if same_minor {
            Ok(found)
        } else {
            Err(Problem::WrongVersion {
                found,
                file: header,
            })
        };
    }
    Err(Problem::UnknownVersion(folder.to_owned()))
}

/// The three numbers of `#define TORCH_VERSION_{MAJOR,MINOR,PATCH}`.
fn header_version(header: &str) -> Option<[u32; 3]> {
    let number = |name: &str| {
        header.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("#define") && words.next() == Some(name))
                .then(|| words.next()?.parse().ok())?
        })
    };
    Some([
        number("TORCH_VERSION_MAJOR")?,
        number("TORCH_VERSION_MINOR")?,
        number("TORCH_VERSION_PATCH")?,
    ])
}

/// Whether a file starts as a library of this platform does.
fn has_library_format(file: &Path) -> bool {
    let mut start = [0_u8; 4];
    if fs::File::open(file)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_err()
    {
        return false;
    }
    if cfg!(target_os = "windows") {
        // A DLL, or an import library, which is an `ar` archive.
        start.starts_with(b"MZ") || start.starts_with(b"!<ar")
    } else if cfg!(target_os = "macos") {
        // Mach-O of 64 bits, or a universal binary.
        start == [0xCF, 0xFA, 0xED, 0xFE] || start == [0xCA, 0xFE, 0xBA, 0xBE]
    } else {
        start == *b"\x7FELF"
    }
}

#[cfg(test)]
mod tests;
