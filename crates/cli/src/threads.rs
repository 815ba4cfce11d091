//! How many threads compute.

use crate::hints::Problem;
use crate::output::Printer;

/// Limits the program to as many threads as were asked for, and warns where there are far fewer processors.
///
/// # Errors
/// A number outside its range.
pub(crate) fn limit(threads: Option<u32>, printer: &Printer) -> Result<(), Problem> {
    let Some(threads) = threads.map(|threads| threads as usize) else {
        return Ok(());
    };
    let processors = std::thread::available_parallelism().map_or(1, Into::into);
    if let Some(warning) = warning(threads, processors) {
        printer.warning(&warning);
    }
    Ok(::deblur::set_threads(threads)?)
}

/// Twice as many threads as processors do little harm; more of them wait for each other.
fn warning(threads: usize, processors: usize) -> Option<String> {
    (threads > 2 * processors).then(|| {
        format!(
            "--threads {threads} is far above the {} of this machine and makes it slower; --threads {processors} uses all of them",
            crate::words::count(processors as u64, "processor")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_more_threads_than_processors_are_pointed_out() {
        assert_eq!(warning(4, 4), None);
        assert_eq!(warning(8, 4), None);
        let text = warning(64, 4).expect("a warning");
        assert!(
            text.contains("--threads 64") && text.contains("--threads 4 "),
            "{text}"
        );
        assert!(warning(3, 1).is_some_and(|text| text.contains("1 processor ")));
    }
}
