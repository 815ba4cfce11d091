use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::mpsc;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::super::fixture;
use super::*;

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

/// A server that knows one file and byte ranges. The first answer breaks off after `cut` bytes, if given.
/// Returns its address and the `Range` headers that it was asked with.
fn serve(content: Vec<u8>, cut: Option<usize>) -> (String, mpsc::Receiver<Option<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/libtorch.zip", listener.local_addr().unwrap());
    let (sender, ranges) = mpsc::channel();
    std::thread::spawn(move || {
        let mut cut = cut;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut range = None;
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap().to_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(from) = line.strip_prefix("range: bytes=") {
                    range = Some(from.trim_end_matches('-').parse::<usize>().unwrap());
                }
            }
            // A test that does not ask has dropped its end.
            let _ = sender.send(range);
            let start = range.unwrap_or(0);
            let status = if range.is_some() {
                "206 Partial Content"
            } else {
                "200 OK"
            };
            let body = &content[start..];
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            )
            .unwrap();
            let end = cut.take().unwrap_or(body.len());
            stream.write_all(&body[..end]).unwrap();
        }
    });
    (address, ranges)
}

#[test]
fn an_archive_over_http_is_installed_without_what_is_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("libtorch");
    let (address, _) = serve(archive(), None);
    let found = install(&destination, Some(&address)).unwrap();
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
    let (address, ranges) = serve(archive(), Some(100));
    let error = install(&destination, Some(&address)).unwrap_err();
    assert!(error.downcast_ref::<Unavailable>().is_some(), "{error:#}");
    assert!(!destination.exists());
    install(&destination, Some(&address)).unwrap();
    assert_eq!(ranges.try_iter().collect::<Vec<_>>(), [None, Some(100)]);
}

#[test]
fn an_answer_that_is_no_archive_is_refused_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("libtorch");
    let (address, _) = serve(b"<html>please log in</html>".to_vec(), None);
    let error = install(&destination, Some(&address)).unwrap_err();
    assert!(
        format!("{error:#}").contains("not a complete zip file"),
        "{error:#}"
    );
    assert!(!destination.exists());
    assert!(
        !folder
            .path()
            .join("libtorch-download/libtorch.zip")
            .exists()
    );
}

#[test]
fn a_server_that_is_not_there_leaves_room_for_another_source() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/libtorch.zip", listener.local_addr().unwrap());
    drop(listener);
    let error = install(&folder.path().join("libtorch"), Some(&address)).unwrap_err();
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
