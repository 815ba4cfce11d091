//! Tells the loader where libtorch is, so that programs, tests and examples run with no variable set.
//!
//! The same file lies in each crate that is linked to libtorch, because link arguments hold for the package of
//! the build script alone; `cargo xtask tidy` keeps the copies equal.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-env-changed=LIBTORCH_LIB");
    // The variables and their order are those of torch-sys; LIBTORCH has a default in `.cargo/config.toml`.
    let Some(folder) = env::var_os("LIBTORCH_LIB").or_else(|| env::var_os("LIBTORCH")) else {
        return;
    };
    let libraries = Path::new(&folder).join("lib").display().to_string();
    let beside = match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        // RUNPATH instead of RPATH: LD_LIBRARY_PATH goes before it, so a program that was carried to another
        // machine can be pointed to the libtorch there.
        Ok("linux") => {
            pass_to_linker("--enable-new-dtags");
            "$ORIGIN/../libtorch/lib"
        }
        Ok("macos") => "@loader_path/../libtorch/lib",
        // Windows has nothing of the kind; there the DLLs are found by PATH.
        _ => return,
    };
    for place in [libraries.as_str(), beside] {
        pass_to_linker("-rpath");
        pass_to_linker(place);
    }
}

/// `-Wl,` would split a path with a comma.
fn pass_to_linker(argument: &str) {
    println!("cargo::rustc-link-arg=-Xlinker");
    println!("cargo::rustc-link-arg={argument}");
}
