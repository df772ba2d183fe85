//! One process at a time in a data directory.
//!
//! In: the directory. Out: a guard that holds the lock until it is dropped, or an error that names the holder.
//! Invariant: the kernel lets go of the lock when its holder dies, however it dies, so there is nothing stale to clean up.

use crate::store::StoreError;
use component_base::clock::Clock;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

const NAME: &str = "lock";

/// Holds a data directory.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock at once, or says who has it.
    pub(super) fn take(directory: &Path, clock: &Clock) -> Result<Self, StoreError> {
        let path = directory.join(NAME);
        let failed = |error: std::io::Error| {
            StoreError::Unavailable(format!("cannot use the lock file {}: {error}", path.display()))
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(failed(error.into()));
            }
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(failed)?;
            return Err(StoreError::Locked(format!(
                "the data directory {} is in use by process {}; stop it, or choose another directory",
                directory.display(),
                holder.trim(),
            )));
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        let holder = format!("{} since {}\n", std::process::id(), clock.wall());
        file.write_all(holder.as_bytes()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_holder_is_refused_at_once_and_told_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::take(directory.path(), &Clock::system()).unwrap();
        let error = DirectoryLock::take(directory.path(), &Clock::system()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::Locked(_)), "{text}");
        assert!(
            text.contains(&format!("process {} since ", std::process::id())),
            "{text}"
        );
        drop(first);
        DirectoryLock::take(directory.path(), &Clock::system()).unwrap();
    }
}
