//! `orrery.v1.Object`, kept as the bytes it travels and is stored as.
//!
//! The generated oneof would decode every object at every hop. The apiserver only passes objects on, so this type holds
//! the arm's field number and its encoded bytes; whoever needs fields decodes them with [`Object::decode`].

use crate::Kind;
use bytes::{Buf, BufMut, Bytes};
use prost::encoding::{
    DecodeContext, WireType, decode_varint, encode_key, encode_varint, encoded_len_varint, key_len,
    skip_field,
};
use prost::{DecodeError, Message};

/// An object of any kind: which arm of the oneof it is, and its encoded message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// The arm's field number ([`Kind::NUMBER`]); 0 when no arm is set.
    pub number: u32,
    /// The encoded message.
    pub bytes: Bytes,
}

impl Object {
    /// Encodes a typed object.
    pub fn encode_from<K: Kind>(object: &K) -> Self {
        Self {
            number: K::NUMBER,
            bytes: object.encode_to_vec().into(),
        }
    }

    /// The typed object; an error when it is of another kind or its bytes do not decode.
    pub fn decode_as<K: Kind>(&self) -> Result<K, DecodeError> {
        if self.number != K::NUMBER {
            #[allow(deprecated, reason = "prost offers no other way to make its error")]
            return Err(DecodeError::new(format!(
                "object is arm {}, not {}",
                self.number,
                K::NAME
            )));
        }
        K::decode(self.bytes.clone())
    }

    /// Whether no arm is set.
    pub fn is_unset(&self) -> bool {
        self.number == 0
    }
}

impl Message for Object {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if self.number != 0 {
            encode_key(self.number, WireType::LengthDelimited, buf);
            encode_varint(self.bytes.len() as u64, buf);
            buf.put(self.bytes.clone());
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        if wire_type != WireType::LengthDelimited {
            return skip_field(wire_type, tag, buf, ctx);
        }
        let len = decode_varint(buf)?;
        if len > buf.remaining() as u64 {
            #[allow(deprecated, reason = "prost offers no other way to make its error")]
            return Err(DecodeError::new("object is cut short"));
        }
        // A oneof keeps its last arm. The same arm twice would merge; no client sends that, and the last one wins here.
        self.number = tag;
        self.bytes = buf.copy_to_bytes(len as usize);
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        if self.number == 0 {
            return 0;
        }
        key_len(self.number) + encoded_len_varint(self.bytes.len() as u64) + self.bytes.len()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::core::v1::{Node, Pod};

    #[test]
    fn an_object_survives_its_encoding_and_knows_its_kind() {
        let mut pod = Pod::default();
        pod.metadata_mut().name = "web-1".into();
        let object = Object::encode_from(&pod);
        let again = Object::decode(object.encode_to_vec().as_slice()).unwrap();
        assert_eq!(again, object);
        assert_eq!(again.decode_as::<Pod>().unwrap(), pod);
        assert!(again.decode_as::<Node>().is_err());
        assert_eq!(object.encoded_len(), object.encode_to_vec().len());
    }

    #[test]
    fn an_object_cut_short_is_an_error() {
        let mut bytes = Object {
            number: 1,
            bytes: Bytes::from_static(b"abc"),
        }
        .encode_to_vec();
        bytes.pop();
        assert!(Object::decode(bytes.as_slice()).is_err());
    }
}
