use std::io::Write;
use std::net::TcpListener;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::super::fixture;
use super::*;
use crate::datasets::tests::server::{Reply, Server};
use crate::datasets::tests::{settings, zip_of};

/// The official layout: all in `libtorch/`, with files that are not needed.
fn archive() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("libtorch");
    fixture::write(&inner);
    fs::write(inner.join("lib/libprotobuf.a"), "static").unwrap();
    fs::create_dir_all(inner.join("share/cmake")).unwrap();
    fs::write(inner.join("share/cmake/TorchConfig.cmake"), "# cmake").unwrap();
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for entry in walkdir::WalkDir::new(&inner) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let name = entry
                .path()
                .strip_prefix(folder.path())
                .unwrap()
                .to_str()
                .unwrap()
                .replace('\\', "/");
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(&fs::read(entry.path()).unwrap()).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}

/// Downloads without waiting; one attempt, so that a cut connection ends the run.
fn transfer() -> Transfer {
    let (settings, _) = settings();
    Transfer::new(Settings {
        attempts: 1,
        most_bytes: 1 << 20,
        ..settings
    })
}

#[test]
fn an_archive_over_http_is_installed_without_what_is_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("libtorch");
    let server = Server::start(vec![Reply::ok(&archive())]);
    let address = server.url("libtorch.zip");
    let found = install_by(&transfer(), &destination, Some(&address)).unwrap();
    assert_eq!(found.version, VERSION);
    assert!(
        destination
            .join("include/torch/headeronly/version.h")
            .is_file()
    );
    assert!(!destination.join("lib/libprotobuf.a").exists() && !destination.join("share").exists());
    // Nothing but the lock and the installation is left.
    let mut left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["libtorch"]);
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("libtorch");
    let archive = archive();
    let server = Server::start(vec![
        Reply::ok(&archive).cut(100),
        Reply::part(&archive, 100),
    ]);
    let address = server.url("libtorch.zip");
    let error = install_by(&transfer(), &destination, Some(&address)).unwrap_err();
    assert!(error.downcast_ref::<Unavailable>().is_some(), "{error:#}");
    assert!(!destination.exists());
    install_by(&transfer(), &destination, Some(&address)).unwrap();
    let seen = server.seen();
    let headers = |name| seen.iter().map(move |seen| seen.header(name));
    assert!(headers("Range").eq([None, Some("bytes=100-")]));
    assert!(headers("If-Range").eq([None, Some("\"v1\"")]));
}

#[test]
fn what_came_from_another_address_is_not_used() {
    let other = zip_of(&[("libtorch/build-version", b"2.10.0+cpu\n")]);
    // Whole, and cut: the first is not what it should be, of the second nothing may be joined to another.
    for first in [Reply::ok(&other), Reply::ok(&archive()).cut(100)] {
        let folder = tempfile::tempdir().unwrap();
        let destination = folder.path().join("libtorch");
        let server = Server::start(vec![first, Reply::ok(&archive())]);
        let install = |path: &str| install_by(&transfer(), &destination, Some(&server.url(path)));
        install("old.zip").unwrap_err();
        install("new.zip").unwrap();
        let seen = server.seen();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[1].path, "/new.zip");
        assert_eq!(seen[1].header("Range"), None);
    }
}

#[test]
fn an_answer_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("libtorch");
    let long = vec![0_u8; (1 << 20) + 1];
    for (reply, why) in [
        (Reply::ok(&long), "the server announces 1.0 MB, more than"),
        (
            Reply::ok(&long).without("Content-Length"),
            "sends more than 1.0 MB",
        ),
    ] {
        let server = Server::start(vec![reply]);
        let address = server.url("libtorch.zip");
        let error = install_by(&transfer(), &destination, Some(&address)).unwrap_err();
        assert!(error.downcast_ref::<Unavailable>().is_some(), "{error:#}");
        assert!(format!("{error:#}").contains(why), "{error:#}");
    }
}

#[test]
fn an_answer_that_is_no_archive_is_refused_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("libtorch");
    let server = Server::start(vec![Reply::ok(b"<html>please log in</html>")]);
    let address = server.url("libtorch.zip");
    let error = install_by(&transfer(), &destination, Some(&address)).unwrap_err();
    assert!(
        format!("{error:#}").contains("not a complete zip file"),
        "{error:#}"
    );
    assert!(!destination.exists());
    let downloads = folder.path().join("libtorch-download");
    assert!(!downloads.join(file_name(&address)).exists());
}

#[test]
fn a_server_that_is_not_there_leaves_room_for_another_source() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/libtorch.zip", listener.local_addr().unwrap());
    drop(listener);
    let destination = folder.path().join("libtorch");
    let error = install_by(&transfer(), &destination, Some(&address)).unwrap_err();
    assert!(error.downcast_ref::<Unavailable>().is_some(), "{error:#}");
}

#[test]
fn an_archive_from_a_file_is_installed_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("given.zip");
    fs::write(&file, archive()).unwrap();
    install(&folder.path().join("libtorch"), file.to_str()).unwrap();
    assert!(file.is_file());
}

#[test]
fn an_option_that_is_neither_address_nor_file_is_refused() {
    check_option("https://example.org/libtorch.zip").unwrap();
    check_option("/nowhere/libtorch.zip").unwrap_err();
}
