//! The three messages of `google.rpc` and `google.protobuf` that error details are made of.
//!
//! Written by hand, as they are small, and their `.proto` files would bring the rest of `google.rpc` into reflection.
//! <https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto>

use prost::Message;
use proto::meta::v1;

const STATUS_URL: &str = "type.googleapis.com/k8s.io.apimachinery.pkg.apis.meta.v1.Status";
const RETRY_INFO_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

/// The details of a gRPC error that carries `status`.
pub(super) fn encode(code: i32, message: &str, status: &v1::Status) -> Vec<u8> {
    let mut details = vec![Any {
        type_url: STATUS_URL.into(),
        value: status.encode_to_vec(),
    }];
    let seconds = status.details.as_ref().map_or(0, |d| d.retry_after_seconds);
    if seconds > 0 {
        let retry_delay = Some(prost_types::Duration {
            seconds: seconds.into(),
            nanos: 0,
        });
        details.push(Any {
            type_url: RETRY_INFO_URL.into(),
            value: RetryInfo { retry_delay }.encode_to_vec(),
        });
    }
    Status {
        code,
        message: message.into(),
        details,
    }
    .encode_to_vec()
}

/// The `meta.v1.Status` that details carry, if they do.
pub(super) fn decode(details: &[u8]) -> Option<v1::Status> {
    let status = Status::decode(details).ok()?;
    let carried = status.details.iter().find(|any| any.type_url == STATUS_URL)?;
    v1::Status::decode(carried.value.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_travels_twice_for_our_clients_and_for_everybody_elses() {
        let status = v1::Status {
            details: Some(v1::StatusDetails {
                retry_after_seconds: 3,
                ..v1::StatusDetails::default()
            }),
            ..v1::Status::default()
        };
        let bytes = encode(8, "busy", &status);
        assert_eq!(decode(&bytes), Some(status));
        let all = Status::decode(bytes.as_slice()).unwrap();
        assert_eq!((all.code, all.message.as_str()), (8, "busy"));
        let retry = RetryInfo::decode(all.details[1].value.as_slice()).unwrap();
        assert_eq!(all.details[1].type_url, RETRY_INFO_URL);
        assert_eq!(retry.retry_delay.unwrap().seconds, 3);
    }

    #[test]
    fn bytes_that_are_no_details_carry_nothing() {
        assert_eq!(decode(b""), None);
        assert_eq!(decode(b"\xff\xff\xff"), None);
    }
}
