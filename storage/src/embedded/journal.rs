//! Checks the database's journals before the database opens them.
//!
//! fjall ends a journal at the first entry that it cannot read, and cuts off all that follows. That is right for the
//! last batch, which a crash may have torn, and wrong for damage in the middle, behind which acknowledged writes lie.
//! This reads the journals first and tells the two apart.
//!
//! In: the database's directory, and the newest acknowledged revision. Out: journals that hold whole batches only, a
//! torn last batch cut off and told in the log; or an error that names the file and the offset, and nothing touched.
//! Why it can tell: the store waits for a batch's fsync before it writes the next, so only the last can be torn.
//!
//! ```text
//! batch: start (1, item count u32, sequence number u64), items, end (3, checksum of the items u64, "FJL" 3)
//! item:  2, type u8, compression u8, keyspace u64, key length u16, value length u32, stored length u32, key, value
//!        or 4, keyspace u64, which clears it
//! ```
//! All numbers are little-endian. The file is made 64 MiB of zeros, and filled from the front.

use super::acknowledged;
use super::record::revision_of;
use crate::store::{Revision, StoreError};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: [u8; 4] = [b'F', b'J', b'L', 3];
/// fjall's value types are put, remove, weak remove; its compressions none and LZ4.
const NEWEST_VALUE_TYPE: u8 = 2;
const NEWEST_COMPRESSION: u8 = 1;
const ZEROS: [u8; 4096] = [0; 4096];
/// Large enough that reading 64 MiB takes few calls.
const READ_BUFFER_BYTES: usize = 1 << 20;

/// A batch that is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Batch {
    sequence: u64,
    /// Of the file.
    bytes: u64,
    /// The newest revision that it writes.
    newest: Option<Revision>,
}

/// What stands where a batch may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Batch(Batch),
    /// Nothing but zeros until the end of the file.
    End,
    Broken(&'static str),
}

/// Checks every journal under `database`.
pub(super) fn check(
    directory: &Path,
    database: &Path,
    acknowledged: Option<Revision>,
) -> Result<(), StoreError> {
    let journals = journals(database)?;
    let mut last = Batch::default();
    let mut newest = None;
    for (index, path) in journals.iter().enumerate() {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let mut reader = BufReader::with_capacity(READ_BUFFER_BYTES, file);
        let mut offset = 0;
        loop {
            let why = match step(&mut reader).map_err(|error| unreadable(path, &error))? {
                Step::End => break,
                Step::Batch(batch) if batch.sequence > last.sequence || last.bytes == 0 => {
                    offset += batch.bytes;
                    newest = newest.max(batch.newest);
                    last = batch;
                    continue;
                }
                Step::Batch(_) => "its sequence number does not rise",
                Step::Broken(why) => why,
            };
            let place = format!(
                "the batch at byte {offset} of {} is broken: {why}",
                path.display()
            );
            let rest = rest(path, offset)?;
            if index + 1 < journals.len() || whole_batch_after(&rest, last.sequence) {
                return Err(StoreError::Corrupt(format!(
                    "{place}, and whole ones follow it; restore {} from a copy",
                    directory.display()
                )));
            }
            if let (Some(newest), Some(acknowledged)) = (newest, acknowledged)
                && newest < acknowledged
            {
                return Err(acknowledged::lost(directory, &place, acknowledged));
            }
            cut(path, offset, &rest, why)?;
            break;
        }
    }
    Ok(())
}

/// The journals, oldest first.
fn journals(database: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = std::fs::read_dir(database).map_err(|error| unreadable(database, &error))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(database, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let number: u64 = path
                .file_stem()
                .and_then(|stem| stem.to_str()?.parse().ok())
                .ok_or_else(|| StoreError::Corrupt(format!("{} is no journal's name", path.display())))?;
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Reads one batch, or what is there instead.
fn step(reader: &mut impl BufRead) -> std::io::Result<Step> {
    match read_batch(reader) {
        Ok(step) => Ok(step),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Ok(Step::Broken("the file ends inside it"))
        }
        Err(error) => Err(error),
    }
}

fn read_batch(reader: &mut impl BufRead) -> std::io::Result<Step> {
    if reader.fill_buf()?.is_empty() {
        return Ok(Step::End);
    }
    match u8::from_le_bytes(array(reader)?) {
        START => {}
        0 => return only_zeros(reader),
        _ => return Ok(Step::Broken("it does not begin with a start mark")),
    }
    let items = u32::from_le_bytes(array(reader)?);
    let mut batch = Batch {
        sequence: u64::from_le_bytes(array(reader)?),
        bytes: 13,
        newest: None,
    };
    let mut hasher = Xxh3::new();
    for _ in 0..items {
        let tag = array::<1>(reader)?;
        hasher.update(&tag);
        match tag[0] {
            ITEM => {
                let fixed = array::<20>(reader)?;
                hasher.update(&fixed);
                if fixed[0] > NEWEST_VALUE_TYPE || fixed[1] > NEWEST_COMPRESSION {
                    return Ok(Step::Broken("an item's type is unknown"));
                }
                let key_bytes = u16::from_le_bytes([fixed[10], fixed[11]]);
                let stored_bytes = u32::from_le_bytes([fixed[16], fixed[17], fixed[18], fixed[19]]);
                if key_bytes == 8 {
                    let key = array::<8>(reader)?;
                    hasher.update(&key);
                    if fixed[0] == 0 {
                        batch.newest = batch.newest.max(revision_of(&key));
                    }
                } else {
                    hash(reader, u64::from(key_bytes), &mut hasher)?;
                }
                hash(reader, u64::from(stored_bytes), &mut hasher)?;
                batch.bytes += 21 + u64::from(key_bytes) + u64::from(stored_bytes);
            }
            CLEAR => {
                hasher.update(&array::<8>(reader)?);
                batch.bytes += 9;
            }
            _ => return Ok(Step::Broken("it has fewer items than it says")),
        }
    }
    if array::<1>(reader)? != [END] {
        return Ok(Step::Broken("it has no end mark"));
    }
    let checksum = u64::from_le_bytes(array(reader)?);
    if array::<4>(reader)? != TRAILER {
        return Ok(Step::Broken("its end mark is damaged"));
    }
    if checksum != hasher.digest() {
        return Ok(Step::Broken("its checksum does not match"));
    }
    batch.bytes += 13;
    Ok(Step::Batch(batch))
}

fn array<const N: usize>(reader: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn only_zeros(reader: &mut impl BufRead) -> std::io::Result<Step> {
    loop {
        let bytes = reader.fill_buf()?;
        let length = bytes.len();
        if length == 0 {
            return Ok(Step::End);
        }
        // A comparison of slices is one of the fastest things there is, also in a build for debugging.
        if bytes
            .chunks(ZEROS.len())
            .any(|chunk| chunk != &ZEROS[..chunk.len()])
        {
            return Ok(Step::Broken("zeros stand where it should begin"));
        }
        reader.consume(length);
    }
}

fn hash(reader: &mut impl BufRead, mut length: u64, hasher: &mut Xxh3) -> std::io::Result<()> {
    while length > 0 {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let take = bytes.len().min(usize::try_from(length).unwrap_or(usize::MAX));
        hasher.update(&bytes[..take]);
        reader.consume(take);
        length -= take as u64;
    }
    Ok(())
}

/// The file from `offset` to its last byte that is not zero.
fn rest(path: &Path, offset: u64) -> Result<Vec<u8>, StoreError> {
    let mut bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
    bytes.truncate(end);
    Ok(bytes.split_off(usize::try_from(offset).map_or(end, |offset| offset.min(end))))
}

/// Whether a whole, later batch begins anywhere behind the first byte.
fn whole_batch_after(bytes: &[u8], sequence: u64) -> bool {
    (1..bytes.len()).any(|at| {
        bytes[at] == START
            && matches!(bytes.get(at + 13), Some(&(ITEM | CLEAR)))
            && matches!(read_batch(&mut &bytes[at..]), Ok(Step::Batch(batch)) if batch.sequence > sequence)
    })
}

fn cut(path: &Path, offset: u64, rest: &[u8], why: &str) -> Result<(), StoreError> {
    tracing::warn!(
        journal = %path.display(), offset, bytes = rest.len(), why,
        "cut off the last batch: a crash tore it before it was acknowledged"
    );
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| {
            file.set_len(offset)?;
            file.sync_all()
        })
        .map_err(|error| StoreError::Unavailable(format!("cannot cut {}: {error}", path.display())))
}

fn unreadable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("cannot read {}: {error}", path.display()))
}
