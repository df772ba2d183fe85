//! `orrery api-resources`: the kinds that the apiserver serves, and what users may call them.

use crate::table::Table;
use apimachinery::kinds;

/// List the kinds that are served: their names, short names and versions.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command. The kinds are part of the schema; no server is asked.
pub fn run(_args: &Args) {
    let mut table = Table::new(["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]);
    let mut rows: Vec<_> = kinds::all().iter().collect();
    rows.sort_by_key(|info| (info.group, info.plural));
    for info in rows {
        table.row([
            info.plural.to_owned(),
            info.short_names.join(","),
            info.api_version(),
            info.namespaced.to_string(),
            info.kind.to_owned(),
        ]);
    }
    print!("{table}");
}
