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

/// One entry of a tar archive: name, kind, content or target of a link.
type TarEntry<'a> = (&'a str, ::tar::EntryType, &'a [u8]);

fn tar_bytes(entries: &[TarEntry]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = ::tar::Header::new_gnu();
        // Written as it stands: the library would refuse what these tests are about.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        if kind.is_gnu_sparse() {
            header.as_gnu_mut().unwrap().realsize = *b"00000000000\0";
        }
        header.set_mode(0o644);
        let is_link = kind.is_symlink() || kind.is_hard_link();
        if is_link {
            let target = std::str::from_utf8(content).unwrap();
            header.set_link_name_literal(target).unwrap();
        }
        let content = if is_link { &[][..] } else { content };
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn file(name: &'static str, content: &'static [u8]) -> TarEntry<'static> {
    (name, ::tar::EntryType::Regular, content)
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `tar` of the three files of [`tar_files`], compressed by `xz` 5.4 with its default preset.
const XZ: &[u8] = include_bytes!("tests/three.tar.xz");

fn tar_files() -> Vec<TarEntry<'static>> {
    vec![
        file("set/a.txt", b"first\n"),
        file("set/b/c.txt", b"second\n"),
        file("set/d.txt", b"third\n"),
    ]
}

/// Unpacks everything, and returns what the folder holds then.
fn outcome(name: &str, bytes: &[u8], limit: u64) -> (Result<usize>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let out = folder.path().join("inner/out");
    let result = unpack(&path, &out, Limits::bytes(limit), "test", everything);
    // Also beside the folder and above it: nothing may have got out.
    let mut files: Vec<String> = walkdir::WalkDir::new(folder.path())
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder.path()).unwrap();
            path.to_str().unwrap().replace('\\', "/")
        })
        .filter(|path| path != name)
        .collect();
    files.sort();
    (result, files)
}

/// The error of an archive that is refused without a trace.
fn refused(name: &str, bytes: &[u8]) -> String {
    let (result, files) = outcome(name, bytes, 1 << 30);
    assert_eq!(files, [] as [&str; 0], "something was written");
    format!("{:#}", result.unwrap_err())
}

#[test]
fn all_kinds_of_tar_are_read() {
    let plain = tar_bytes(&tar_files());
    // Two members of gzip one after the other are one stream.
    let (front, back) = plain.split_at(1000);
    let twice = [gz(front), gz(back)].concat();
    for (name, bytes) in [
        ("set.tar", plain.clone()),
        ("set.tar.gz", gz(&plain)),
        ("set.TGZ", twice),
        ("set.tar.xz", XZ.to_vec()),
        ("set.txz", XZ.to_vec()),
    ] {
        let (result, files) = outcome(name, &bytes, 1000);
        assert_eq!(result.unwrap(), 3, "{name}");
        assert_eq!(
            files,
            [
                "inner/out/set/a.txt",
                "inner/out/set/b/c.txt",
                "inner/out/set/d.txt"
            ],
            "{name}"
        );
    }
}

#[test]
fn a_leading_dot_is_no_part_of_a_name() {
    let bytes = tar_bytes(&[
        ("./", ::tar::EntryType::Directory, b""),
        file("./a.txt", b"first\n"),
    ]);
    let (result, files) = outcome("set.tar", &bytes, 1000);
    assert_eq!(result.unwrap(), 1);
    assert_eq!(files, ["inner/out/a.txt"]);
}

#[test]
fn hostile_tar_archives_are_refused_without_a_trace() {
    use ::tar::EntryType;
    let cases: Vec<(TarEntry, &str)> = vec![
        (file("/etc/evil", b"evil"), "leads out of the folder"),
        (file("../evil", b"evil"), "leads out of the folder"),
        (file("a/../../evil", b"evil"), "leads out of the folder"),
        (file("..\\evil", b"evil"), "leads out of the folder"),
        (file("C:\\evil", b"evil"), "leads out of the folder"),
        (file("C:evil", b"evil"), "leads out of the folder"),
        (("evil", EntryType::Symlink, b"/etc/passwd"), "is a link"),
        (("evil", EntryType::Link, b"../../secret"), "is a link"),
        (("evil", EntryType::Char, b""), "is a device"),
        (("evil", EntryType::Block, b""), "is a device"),
        (("evil", EntryType::Fifo, b""), "is a device"),
        (("evil", EntryType::GNUSparse, b""), "is a device"),
        (file("good", b"again"), "is there twice"),
        (file("./good", b"again"), "is there twice"),
    ];
    for (evil, why) in cases {
        let bytes = tar_bytes(&[file("good", b"good"), evil]);
        for (name, bytes) in [("x.tar", bytes.clone()), ("x.tar.gz", gz(&bytes))] {
            let error = refused(name, &bytes);
            assert!(error.contains(why), "{}: {error}", evil.0);
            assert!(error.contains(&format!("`{}`", evil.0)), "{error}");
        }
    }
}

#[test]
fn hostile_zip_archives_are_refused_without_a_trace() {
    let one = |name: &str, mode: u32| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut zip = ZipWriter::new(&mut bytes);
        zip.start_file("good", SimpleFileOptions::default())
            .unwrap();
        zip.write_all(b"good").unwrap();
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(b"evil").unwrap();
        zip.finish().unwrap();
        let mut bytes = bytes.into_inner();
        if mode != 0 {
            // The upper half of the external attributes in the directory is the Unix mode.
            let at = last(&bytes, b"PK\x01\x02");
            bytes[at + 40..at + 42].copy_from_slice(&(mode as u16).to_le_bytes());
        }
        bytes
    };
    for name in ["/etc/evil", "../evil", "a/../../evil", "..\\evil", "C:evil"] {
        let error = refused("x.zip", &one(name, 0));
        assert!(error.contains("leads out of the folder"), "{name}: {error}");
        assert!(error.contains(name), "{error}");
    }
    for (mode, why) in [
        (0o120_777, "is a link"),
        (0o020_644, "is a device"),
        (0o060_644, "is a device"),
        (0o010_644, "is a device"),
    ] {
        let error = refused("x.zip", &one("evil", mode));
        assert!(error.contains(why) && error.contains("`evil`"), "{error}");
    }
}

fn last(bytes: &[u8], pattern: &[u8]) -> usize {
    let mut windows = bytes.windows(pattern.len());
    windows.rposition(|window| window == pattern).unwrap()
}

#[test]
fn a_zip_with_the_same_name_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), &[("first", "1"), ("secnd", "2")]);
    let mut bytes = fs::read(path).unwrap();
    // The library writes no name twice.
    while let Some(at) = bytes.windows(5).position(|window| window == b"secnd") {
        bytes[at..at + 5].copy_from_slice(b"first");
    }
    let error = refused("x.zip", &bytes);
    assert!(error.contains("`first` is there twice"), "{error}");
}

#[test]
fn an_encrypted_entry_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), &[("good", "good"), ("secret", "secret")]);
    let mut bytes = fs::read(path).unwrap();
    // Bit 0 of the flags, in the directory and before the data.
    for (pattern, offset) in [(b"PK\x01\x02", 8), (b"PK\x03\x04", 6)] {
        let at = last(&bytes, pattern);
        bytes[at + offset] |= 1;
    }
    let error = refused("x.zip", &bytes);
    assert!(error.contains("`secret` is encrypted"), "{error}");
}

#[test]
fn bombs_are_refused() {
    let zeros = vec![0_u8; 20 << 20];
    let mut zip = std::io::Cursor::new(Vec::new());
    let mut writer = ZipWriter::new(&mut zip);
    writer
        .start_file(
            "zeros",
            SimpleFileOptions::default().compression_level(Some(9)),
        )
        .unwrap();
    writer.write_all(&zeros).unwrap();
    writer.finish().unwrap();
    let zip = zip.into_inner();
    assert!(zip.len() < zeros.len() / 1000, "{} bytes", zip.len());
    let error = refused("x.zip", &zip);
    assert!(error.contains("more than a thousand times"), "{error}");

    let tar = gz(&tar_bytes(&[("zeros", ::tar::EntryType::Regular, &zeros)]));
    assert!(tar.len() < zeros.len() / 1000, "{} bytes", tar.len());
    let error = refused("x.tar.gz", &tar);
    assert!(error.contains("more than a thousand times"), "{error}");
    assert!(error.contains("`zeros`"), "{error}");
}

#[test]
fn a_tar_may_not_unpack_to_more_than_the_limit() {
    let bytes = tar_bytes(&tar_files());
    let (result, files) = outcome("set.tar", &bytes, 18);
    assert!(result.unwrap_err().to_string().contains("would unpack to"));
    assert!(files.is_empty());
    outcome("set.tar", &bytes, 19).0.unwrap();
}

#[test]
fn what_does_not_fit_on_the_disk_is_not_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let zip = archive(folder.path(), &[("a", "ten bytes."), ("b", "ten bytes.")]);
    let out = folder.path().join("out");
    let with = |free: u64| {
        let free_space = move |_: &Path| Some(free);
        let limits = Limits {
            bytes: 1000,
            free_space: &free_space,
        };
        unpack(&zip, &out, limits, "a test", everything)
    };
    let error = with(19).unwrap_err().to_string();
    assert!(error.contains("a test needs"), "{error}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    with(20).unwrap();
}

#[test]
fn two_entries_may_not_go_to_one_place() {
    let folder = tempfile::tempdir().unwrap();
    let zip = archive(folder.path(), &[("a/1", "1"), ("b/1", "1")]);
    let out = folder.path().join("out");
    let error = unpack(&zip, &out, Limits::bytes(100), "test", |_| Some("1".into())).unwrap_err();
    assert!(error.to_string().contains("as another does"), "{error}");
    assert!(!out.exists());
}

#[test]
fn damaged_tar_archives_are_found() {
    let plain = tar_bytes(&tar_files());
    let packed = gz(&plain);
    let mut wrong_checksum = packed.clone();
    let at = packed.len() - 6;
    wrong_checksum[at] ^= 1;
    for (name, bytes) in [
        ("x.tar", plain[..700].to_vec()),
        ("x.tar.gz", packed[..packed.len() / 2].to_vec()),
        ("x.tar.gz", wrong_checksum),
        ("x.tar.gz", b"<html>please log in</html>".to_vec()),
        ("x.tar.xz", XZ[..XZ.len() / 2].to_vec()),
        ("x.tar", b"nothing of the kind".to_vec()),
        ("x.tar", Vec::new()),
        ("x.zip", b"<html>please log in</html>".to_vec()),
        ("x.rar", b"whatever".to_vec()),
    ] {
        let (result, files) = outcome(name, &bytes, 1 << 20);
        let error = format!("{:#}", result.unwrap_err());
        assert!(error.contains(name), "{error}");
        assert!(files.is_empty(), "{name}: {files:?}");
    }
}

#[test]
fn a_tar_may_not_describe_an_entry_without_end() {
    use ::tar::EntryType;
    let long = vec![b'a'; 2 << 20];
    for kind in [
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::XHeader,
    ] {
        let bytes = tar_bytes(&[
            file("good", b"good"),
            ("long", kind, &long),
            file("x", b"x"),
        ]);
        let error = refused("x.tar", &bytes);
        assert!(error.contains("more than 1 MiB of names"), "{error}");
        assert!(error.contains("after its entry `good`"), "{error}");
    }
    // As long as names are.
    let name = format!("{}/{}", "d".repeat(120), "n".repeat(120));
    let long = ("long", EntryType::GNULongName, name.as_bytes());
    let bytes = tar_bytes(&[long, file("x", b"x")]);
    let (result, files) = outcome("x.tar", &bytes, 1000);
    assert_eq!(result.unwrap(), 1);
    assert_eq!(files, [format!("inner/out/{name}")]);
}

#[test]
fn names_may_not_take_all_memory() {
    use ::tar::EntryType;
    // As long as a path may be for Linux, and a byte more; short enough for the archive to be read.
    for (length, is_allowed) in [(4096, true), (4097, false)] {
        let name = "d/".repeat(length / 2) + &"n".repeat(length % 2);
        let mut survey = Survey::new(Path::new("x.tar"));
        assert_eq!(survey.name(&name).is_ok(), is_allowed, "{length}");
        if !is_allowed {
            let long = ("long", EntryType::GNULongName, name.as_bytes());
            let error = refused("x.tar", &tar_bytes(&[long, file("x", b"x")]));
            assert!(error.contains("more than 4096 bytes"), "{error}");
            assert!(error.len() < 400, "{error}");
        }
    }
    let mut survey = Survey::new(Path::new("x.tar"));
    survey.names_left = 10;
    survey.name("12345").unwrap();
    survey.name("67890").unwrap();
    let error = survey.name("a").unwrap_err().to_string();
    assert!(error.contains("brings all names to more than"), "{error}");
}
