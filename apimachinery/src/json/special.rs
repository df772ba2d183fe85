//! Values whose JSON form is not that of their protobuf message: times, durations.
//!
//! Invariant: what `write_*` prints, `parse_*` reads back.

use super::buffer::Buffer;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::Offset;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what RFC 3339 can say.
const TIME_RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

static PARSER: DateTimeParser = DateTimeParser::new();

/// Whether a timestamp can be written in RFC 3339.
pub(super) fn is_time(seconds: i64, nanos: i32) -> bool {
    TIME_RANGE.contains(&seconds) && (0..1_000_000_000).contains(&nanos)
}

/// Appends `"2026-01-02T03:04:05Z"`, or with six more digits. False, and nothing appended, when it cannot be written.
pub(super) fn write_time(seconds: i64, nanos: i32, micro: bool, out: &mut Buffer) -> bool {
    if !is_time(seconds, nanos) {
        return false;
    }
    let Ok(time) = Timestamp::from_second(seconds) else {
        return false;
    };
    let time = Offset::UTC.to_datetime(time);
    let mut text = *b"\"0000-00-00T00:00:00.000000Z\"";
    put_digits(&mut text[1..5], time.year() as u32);
    put_digits(&mut text[6..8], time.month() as u32);
    put_digits(&mut text[9..11], time.day() as u32);
    put_digits(&mut text[12..14], time.hour() as u32);
    put_digits(&mut text[15..17], time.minute() as u32);
    put_digits(&mut text[18..20], time.second() as u32);
    if micro {
        put_digits(&mut text[21..27], nanos as u32 / 1000);
        out.put(&text);
    } else {
        text[20..22].copy_from_slice(b"Z\"");
        out.put(&text[..22]);
    }
    true
}

fn put_digits(digits: &mut [u8], mut number: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Reads RFC 3339. A time keeps no fraction, a micro time keeps six digits of it, as upstream does.
pub(super) fn parse_time(text: &str, micro: bool) -> Option<(i64, i32)> {
    if let Some(seconds) = plain_time(text.as_bytes()) {
        return is_time(seconds, 0).then_some((seconds, 0));
    }
    // jiff reads more than RFC 3339 allows: spaces for the T, no seconds, a zone's name.
    let bytes = text.as_bytes();
    let shape = bytes.get(..19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| shape[at] != byte) {
        return None;
    }
    let zone = text
        .get(19..)?
        .trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let is_offset = zone.len() == 6 && zone.starts_with(['+', '-']) && zone.as_bytes()[3] == b':';
    if zone != "Z" && !is_offset {
        return None;
    }
    let time = PARSER.parse_timestamp(text).ok()?;
    // Before 1970 jiff counts the fraction down from the second, protobuf counts it up.
    let total = time.as_nanosecond();
    let seconds = i64::try_from(total.div_euclid(1_000_000_000)).ok()?;
    let nanos = total.rem_euclid(1_000_000_000) as i32;
    let nanos = if micro { nanos / 1000 * 1000 } else { 0 };
    is_time(seconds, nanos).then_some((seconds, nanos))
}

/// Reads a time as [`write_time`] writes it, which nearly all are. `None` says nothing: the text may be a time all the same.
fn plain_time(text: &[u8]) -> Option<i64> {
    let text: &[u8; 20] = text.try_into().ok()?;
    let separators = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'Z'),
    ];
    if separators.iter().any(|&(at, byte)| text[at] != byte) {
        return None;
    }
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |number: i16, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i16::from(digit - b'0'))
        })
    };
    let two = |at: usize| number(&text[at..at + 2]).map(|number| number as i8);
    let time = DateTime::new(
        number(&text[..4])?,
        two(5)?,
        two(8)?,
        two(11)?,
        two(14)?,
        two(17)?,
        0,
    )
    .ok()?;
    Offset::UTC.to_timestamp(time).ok().map(Timestamp::as_second)
}

/// Units of Go's durations, in nanoseconds. Two spellings of a microsecond are read.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A duration as Go prints it: `1h0m0.5s`, `100ms`, `0s`.
pub(super) fn format_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let total = nanos.unsigned_abs();
    if total == 0 {
        return "0s".into();
    }
    if total < 1_000_000_000 {
        let (unit, size) = match total {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", decimal(total, size));
    }
    let minutes = total / 60_000_000_000;
    let seconds = decimal(total % 60_000_000_000, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `amount / size` without trailing zeros; `size` is a power of ten.
fn decimal(amount: u64, size: u64) -> String {
    let whole = amount / size;
    let rest = amount % size;
    if rest == 0 {
        return whole.to_string();
    }
    let width = size.ilog10() as usize;
    format!("{whole}.{rest:0width$}").trim_end_matches('0').to_owned()
}

/// Reads a duration in Go's notation.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let end = tail
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(*size)?)?;
        // More than 15 digits of a fraction are below a nanosecond even of hours.
        let fraction = &fraction[..fraction.len().min(15)];
        if !fraction.is_empty() {
            let scale = 10_i128.pow(fraction.len() as u32);
            total += fraction.parse::<i128>().ok()? * size / scale;
        }
        rest = tail;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(seconds: i64, nanos: i32, micro: bool) -> String {
        let mut out = Buffer::behind(Vec::new(), 0);
        assert!(write_time(seconds, nanos, micro, &mut out));
        String::from_utf8(out.into_vec()).unwrap()
    }

    #[test]
    fn times_are_printed_in_seconds_and_micro_times_with_six_digits() {
        assert_eq!(
            time(1_700_000_000, 999_999_999, false),
            "\"2023-11-14T22:13:20Z\""
        );
        assert_eq!(
            time(1_700_000_000, 120_000, true),
            "\"2023-11-14T22:13:20.000120Z\""
        );
        assert_eq!(time(-1, 500_000_000, true), "\"1969-12-31T23:59:59.500000Z\"");
        assert_eq!(time(-62_135_596_800, 0, false), "\"0001-01-01T00:00:00Z\"");
        assert!(!write_time(
            i64::MAX,
            0,
            false,
            &mut Buffer::behind(Vec::new(), 0)
        ));
        assert!(!write_time(0, -1, false, &mut Buffer::behind(Vec::new(), 0)));
    }

    #[test]
    fn times_are_read_as_rfc_3339_and_nothing_else() {
        assert_eq!(
            parse_time("2023-11-14T22:13:20Z", false),
            Some((1_700_000_000, 0))
        );
        assert_eq!(
            parse_time("2023-11-14T23:13:20.5+01:00", false),
            Some((1_700_000_000, 0))
        );
        assert_eq!(
            parse_time("2023-11-14T22:13:20.1234567Z", true),
            Some((1_700_000_000, 123_456_000))
        );
        for text in [
            "",
            "now",
            "2023-11-14",
            "2023-11-14 22:13:20Z",
            "2023-11-14T22:13Z",
            "2023-11-14T22:13:20",
            "2023-13-14T22:13:20Z",
            "2023-11-14T22:13:20Z[UTC]",
            "2023-11-14T22:13:20+0100",
            "2023-11-14T22:13:20é",
        ] {
            assert_eq!(parse_time(text, false), None, "{text}");
        }
    }

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (100_000_000, "100ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (-5_400_000_000_000, "-1h30m0s"),
        ] {
            assert_eq!(format_duration(nanos), text);
            assert_eq!(parse_duration(text), Some(nanos), "{text}");
        }
        assert_eq!(parse_duration("1.5h"), Some(5_400_000_000_000));
        for text in ["", "1", "s", "1d", "-", ".s", "1s1", "9999999999999h", "1.2.3s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_duration_survives_its_text(nanos: i64) {
            prop_assert_eq!(parse_duration(&format_duration(nanos)), Some(nanos));
        }

        #[test]
        fn every_time_survives_its_text(seconds in TIME_RANGE, micros in 0..1_000_000_i32) {
            let text = time(seconds, micros * 1000, true);
            let printed = Timestamp::new(seconds, micros * 1000).unwrap();
            prop_assert_eq!(&text, &format!("\"{printed:.6}\""));
            let plain = text.trim_matches('"');
            let plain = format!("{}Z", &plain[..19]);
            prop_assert_eq!(parse_time(&plain, false), Some((seconds, 0)));
            prop_assert_eq!(plain_time(plain.as_bytes()), Some(seconds));
            prop_assert_eq!(parse_time(text.trim_matches('"'), true), Some((seconds, micros * 1000)));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text: String) {
            parse_time(&text, true);
            parse_duration(&text);
        }
    }
}
