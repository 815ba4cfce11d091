//! What is wrong with a manifest: everything at once.

use std::collections::BTreeSet;

use globset::GlobMatcher;

use super::file_list::{Convert, FileList, Row, is_sha256};
use super::manifest::{
    Manifest, Member, Pairing, PairingRule, Role, SCHEMA_VERSION, Source, Split, is_inside,
};

/// A compiled glob: `*` and `?` stay inside a folder, `**` crosses folders.
///
/// # Errors
/// A text that is not a glob.
pub(crate) fn glob(text: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(globset::GlobBuilder::new(text)
        .literal_separator(true)
        .backslash_escape(false)
        .build()?
        .compile_matcher())
}

/// Every problem of a manifest that is in the file `NAME.toml` and of its lists, one line each.
pub(crate) fn problems(manifest: &Manifest, name: &str, list: &FileList) -> Vec<String> {
    let mut found = Problems(Vec::new());
    found.head(manifest, name);
    for (index, source) in manifest.sources.iter().enumerate() {
        let place = format!("source {} ({})", index + 1, source.kind());
        found.source(&place, source);
    }
    if manifest.sources.is_empty() {
        found.say("sources", "there is none");
    }
    let mut labels = BTreeSet::new();
    for split in &manifest.splits {
        let label = split.label();
        found.split(&format!("split {label}"), split, list);
        if !labels.insert(label.clone()) {
            found.say(&format!("split {label}"), "is there twice");
        }
    }
    if manifest.splits.is_empty() {
        found.say("splits", "there is none");
    }
    found.list(manifest, &labels, list);
    found.0
}

struct Problems(Vec<String>);

impl Problems {
    fn say(&mut self, place: &str, what: &str) {
        self.0.push(format!("{place}: {what}"));
    }

    fn head(&mut self, manifest: &Manifest, name: &str) {
        if manifest.schema_version != SCHEMA_VERSION {
            let what = format!(
                "is {}, this program reads {SCHEMA_VERSION}",
                manifest.schema_version
            );
            self.say("schema_version", &what);
        }
        if manifest.name != name {
            self.say(
                "name",
                &format!("is `{}`, the file is {name}.toml", manifest.name),
            );
        }
        if !is_plain_name(&manifest.name) {
            self.say("name", "may hold a-z, 0-9 and single - between them");
        }
        for (place, text) in [
            ("title", &manifest.title),
            ("licence", &manifest.licence),
            ("citation", &manifest.citation),
        ] {
            if text.trim().is_empty() {
                self.say(place, "is empty");
            }
        }
        if manifest.terms.as_deref().is_some_and(str::is_empty) {
            self.say("terms", "is empty; leave it out");
        }
        self.address("homepage", &manifest.homepage);
        for text in &manifest.documents {
            self.glob("documents", text);
        }
    }

    fn source(&mut self, place: &str, source: &Source) {
        if !is_plain_name(source.part()) {
            self.say(place, "part may hold a-z, 0-9 and single - between them");
        }
        match source {
            Source::Http(source) => {
                if source.urls.is_empty() {
                    self.say(place, "urls is empty");
                }
                for url in &source.urls {
                    self.address(place, url);
                }
                self.file(place, &source.file);
                self.content(place, source.size, source.sha256.as_deref());
                self.members(place, &source.members);
            }
            Source::Huggingface(source) => {
                let parts: Vec<&str> = source.repo.split('/').collect();
                if parts.len() != 2 || !parts.iter().all(|part| is_address_part(part)) {
                    self.say(place, &format!("repo `{}` is not owner/name", source.repo));
                }
                if !is_address_part(&source.revision) {
                    self.say(
                        place,
                        &format!("revision `{}` is no commit, branch or tag", source.revision),
                    );
                }
                if source.files.is_empty() {
                    self.say(place, "files is empty");
                }
                for file in &source.files {
                    if !is_inside(&file.path) || file.path.contains(['?', '#', '%']) {
                        self.say(
                            place,
                            &format!("path `{}` is no path in a repository", file.path),
                        );
                    }
                    self.content(place, file.size, file.sha256.as_deref());
                    self.members(place, &file.members);
                }
            }
            Source::Pip(source) => {
                if !is_requirement(&source.requirement) {
                    let what = format!("requirement `{}` is not name==version", source.requirement);
                    self.say(place, &what);
                }
                self.file(place, &source.file);
                if !source.file.ends_with(".whl") && !source.platforms.is_empty() {
                    self.say(place, "platforms are those of wheels");
                }
                self.content(place, None, Some(&source.sha256));
                self.members(place, &source.members);
            }
            Source::Deb(source) => {
                for (what, text) in [("package", &source.package), ("version", &source.version)] {
                    let is_good = text.starts_with(|first: char| first.is_ascii_alphanumeric())
                        && text
                            .chars()
                            .all(|c| c.is_ascii_alphanumeric() || ".+-~:".contains(c));
                    if !is_good {
                        self.say(place, &format!("{what} `{text}` is no {what} of Debian"));
                    }
                }
                if let Some(file) = &source.file {
                    self.file(place, file);
                }
                self.content(place, None, Some(&source.sha256));
                self.members(place, &source.members);
            }
            Source::Local(source) => {
                if source.expects.trim().is_empty() {
                    self.say(place, "expects is empty");
                }
                if let Some(file) = &source.file {
                    self.file(place, file);
                }
                self.content(place, source.size, source.sha256.as_deref());
                self.members(place, &source.members);
            }
        }
    }

    fn split(&mut self, place: &str, split: &Split, list: &FileList) {
        if !is_plain_name(&split.name)
            || split
                .variant
                .as_ref()
                .is_some_and(|variant| variant.is_empty() || variant.contains('/'))
        {
            self.say(place, "name may hold a-z, 0-9 and -; variant no /");
        }
        let mut globs = Vec::new();
        for text in [&split.sharp, &split.blurry, &split.data]
            .into_iter()
            .flatten()
        {
            globs.extend(self.glob(place, text));
        }
        let holds_photos = split.sharp.is_some() || split.blurry.is_some();
        let is_data = matches!(split.role, Role::Weights | Role::Kernels);
        if is_data && (split.data.is_none() || holds_photos) {
            let what = format!("role {} has `data` and no photos", split.role.name());
            self.say(place, &what);
        }
        if !is_data && (split.data.is_some() || !holds_photos) {
            let what = format!(
                "role {} has `sharp` or `blurry` or both, and no `data`",
                split.role.name()
            );
            self.say(place, &what);
        }
        let has_pairs = split.sharp.is_some() && split.blurry.is_some();
        if has_pairs != split.pairing.is_some() {
            self.say(
                place,
                "pairing is needed where there are `sharp` and `blurry`, and only there",
            );
        }
        self.pairing(place, split, list);
        if split.count == 0 {
            self.say(place, "count is 0");
        }
        if let Some([width, height]) = split.size
            && (width == 0 || height == 0)
        {
            self.say(place, "size has a side of 0 pixels");
        }
        if split.files.is_some() {
            let label = split.label();
            self.listed(place, split, &globs, list.of_split(&label).collect());
        }
    }

    fn pairing(&mut self, place: &str, split: &Split, list: &FileList) {
        match &split.pairing {
            Some(Pairing::Replace(replace))
                if replace.sharp == replace.blurry || replace.blurry.is_empty() =>
            {
                self.say(
                    place,
                    "pairing replaces `blurry` by `sharp`; they must differ, and `blurry` must not be empty",
                );
            }
            Some(Pairing::Rule(PairingRule::Listed)) => {
                let label = split.label();
                let has_pairs = list.of_split(&label).any(|row| row.sharp.is_some());
                if split.files.is_none() || !has_pairs {
                    self.say(
                        place,
                        "pairing = \"listed\" needs `files` with the column `sharp`",
                    );
                }
            }
            _ => {}
        }
    }

    /// Compares a split with the rows that are its own.
    fn listed(&mut self, place: &str, split: &Split, globs: &[GlobMatcher], rows: Vec<&Row>) {
        for row in &rows {
            if !globs.iter().any(|glob| glob.is_match(&row.path)) {
                self.say(
                    place,
                    &format!("its list has {}, which fits none of its globs", row.path),
                );
            }
            if let (Some(size), Some(width), Some(height)) = (split.size, row.width, row.height)
                && size != [width, height]
            {
                self.say(
                    place,
                    &format!("its list says that {} has another size", row.path),
                );
            }
        }
        let counted = split.blurry.as_ref().or(split.sharp.as_ref());
        let listed = match counted.and_then(|text| glob(text).ok()) {
            Some(glob) => rows.iter().filter(|row| glob.is_match(&row.path)).count(),
            None => rows.len(),
        };
        if listed as u64 != split.count {
            self.say(
                place,
                &format!("count is {}, its list has {listed}", split.count),
            );
        }
    }

    fn list(&mut self, manifest: &Manifest, labels: &BTreeSet<String>, list: &FileList) {
        self.0.extend(list.problems());
        let parts = manifest.parts();
        let mut strangers = BTreeSet::new();
        for row in &list.rows {
            if !labels.contains(&row.split) {
                strangers.insert(format!("split {}", row.split));
            }
            if let Some(part) = &row.part {
                if !parts.contains(&part.as_str()) {
                    strangers.insert(format!("part {part}"));
                }
                if let Some(convert) = row.convert {
                    self.conversion(manifest, part, &row.path, convert);
                }
            }
        }
        for stranger in strangers {
            self.say("list", &format!("{stranger} is not in the manifest"));
        }
    }

    /// Photos are converted by sources of the kind deb, weights by those that fetch one archive.
    fn conversion(&mut self, manifest: &Manifest, part: &str, path: &str, convert: Convert) {
        let is_of_photos = convert.is_of_photos();
        let can_convert = manifest.sources_of(part).all(|source| match source {
            Source::Deb(_) => is_of_photos,
            Source::Http(_) | Source::Pip(_) | Source::Local(_) => !is_of_photos,
            Source::Huggingface(_) => false,
        });
        if !can_convert {
            self.say(
                &format!("list: {path}"),
                if is_of_photos {
                    "only deb sources can convert photos"
                } else {
                    "only http, pip and local sources can convert weights"
                },
            );
        }
    }

    fn members(&mut self, place: &str, members: &[Member]) {
        for member in members {
            self.glob(place, &member.glob);
            if member.to != "." && !is_inside(&member.to) {
                self.say(place, &format!("to = `{}` leads out of the set", member.to));
            }
            // What comes before the first wildcard is all that every name begins with.
            let fixed = member.glob.split(['*', '?', '[', '{']).next().unwrap_or("");
            if !fixed.starts_with(&member.strip) {
                let what = format!(
                    "strip = `{}` is not what `{}` begins with",
                    member.strip, member.glob
                );
                self.say(place, &what);
            }
        }
    }

    fn glob(&mut self, place: &str, text: &str) -> Option<GlobMatcher> {
        if text.is_empty() || text.starts_with('/') || text.split('/').any(|part| part == "..") {
            self.say(place, &format!("glob `{text}` is not inside the folder"));
            return None;
        }
        match glob(text) {
            Ok(glob) => Some(glob),
            Err(error) => {
                self.say(place, &format!("glob `{text}`: {}", error.kind()));
                None
            }
        }
    }

    fn file(&mut self, place: &str, file: &str) {
        let is_good = is_inside(file)
            && !file.contains('/')
            && !file.starts_with('.')
            && !file.ends_with(".partial")
            && !file.ends_with(".download.json");
        if !is_good {
            self.say(place, &format!("file `{file}` is no plain file name"));
        }
    }

    fn content(&mut self, place: &str, size: Option<u64>, sha256: Option<&str>) {
        if size == Some(0) {
            self.say(place, "size is 0");
        }
        if sha256.is_some_and(|hash| !is_sha256(hash)) {
            self.say(place, "sha256 is not 64 lower-case hexadecimal digits");
        }
    }

    fn address(&mut self, place: &str, url: &str) {
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let is_good = rest.is_some_and(|rest| {
            !rest.starts_with('/')
                && !rest.is_empty()
                && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
        });
        if !is_good {
            self.say(place, &format!("`{url}` is no http(s) address"));
        }
    }
}

/// Lower-case words with single hyphens: fit for a folder, a file and a command line everywhere.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

/// `name==version` and nothing else: pip would also take an address, a path or an option, and build what is there.
fn is_requirement(text: &str) -> bool {
    let is_of = |part: &str, others: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    text.split_once("==").is_some_and(|(name, version)| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && is_of(name, "._-")
            && is_of(version, ".+!_-")
    })
}

/// One part of an address, as the Hugging Face Hub allows it in names.
fn is_address_part(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('.')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
