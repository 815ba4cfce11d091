//! Facts about this machine, for a person who wonders why something is slow or missing.

use serde::Serialize;

use crate::device::CudaProblem;
use crate::{Error, Result, cuda_driver, libtorch, memory};

/// What this program found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Version of libtorch, where it says so.
    pub libtorch_version: Option<String>,
    /// File of the loaded `libtorch_cpu`, where the system tells.
    pub libtorch_path: Option<String>,
    /// Whether oneDNN, which computes the convolutions on the CPU, is part of it.
    pub onednn: bool,
    /// Processor features that matter to libtorch, in ascending order of speed.
    pub cpu_features: Vec<&'static str>,
    /// Whether `--precision auto` means bfloat16 on the CPU.
    pub cpu_bfloat16: bool,
    /// Threads that libtorch uses.
    pub threads: usize,
    /// Processors that the system offers to this process.
    pub processors: usize,
    /// Memory of this machine in bytes.
    pub memory: Option<u64>,
    /// Memory that is free for programs now, in bytes.
    pub memory_available: Option<u64>,
    /// CUDA devices.
    pub cuda: Vec<CudaDevice>,
    /// Why there are none.
    #[serde(skip)]
    pub cuda_problem: Option<CudaProblem>,
}

/// One CUDA device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CudaDevice {
    /// Number, as in `cuda:0`.
    pub index: usize,
    /// Product name, where the driver tells.
    pub name: Option<String>,
    /// Bytes of memory, where the driver tells.
    pub memory: Option<u64>,
    /// Compute capability, such as `9.0`.
    pub compute_capability: Option<String>,
}

impl Machine {
    /// Looks around. Loads CUDA if it is there, which takes a moment.
    pub fn inspect() -> Self {
        let cuda_problem = libtorch::load_cuda().err();
        let devices = if cuda_problem.is_none() {
            usize::try_from(tch::Cuda::device_count()).unwrap_or(0)
        } else {
            0
        };
        let library = libtorch::loaded();
        Self {
            libtorch_version: library.as_ref().and_then(|library| library.version.clone()),
            libtorch_path: library.map(|library| library.path.display().to_string()),
            onednn: tch::utils::has_mkldnn(),
            cpu_features: cpu_features(),
            cpu_bfloat16: unet_core::cpu_computes_bfloat16(),
            threads: usize::try_from(tch::get_num_threads()).unwrap_or(1),
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            memory: memory::installed(),
            memory_available: memory::available(),
            cuda: (0..devices).map(cuda_device).collect(),
            cuda_problem,
        }
    }
}

fn cuda_device(index: usize) -> CudaDevice {
    let facts = cuda_driver::device(index);
    CudaDevice {
        index,
        memory: facts.as_ref().map(|facts| facts.memory),
        compute_capability: facts
            .as_ref()
            .map(|facts| format!("{}.{}", facts.capability.0, facts.capability.1)),
        name: facts.map(|facts| facts.name),
    }
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    let mut features = Vec::new();
    let mut add = |name, found| {
        if found {
            features.push(name);
        }
    };
    add("avx2", std::is_x86_feature_detected!("avx2"));
    add("fma", std::is_x86_feature_detected!("fma"));
    add("avx512f", std::is_x86_feature_detected!("avx512f"));
    add("avx512vnni", std::is_x86_feature_detected!("avx512vnni"));
    add("avx512bf16", std::is_x86_feature_detected!("avx512bf16"));
    // AMX cannot be asked for in stable Rust; the kernel lists it.
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = flags
        .lines()
        .find(|line| line.starts_with("flags"))
        .unwrap_or_default();
    add(
        "amx_bf16",
        flags.split_whitespace().any(|flag| flag == "amx_bf16"),
    );
    features
}

#[cfg(target_arch = "aarch64")]
fn cpu_features() -> Vec<&'static str> {
    let mut features = vec!["neon"];
    if std::arch::is_aarch64_feature_detected!("bf16") {
        features.push("bf16");
    }
    features
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn cpu_features() -> Vec<&'static str> {
    Vec::new()
}

/// Limits libtorch and the image code to `threads` threads. Call it before anything is computed.
///
/// # Errors
/// [`Error::OutOfRange`] outside 1 to 1024.
pub fn set_threads(threads: usize) -> Result<()> {
    const MAXIMUM: usize = 1024;
    if !(1..=MAXIMUM).contains(&threads) {
        return Err(Error::OutOfRange {
            option: "threads",
            value: threads as u64,
            minimum: 1,
            maximum: MAXIMUM as u64,
        });
    }
    tch::set_num_threads(threads as i32);
    if rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .is_err()
    {
        tracing::debug!("the thread pool was already running; it keeps its size");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_what_it_needs() {
        let machine = Machine::inspect();
        assert!(machine.threads >= 1 && machine.processors >= 1);
        assert_eq!(
            machine.cuda.is_empty(),
            machine.cuda_problem.is_some(),
            "{machine:?}"
        );
        assert!(set_threads(0).is_err() && set_threads(1025).is_err());
    }
}
