//! The few facts about CUDA devices that libtorch's C interface does not give, asked from the NVIDIA driver.

/// One device, numbered as libtorch does (both follow `CUDA_VISIBLE_DEVICES`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DriverDevice {
    pub(crate) name: String,
    /// Bytes.
    pub(crate) memory: u64,
    /// Major and minor compute capability, such as (9, 0).
    pub(crate) capability: (i32, i32),
}

/// Facts about device `index`, or `None` where there is no driver or no such device.
#[cfg(unix)]
pub(crate) fn device(index: usize) -> Option<DriverDevice> {
    use std::ffi::{CStr, c_char, c_int, c_uint};

    use libloading::Library;

    const SUCCESS: c_int = 0;
    const COMPUTE_CAPABILITY_MAJOR: c_int = 75;
    const COMPUTE_CAPABILITY_MINOR: c_int = 76;

    let index = c_int::try_from(index).ok()?;
    // SAFETY: `libcuda.so.1` is the name of NVIDIA's driver library; its initialisers have no preconditions.
    let driver = unsafe { Library::new("libcuda.so.1") }.ok()?;
    // SAFETY: names and signatures are those of cuda.h (driver interface, stable since CUDA 3.2). All pointers are to locals
    // that outlive the calls, and the name buffer's length is passed along and one byte less than it has.
    unsafe {
        let init = driver
            .get::<unsafe extern "C" fn(c_uint) -> c_int>(b"cuInit\0")
            .ok()?;
        let get = driver
            .get::<unsafe extern "C" fn(*mut c_int, c_int) -> c_int>(b"cuDeviceGet\0")
            .ok()?;
        let get_name = driver
            .get::<unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int>(b"cuDeviceGetName\0")
            .ok()?;
        let total_memory = driver
            .get::<unsafe extern "C" fn(*mut usize, c_int) -> c_int>(b"cuDeviceTotalMem_v2\0")
            .ok()?;
        let attribute = driver
            .get::<unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int>(
                b"cuDeviceGetAttribute\0",
            )
            .ok()?;
        let mut device = 0;
        let mut name = [0 as c_char; 256];
        let mut memory = 0_usize;
        let (mut major, mut minor) = (0, 0);
        let done = init(0) == SUCCESS
            && get(&mut device, index) == SUCCESS
            && get_name(name.as_mut_ptr(), 255, device) == SUCCESS
            && total_memory(&mut memory, device) == SUCCESS
            && attribute(&mut major, COMPUTE_CAPABILITY_MAJOR, device) == SUCCESS
            && attribute(&mut minor, COMPUTE_CAPABILITY_MINOR, device) == SUCCESS;
        done.then(|| DriverDevice {
            name: CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned(),
            memory: memory as u64,
            capability: (major, minor),
        })
    }
}

/// Facts about device `index`; unknown on this system.
#[cfg(not(unix))]
pub(crate) fn device(_: usize) -> Option<DriverDevice> {
    None
}
