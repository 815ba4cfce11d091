//! Variants without fields of records with a tag.

use serde::{Deserialize, Deserializer};

/// Reads what is left beside the tag, which must be nothing: for such variants serde ignores `deny_unknown_fields`, and
/// `{"path": "still", "length": 5}` would be no motion at all.
pub(crate) fn no_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    Nothing::deserialize(deserializer).map(|Nothing {}| ())
}
