//! Building the program and running it as a user would.

use std::env;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Outcome;

/// A program that takes longer hangs. Generous, for machines with much else to do.
const TIMEOUT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(10);

/// The root folder of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a folder above this package")
}

/// The program under test: `MSDEBLUR_BINARY`, or what cargo builds in the profile of the tests.
///
/// It is always built, not only when it is missing: tests of yesterday's program would say nothing.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match env::var_os("MSDEBLUR_BINARY") {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    // The tests lie in TARGET/PROFILE/deps.
    let tests = env::current_exe().expect("the path of the tests");
    let folder = tests
        .ancestors()
        .nth(2)
        .expect("the folder of the profile")
        .to_owned();
    let profile = match folder.file_name().and_then(OsStr::to_str) {
        Some("debug") => "dev",
        Some(other) => other,
        None => panic!("{} is no folder of cargo", folder.display()),
    };
    let target = folder.parent().expect("the target folder");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(workspace())
        .args([
            "build",
            "--quiet",
            "--package",
            "cli",
            "--bin",
            "msdeblur",
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(target);
    // cargo hands the default of .cargo/config.toml on to tests. In the environment of another cargo it would count as a change, and
    // torch-sys would be compiled again.
    let default = workspace().join("target/libtorch");
    if env::var_os("LIBTORCH").is_some_and(|value| Path::new(&value) == default) {
        cargo.env_remove("LIBTORCH");
    }
    let status = cargo.status().expect("cargo starts");
    assert!(status.success(), "the program does not build");
    folder.join(format!("msdeblur{}", env::consts::EXE_SUFFIX))
}

/// A call of the program in a clean environment: nothing set by hand, one thread, CPU, float32.
pub fn msdeblur<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program());
    clean(&mut command);
    command.args(arguments);
    command
}

fn clean(command: &mut Command) {
    // cargo sets the library path for tests; the program has to find libtorch without.
    let others = [
        "LIBTORCH",
        "LIBTORCH_LIB",
        "LD_LIBRARY_PATH",
        "DYLD_FALLBACK_LIBRARY_PATH",
        "OMP_NUM_THREADS",
        "RUST_LOG",
        "RUST_BACKTRACE",
    ];
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("MSDEBLUR_") || others.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command
        .env("MSDEBLUR_THREADS", "1")
        .env("MSDEBLUR_DEVICE", "cpu")
        .env("MSDEBLUR_PRECISION", "float32");
}

/// A program at work.
pub struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    start: Instant,
}

/// What a program has printed so far.
struct Stream {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn new(mut source: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                shared
                    .lock()
                    .expect("the text")
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            text,
            reader: Some(reader),
        }
    }

    fn so_far(&self) -> String {
        String::from_utf8(self.text.lock().expect("the text").clone()).expect("UTF-8")
    }

    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader");
        }
        self.so_far()
    }
}

impl Running {
    /// Starts a command with its output caught and nothing on stdin.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Stream::new(child.stdout.take().expect("stdout"));
        let stderr = Stream::new(child.stderr.take().expect("stderr"));
        Self {
            child,
            stdout,
            stderr,
            start: Instant::now(),
        }
    }

    /// Process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the program has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits until `condition` holds.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        while !condition(self) {
            assert!(
                self.is_running(),
                "ended before {what}:\n{}",
                self.stderr.whole()
            );
            assert!(self.start.elapsed() < TIMEOUT, "waited in vain for {what}");
            thread::sleep(POLL);
        }
    }

    /// What was printed on stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    /// Sends a signal, for example `INT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status()
            .expect("kill starts");
        assert!(status.success(), "no process to send {name} to");
    }

    /// Waits for the end.
    #[track_caller]
    pub fn wait(mut self) -> Outcome {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            if self.start.elapsed() > TIMEOUT {
                self.child.kill().expect("a child to end");
                let _ = self.child.wait();
                panic!("no end after {TIMEOUT:?}:\n{}", self.stderr.whole());
            }
            thread::sleep(POLL);
        };
        Outcome {
            status,
            stdout: self.stdout.whole(),
            stderr: self.stderr.whole(),
            duration: self.start.elapsed(),
        }
    }
}

impl Drop for Running {
    /// A test that failed leaves no program behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
