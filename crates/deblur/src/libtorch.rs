//! Which libtorch this process runs on, and its CUDA part, which is loaded only when it is asked for.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::device::CudaProblem;

/// The loaded libtorch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libtorch {
    /// The library file `libtorch_cpu`, symbolic links resolved.
    pub path: PathBuf,
    /// Its version, where a file beside it says so.
    pub version: Option<String>,
}

/// The libtorch that this process has mapped. `None` on systems other than Linux, which have no `/proc/self/maps`.
pub fn loaded() -> Option<Libtorch> {
    let path = mapped("libtorch_cpu")?;
    Some(Libtorch {
        version: version_beside(&path),
        path,
    })
}

/// The file that is mapped into this process and whose name starts with `name`.
fn mapped(name: &str) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines()
        .filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])))
        .find(|path| {
            path.file_name()
                .is_some_and(|file| file.to_string_lossy().starts_with(name))
        })
        .map(Path::to_owned)
}

/// `build-version` of the official archive, or `version.py` of the Python package, one folder above the library.
fn version_beside(library: &Path) -> Option<String> {
    let root = library.parent()?.parent()?;
    if let Ok(text) = std::fs::read_to_string(root.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let text = std::fs::read_to_string(root.join("version.py")).ok()?;
    let line = text.lines().find(|line| line.starts_with("__version__"))?;
    Some(line.split(['\'', '"']).nth(1)?.to_owned())
}

/// Makes CUDA usable: loads `libtorch_cuda` from the folder of `libtorch_cpu`, unless it is loaded already, and asks
/// whether there is a device. Loading happens at most once per process; the result is remembered.
///
/// The program is linked against the CPU part alone, so that it runs on machines without CUDA. libtorch looks for its
/// CUDA part once, at first use: call this before anything else touches CUDA.
///
/// # Errors
/// What is missing.
pub fn load_cuda() -> Result<(), CudaProblem> {
    static RESULT: OnceLock<Result<(), CudaProblem>> = OnceLock::new();
    RESULT
        .get_or_init(|| {
            if mapped("libtorch_cuda").is_none() && !cfg!(windows) {
                let cpu = mapped("libtorch_cpu").ok_or(CudaProblem::UnknownLibtorch)?;
                load_beside(&cpu)?;
            }
            if tch::Cuda::is_available() {
                Ok(())
            } else {
                Err(CudaProblem::NoDevice)
            }
        })
        .clone()
}

#[cfg(unix)]
fn load_beside(cpu: &Path) -> Result<(), CudaProblem> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    let path = cpu.with_file_name("libtorch_cuda.so");
    if !path.exists() {
        return Err(CudaProblem::NoLibrary {
            folder: cpu.parent().unwrap_or(Path::new("")).to_owned(),
        });
    }
    // SAFETY: the initialisers of libtorch_cuda register its kernels with the libtorch_cpu beside it, of the same build. That
    // is what the dynamic linker does for programs linked against it.
    match unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            // Registered kernels point into it: it must never be unloaded.
            std::mem::forget(library);
            Ok(())
        }
        Err(error) => Err(CudaProblem::CannotLoad {
            path,
            reason: error.to_string(),
        }),
    }
}

#[cfg(not(unix))]
fn load_beside(_: &Path) -> Result<(), CudaProblem> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_library_that_the_process_runs_on() {
        // Touches libtorch, so that it is linked in.
        assert!(tch::get_num_threads() > 0);
        let libtorch = loaded().expect("libtorch is mapped");
        assert!(libtorch.path.is_file(), "{libtorch:?}");
        assert!(
            libtorch
                .version
                .is_none_or(|version| version.starts_with("2.11"))
        );
    }

    #[test]
    fn reads_the_version_of_both_layouts() {
        let folder = std::env::temp_dir().join(format!("deblur-version-{}", std::process::id()));
        let library = folder.join("lib").join("libtorch_cpu.so");
        std::fs::create_dir_all(folder.join("lib")).expect("a folder");
        assert_eq!(version_beside(&library), None);
        std::fs::write(
            folder.join("version.py"),
            "from x import y\n__version__ = '2.11.0+cu130'\n",
        )
        .expect("a file");
        assert_eq!(version_beside(&library).as_deref(), Some("2.11.0+cu130"));
        std::fs::write(folder.join("build-version"), "2.11.0+cpu\n").expect("a file");
        assert_eq!(version_beside(&library).as_deref(), Some("2.11.0+cpu"));
        std::fs::remove_dir_all(&folder).expect("own folder");
    }
}
