//! The newest revision that was acknowledged, kept outside the database.
//!
//! In: each acknowledged revision. Out: the last one, when the store is opened.
//! It is written after the database's fsync and before the answer, without an fsync of its own: it survives the death of
//! the process, and can only lag behind when the machine dies. So it never claims more than the disk was given, and a
//! database that ends before it has lost acknowledged writes.

use crate::store::{Revision, StoreError};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

const NAME: &str = "acknowledged";
const BYTES: usize = 16;

/// The file that holds the revision.
#[derive(Debug)]
pub(super) struct Acknowledged {
    file: File,
    path: PathBuf,
}

impl Acknowledged {
    /// Reads the file of a data directory; `None` when there is none.
    pub(super) fn read(directory: &Path) -> Result<Option<Revision>, StoreError> {
        let path = directory.join(NAME);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&path, &error)),
        };
        decode(&bytes).map(Some).ok_or_else(|| {
            StoreError::Corrupt(format!(
                "{} is damaged; delete it to open the store without the check that nothing acknowledged is lost",
                path.display()
            ))
        })
    }

    /// Opens the file for writing, with `revision` in it and on disk.
    pub(super) fn create(directory: &Path, revision: Revision) -> Result<Self, StoreError> {
        let path = directory.join(NAME);
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| unusable(&path, &error))?;
        let this = Self { file, path };
        this.store(revision)?;
        this.sync()?;
        Ok(this)
    }

    /// One that every write to fails.
    #[cfg(test)]
    pub(super) fn failing() -> Self {
        let path = PathBuf::from("/dev/full");
        let file = File::options().write(true).open(&path).expect("Linux has it");
        Self { file, path }
    }

    /// Notes that `revision` is about to be acknowledged.
    pub(super) fn store(&self, revision: Revision) -> Result<(), StoreError> {
        self.file
            .write_all_at(&encode(revision), 0)
            .map_err(|error| unusable(&self.path, &error))
    }

    /// Brings the file to disk.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_all().map_err(|error| unusable(&self.path, &error))
    }
}

/// What the operator can do about a database that ends before `acknowledged`.
pub(super) fn lost(directory: &Path, place: &str, acknowledged: Revision) -> StoreError {
    StoreError::Corrupt(format!(
        "{place}, but revision {acknowledged} was acknowledged: restore {} from a copy, or delete {} to go on without \
         the lost writes",
        directory.display(),
        directory.join(NAME).display()
    ))
}

fn unusable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("cannot use {}: {error}", path.display()))
}

fn encode(revision: Revision) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&revision.to_be_bytes());
    let checksum = xxh3_64(&bytes[..8]);
    bytes[8..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Revision> {
    let revision = Revision::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
    (encode(revision) == bytes).then_some(revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_revision_is_read_again_and_damage_is_told() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Acknowledged::read(directory.path()).unwrap(), None);
        let file = Acknowledged::create(directory.path(), 0).unwrap();
        file.store(70_000).unwrap();
        assert_eq!(Acknowledged::read(directory.path()).unwrap(), Some(70_000));
        for bad in [&b""[..], b"short", &[7; BYTES]] {
            std::fs::write(directory.path().join(NAME), bad).unwrap();
            let error = Acknowledged::read(directory.path()).unwrap_err();
            assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
        }
    }
}
