//! What is shown of a log: the end of it, a time's part of it, so many bytes of it, with times or without. Pure.

use crate::pod::Line;
use jiff::{SignedDuration, Timestamp};
use prost::bytes::Bytes;
use proto::orrery::v1::ContainerLogsRequest;

/// The most text that one message carries: small beside a connection's window, large beside a message's overhead.
const PIECE_BYTES: usize = 32 << 10;

/// How a log is shown, and how much of it may still be.
#[derive(Clone, Debug)]
pub(super) struct Options {
    since: Option<Timestamp>,
    tail: Option<usize>,
    timestamps: bool,
    /// Bytes that may still be sent.
    left: usize,
}

impl Options {
    /// What a request asks for at `now`. Numbers below 0 count as 0; the apiserver refuses them.
    pub(super) fn of(request: &ContainerLogsRequest, now: Timestamp) -> Self {
        let number = |number: i64| usize::try_from(number).unwrap_or(0);
        let ago = request.since_seconds.map(|seconds| {
            now.checked_sub(SignedDuration::from_secs(seconds))
                .unwrap_or(Timestamp::MIN)
        });
        let time = request.since_time.as_ref();
        Self {
            since: ago.or_else(|| time.map(component_base::time::timestamp)),
            tail: request.tail_lines.map(number),
            timestamps: request.timestamps,
            left: request.limit_bytes.map_or(usize::MAX, number),
        }
    }

    /// The first text of a log, of which only the end may be wanted.
    pub(super) fn begin(&mut self, mut lines: Vec<Line>) -> Bytes {
        if let Some(since) = self.since {
            lines.retain(|line| line.at >= since);
        }
        if let Some(tail) = self.tail {
            lines.drain(..lines.len().saturating_sub(tail));
        }
        self.render(lines)
    }

    /// More text.
    pub(super) fn render(&mut self, lines: Vec<Line>) -> Bytes {
        let mut text = String::new();
        for line in lines {
            if text.len() >= self.left {
                break;
            }
            if self.timestamps {
                text += &format!("{:.9} ", line.at);
            }
            text += &line.text;
            text.push('\n');
        }
        let mut text = Bytes::from(text);
        text.truncate(self.left);
        self.left -= text.len();
        text
    }

    /// Takes what one message carries.
    pub(super) fn piece(&self, text: &mut Bytes) -> Bytes {
        text.split_to(text.len().min(PIECE_BYTES))
    }

    /// Whether nothing more may be sent.
    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Line> {
        let line = |second: i64, text: &str| Line {
            at: Timestamp::new(second, 500_000_000).unwrap(),
            text: text.into(),
        };
        vec![line(1, "one"), line(2, "two"), line(3, "three")]
    }

    #[test]
    fn a_request_chooses_its_part_of_a_log() {
        let request = ContainerLogsRequest::default;
        for (request, expected) in [
            (request(), "one\ntwo\nthree\n"),
            (
                ContainerLogsRequest {
                    tail_lines: Some(1),
                    ..request()
                },
                "three\n",
            ),
            (
                ContainerLogsRequest {
                    tail_lines: Some(0),
                    ..request()
                },
                "",
            ),
            (
                ContainerLogsRequest {
                    tail_lines: Some(9),
                    ..request()
                },
                "one\ntwo\nthree\n",
            ),
            (
                ContainerLogsRequest {
                    since_seconds: Some(2),
                    ..request()
                },
                "two\nthree\n",
            ),
            (
                ContainerLogsRequest {
                    since_time: Some(proto::Timestamp { seconds: 3, nanos: 0 }),
                    ..request()
                },
                "three\n",
            ),
            (
                ContainerLogsRequest {
                    limit_bytes: Some(6),
                    ..request()
                },
                "one\ntw",
            ),
            (
                ContainerLogsRequest {
                    tail_lines: Some(1),
                    timestamps: true,
                    ..request()
                },
                "1970-01-01T00:00:03.500000000Z three\n",
            ),
            (
                ContainerLogsRequest {
                    since_seconds: Some(i64::MAX),
                    ..request()
                },
                "one\ntwo\nthree\n",
            ),
        ] {
            let mut options = Options::of(&request, Timestamp::new(4, 0).unwrap());
            assert_eq!(options.begin(lines()), expected, "{request:?}");
        }
    }

    #[test]
    fn a_limit_of_bytes_counts_over_all_pieces() {
        let request = ContainerLogsRequest {
            limit_bytes: Some(20),
            ..ContainerLogsRequest::default()
        };
        let mut options = Options::of(&request, Timestamp::UNIX_EPOCH);
        assert_eq!(options.begin(lines()).len(), 14);
        assert!(!options.is_full());
        assert_eq!(options.render(lines()).len(), 6);
        assert!(options.is_full());
    }
}
