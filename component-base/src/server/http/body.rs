//! Reads a request's body whole before anybody works on it, within bounds of size and time: a handler never waits for
//! a client, and a body that drips in holds no place among the calls.

use super::super::account::Tab;
use super::super::limits::{BODY_DEADLINE, MAX_BODY_BYTES};
use crate::clock::Clock;
use crate::grpc::failure;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use proto::meta::v1::Status;
use std::future::poll_fn;
use std::pin::Pin;

/// The body's bytes, which stay on the tab.
pub(super) async fn read(body: Body, tab: &Tab, clock: &Clock) -> Result<Bytes, Status> {
    // A client that says how much it will send is refused before it sends it.
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large());
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match clock.timeout(BODY_DEADLINE, collect(body, tab)).await {
        Ok(read) => read,
        Err(_) => Err(Status {
            code: 408,
            ..failure(
                "Timeout",
                format!("the request's body did not arrive within {BODY_DEADLINE:?}"),
            )
        }),
    }
}

async fn collect(mut body: Body, tab: &Tab) -> Result<Bytes, Status> {
    let expected = body.size_hint().exact().unwrap_or_default() as usize;
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame =
            frame.map_err(|error| failure("BadRequest", format!("the request's body broke off: {error}")))?;
        let Ok(bytes) = frame.into_data() else { continue };
        if first.len() + all.len() + bytes.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        tab.charge(bytes.len())?;
        if first.is_empty() && all.is_empty() {
            // Most bodies come in one piece, which is then not copied.
            first = bytes;
            continue;
        }
        if !first.is_empty() {
            all.reserve(expected.max(first.len() + bytes.len()));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&bytes);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn too_large() -> Status {
    failure(
        "RequestEntityTooLarge",
        format!("Request entity too large: limit is {MAX_BODY_BYTES}"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::account::Account;
    use super::*;
    use std::time::Duration;

    fn pieces(count: usize, size: usize) -> Body {
        let piece = Bytes::from(vec![b'x'; size]);
        Body::from_stream(futures::stream::iter(
            std::iter::repeat_n(piece, count).map(Ok::<_, std::io::Error>),
        ))
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_are_read_whole_or_refused() {
        let clock = Clock::system();
        let account = Account::new(4 * MAX_BODY_BYTES);
        let dripping = Body::from_stream(futures::stream::unfold(clock.clone(), async |clock| {
            clock.sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from("x")), clock))
        }));
        for (body, expected) in [
            (Body::empty(), Ok(0)),
            (Body::from("{}"), Ok(2)),
            (pieces(3, 1 << 20), Ok(3 << 20)),
            (pieces(4, 1 << 20), Err(413)),
            (pieces(100, 1 << 20), Err(413)),
            (Body::from(vec![0; MAX_BODY_BYTES + 1]), Err(413)),
            (dripping, Err(408)),
        ] {
            let read = read(body, &account.tab(), &clock).await;
            let got = read.map(|bytes| bytes.len()).map_err(|status| status.code);
            assert_eq!(got, expected);
        }
    }

    #[tokio::test]
    async fn a_connection_that_holds_too_much_already_is_refused() {
        let account = Account::new(1 << 20);
        let held = account.tab();
        held.charge(1 << 20).unwrap();
        let refused = read(Body::from("{}"), &account.tab(), &Clock::system()).await;
        assert_eq!(refused.unwrap_err().reason, "TooManyRequests");
    }
}
