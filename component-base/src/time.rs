//! Between wall time as we reckon with it ([`jiff::Timestamp`]) and as objects hold it ([`proto::Timestamp`]).

use jiff::Timestamp;

/// As objects hold a `MicroTime`: to the nanosecond.
pub fn micro_time(time: Timestamp) -> proto::Timestamp {
    // `proto` wants nanoseconds that count upwards, jiff's have the sign of the whole.
    let nanos = time.as_nanosecond();
    proto::Timestamp {
        seconds: nanos.div_euclid(1_000_000_000) as i64,
        nanos: nanos.rem_euclid(1_000_000_000) as i32,
    }
}

/// As objects hold a `Time`: whole seconds, cut off. <https://kubernetes.io/docs/reference/using-api/api-concepts/>
pub fn time(time: Timestamp) -> proto::Timestamp {
    proto::Timestamp {
        nanos: 0,
        ..micro_time(time)
    }
}

/// What an object holds, to reckon with; what lies outside of the calendar becomes its end.
pub fn timestamp(time: &proto::Timestamp) -> Timestamp {
    Timestamp::new(time.seconds, time.nanos).unwrap_or(if time.seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_equal_also_before_1970() {
        for text in [
            "2026-01-02T03:04:05.678901Z",
            "1969-12-31T23:59:59.25Z",
            "1970-01-01T00:00:00Z",
        ] {
            let moment: Timestamp = text.parse().unwrap();
            assert_eq!(timestamp(&micro_time(moment)), moment);
            assert!((0..1_000_000_000).contains(&micro_time(moment).nanos));
        }
        let moment: Timestamp = "2026-01-02T03:04:05.678901Z".parse().unwrap();
        assert_eq!(timestamp(&time(moment)), "2026-01-02T03:04:05Z".parse().unwrap());
    }
}
