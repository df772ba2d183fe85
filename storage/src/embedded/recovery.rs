//! Opens a data directory and proves that nothing acknowledged is missing.
//!
//! In: the directory, locked. Out: the database, and the state as it was before the last process ended.
//! What is proved: the log has every revision from where it is compacted to its end, the values that older revisions
//! hold are all there, every record's checksum matches, and the end is not before the last acknowledged revision.

use super::acknowledged::{self, Acknowledged};
use super::database::{Compacted, Database};
use super::journal;
use super::record::Head;
use super::state::State;
use crate::store::{Revision, StoreError};
use std::fs::File;
use std::path::Path;

const DATABASE: &str = "db";
/// A new database is made here and then renamed, so that a crash leaves none that is half made.
const NEW_DATABASE: &str = "db.new";

/// What was there.
pub(super) struct Recovered {
    pub(super) database: Database,
    pub(super) acknowledged: Acknowledged,
    pub(super) state: State,
    pub(super) compacted: Compacted,
}

/// See the module.
pub(super) fn recover(directory: &Path) -> Result<Recovered, StoreError> {
    let path = directory.join(DATABASE);
    let acknowledged = Acknowledged::read(directory)?;
    if !path.exists() {
        if let Some(revision @ 1..) = acknowledged {
            let place = format!("{} is missing", path.display());
            return Err(acknowledged::lost(directory, &place, revision));
        }
        create(directory, &path)?;
    }
    journal::check(directory, &path, acknowledged)?;
    let database = Database::open(&path)?;
    let (state, compacted) = read(&database)?;
    if let Some(acknowledged) = acknowledged
        && state.revision < acknowledged
    {
        let place = format!("the log ends at revision {}", state.revision);
        return Err(acknowledged::lost(directory, &place, acknowledged));
    }
    Ok(Recovered {
        acknowledged: Acknowledged::create(directory, state.revision)?,
        database,
        state,
        compacted,
    })
}

fn create(directory: &Path, path: &Path) -> Result<(), StoreError> {
    let new = directory.join(NEW_DATABASE);
    let failed = |error: std::io::Error| {
        StoreError::Unavailable(format!(
            "cannot make a database in {}: {error}",
            directory.display()
        ))
    };
    if new.exists() {
        std::fs::remove_dir_all(&new).map_err(failed)?;
    }
    Database::create(&new)?;
    std::fs::rename(&new, path).map_err(failed)?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed)
}

fn read(database: &Database) -> Result<(State, Compacted), StoreError> {
    let compacted = database.compacted()?;
    let mut state = State::compacted_to(compacted.revision);
    let mut kept = 0;
    for entry in database.range(1, Revision::MAX) {
        let (revision, record) = entry.map_err(|error| after(&state, error))?;
        if revision <= compacted.revision {
            kept += 1;
        } else if revision == state.revision + 1 {
            state.revision = revision;
        } else {
            return Err(StoreError::Corrupt(format!(
                "the log has no revision {}, but {revision}",
                state.revision + 1
            )));
        }
        let previous = state.heads.get(&record.key).copied();
        let live = record.value.is_some();
        state.heads.insert(record.key, Head { revision, live });
        let expected = record
            .previous
            .filter(|head| head.live || head.revision > compacted.revision);
        if revision > compacted.revision && expected != previous {
            return Err(StoreError::Corrupt(format!(
                "revision {revision} follows {expected:?} of its key, but the log has {previous:?}"
            )));
        }
    }
    if kept != compacted.kept {
        return Err(StoreError::Corrupt(format!(
            "{} objects were last written at or before revision {}, but {kept} are there",
            compacted.kept, compacted.revision
        )));
    }
    Ok((state, compacted))
}

fn after(state: &State, error: StoreError) -> StoreError {
    match error {
        StoreError::Corrupt(why) => StoreError::Corrupt(format!(
            "{why} (reading the log after revision {})",
            state.revision
        )),
        other => other,
    }
}
