//! What is wrong with a manifest is said at once; the manifests of this repository are right.

use std::fs;

use super::{Desk, http_source, pairs_manifest};
use crate::datasets::catalogue::Catalogue;
use crate::datasets::list;
use crate::datasets::manifest::{Pairing, PairingRule, Role, Source};
use crate::workspace;

fn good() -> String {
    pairs_manifest(&http_source(&["https://example.org/x".to_owned()], ""))
}

fn read(text: &str) -> Result<crate::datasets::catalogue::Entry, String> {
    let desk = Desk::new(text);
    desk.fetcher
        .catalogue
        .get("pairs")
        .map_err(|error| format!("{error:#}"))
}

/// Reads a manifest with one thing changed.
fn with(old: &str, new: &str) -> String {
    let text = good();
    assert!(text.contains(old), "{old}");
    read(&text.replacen(old, new, 1)).unwrap_err()
}

#[test]
fn the_manifests_of_this_repository_are_right() {
    let folder = workspace::root().join("datasets");
    Catalogue::of(&folder).all().unwrap();
}

#[test]
fn the_table_of_the_readme_is_that_of_the_manifests() {
    let folder = workspace::root().join("datasets");
    let page = fs::read_to_string(folder.join("README.md")).unwrap();
    let table = list::markdown(&Catalogue::of(&folder)).unwrap();
    let is_there = page
        .replace("\r\n", "\n")
        .contains(&format!("\n{table}\n\n"));
    assert!(
        is_there,
        "put this table into datasets/README.md (cargo xtask datasets list --markdown):\n{table}"
    );
}

#[test]
fn the_table_says_what_a_manifest_says() {
    let desk = Desk::new(&good().replace("CC0-1.0", "this | that"));
    let table = list::markdown(&desk.fetcher.catalogue).unwrap();
    assert_eq!(
        table.lines().last().unwrap(),
        "| `pairs` | [Pairs](https://example.org/pairs) | test | test: 2 pairs | http | this \\| that |"
    );
}

#[test]
fn a_whole_manifest_is_read() {
    let text = r#"
schema_version = 1
name = "pairs"
title = "All kinds"
homepage = "https://example.org/"
licence = "MIT"
citation = "x"
terms = "accept them"
[[sources]]
kind = "http"
urls = ["https://example.org/a.tar.gz"]
file = "a.tar.gz"
size = 12
sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
[[sources]]
kind = "huggingface"
repo = "someone/some-thing"
repo_type = "model"
revision = "main"
files = [{ path = "a/b.tar", members = [{ glob = "x/*", strip = "x/", to = "y/z" }] }]
[[sources]]
kind = "pip"
part = "more"
requirement = "scikit-image==0.26.0"
file = "a.whl"
sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
platforms = ["any"]
[[sources]]
kind = "deb"
part = "more"
package = "krank"
version = "1:0.7+dfsg2-5~1"
sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
members = [{ glob = "usr/**/*.jpg", strip = "usr/" }]
[[sources]]
kind = "local"
expects = "a.tar.gz"
[[splits]]
name = "test"
role = "test"
variant = "blur_gamma"
sharp = "a/*.png"
blurry = "b/*.png"
pairing = "same_stem"
count = 3
[[splits]]
name = "metric"
role = "weights"
data = "*.safetensors"
count = 1
"#;
    let manifest = read(text).unwrap().manifest;
    let kinds: Vec<&str> = manifest.sources.iter().map(Source::kind).collect();
    assert_eq!(kinds, ["http", "huggingface", "pip", "deb", "local"]);
    assert_eq!(manifest.parts(), ["main", "more"]);
    assert_eq!(manifest.sources_of("more").count(), 2);
    assert_eq!(manifest.splits[0].label(), "test/blur_gamma");
    assert_eq!(
        manifest.splits[0].pairing,
        Some(Pairing::Rule(PairingRule::SameStem))
    );
    assert_eq!(manifest.splits[1].role, Role::Weights);
}

#[test]
fn all_problems_are_said_at_once() {
    let text = good()
        .replace("title = \"Pairs\"", "title = \" \"")
        .replace("https://example.org/pairs", "example.org")
        .replace(
            "file = \"pairs.zip\"",
            "file = \"../pairs.zip\"\nsize = 0\nsha256 = \"ABC\"",
        )
        .replace("count = 2", "count = 0");
    let error = read(&text).unwrap_err();
    for part in [
        "title: is empty",
        "homepage: `example.org` is no http(s) address",
        "source 1 (http): file `../pairs.zip` is no plain file name",
        "source 1 (http): size is 0",
        "source 1 (http): sha256 is not 64",
        "split test: count is 0",
    ] {
        assert!(error.contains(part), "{part}: not in\n{error}");
    }
}

#[test]
fn each_mistake_is_found() {
    for (old, new, expected) in [
        (
            "schema_version = 1",
            "schema_version = 2",
            "schema_version: is 2",
        ),
        (
            "name = \"pairs\"",
            "name = \"other\"",
            "the file is pairs.toml",
        ),
        ("urls = [", "urls = [] #", "urls is empty"),
        (
            "https://example.org/x",
            "ftp://example.org/x",
            "no http(s) address",
        ),
        (
            "https://example.org/x",
            "https://exa mple.org/x",
            "no http(s) address",
        ),
        ("Pairs/test/**", "../test/**", "is not inside the folder"),
        ("Pairs/test/**", "Pairs/[", "glob `Pairs/[`"),
        ("strip = \"Pairs/\"", "strip = \"Other/\"", "is not what"),
        (
            "strip = \"Pairs/\"",
            "to = \"../x\"",
            "leads out of the set",
        ),
        ("pairing = {", "# {", "pairing is needed"),
        ("blurry = \"test/*/blur/*.png\"", "", "pairing is needed"),
        (
            "\"/sharp/\", blurry = \"/blur/\"",
            "\"/x/\", blurry = \"/x/\"",
            "they must differ",
        ),
        (
            "role = \"test\"",
            "role = \"weights\"",
            "role weights has `data`",
        ),
        (
            "sharp = \"test/*/sharp/*.png\"",
            "data = \"x\"",
            "and no `data`",
        ),
        ("[8, 6]", "[8, 0]", "a side of 0 pixels"),
        ("[[splits]]", "[[splitz]]", "splitz"),
        ("title = ", "titel = ", "titel"),
        ("kind = \"http\"", "kind = \"ftp\"", "ftp"),
        (
            "file = \"pairs.zip\"",
            "file = \"x.partial\"",
            "no plain file name",
        ),
        (
            "size = [8, 6]",
            "files = \"../x.csv\"",
            "no file beside the manifest",
        ),
        ("size = [8, 6]", "files = \"x.csv\"", "cannot open"),
    ] {
        let error = with(old, new);
        assert!(error.contains(expected), "{old} -> {new}: {error}");
    }
}

#[test]
fn pip_is_given_a_name_and_a_version_alone() {
    let problem = |requirement: &str| {
        let hash = "0".repeat(64);
        read(&pairs_manifest(&format!(
            "[[sources]]\nkind = \"pip\"\nrequirement = \"{requirement}\"\nfile = \"a.tar.gz\"\nsha256 = \"{hash}\"\n"
        )))
        .err()
    };
    for good in ["scikit-image==0.26.0", "A.b_c==1!2.0+local-1", "a==1"] {
        assert_eq!(problem(good), None, "{good}");
    }
    for bad in [
        "https://evil.example/x.tar.gz?==",
        "https://evil.example/x.tar.gz?==1",
        "git+https://evil.example/x==1",
        "./evil==1",
        "../evil==1",
        "/tmp/evil==1",
        "evil @ https://evil.example/x==1",
        "-r==1",
        "--index-url==x",
        "a[extra]==1",
        "a==1 b",
        "a==1==2",
        "a===1",
        "a==",
        "==1",
        "a",
        "",
    ] {
        let found = problem(bad).unwrap_or_default();
        assert!(found.contains("is not name==version"), "{bad}: {found}");
    }
}

#[test]
fn lists_are_compared_with_the_manifest() {
    let text = good().replace("size = [8, 6]", "size = [8, 6]\nfiles = \"pairs.csv\"");
    let desk = Desk::new(&text);
    let problems = |csv: &str| {
        fs::write(desk.folder.path().join("manifests/pairs.csv"), csv).unwrap();
        let error = desk.fetcher.catalogue.get("pairs").unwrap_err();
        format!("{error:#}")
    };
    let error = problems(
        "split,path,width,height,sha256,part,source,convert\n\
         test,test/a/blur/1.png,9,6,,,,\n\
         test,test/a/blur/1.png,8,,,,,\n\
         test,../evil.png,,,,,,\n\
         test,elsewhere.png,,,ABC,,x,recode\n\
         other,test/a/blur/2.png,,,,main,x,recode\n\
         test,test/a/blur/3.png,,,,nowhere,x,\n\
         test,test/a/blur/4.png,65536,1,,main,x,resize\n\
         test,test/a/blur/5.png,8193,8192,,main,x,resize\n\
         test,test/a/blur/6.png,8192,8192,,main,x,resize\n",
    );
    for part in [
        "test/a/blur/1.png has another size",
        "list: test/a/blur/1.png: is listed twice",
        "list: test/a/blur/1.png: width and height belong together",
        "list: ../evil.png: the path leads out of the set",
        "its list has elsewhere.png, which fits none of its globs",
        "list: elsewhere.png: sha256 is not 64",
        "list: elsewhere.png: part and source belong together",
        "list: test/a/blur/2.png: only deb sources can convert",
        "list: split other is not in the manifest",
        "list: part nowhere is not in the manifest",
        "list: test/a/blur/4.png: resize makes at most 67108864 pixels",
        "list: test/a/blur/5.png: resize makes at most 67108864 pixels",
        "count is 2, its list has 6",
    ] {
        assert!(error.contains(part), "{part}: not in\n{error}");
    }
    assert!(!error.contains("6.png: resize makes"), "{error}");
    for (csv, part) in [
        ("split,path,colour\ntest,a,b\n", "colour"),
        ("path\na\n", "split"),
        ("split,path,width\ntest,a,-1\n", "cannot read"),
        ("split,path\ntest,a,b\n", "cannot read"),
        ("split,path,convert\ntest,a,turn\n", "turn"),
    ] {
        let error = problems(csv);
        assert!(error.contains(part), "{csv}: {error}");
    }
}
