//! How much memory a large photo takes.
#![cfg(target_os = "linux")]

use integration_tests::{Folder, Running, decode, msdeblur};

/// Largest resident size so far in bytes, as the system counts it.
fn peak(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Restores a photo of this size; returns the peak in bytes.
fn peak_of_restoring(width: usize, height: usize, options: &[&str]) -> u64 {
    let folder = Folder::new();
    folder.photo("photo.jpg", width, height);
    let (input, out) = (folder.text("photo.jpg"), folder.text("out"));
    let mut command = msdeblur(["deblur", &input, "-o", &out]);
    command.args(options);
    let mut running = Running::start(&mut command);
    let mut most = 0;
    // The peak only ever rises, so what is missed is what happens within the last pause.
    while running.is_running() {
        most = peak(running.id()).unwrap_or(0).max(most);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    running.wait().exits(0);
    assert_eq!(decode(&folder.at("out/photo.jpg")).width(), width);
    most
}

#[test]
fn twelve_megapixels_take_less_than_three_gigabytes() {
    if std::env::var_os("MSDEBLUR_SLOW_TESTS").is_none() {
        eprintln!("skipped: takes minutes; set MSDEBLUR_SLOW_TESTS=1 to run it");
        return;
    }
    // As a user would have it: the built-in model, all processors, the precision that suits them.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.to_string();
    let options = ["--mode=mean", "--precision=auto", "--threads", &threads];
    let most = peak_of_restoring(4000, 3000, &options);
    eprintln!("12 megapixels, mean: at most {:.2} GB", most as f64 / 1e9);
    assert!(most > 300_000_000, "not measured: {most}");
    assert!(most < 3_000_000_000, "{most} bytes");
}

#[test]
fn small_tiles_take_less_memory_than_none() {
    let folder = Folder::new();
    let model = folder.model();
    let with = |width, height, tile| {
        let options = ["--checkpoint", &*model, tile];
        peak_of_restoring(width, height, &options)
    };
    let whole = with(1000, 800, "--tile=off");
    let tiled = with(1000, 800, "--tile=160");
    // Both hold the same program, libtorch and photo; only what the network takes can shrink.
    assert!(tiled + 20_000_000 < whole, "{tiled} {whole}");
}
