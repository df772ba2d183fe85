//! How one change is stored: a record whose key in the log is its revision.
//!
//! In: a revision, a write, and what the key's change before it was. Out: bytes, and from them the change again.
//! Invariant: the checksum covers every byte of the record and its revision, so that a record that is damaged or lies in
//! another's place is never taken for good.
//!
//! ```text
//! checksum u64 | flags u8 | previous i64 | cause i64 | seconds i64 | nanos i32 | actor length u32 | key length u32
//! | actor | key | value
//! ```

use crate::store::{Key, Origin, Revision};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use proto::Timestamp;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const HAS_VALUE: u8 = 1;
const PREVIOUS_HAD_VALUE: u8 = 2;
const CHECKSUM_BYTES: usize = 8;
const HEADER_BYTES: usize = CHECKSUM_BYTES + 1 + 8 + 8 + 8 + 4 + 4 + 4;

/// The last change of a key, at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) revision: Revision,
    /// False when the change removed the key.
    pub(super) live: bool,
}

/// A change as it is stored. What was before stands in the previous record, not here: a value is written once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) key: Key,
    /// The key's change before this one; `None` when it never had one that the log still knew of.
    pub(super) previous: Option<Head>,
    pub(super) value: Option<Bytes>,
    pub(super) origin: Origin,
}

/// Why bytes are no record of the revision that they stand under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRecord {
    #[error("it is cut short")]
    Short,
    #[error("its checksum does not match")]
    Checksum,
    #[error("its text is not UTF-8, or its key has not three parts")]
    Text,
}

/// The log key of a revision: big-endian, so that keys sort as revisions do.
pub(super) fn log_key(revision: Revision) -> [u8; 8] {
    revision.to_be_bytes()
}

/// The revision of a log key; `None` for a key that is none.
pub(super) fn revision_of(key: &[u8]) -> Option<Revision> {
    key.try_into().ok().map(Revision::from_be_bytes)
}

impl Record {
    /// Encodes the record. The value's bytes lie at the end: [`value_in`] finds them again without decoding.
    pub(super) fn encode(&self, revision: Revision) -> Bytes {
        let (actor, key) = (self.origin.actor.as_bytes(), self.key.as_str().as_bytes());
        let value = self.value.as_deref().unwrap_or_default();
        let mut out = BytesMut::with_capacity(HEADER_BYTES + actor.len() + key.len() + value.len());
        let mut flags = 0;
        if self.value.is_some() {
            flags |= HAS_VALUE;
        }
        if self.previous.is_some_and(|previous| previous.live) {
            flags |= PREVIOUS_HAD_VALUE;
        }
        out.put_u64(0);
        out.put_u8(flags);
        out.put_i64(self.previous.map_or(0, |previous| previous.revision));
        out.put_i64(self.origin.cause);
        out.put_i64(self.origin.time.seconds);
        out.put_i32(self.origin.time.nanos);
        for text in [actor, key] {
            out.put_u32(u32::try_from(text.len()).expect("the queue takes no call of 4 GiB"));
        }
        out.put_slice(actor);
        out.put_slice(key);
        out.put_slice(value);
        let checksum = checksum(revision, &out[CHECKSUM_BYTES..]);
        out[..CHECKSUM_BYTES].copy_from_slice(&checksum.to_be_bytes());
        out.freeze()
    }

    /// Decodes and checks a record. The value shares the record's memory.
    pub(super) fn decode(revision: Revision, bytes: &Bytes) -> Result<Self, BadRecord> {
        if bytes.len() < HEADER_BYTES {
            return Err(BadRecord::Short);
        }
        let mut header = &bytes[..HEADER_BYTES];
        if header.get_u64() != checksum(revision, &bytes[CHECKSUM_BYTES..]) {
            return Err(BadRecord::Checksum);
        }
        let flags = header.get_u8();
        let previous = header.get_i64();
        let cause = header.get_i64();
        let time = Timestamp {
            seconds: header.get_i64(),
            nanos: header.get_i32(),
        };
        let actor_end = HEADER_BYTES + header.get_u32() as usize;
        let key_end = actor_end + header.get_u32() as usize;
        let text = |from: usize, to: usize| {
            let part = bytes.get(from..to).ok_or(BadRecord::Short)?;
            std::str::from_utf8(part).map_err(|_| BadRecord::Text)
        };
        Ok(Self {
            origin: Origin {
                actor: text(HEADER_BYTES, actor_end)?.into(),
                cause,
                time,
            },
            key: Key::parse(text(actor_end, key_end)?).ok_or(BadRecord::Text)?,
            previous: (previous > 0).then_some(Head {
                revision: previous,
                live: flags & PREVIOUS_HAD_VALUE != 0,
            }),
            value: (flags & HAS_VALUE != 0).then(|| bytes.slice(key_end..)),
        })
    }
}

/// The value of an encoded record, sharing its memory. `length` is the value's.
pub(super) fn value_in(record: &Bytes, length: usize) -> Bytes {
    record.slice(record.len() - length..)
}

fn checksum(revision: Revision, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, revision.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            key: Key::new("pods", "default", "web"),
            previous: Some(Head {
                revision: 6,
                live: true,
            }),
            value: Some(Bytes::from_static(b"a pod")),
            origin: Origin {
                actor: "scheduler".into(),
                cause: 5,
                time: Timestamp {
                    seconds: 1_767_225_600,
                    nanos: 42,
                },
            },
        }
    }

    #[test]
    fn a_record_gives_its_change_back() {
        let removal = Record {
            value: None,
            previous: None,
            ..record()
        };
        let empty = Record {
            value: Some(Bytes::new()),
            ..record()
        };
        for record in [record(), removal, empty] {
            let bytes = record.encode(7);
            assert_eq!(Record::decode(7, &bytes), Ok(record.clone()));
            let length = record.value.as_ref().map_or(0, Bytes::len);
            assert_eq!(value_in(&bytes, length), record.value.unwrap_or_default());
        }
    }

    #[test]
    fn any_flipped_bit_any_cut_and_any_other_revision_is_seen() {
        let good = record().encode(7);
        assert_eq!(Record::decode(8, &good), Err(BadRecord::Checksum));
        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 0x10;
            assert_eq!(
                Record::decode(7, &bad.into()),
                Err(BadRecord::Checksum),
                "byte {at}"
            );
            assert!(Record::decode(7, &good.slice(..at)).is_err(), "cut at {at}");
        }
    }
}
