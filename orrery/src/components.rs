//! The four components, as subcommands: `orrery apiserver …` is what the `apiserver` binary is.

use clap::{ArgMatches, Command};
use component_base::process;
use std::process::ExitCode;

/// One component: its command line, and how to run it.
pub struct Component {
    /// The subcommand's name, which is also the component's.
    pub name: &'static str,
    command: fn() -> Command,
    run: fn(&ArgMatches) -> ExitCode,
}

macro_rules! component {
    ($krate:ident) => {
        Component {
            name: $krate::COMPONENT.name,
            command: || process::command::<$krate::Config>(&$krate::COMPONENT),
            run: |matches| process::run::<$krate::Config, _, _>(&$krate::COMPONENT, matches, $krate::run),
        }
    };
}

/// Every component, apiserver first.
pub const ALL: [Component; 4] = [
    component!(apiserver),
    component!(controller_manager),
    component!(scheduler),
    component!(kubelet_sim),
];

/// Adds the components to a command line.
pub fn add_to(command: Command) -> Command {
    // They are for `orrery up` and for whoever runs them by hand; the list of commands is shorter without them.
    command.subcommands(ALL.iter().map(|component| (component.command)().hide(true)))
}

/// Runs the component that the command line names, if it names one.
pub fn run(matches: &ArgMatches) -> Option<ExitCode> {
    let (name, matches) = matches.subcommand()?;
    let component = ALL.iter().find(|component| component.name == name)?;
    Some((component.run)(matches))
}
