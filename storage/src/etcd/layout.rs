//! Where and how things lie in etcd.
//!
//! ```text
//! PREFIX/objects/KEY    the object, in an envelope with its write's origin
//! PREFIX/removals/KEY   the origin of KEY's removal, written in the same revision; gone when KEY is written again, or
//!                       when the log is compacted past it
//! PREFIX/head           KEY of the newest change, written in the same revision
//! PREFIX/compacted      how far we asked etcd to compact
//! ```
//! etcd's own revision rises with every write below any prefix, and with our own tidying up. The head tells the newest
//! revision that is a change of ours, and, read at an older revision, which key that one changed. Nobody else may write
//! below the prefix.
//!
//! In: keys and values. Out: etcd's keys and values, and back. Pure.

use crate::store::{Key, Origin, Revision, StoreError, Versioned};
use bytes::Bytes;
use prost::Message;
use proto::Timestamp;
use proto::etcd::mvccpb::KeyValue;

/// What is stored under an object's key, and without a value under its removal's.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Envelope {
    #[prost(string, tag = "1")]
    actor: String,
    #[prost(int64, tag = "2")]
    cause: i64,
    #[prost(message, optional, tag = "3")]
    time: Option<Timestamp>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) value: Bytes,
}

impl Envelope {
    pub(super) fn new(origin: &Origin, value: Bytes) -> Self {
        Self {
            actor: (*origin.actor).to_owned(),
            cause: origin.cause,
            time: Some(origin.time),
            value,
        }
    }

    pub(super) fn bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    pub(super) fn read(kv: &KeyValue) -> Result<Self, StoreError> {
        Self::decode(kv.value.clone()).map_err(|error| {
            StoreError::Corrupt(format!(
                "etcd's key {:?} at revision {} holds nothing that Orrery wrote: {error}",
                kv.key, kv.mod_revision
            ))
        })
    }

    pub(super) fn origin(&self) -> Origin {
        Origin {
            actor: self.actor.as_str().into(),
            cause: self.cause,
            time: self.time.unwrap_or_default(),
        }
    }
}

/// The value that a stored object has.
pub(super) fn versioned(kv: &KeyValue) -> Result<Versioned, StoreError> {
    Ok(Versioned {
        value: Envelope::read(kv)?.value,
        revision: kv.mod_revision,
    })
}

/// What a key of etcd is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Object(Key),
    Removal(Key),
    Other,
}

/// Makes and reads etcd's keys below a prefix.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    prefix: String,
}

/// A range of etcd's keys: the first, and the first behind it.
pub(super) type Range = (Bytes, Bytes);

impl Layout {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.trim_end_matches('/').to_owned(),
        }
    }

    pub(super) fn object(&self, key: &Key) -> Bytes {
        format!("{}/objects/{}", self.prefix, key.as_str()).into()
    }

    pub(super) fn removal(&self, key: &Key) -> Bytes {
        format!("{}/removals/{}", self.prefix, key.as_str()).into()
    }

    pub(super) fn compacted(&self) -> Bytes {
        format!("{}/compacted", self.prefix).into()
    }

    pub(super) fn head(&self) -> Bytes {
        format!("{}/head", self.prefix).into()
    }

    /// Objects and removals, which lie side by side, and nothing else.
    pub(super) fn changes(&self) -> Range {
        let (from, _) = self.objects("");
        let (_, to) = self.removals();
        (from, to)
    }

    pub(super) fn objects(&self, prefix: &str) -> Range {
        starting_with(format!("{}/objects/{prefix}", self.prefix))
    }

    pub(super) fn removals(&self) -> Range {
        starting_with(format!("{}/removals/", self.prefix))
    }

    pub(super) fn place(&self, key: &[u8]) -> Place {
        let place = std::str::from_utf8(key).ok().and_then(|text| {
            let (kind, key) = text
                .strip_prefix(&self.prefix)?
                .strip_prefix('/')?
                .split_once('/')?;
            let key = Key::parse(key)?;
            match kind {
                "objects" => Some(Place::Object(key)),
                "removals" => Some(Place::Removal(key)),
                _ => None,
            }
        });
        place.unwrap_or(Place::Other)
    }
}

/// Our prefixes end in a byte that can be counted up: they are text, whose bytes are below 255.
fn starting_with(prefix: String) -> Range {
    let mut end = prefix.clone().into_bytes();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (prefix.into(), end.into())
}

/// The revision that wrote a key; 0 when it is not there.
pub(super) fn revision_of(kv: Option<&KeyValue>) -> Revision {
    kv.map_or(0, |kv| kv.mod_revision)
}

/// A revision as the value of [`Layout::compacted`].
pub(super) fn encode_revision(revision: Revision) -> Bytes {
    revision.to_string().into()
}

/// Reads it; 0 when nothing was ever compacted.
pub(super) fn decode_revision(kv: Option<&KeyValue>) -> Revision {
    kv.and_then(|kv| std::str::from_utf8(&kv.value).ok()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_again_and_a_prefix_holds_what_starts_with_it() {
        let layout = Layout::new("/orrery/");
        let key = Key::new("pods", "default", "web");
        assert_eq!(layout.object(&key), "/orrery/objects/pods/default/web");
        assert_eq!(layout.place(&layout.object(&key)), Place::Object(key.clone()));
        assert_eq!(layout.place(&layout.removal(&key)), Place::Removal(key.clone()));
        for other in [layout.compacted(), layout.head()] {
            assert_eq!(layout.place(&other), Place::Other);
            let (from, to) = layout.changes();
            assert!(other < from || other >= to);
        }
        assert_eq!(layout.place(b"/other/objects/pods/default/web"), Place::Other);
        let (from, to) = layout.objects("pods/");
        assert_eq!(
            (&*from, &*to),
            (&b"/orrery/objects/pods/"[..], &b"/orrery/objects/pods0"[..])
        );
        assert!(layout.object(&key) > from && layout.object(&key) < to);
    }
}
