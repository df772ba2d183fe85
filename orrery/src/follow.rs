//! Follows one object, or the objects that match, until something holds. What `wait`, `delete` and `rollout status` share.

use crate::resource::Kind;
use anyhow::{Result, bail};
use client::{Client, Delta, Informer};
use component_base::clock::Clock;
use proto::Object;
use proto::orrery::v1::WatchTarget;
use std::time::Duration;

/// What a follower is told.
#[derive(Debug)]
pub(crate) enum Seen {
    /// The object as it is now.
    Is(Object),
    /// There is no such object, or none any more.
    Gone,
}

/// What to follow of one object.
pub(crate) fn target(info: Kind, namespace: &str, name: &str) -> WatchTarget {
    WatchTarget {
        kind: info.resource(),
        namespace: namespace.into(),
        field_selector: format!("metadata.name={name}"),
        ..WatchTarget::default()
    }
}

/// A time limit as a user writes it. `None` is as long as it takes.
pub(crate) fn limit(seconds: Option<Duration>) -> Option<Duration> {
    seconds.filter(|limit| !limit.is_zero())
}

/// Follows one object until `check` gives an answer. Disconnects and restarts of the server are waited out.
///
/// # Errors
/// What `check` gives, and `on_timeout` when the limit passes before.
pub(crate) async fn until<T>(
    client: &Client,
    target: WatchTarget,
    limit: Option<Duration>,
    on_timeout: &str,
    mut check: impl FnMut(&Seen) -> Result<Option<T>>,
) -> Result<T> {
    let mut informer = Informer::spawn(client, vec![target]);
    let mut state = Seen::Gone;
    let mut synced = false;
    let following = async {
        while let Some(delta) = informer.next().await {
            match delta {
                Delta::Upsert { object, .. } => state = Seen::Is(object),
                Delta::Delete { .. } => state = Seen::Gone,
                Delta::Synced(_) => synced = true,
                // Until the list is whole, absence means nothing.
                Delta::Restarted => synced = false,
                Delta::Bookmark(_) => continue,
            }
            if synced && let Some(answer) = check(&state)? {
                return Ok(answer);
            }
        }
        bail!("the watch ended")
    };
    within(client.clock(), limit, on_timeout, following).await
}

/// Runs `future` for at most `limit`.
async fn within<T>(
    clock: &Clock,
    limit: Option<Duration>,
    on_timeout: &str,
    future: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(limit) = limit else {
        return future.await;
    };
    match clock.timeout(limit, future).await {
        Ok(result) => result,
        Err(_) => bail!("{on_timeout} (waited {limit:?})"),
    }
}

/// Reads a duration as Kubernetes' tools write them: `30s`, `5m`, `1h30m`, or seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write for example 30s, 5m or 1h30m");
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let (mut total, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let millis: u64 = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        rest = &rest[letters..];
        let part = number
            .checked_mul(millis)
            .map(Duration::from_millis)
            .ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_writes_them() {
        for (text, millis) in [
            ("30", 30_000),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("1m500ms", 60_500),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "s",
            "5x",
            "-1s",
            "1m2",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
