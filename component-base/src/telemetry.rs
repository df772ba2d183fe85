//! Logs: structured, to standard error, one line an event; people's format or JSON.
//!
//! What is logged is decided by `--log` or `ORRERY_LOG` (for example `info,scheduler=debug`). A process has one
//! subscriber: where several components or tests share it, the first [`init`] wins and the others change nothing.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// What libraries say of their own work is for whoever debugs them, who names them: `--log info,fjall=debug`.
const QUIET: &str = "fjall=warn,lsm_tree=warn";

/// The flags that every component takes.
#[derive(Clone, Debug, clap::Args)]
pub struct LogArgs {
    /// What to log: a level, or levels by module: "info,scheduler=debug"
    #[arg(
        long = "log",
        env = "ORRERY_LOG",
        value_name = "FILTER",
        default_value = "info",
        global = true
    )]
    pub filter: String,

    /// How log lines look
    #[arg(
        long = "log-format",
        env = "ORRERY_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        global = true
    )]
    pub format: LogFormat,
}

impl Default for LogArgs {
    fn default() -> Self {
        Self {
            filter: "info".into(),
            format: LogFormat::Text,
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// The filter is not one.
#[derive(Debug, thiserror::Error)]
#[error(
    "--log {filter:?}: {source}; write a level (error, warn, info, debug, trace) or levels by module: info,scheduler=debug"
)]
pub struct FilterError {
    filter: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Starts logging, unless it was started before.
///
/// # Errors
/// The filter cannot be read.
pub fn init(args: &LogArgs) -> Result<(), FilterError> {
    let filter = filter(&args.filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // The error only says that there is a subscriber already: the first one stays.
    let _ = match args.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// What is said later wins over what is said earlier of the same module.
fn filter(text: &str) -> Result<EnvFilter, FilterError> {
    EnvFilter::try_new(format!("{QUIET},{text}")).map_err(|source| FilterError {
        filter: text.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quiet_unless_they_are_named() {
        for (text, expected) in [
            ("debug", "lsm_tree=warn,fjall=warn,debug"),
            ("info,fjall=trace", "lsm_tree=warn,fjall=trace,info"),
        ] {
            assert_eq!(filter(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn a_second_start_changes_nothing_and_a_bad_filter_is_told() {
        init(&LogArgs::default()).unwrap();
        init(&LogArgs {
            format: LogFormat::Json,
            ..LogArgs::default()
        })
        .unwrap();
        let bad = LogArgs {
            filter: "scheduler=loud".into(),
            ..LogArgs::default()
        };
        assert!(init(&bad).unwrap_err().to_string().contains("scheduler=loud"));
    }
}
