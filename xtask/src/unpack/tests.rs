//! Archives as they should be, and hostile ones.

use ::zip::ZipWriter;
use ::zip::write::SimpleFileOptions;

use super::*;

fn archive(folder: &Path, entries: &[(&str, &str)]) -> PathBuf {
    let path = folder.join("archive.zip");
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    path
}

fn everything(name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(name))
}

#[test]
fn chosen_files_are_written_and_others_not() {
    let folder = tempfile::tempdir().unwrap();
    let zip = archive(
        folder.path(),
        &[("torch/lib/a.so", "A"), ("torch/lib/b.so", "B")],
    );
    let out = folder.path().join("out");
    let written = unpack(&zip, &out, Limits::bytes(100), "test", |name| {
        (name == "torch/lib/a.so").then(|| "lib/a.so".into())
    });
    assert_eq!(written.unwrap(), 1);
    assert_eq!(fs::read_to_string(out.join("lib/a.so")).unwrap(), "A");
    assert!(!out.join("lib/b.so").exists());
}

#[test]
fn names_that_lead_out_refuse_the_whole_archive() {
    for name in ["../evil", "a/../../evil", "/etc/evil", "..\\evil"] {
        let folder = tempfile::tempdir().unwrap();
        let zip = archive(folder.path(), &[("good", "good"), (name, "evil")]);
        let out = folder.path().join("inner/out");
        let error = unpack(&zip, &out, Limits::bytes(100), "test", everything)
            .unwrap_err()
            .to_string();
        assert!(error.contains("leads out of the folder"), "{name}: {error}");
        assert!(!out.exists(), "{name}: something was written");
        assert!(!folder.path().join("inner/evil").exists() && !folder.path().join("evil").exists());
    }
}

#[test]
fn a_place_that_leads_out_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let zip = archive(folder.path(), &[("good", "good")]);
    let out = folder.path().join("out");
    unpack(&zip, &out, Limits::bytes(100), "test", |_| {
        Some("../good".into())
    })
    .unwrap_err();
    assert!(!folder.path().join("good").exists());
}

#[test]
fn links_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.zip");
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    zip.add_symlink("lib", "/etc", SimpleFileOptions::default())
        .unwrap();
    zip.finish().unwrap();
    let error = unpack(
        &path,
        &folder.path().join("out"),
        Limits::bytes(100),
        "test",
        everything,
    )
    .unwrap_err()
    .to_string();
    assert!(error.contains("is a link"), "{error}");
}

#[test]
fn an_archive_that_grows_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let zip = archive(folder.path(), &[("zeros", &"0".repeat(1000))]);
    let out = folder.path().join("out");
    unpack(&zip, &out, Limits::bytes(999), "test", everything).unwrap_err();
    assert!(!out.exists());
    unpack(&zip, &out, Limits::bytes(1000), "test", everything).unwrap();
}

#[test]
fn damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.zip");
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    zip.start_file(
        "a",
        SimpleFileOptions::default().compression_method(::zip::CompressionMethod::Stored),
    )
    .unwrap();
    zip.write_all(b"recognisable").unwrap();
    zip.finish().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(12)
        .position(|window| window == b"recognisable")
        .unwrap();
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    unpack(
        &path,
        &folder.path().join("out"),
        Limits::bytes(100),
        "test",
        everything,
    )
    .unwrap_err();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    unpack(
        &path,
        &folder.path().join("out"),
        Limits::bytes(100),
        "test",
        everything,
    )
    .unwrap_err();
}
