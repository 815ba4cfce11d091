//! Entries of `pairs` and `photo_sets` that name a manifest of `datasets/` instead of folder and globs.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::problem::suggestion;

/// The version of manifests that is understood.
const SCHEMA_VERSION: u32 = 1;
/// What `cargo xtask datasets fetch` leaves in the folder of a set.
const RECEIPT: &str = ".receipt.json";

/// Of a manifest, what training needs. Everything else is for whoever fetches the data.
#[derive(Debug, Deserialize)]
struct Manifest {
    schema_version: u32,
    name: String,
    #[serde(default)]
    splits: Vec<Split>,
}

#[derive(Debug, Deserialize)]
struct Split {
    name: String,
    role: String,
    variant: Option<String>,
    sharp: Option<String>,
    blurry: Option<String>,
    pairing: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Receipt {
    adopted: Option<PathBuf>,
}

impl Split {
    fn label(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{}/{variant}", self.name),
            None => self.name.clone(),
        }
    }
}

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `pairs`.
    Pairs,
    /// `photo_sets`.
    Photos,
}

/// An entry with `manifest`, and with `split` (`train`), `variant` and `folder` as far as they are given, becomes one with folder and
/// globs. Other keys stay, and win. `datasets` is the folder that holds all sets, where it is not `cache` beside the manifest.
///
/// # Errors
/// One sentence per problem.
pub(crate) fn expand(entry: &Table, kind: Kind, datasets: Option<&Path>) -> Result<Table, String> {
    let mut entry = entry.clone();
    let mut text = |key: &str| match entry.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{key}` must be text in quotes")),
    };
    let (path, split, variant) = (text("manifest")?, text("split")?, text("variant")?);
    let path = PathBuf::from(path.unwrap_or_default());
    let manifest = read(&path)?;
    let split = split.unwrap_or_else(|| "train".into());
    let split = choose(&manifest, &split, variant.as_deref())
        .map_err(|problem| format!("{}: {problem}", path.display()))?;
    if split.role != "train" {
        return Err(format!(
            "{}: the split {} is there for `{}`, not for training; nothing is ever trained on it",
            path.display(),
            split.label(),
            split.role
        ));
    }
    let lacks = |what: &str| {
        format!(
            "{}: the split {} has no {what}",
            path.display(),
            split.label()
        )
    };
    let mut facts = Table::new();
    let folder = match entry.get("folder") {
        Some(_) => None,
        None => Some(find_set(&path, &manifest.name, datasets)?),
    };
    if let Some(folder) = folder {
        let folder = folder.to_str().ok_or_else(|| {
            format!(
                "{}: the name of this folder is not Unicode",
                folder.display()
            )
        })?;
        facts.insert("folder".into(), folder.into());
    }
    let sharp = split.sharp.clone().ok_or_else(|| lacks("sharp photos"))?;
    facts.insert("sharp".into(), sharp.into());
    if kind == Kind::Pairs {
        let blurry = split.blurry.clone().ok_or_else(|| lacks("blurry photos"))?;
        let pairing = split.pairing.clone().ok_or_else(|| lacks("pairing"))?;
        if pairing.as_str() == Some("listed") {
            return Err(format!(
                "{}: the split {} is paired by a list, which cannot be trained on",
                path.display(),
                split.label()
            ));
        }
        facts.insert("name".into(), manifest.name.clone().into());
        facts.insert("blurry".into(), blurry.into());
        facts.insert("pairing".into(), pairing);
    }
    for (key, value) in facts {
        entry.entry(key).or_insert(value);
    }
    Ok(entry)
}

fn read(path: &Path) -> Result<Manifest, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{}: cannot read the manifest: {error}", path.display()))?;
    let manifest: Manifest = toml::from_str(&text)
        .map_err(|error| format!("{}: is no manifest: {}", path.display(), error.message()))?;
    if manifest.schema_version != SCHEMA_VERSION {
        return Err(format!(
            "{}: is a manifest of version {}, this version reads {SCHEMA_VERSION}",
            path.display(),
            manifest.schema_version
        ));
    }
    Ok(manifest)
}

fn choose<'a>(
    manifest: &'a Manifest,
    name: &str,
    variant: Option<&str>,
) -> Result<&'a Split, String> {
    let named: Vec<&Split> = manifest
        .splits
        .iter()
        .filter(|split| split.name == name)
        .collect();
    let names = manifest.splits.iter().map(|split| split.name.as_str());
    if named.is_empty() {
        return Err(format!("has no split `{name}`{}", suggestion(name, names)));
    }
    let variants: Vec<&str> = named
        .iter()
        .filter_map(|split| split.variant.as_deref())
        .collect();
    let found = named
        .iter()
        .find(|split| split.variant.as_deref() == variant);
    match (found, variant) {
        (Some(split), _) => Ok(split),
        (None, None) => Err(format!(
            "the split `{name}` comes in several variants: name one with `variant`, of {}",
            variants.join(", ")
        )),
        (None, Some(variant)) => Err(format!(
            "the split `{name}` has no variant `{variant}`{}",
            suggestion(variant, variants)
        )),
    }
}

/// Where the set lies: in the folder of all sets, or where its receipt says that the user has it.
fn find_set(manifest: &Path, name: &str, datasets: Option<&Path>) -> Result<PathBuf, String> {
    let all = match datasets {
        Some(folder) => folder.to_owned(),
        None => manifest.parent().unwrap_or(Path::new("")).join("cache"),
    };
    let folder = all.join(name);
    let adopted = std::fs::read_to_string(folder.join(RECEIPT))
        .ok()
        .and_then(|text| serde_json::from_str::<Receipt>(&text).ok()?.adopted);
    let folder = adopted.unwrap_or(folder);
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(format!(
        "{name} is not in {}: `cargo xtask datasets fetch {name}` gets it, or name its place with `folder`",
        folder.display()
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    fn gopro(folder: &Path) -> PathBuf {
        let manifest = "schema_version = 1\nname = 'gopro'\ntitle = 'GoPro'\n\
            [[splits]]\nname = 'train'\nvariant = 'blur'\nrole = 'train'\nsharp = '**/sharp/*.png'\nblurry = '**/blur/*.png'\n\
            pairing = { sharp = '/sharp/', blurry = '/blur/' }\ncount = 1\n\
            [[splits]]\nname = 'train'\nvariant = 'blur_gamma'\nrole = 'train'\nsharp = '**/sharp/*.png'\n\
            blurry = '**/blur_gamma/*.png'\npairing = { sharp = '/sharp/', blurry = '/blur_gamma/' }\ncount = 1\n\
            [[splits]]\nname = 'test'\nrole = 'test'\nsharp = '**/sharp/*.png'\nblurry = '**/blur/*.png'\n\
            pairing = 'same_stem'\ncount = 1\n\
            [[splits]]\nname = 'odd'\nrole = 'train'\nsharp = '*.png'\nblurry = '*.jpg'\npairing = 'listed'\ncount = 1\n";
        let path = folder.join("gopro.toml");
        std::fs::write(&path, manifest).unwrap();
        path
    }

    fn entry(manifest: &Path, rest: &str) -> Table {
        format!("manifest = '{}'\n{rest}", manifest.display())
            .parse()
            .unwrap()
    }

    #[test]
    fn a_split_gives_folder_globs_and_pairing() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = gopro(folder.path());
        std::fs::create_dir_all(folder.path().join("cache/gopro")).unwrap();
        let given = entry(&manifest, "variant = 'blur'\nweight = 2.0");
        let found = expand(&given, Kind::Pairs, None).unwrap();
        let cache = folder.path().join("cache/gopro");
        let expected: Table = format!(
            "name = 'gopro'\nfolder = '{}'\nblurry = '**/blur/*.png'\nsharp = '**/sharp/*.png'\nweight = 2.0\n\
             pairing = {{ sharp = '/sharp/', blurry = '/blur/' }}",
            cache.display()
        )
        .parse()
        .unwrap();
        assert_eq!(found, expected);

        let photos = expand(&entry(&manifest, "variant = 'blur'"), Kind::Photos, None).unwrap();
        assert_eq!(photos.keys().collect::<Vec<_>>(), ["folder", "sharp"]);

        // A copy that the user has elsewhere, and another folder of all sets.
        let receipt = format!("{{\"adopted\": {:?}, \"files\": []}}", folder.path());
        std::fs::write(cache.join(RECEIPT), receipt).unwrap();
        let adopted = expand(&given, Kind::Pairs, None).unwrap();
        assert_eq!(adopted["folder"].as_str(), folder.path().to_str());
        let other = tempfile::tempdir().unwrap();
        let problem = expand(&given, Kind::Pairs, Some(other.path())).unwrap_err();
        assert!(problem.contains("datasets fetch gopro"), "{problem}");
        let named = entry(&manifest, "variant = 'blur'\nfolder = 'mine'");
        let named = expand(&named, Kind::Pairs, Some(other.path())).unwrap();
        assert_eq!(named["folder"].as_str(), Some("mine"));
    }

    #[test]
    fn what_is_not_there_for_training_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = gopro(folder.path());
        std::fs::create_dir_all(folder.path().join("cache/gopro")).unwrap();
        for (rest, words) in [
            ("split = 'test'", "is there for `test`, not for training"),
            ("split = 'trian'", "did you mean `train`"),
            ("", "name one with `variant`, of blur, blur_gamma"),
            ("variant = 'blurr'", "did you mean `blur`"),
            ("split = 'odd'", "paired by a list"),
            ("split = 3", "`split` must be text"),
        ] {
            let problem = expand(&entry(&manifest, rest), Kind::Pairs, None).unwrap_err();
            assert!(problem.contains(words), "{rest}: {problem}");
        }
        let gone = entry(&folder.path().join("gone.toml"), "");
        let problem = expand(&gone, Kind::Pairs, None).unwrap_err();
        assert!(problem.contains("cannot read the manifest"), "{problem}");
    }
}
