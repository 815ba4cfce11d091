use super::super::fixture;
use super::super::marker::Marker;
use super::*;

fn fake() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fixture::write(folder.path());
    folder
}

#[test]
fn a_complete_folder_is_accepted() {
    let folder = fake();
    let found = inspect(folder.path()).unwrap();
    assert_eq!(found.version, "2.11.0");
    assert_eq!(found.folder, folder.path());
}

#[test]
fn the_folder_of_a_python_package_has_no_build_version_and_may_be_a_patch_release() {
    let folder = fake();
    fs::remove_file(folder.path().join("build-version")).unwrap();
    let header = folder.path().join("include/torch/headeronly/version.h");
    fs::write(header, fixture::version_header(2, 11, 1)).unwrap();
    assert_eq!(inspect(folder.path()).unwrap().version, "2.11.1");
}

#[test]
fn each_missing_file_is_named() {
    let names: Vec<String> = link_set()
        .iter()
        .map(|name| format!("lib/{name}"))
        .chain(["include/torch/csrc/api/include/torch/torch.h".to_owned()])
        .collect();
    for name in names {
        let folder = fake();
        let file = folder.path().join(name);
        fs::remove_file(&file).unwrap();
        assert_eq!(inspect(folder.path()).unwrap_err(), Problem::Missing(file));
    }
}

#[test]
fn an_empty_library_is_missing_and_a_text_is_not_a_library() {
    let folder = fake();
    let library = folder.path().join("lib").join(link_set()[0]);
    fs::write(&library, "").unwrap();
    assert_eq!(
        inspect(folder.path()).unwrap_err(),
        Problem::Missing(library.clone())
    );
    fs::write(&library, "<html>not found</html>").unwrap();
    assert_eq!(
        inspect(folder.path()).unwrap_err(),
        Problem::NotALibrary(library)
    );
}

#[test]
fn another_release_is_refused_by_its_headers() {
    let folder = fake();
    fs::remove_file(folder.path().join("build-version")).unwrap();
    let file = folder.path().join("include/torch/headeronly/version.h");
    fs::write(&file, fixture::version_header(2, 10, 0)).unwrap();
    assert_eq!(
        inspect(folder.path()).unwrap_err(),
        Problem::WrongVersion {
            found: "2.10.0".to_owned(),
            file
        }
    );
}

#[test]
fn another_release_is_refused_by_its_build_version() {
    let folder = fake();
    let file = folder.path().join("build-version");
    fs::write(&file, "2.9.1+cpu\n").unwrap();
    assert_eq!(
        inspect(folder.path()).unwrap_err(),
        Problem::WrongVersion {
            found: "2.9.1".to_owned(),
            file
        }
    );
}

#[test]
fn headers_without_a_version_are_refused() {
    let folder = fake();
    fs::write(
        folder.path().join("include/torch/headeronly/version.h"),
        "#pragma once\n",
    )
    .unwrap();
    assert_eq!(
        inspect(folder.path()).unwrap_err(),
        Problem::UnknownVersion(folder.path().to_owned())
    );
}

#[test]
fn a_file_that_was_cut_after_the_installation_is_noticed() {
    let folder = fake();
    Marker::describe(folder.path(), VERSION, "a test")
        .unwrap()
        .write(folder.path())
        .unwrap();
    inspect(folder.path()).unwrap();
    let library = folder.path().join("lib").join(link_set()[0]);
    fs::write(&library, &fixture::library()[..6]).unwrap();
    assert!(matches!(
        inspect(folder.path()),
        Err(Problem::Changed { found: 6, .. })
    ));
}

#[test]
fn nothing_and_a_file_are_no_folder() {
    let folder = fake();
    for path in [
        folder.path().join("absent"),
        folder.path().join("build-version"),
    ] {
        assert_eq!(inspect(&path).unwrap_err(), Problem::Absent(path));
    }
}

#[test]
fn what_the_loader_lacks_is_listed() {
    let listing = "\tlibc10.so => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x1)\n\tlibcupti.so.13 => not found\n";
    assert_eq!(not_found(listing), ["libc10.so", "libcupti.so.13"]);
    assert_eq!(not_found("\tstatically linked\n"), [""; 0]);
}
