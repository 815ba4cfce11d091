//! What a processor computes by itself.

/// Whether this processor multiplies bfloat16 in hardware. Elsewhere libtorch emulates it, which is ten times slower than float32.
///
/// Every processor with AMX-BF16 has AVX512-BF16 too, so asking for the latter covers both. On other architectures it is not known to
/// pay off.
pub fn cpu_computes_bfloat16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    false
}
