//! Sharp photographs of a folder that a glob takes, such as one split of a data set.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::pair_folder::{matching, slashed};
use crate::photos::{Links, collect};
use crate::{Error, Result};

/// A folder with sharp photographs, in the words of the manifests of data sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhotoFolder {
    /// The folder.
    pub folder: PathBuf,
    /// Glob of the photographs below the folder; `*` does not cross `/`, `**` does.
    pub sharp: String,
}

impl PhotoFolder {
    /// What is wrong with it, in words.
    pub(crate) fn problems(&self) -> Option<String> {
        let error = glob::Pattern::new(&self.sharp).err()?;
        Some(format!("photo_sets: sharp is no glob: {error}"))
    }

    /// The entry without what is a fact about a machine.
    pub(crate) fn portable(&self) -> Self {
        Self {
            folder: PathBuf::new(),
            ..self.clone()
        }
    }

    /// Adds its files; `seen` as for [`collect`].
    pub(crate) fn collect(
        &self,
        seen: &mut HashSet<PathBuf>,
        files: &mut Vec<PathBuf>,
    ) -> Result<()> {
        let mut all = Vec::new();
        // Folders are not remembered in `seen`: another set may take other files of the same one.
        collect(&self.folder, Links::Kept, &mut HashSet::new(), &mut all)?;
        let mut names: Vec<String> = all
            .iter()
            .filter_map(|path| path.strip_prefix(&self.folder).ok().and_then(slashed))
            .collect();
        names.sort();
        let names = matching(&names, &self.sharp);
        if names.is_empty() {
            return Err(Error::NoMatch {
                folder: self.folder.clone(),
                sharp: self.sharp.clone(),
            });
        }
        for name in names {
            let path = self.folder.join(name);
            if path.canonicalize().is_ok_and(|real| seen.insert(real)) {
                files.push(path);
            }
        }
        Ok(())
    }
}
