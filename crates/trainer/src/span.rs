//! Parts of a step in a trace.

use tch::{Cuda, Device};
use tracing::span::EnteredSpan;

/// A part of the work, until it is dropped. Parts are spans of level TRACE; where nobody listens, they cost one comparison.
///
/// CUDA works on after its calls return. A part that is listened to waits for it, so that it has the time that its work takes; the
/// run as a whole is a little slower then.
pub(crate) struct Part {
    span: EnteredSpan,
    device: Device,
}

impl Part {
    /// Use `part!`, which makes the span.
    pub(crate) fn new(span: EnteredSpan, device: Device) -> Self {
        Self { span, device }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Device::Cuda(index) = self.device
            && !self.span.is_disabled()
        {
            Cuda::synchronize(index as i64);
        }
    }
}

/// `let _part = part!("forward", device);` is a part of this name until the end of the block.
macro_rules! part {
    ($name:literal, $device:expr) => {
        $crate::span::Part::new(tracing::trace_span!($name).entered(), $device)
    };
}

pub(crate) use part;
