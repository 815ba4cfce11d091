//! Writing: whole files or nothing, and nothing else touched.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use image_io::{Error, Format, Limits, Photo, PhotoInfo, WriteOptions, read, write};
use ndarray::Array3;

fn photo(side: usize) -> Photo {
    Photo {
        // Noise, so that no compression makes the file small.
        pixels: Array3::from_shape_fn((3, side, side), |(c, y, x)| {
            // Two rounds of the finaliser of MurmurHash3
            let mut number = ((c * side + y) * side + x) as u32;
            for _ in 0..2 {
                number = (number ^ (number >> 16)).wrapping_mul(0x85eb_ca6b);
                number = (number ^ (number >> 13)).wrapping_mul(0xc2b2_ae35);
            }
            (number >> 24) as f32 / 255.0
        }),
        alpha: None,
        info: PhotoInfo::new(Format::Png),
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const KEEP: WriteOptions = WriteOptions {
    overwrite: false,
    jpeg_quality: 95,
};
const REPLACE: WriteOptions = WriteOptions {
    overwrite: true,
    jpeg_quality: 95,
};

#[test]
fn an_existing_file_is_kept_or_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.png");
    std::fs::write(&path, b"precious").unwrap();
    let error = write(&path, &photo(8), &KEEP).unwrap_err();
    assert!(
        matches!(&error, Error::Exists { path: named } if *named == path),
        "{error}"
    );
    assert!(error.hint().is_some());
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    write(&path, &photo(8), &REPLACE).unwrap();
    assert_eq!(read(&path, &Limits::default()).unwrap(), photo(8));
    assert_eq!(entries(folder.path()), ["out.png"]);
}

#[test]
fn a_photo_that_cannot_be_encoded_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.png");
    std::fs::write(&path, b"precious").unwrap();
    let mut bad = photo(8);
    bad.pixels[[0, 0, 0]] = f32::NAN;
    assert!(
        matches!(write(&path, &bad, &REPLACE), Err(Error::NonFinite { path: named, .. }) if named == path)
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    assert_eq!(entries(folder.path()), ["out.png"]);
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/out.png");
    let error = write(&path, &photo(8), &KEEP).unwrap_err();
    assert!(
        matches!(&error, Error::NoFolder { folder: named, .. } if *named == folder.path().join("missing")),
        "{error}"
    );
    assert!(error.hint().is_some());
    assert!(entries(folder.path()).is_empty());
}

#[test]
fn an_output_without_a_known_extension_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["out", "out.gif", "out.png.bak"] {
        let error = write(&folder.path().join(name), &photo(8), &KEEP).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
    assert!(entries(folder.path()).is_empty());
}

#[test]
fn folders_and_devices_are_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("folder.png");
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(
        write(&path, &photo(8), &REPLACE),
        Err(Error::NotAFile { .. })
    ));
    assert!(path.is_dir());
    #[cfg(unix)]
    {
        let link = folder.path().join("device.png");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        assert!(matches!(
            write(&link, &photo(8), &REPLACE),
            Err(Error::NotAFile { .. })
        ));
        assert_eq!(entries(folder.path()), ["device.png", "folder.png"]);
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_permissions_kept() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (
        folder.path().join("target.png"),
        folder.path().join("link.png"),
    );
    std::fs::write(&target, b"old").unwrap();
    std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    write(&link, &photo(8), &REPLACE).unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read(&target, &Limits::default()).unwrap(), photo(8));
    assert_eq!(
        std::fs::metadata(&target).unwrap().permissions().mode() & 0o777,
        0o640
    );
    // A new file is as readable as any other new file here.
    let (plain, written) = (folder.path().join("plain"), folder.path().join("new.png"));
    std::fs::write(&plain, b"x").unwrap();
    write(&written, &photo(8), &KEEP).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&written), mode(&plain));
}

#[cfg(unix)]
#[test]
fn a_folder_without_write_permission_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(folder.path().join("probe"), b"x").is_ok() {
        println!("skipped: this user may write anywhere");
        return;
    }
    let path = folder.path().join("out.png");
    let error = write(&path, &photo(8), &KEEP).unwrap_err();
    assert!(
        matches!(&error, Error::Write { path: named, .. } if *named == path),
        "{error}"
    );
    assert!(error.hint().is_some());
}

#[test]
fn many_writers_of_one_name_leave_one_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.png");
    let results: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| write(&path, &photo(32), &KEEP).is_ok()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(results.iter().filter(|written| **written).count(), 1);
    assert_eq!(read(&path, &Limits::default()).unwrap(), photo(32));
    assert_eq!(entries(folder.path()), ["out.png"]);
}

/// Set by the test below for its child process: the folder to write into.
#[cfg(unix)]
const FOLDER: &str = "IMAGE_IO_TEST_FOLDER";

/// The part that runs in a process whose files may not grow beyond a few blocks, like on a disk that fills up.
#[cfg(unix)]
#[test]
fn child_writes_until_the_disk_is_full() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    for name in ["old.png", "new.png", "new.tiff", "new.webp", "new.jpg"] {
        let path = Path::new(&folder).join(name);
        let error = write(&path, &photo(256), &REPLACE).unwrap_err();
        assert!(
            matches!(&error, Error::Write { path: named, .. } if *named == path),
            "{error}"
        );
    }
    // What fits is still written.
    write(&Path::new(&folder).join("small.png"), &photo(8), &REPLACE).unwrap();
}

#[cfg(unix)]
#[test]
fn a_write_that_fails_halfway_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.png");
    std::fs::write(&old, b"precious").unwrap();
    // `ulimit -f` counts blocks of 512 bytes; with the signal ignored, writing beyond it fails with EFBIG.
    let status = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_until_the_disk_is_full"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    assert!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stdout)
    );
    assert_eq!(entries(folder.path()), ["old.png", "small.png"]);
    assert_eq!(std::fs::read(&old).unwrap(), b"precious");
}
