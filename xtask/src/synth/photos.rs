//! The sharp photos that pairs are made of.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use walkdir::WalkDir;

use crate::failure::Failure;

/// One sharp photo on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SharpPhoto {
    /// The file.
    pub(crate) file: PathBuf,
    /// Relative to the folder of photos, with `/`.
    pub(crate) path: String,
}

impl SharpPhoto {
    /// What the random choices for this photo depend on: its path without the extension, so that a copy in another
    /// format is degraded alike.
    pub(crate) fn key(&self) -> &str {
        let name_start = self.path.rfind('/').map_or(0, |slash| slash + 1);
        match self.path[name_start..].rfind('.') {
            Some(dot) if dot > 0 => &self.path[..name_start + dot],
            _ => &self.path,
        }
    }

    /// The name of the files made of picture `index`, without extension.
    pub(crate) fn stem(&self, index: u32, per_photo: u32) -> String {
        let name = self.key().replace('/', "__");
        if per_photo == 1 {
            name
        } else {
            format!("{name}_{:03}", index + 1)
        }
    }
}

/// All photos below a folder, sorted by path.
///
/// # Errors
/// A folder that cannot be read, that holds no photo, or two photos that differ only in their extension.
pub(crate) fn in_folder(folder: &Path) -> Result<Vec<SharpPhoto>> {
    if !folder.is_dir() {
        let what = if folder.exists() {
            "is not a folder"
        } else {
            "does not exist"
        };
        return Err(Failure::error(
            format!("{} {what}", folder.display()),
            "give a folder with sharp photos (PNG, JPEG, TIFF or WebP); its subfolders are read too",
        ));
    }
    let mut photos = Vec::new();
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry =
            entry.with_context(|| format!("cannot read the folder {}", folder.display()))?;
        if !entry.file_type().is_file() || !image_io::is_supported(entry.path()) {
            continue;
        }
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let parts: Option<Vec<&str>> = relative.iter().map(|part| part.to_str()).collect();
        let path = parts.map(|parts| parts.join("/")).ok_or_else(|| {
            Failure::error(
                format!("the name of {} is not Unicode", entry.path().display()),
                "rename it; names are written into the records",
            )
        })?;
        photos.push(SharpPhoto {
            file: entry.path().to_owned(),
            path,
        });
    }
    if photos.is_empty() {
        return Err(Failure::error(
            format!("there is no photo in {}", folder.display()),
            "give a folder with PNG, JPEG, TIFF or WebP files",
        ));
    }
    check_names(&photos)?;
    Ok(photos)
}

/// Refuses photos whose results would have the same name.
pub(crate) fn check_names(photos: &[SharpPhoto]) -> Result<()> {
    let mut seen = HashMap::new();
    for photo in photos {
        if let Some(other) = seen.insert(photo.stem(0, 1), &photo.path) {
            return Err(Failure::error(
                format!(
                    "{other} and {} would both become {}.png",
                    photo.path,
                    photo.stem(0, 1)
                ),
                "rename one of them",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn photo(path: &str) -> SharpPhoto {
        SharpPhoto {
            file: PathBuf::from(path),
            path: path.to_owned(),
        }
    }

    #[test]
    fn keys_and_stems_come_from_the_path() {
        assert_eq!(photo("a/b.c/d.png").key(), "a/b.c/d");
        assert_eq!(photo("a.b/noextension").key(), "a.b/noextension");
        assert_eq!(photo("x/y.jpg").stem(0, 1), "x__y");
        assert_eq!(photo("x/y.jpg").stem(4, 9), "x__y_005");
    }

    #[test]
    fn folders_are_listed_in_order_and_clashes_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(in_folder(folder.path()).is_err());
        assert!(in_folder(&folder.path().join("absent")).is_err());
        fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["z.png", "a.JPG", "b/c.tif", "notes.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let paths: Vec<String> = in_folder(folder.path())
            .unwrap()
            .into_iter()
            .map(|photo| photo.path)
            .collect();
        assert_eq!(paths, ["a.JPG", "b/c.tif", "z.png"]);
        fs::write(folder.path().join("b__c.png"), "").unwrap();
        let error = in_folder(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("b/c.tif") && error.contains("b__c.png"),
            "{error}"
        );
    }
}
