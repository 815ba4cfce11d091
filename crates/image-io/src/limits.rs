//! Guards against files that claim to be larger than they should be.

/// How much an input image may claim. Checked against the header before memory is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels (width × height). Default 2^28 = 268 435 456 (16384 × 16384).
    pub max_pixels: u64,
    /// Most bytes that the file, the decoder's own buffers, or the decoded samples may each take. Default 4 GiB.
    /// The planes of the photo come on top: 12 bytes per pixel, 16 with alpha.
    pub max_alloc: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: 1 << 28,
            max_alloc: 4 << 30,
        }
    }
}
