//! placeholder while the others compile
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {}
pub(crate) fn run(_: &Arguments) -> anyhow::Result<()> { Ok(()) }
