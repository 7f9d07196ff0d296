//! `crqkd completions` and `crqkd man`: what a package installs beside the program, from the definition of the command line.

use crate::cli::Cli;
use crate::exit::Outcome;
use crate::output;
use anyhow::{Context, Result};
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use std::io::Write;
use std::path::{Path, PathBuf};

/// `crqkd completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: Shell,
}

/// `crqkd man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder for the pages, crqkd.1 and crqkd-COMMAND.1; pages that are there are replaced.
    pub(crate) dir: PathBuf,
}

/// Prints the completions for a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<Outcome> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "crqkd", &mut text);
    output::stdout().write_all(&text)?;
    Ok(Outcome::Ok)
}

/// Writes a page for the command and each sub-command.
pub(crate) fn man(args: &ManArgs) -> Result<Outcome> {
    std::fs::create_dir_all(&args.dir)
        .with_context(|| format!("{}: cannot create the folder", args.dir.display()))?;
    let mut command = Cli::command();
    command.build();
    page(&command, "crqkd", &args.dir)?;
    Ok(Outcome::Ok)
}

fn page(command: &Command, name: &str, dir: &Path) -> Result<()> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).title(name.to_uppercase()).render(&mut text)?;
    output::write(&dir.join(format!("{name}.1")), &String::from_utf8(text)?)?;
    for below in
        command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help")
    {
        page(below, &format!("{name}-{}", below.get_name()), dir)?;
    }
    Ok(())
}
