//! Sets of weights, which are converted on their way.

use std::fs;

use safetensors::SafeTensors;

use super::{Desk, sha256, tree, zip_of};
use crate::datasets::verify;
use crate::workspace;

const MANIFEST: &str = r#"
schema_version = 1
name = "pairs"
title = "Weights"
homepage = "https://example.org/weights"
licence = "CC0-1.0"
citation = "nobody, 2026"

[[sources]]
part = "lpips"
kind = "local"
expects = "weights.zip"
file = "weights.zip"

[[splits]]
name = "weights"
role = "weights"
data = "{*.safetensors,as-it-is/*}"
count = 2
files = "pairs.csv"
"#;

fn golden(name: &str) -> Vec<u8> {
    let folder = workspace::root().join("tests/golden/metric-weights");
    fs::read(folder.join(name)).unwrap()
}

/// The manifest, a list with these hashes, and the archive.
fn desk(
    source_sha256: &str,
    sha256: &str,
    archive: &[(&str, &[u8])],
) -> (Desk, std::path::PathBuf) {
    let desk = Desk::new(MANIFEST);
    let list = format!(
        "split,path,sha256,part,source,source_sha256,convert\n\
         weights,lpips.safetensors,{sha256},lpips,package/alexnet.ckpt,{source_sha256},lpips\n\
         weights,as-it-is/model.pt,,lpips,package/model.pt,,\n"
    );
    fs::write(desk.folder.path().join("manifests/pairs.csv"), list).unwrap();
    let path = desk.folder.path().join("weights.zip");
    fs::write(&path, zip_of(archive)).unwrap();
    (desk, path)
}

#[test]
fn pickles_become_safetensors_and_the_rest_stays() {
    let pickle = golden("alexnet.ckpt");
    let archive = [
        ("package/alexnet.ckpt", pickle.as_slice()),
        ("package/model.pt", b"a program"),
        ("package/setup.py", b"not wanted"),
    ];
    let (desk, path) = desk(&sha256(&pickle), "", &archive);
    desk.fetcher.fetch("pairs", Some(&path)).unwrap();
    assert_eq!(
        tree(&desk.set()),
        [".receipt.json", "as-it-is/model.pt", "lpips.safetensors"]
    );
    let bytes = fs::read(desk.set().join("lpips.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(
        file.tensor("features.0.weight").unwrap().shape(),
        [4, 2, 1, 3]
    );
    // The receipt knows the file that was made, and `verify` compares with it.
    let verified = |desk: &Desk| {
        let findings = verify::verify(&desk.fetcher.catalogue, &desk.fetcher.cache, "pairs");
        findings.unwrap().problems
    };
    assert_eq!(verified(&desk), []);
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(desk.set().join("lpips.safetensors"), changed).unwrap();
    let problems = verified(&desk);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].detail.contains(&sha256(&bytes)), "{problems:?}");
}

#[test]
fn another_file_than_the_list_says_is_refused() {
    let pickle = golden("alexnet.ckpt");
    let model = ("package/model.pt", b"a program".as_slice());
    let hostile = b"cos\nsystem\n(X\x04\0\0\0truetR.";
    let none = "0".repeat(64);
    for (source_hash, hash, pickle, why) in [
        (none.as_str(), "", Some(pickle.as_slice()), "has SHA-256"),
        (
            "",
            none.as_str(),
            Some(pickle.as_slice()),
            "corrupt: lpips.safetensors",
        ),
        (
            "",
            "",
            Some(hostile.as_slice()),
            "`os.system`, which is not allowed",
        ),
        ("", "", None, "does not hold package/alexnet.ckpt"),
    ] {
        let mut archive = vec![model];
        archive.extend(pickle.map(|pickle| ("package/alexnet.ckpt", pickle)));
        let (desk, path) = desk(source_hash, hash, &archive);
        let error = desk.fails(Some(&path));
        assert!(error.contains(why), "{error}");
        assert!(!desk.set().exists());
    }
}

#[test]
fn only_some_sources_convert() {
    for (kind, expected) in [
        (
            "kind = \"local\"\nexpects = \"weights.zip\"\nfile = \"weights.zip\"",
            None,
        ),
        (
            "kind = \"deb\"\npackage = \"weights\"\nversion = \"1\"\nsha256 = \"HASH\"",
            Some("list: lpips.safetensors: only http, pip and local sources can convert weights"),
        ),
    ] {
        let (desk, _) = desk("", "", &[]);
        let old = "kind = \"local\"\nexpects = \"weights.zip\"\nfile = \"weights.zip\"";
        assert!(MANIFEST.contains(old));
        desk.manifest(&MANIFEST.replace(old, &kind.replace("HASH", &"0".repeat(64))));
        let read = desk.fetcher.catalogue.get("pairs");
        match expected {
            None => drop(read.unwrap()),
            Some(problem) => {
                let error = format!("{:#}", read.unwrap_err());
                assert!(error.contains(problem), "{error}");
            }
        }
    }
}
