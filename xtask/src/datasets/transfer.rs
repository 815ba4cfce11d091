//! Downloads over HTTP.

/// How downloads are made.
pub(crate) struct Transfer;
