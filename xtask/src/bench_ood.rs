//! `cargo xtask bench-ood`.
mod classical;
use std::path::PathBuf;
use anyhow::Result;
use clap::Args;

/// Compare methods in and out of domain
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// table
    #[arg(long)]
    classical_table: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(folder) = &arguments.classical_table {
        let suite = crate::suite::load("quick")?;
        let photos = crate::synth::in_folder(folder)?;
        let table = classical::table(&suite, &crate::synth::spread(photos, Some(6)))?;
        crate::workspace::print_line(table.trim_end());
    }
    Ok(())
}
