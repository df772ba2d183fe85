//! Calls to etcd, each with a deadline, and its errors told apart.

use super::layout::Range;
use crate::store::{Revision, StoreError};
use bytes::Bytes;
use component_base::clock::Clock;
use futures::StreamExt;
use proto::etcd::etcdserverpb::kv_client::KvClient;
use proto::etcd::etcdserverpb::watch_client::WatchClient;
use proto::etcd::etcdserverpb::{
    CompactionRequest, RangeRequest, RangeResponse, TxnRequest, TxnResponse, WatchCreateRequest,
    WatchRequest, WatchResponse, watch_request,
};
use proto::etcd::mvccpb::KeyValue;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

/// An answer takes a few milliseconds, and an election about a second.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A dead connection is seen within ten seconds.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Objects in one answer.
pub(super) const PAGE_OBJECTS: i64 = 200;
/// A page of the largest objects (1.5 MiB), with their envelopes.
const MESSAGE_BYTES: usize = (PAGE_OBJECTS as usize) * (2 << 20);
/// When etcd has too much to do.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// etcd's clients. Cheap to clone.
#[derive(Clone)]
pub(super) struct Client {
    kv: KvClient<Channel>,
    watch: WatchClient<Channel>,
    clock: Clock,
}

/// Events, as etcd sends them.
pub(super) type Events = Streaming<WatchResponse>;

impl Client {
    /// Talks to the endpoints (`http://127.0.0.1:2379`), and goes on with those that answer.
    pub(super) fn new(endpoints: &[String], clock: Clock) -> Result<Self, StoreError> {
        if endpoints.is_empty() {
            return Err(StoreError::Unavailable("no etcd endpoint is given".into()));
        }
        let endpoints: Vec<_> = endpoints
            .iter()
            .map(|endpoint| {
                let parsed = Endpoint::from_shared(endpoint.clone()).map_err(|error| {
                    StoreError::Unavailable(format!(
                        "{endpoint:?} is no etcd endpoint such as http://127.0.0.1:2379: {error}"
                    ))
                })?;
                Ok(parsed
                    .connect_timeout(CONNECT_TIMEOUT)
                    .tcp_nodelay(true)
                    .http2_keep_alive_interval(KEEPALIVE)
                    .keep_alive_timeout(KEEPALIVE)
                    .keep_alive_while_idle(true))
            })
            .collect::<Result<_, StoreError>>()?;
        let channel = Channel::balance_list(endpoints.into_iter());
        Ok(Self {
            kv: KvClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES),
            watch: WatchClient::new(channel).max_decoding_message_size(MESSAGE_BYTES),
            clock,
        })
    }

    pub(super) async fn range(&self, request: RangeRequest) -> Result<RangeResponse, StoreError> {
        let asked = request.revision;
        let mut kv = self.kv.clone();
        self.call(asked, async move { kv.range(request).await }).await
    }

    /// A key, as it was at a revision.
    pub(super) async fn get(&self, key: Bytes, revision: Revision) -> Result<Option<KeyValue>, StoreError> {
        let response = self
            .range(RangeRequest {
                key,
                revision,
                ..RangeRequest::default()
            })
            .await?;
        Ok(response.kvs.into_iter().next())
    }

    pub(super) async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, StoreError> {
        let mut kv = self.kv.clone();
        self.call(0, async move { kv.txn(request).await }).await
    }

    pub(super) async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        let request = CompactionRequest {
            revision,
            physical: false,
        };
        let mut kv = self.kv.clone();
        self.call(revision, async move { kv.compact(request).await })
            .await
            .map(|_| ())
    }

    /// The events of a range from `first` on.
    pub(super) async fn watch(&self, (key, range_end): Range, first: Revision) -> Result<Events, StoreError> {
        let create = WatchRequest {
            request_union: Some(watch_request::RequestUnion::CreateRequest(WatchCreateRequest {
                key,
                range_end,
                start_revision: first,
                prev_kv: true,
                fragment: true,
                ..WatchCreateRequest::default()
            })),
        };
        // The watch lives as long as its requests.
        let requests = futures::stream::iter([create]).chain(futures::stream::pending());
        let mut watch = self.watch.clone();
        self.call(first, async move { watch.watch(requests).await }).await
    }

    async fn call<T>(
        &self,
        asked: Revision,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, StoreError> {
        match self.clock.timeout(CALL_TIMEOUT, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(error(&status, asked)),
            Err(_) => Err(StoreError::Unavailable(format!(
                "etcd gave no answer in {CALL_TIMEOUT:?}"
            ))),
        }
    }
}

/// etcd tells some errors apart by their text only.
pub(super) fn error(status: &Status, asked: Revision) -> StoreError {
    let text = status.message();
    match status.code() {
        Code::OutOfRange if text.contains("compacted") => StoreError::Expired {
            asked,
            compacted: asked,
        },
        Code::OutOfRange if text.contains("future") => StoreError::Future {
            asked,
            current: asked - 1,
        },
        Code::ResourceExhausted if text.contains("space exceeded") => StoreError::NoSpace(format!(
            "{text}; compact and defragment etcd, then disarm its alarm"
        )),
        Code::ResourceExhausted => StoreError::Overloaded {
            retry_after: RETRY_AFTER,
        },
        Code::DataLoss => StoreError::Corrupt(text.to_owned()),
        code => StoreError::Unavailable(format!("etcd: {code:?}: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        let cases: [(Code, &str, fn(&StoreError) -> bool); 6] = [
            (
                Code::OutOfRange,
                "etcdserver: mvcc: required revision has been compacted",
                |e| matches!(e, StoreError::Expired { asked: 7, .. }),
            ),
            (
                Code::OutOfRange,
                "etcdserver: mvcc: required revision is a future revision",
                |e| matches!(e, StoreError::Future { asked: 7, .. }),
            ),
            (
                Code::ResourceExhausted,
                "etcdserver: mvcc: database space exceeded",
                |e| matches!(e, StoreError::NoSpace(_)),
            ),
            (Code::ResourceExhausted, "etcdserver: too many requests", |e| {
                matches!(e, StoreError::Overloaded { .. })
            }),
            (Code::DataLoss, "etcdserver: corrupt cluster", |e| {
                matches!(e, StoreError::Corrupt(_))
            }),
            (Code::Unavailable, "etcdserver: no leader", |e| {
                matches!(e, StoreError::Unavailable(_))
            }),
        ];
        for (code, text, expected) in cases {
            let error = error(&Status::new(code, text), 7);
            assert!(expected(&error), "{text}: {error}");
        }
    }
}
