//! What can go wrong while a network is described, built or run.

/// Error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration contradicts itself or exceeds a limit; every problem is listed.
    #[error("invalid UNet configuration: {}", problems.join("; "))]
    InvalidConfig {
        /// One sentence per problem.
        problems: Vec<String>,
    },
    /// A tensor does not have the shape that the network needs.
    #[error("{what}: expected shape {expected}, got {got:?}")]
    Shape {
        /// Which argument.
        what: &'static str,
        /// Description of the expected shape.
        expected: String,
        /// The shape that was given.
        got: Vec<i64>,
    },
    /// The number of guidance feature maps differs from the configured scales.
    #[error("the network takes guidance at {expected} scales, got features for {got}")]
    GuidanceScales {
        /// Scales of the configuration.
        expected: usize,
        /// Feature maps that were given.
        got: usize,
    },
    /// libtorch reported an error.
    #[error("libtorch")]
    Torch(#[from] tch::TchError),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
