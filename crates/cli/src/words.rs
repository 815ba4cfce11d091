//! Counts and paths as people write them.

use std::path::Path;

/// `1 photo`, `2 photos`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {}", plural(number, noun))
}

/// `photo` for one, `photos` for any other number; for nouns that take an s.
pub(crate) fn plural(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{noun}{ending}")
}

/// A path as it can be typed: quoted where a shell would read more into it than a name.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| {
        letter.is_alphanumeric() || "-_./:,+@%=".contains(letter) || cfg!(windows) && letter == '\\'
    };
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else if cfg!(windows) {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!(
            [0, 1, 2].map(|number| count(number, "photo")),
            ["0 photos", "1 photo", "2 photos"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_a_path_back() {
        for path in [
            "runs/mine-2",
            "two words",
            "it's",
            "$HOME",
            "a;b",
            "ümläut",
            "",
        ] {
            let script = format!("printf %s {}", shell_word(Path::new(path)));
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .expect("a shell");
            assert_eq!(String::from_utf8_lossy(&output.stdout), path, "{script}");
        }
        assert_eq!(shell_word(Path::new("runs/mine-2")), "runs/mine-2");
    }
}
