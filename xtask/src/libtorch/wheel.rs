//! The wheel of torch, of which only what a CPU program links is unpacked.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::install;
use super::validate::Libtorch;
use crate::python::{self, Unavailable, Wheel};
use crate::report;
use crate::space;
use crate::unpack;

/// What has to be fetched for one platform.
struct LinkSet {
    /// Platform tags for pip.
    platforms: &'static [&'static str],
    wheels: &'static [Wheel<'static>],
    /// Bytes on disk while installing: the wheels and what is unpacked from them.
    space: u64,
}

/// All wheels are those of CPython 3.11; the libraries in those of other versions are built from the same source.
const TORCH: &str = "torch==2.11.0";
/// `libtorch_cpu` of the Linux wheels is linked to these two, even where there is no GPU.
const CUDA_RUNTIME: &str = "nvidia-cuda-runtime==13.0.96";
const CUPTI: &str = "nvidia-cuda-cupti==13.0.85";

/// No more than this may come out of one wheel.
const UNPACK_LIMIT: u64 = 2_000_000_000;

fn link_set() -> Option<LinkSet> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some(LinkSet {
            platforms: &[
                "manylinux_2_28_x86_64",
                "manylinux_2_25_x86_64",
                "manylinux2014_x86_64",
            ],
            wheels: &[
                Wheel {
                    requirement: TORCH,
                    file: "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl",
                    sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
                },
                Wheel {
                    requirement: CUDA_RUNTIME,
                    file: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
                    sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
                },
                Wheel {
                    requirement: CUPTI,
                    file: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
                    sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
                },
            ],
            space: 1_150_000_000,
        }),
        ("linux", "aarch64") => Some(LinkSet {
            platforms: &[
                "manylinux_2_28_aarch64",
                "manylinux_2_25_aarch64",
                "manylinux2014_aarch64",
            ],
            wheels: &[
                Wheel {
                    requirement: TORCH,
                    file: "torch-2.11.0-cp311-cp311-manylinux_2_28_aarch64.whl",
                    sha256: "d91aac77f24082809d2c5a93f52a5f085032740a1ebc9252a7b052ef5a4fddc6",
                },
                Wheel {
                    requirement: CUDA_RUNTIME,
                    file: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
                    sha256: "ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55",
                },
                Wheel {
                    requirement: CUPTI,
                    file: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_aarch64.whl",
                    sha256: "796bd679890ee55fb14a94629b698b6db54bcfd833d391d5e94017dd9d7d3151",
                },
            ],
            space: 1_000_000_000,
        }),
        ("macos", "aarch64") => Some(LinkSet {
            platforms: &["macosx_11_0_arm64"],
            wheels: &[Wheel {
                requirement: TORCH,
                file: "torch-2.11.0-cp311-cp311-macosx_11_0_arm64.whl",
                sha256: "7b6a60d48062809f58595509c524b88e6ddec3ebe25833d6462eeab81e5f2ce4",
            }],
            space: 600_000_000,
        }),
        ("windows", "x86_64") => Some(LinkSet {
            platforms: &["win_amd64"],
            wheels: &[Wheel {
                requirement: TORCH,
                file: "torch-2.11.0-cp311-cp311-win_amd64.whl",
                sha256: "73e24aaf8f36ab90d95cd1761208b2eb70841c2a9ca1a3f9061b39fc5331b708",
            }],
            space: 1_000_000_000,
        }),
        _ => None,
    }
}

/// Fetches, checks and unpacks the wheels, and moves the result to `destination`.
///
/// # Errors
/// [`Unavailable`] without pip, without a wheel for this platform, or when pip cannot fetch it.
pub(crate) fn install(destination: &Path) -> Result<Libtorch> {
    let Some(set) = link_set() else {
        let platform = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        return Err(Unavailable(format!("no wheel is known for {platform}")).into());
    };
    let Some(python) = python::with_pip() else {
        return Err(Unavailable("neither python3 nor python has pip".to_owned()).into());
    };
    let downloads = install::download_folder(destination)?;
    space::require(&downloads, space::free(&downloads), set.space, "libtorch")?;
    python::download(&python, set.wheels, set.platforms, &downloads)?;
    report::say("unpacking what a CPU program links");
    let unpacked = install::temporary(destination)?;
    for wheel in set.wheels {
        unpack::unpack(
            &downloads.join(wheel.file),
            unpacked.path(),
            unpack::Limits::bytes(UNPACK_LIMIT),
            wheel.requirement,
            place,
        )?;
    }
    if cfg!(target_os = "linux") {
        let libraries = unpacked.path().join("lib");
        install::write_empty_libtorch(&libraries)?;
        link_openmp(&libraries)?;
    }
    install::write_build_version(unpacked.path())?;
    let hashes: Vec<_> = set
        .wheels
        .iter()
        .map(|wheel| format!("{} sha256:{}", wheel.file, wheel.sha256))
        .collect();
    let found = install::finish(unpacked.path(), destination, &hashes.join(", "))?;
    fs::remove_dir_all(&downloads)
        .with_context(|| format!("cannot remove {}", downloads.display()))?;
    Ok(found)
}

/// Where a file of a wheel goes in the layout of libtorch; `None` for what a CPU program does not need.
fn place(name: &str) -> Option<PathBuf> {
    if let Some(header) = name.strip_prefix("torch/include/") {
        return Some(Path::new("include").join(header));
    }
    if let Some(library) = name.strip_prefix("torch/lib/") {
        return is_linked(library).then(|| Path::new("lib").join(library));
    }
    let runtime = name.strip_prefix("nvidia/cu13/lib/")?;
    matches!(runtime, "libcudart.so.13" | "libcupti.so.13").then(|| Path::new("lib").join(runtime))
}

/// Whether a file of `torch/lib` is `libtorch_cpu` or one of the libraries that it loads.
fn is_linked(library: &str) -> bool {
    const OTHERS: [&str; 6] = ["cuda", "nvrtc", "nvshmem", "shm", "python", "global_deps"];
    if library.contains('/') || OTHERS.iter().any(|other| library.contains(other)) {
        return false;
    }
    if cfg!(target_os = "linux") {
        library.contains(".so") && library != "libtorch.so"
    } else {
        [".dylib", ".dll", ".lib"]
            .iter()
            .any(|extension| library.ends_with(extension))
    }
}

/// The linker looks for `libgomp.so`, the wheel has `libgomp.so.1`; without the link a second OpenMP runtime,
/// that of the compiler, could be loaded beside it.
fn link_openmp(libraries: &Path) -> Result<()> {
    #[cfg(unix)]
    if libraries.join("libgomp.so.1").is_file() {
        let link = libraries.join("libgomp.so");
        std::os::unix::fs::symlink("libgomp.so.1", &link)
            .with_context(|| format!("cannot create {}", link.display()))?;
    }
    #[cfg(not(unix))]
    let _ = libraries;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn only_the_cpu_link_set_is_taken() {
        let wheel = [
            "torch/lib/libtorch_cpu.so",
            "torch/lib/libc10.so",
            "torch/lib/libgomp.so.1",
            "torch/lib/libtorch.so",
            "torch/lib/libtorch_cuda.so",
            "torch/lib/libtorch_cuda_linalg.so",
            "torch/lib/libc10_cuda.so",
            "torch/lib/libcaffe2_nvrtc.so",
            "torch/lib/libtorch_nvshmem.so",
            "torch/lib/libtorch_python.so",
            "torch/lib/libtorch_global_deps.so",
            "torch/lib/libshm.so",
            "torch/lib/libshm/core.h",
            "torch/_C.cpython-311-x86_64-linux-gnu.so",
            "torch/include/torch/headeronly/version.h",
            "nvidia/cu13/lib/libcudart.so.13",
            "nvidia/cu13/lib/libcupti.so.13",
            "nvidia/cu13/lib/libnvperf_host.so",
            "torch-2.11.0.dist-info/RECORD",
        ];
        let taken: Vec<_> = wheel.iter().filter_map(|name| place(name)).collect();
        let expected = [
            "lib/libtorch_cpu.so",
            "lib/libc10.so",
            "lib/libgomp.so.1",
            "include/torch/headeronly/version.h",
            "lib/libcudart.so.13",
            "lib/libcupti.so.13",
        ];
        assert_eq!(taken, expected.map(PathBuf::from));
    }

    #[test]
    fn pinned_hashes_look_like_hashes() {
        for wheel in link_set().iter().flat_map(|set| set.wheels) {
            assert_eq!(wheel.sha256.len(), 64, "{}", wheel.file);
            assert!(
                wheel
                    .sha256
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
                "{}",
                wheel.file
            );
        }
    }
}
