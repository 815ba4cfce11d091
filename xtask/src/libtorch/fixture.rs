//! Folders that look like libtorch, for tests.

use std::fs;
use std::path::Path;

use super::validate::link_set;

/// The start of a library of this platform, enough for the format check.
pub(crate) fn library() -> &'static [u8] {
    if cfg!(target_os = "windows") {
        b"MZ and more"
    } else if cfg!(target_os = "macos") {
        b"\xCF\xFA\xED\xFE and more"
    } else {
        b"\x7FELF and more"
    }
}

/// The version header of a release.
pub(crate) fn version_header(major: u32, minor: u32, patch: u32) -> String {
    format!(
        "#pragma once\n#define TORCH_VERSION_MAJOR {major}\n#define TORCH_VERSION_MINOR {minor}\n\
         #define TORCH_VERSION_PATCH {patch}\n"
    )
}

/// Writes the files that an inspection looks at, as of release 2.11.0.
pub(crate) fn write(folder: &Path) {
    let headers = folder.join("include/torch/csrc/api/include/torch");
    fs::create_dir_all(&headers).unwrap();
    fs::create_dir_all(folder.join("include/torch/headeronly")).unwrap();
    fs::create_dir_all(folder.join("lib")).unwrap();
    for name in link_set() {
        fs::write(folder.join("lib").join(name), library()).unwrap();
    }
    fs::write(headers.join("torch.h"), "#pragma once\n").unwrap();
    fs::write(
        folder.join("include/torch/headeronly/version.h"),
        version_header(2, 11, 0),
    )
    .unwrap();
    fs::write(folder.join("build-version"), "2.11.0+cpu\n").unwrap();
}
