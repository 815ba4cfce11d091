//! What the integration tests share: the program, folders with photos, and models of a few thousand weights.
//!
//! Everything here panics when it fails, because that is how a test fails.

mod folder;
pub mod model;
mod outcome;
mod program;

pub use folder::{Folder, decode, golden, photo};
pub use outcome::{Line, Outcome};
pub use program::{Running, msdeblur, program, workspace};
