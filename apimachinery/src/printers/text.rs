//! How single values look in kubectl's tables.

use crate::quantity;
use crate::selector::LabelSelector as Parsed;
use jiff::Timestamp;
use proto::Quantity;
use proto::api::core::v1::{PodSpec, PodTemplateSpec};
use proto::meta::v1::LabelSelector;
use std::collections::BTreeMap;

/// How long ago: `45s`, `3m12s`, `2d5h`; `<unknown>` for a time that is not known.
pub fn age(time: Option<&proto::Timestamp>, now: Timestamp) -> String {
    time.map_or_else(|| "<unknown>".into(), |time| age_of(time.seconds, now))
}

/// How long ago a second of the Unix calendar was.
pub(super) fn age_of(seconds: i64, now: Timestamp) -> String {
    duration(now.as_second() - seconds)
}

/// A duration in at most two units, the finer one only while it matters.
pub fn duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |large: i64, large_name: &str, small: i64, small_name: &str| {
        let (whole, rest) = (seconds / large, seconds % large / small);
        if rest == 0 {
            format!("{whole}{large_name}")
        } else {
            format!("{whole}{large_name}{rest}{small_name}")
        }
    };
    match seconds {
        // Clocks of two machines differ by a little.
        ..-1 => "<invalid>".into(),
        -1..0 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, "m", 1, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(HOUR, "h", MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(DAY, "d", HOUR, "h"),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => two(YEAR, "y", DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// The text, or `<none>`.
pub fn or_none(text: &str) -> String {
    or(text, "<none>")
}

/// The text, or what stands for its absence.
pub fn or(text: &str, absent: &str) -> String {
    if text.is_empty() { absent } else { text }.to_owned()
}

/// `a=1,b=2`, or `<none>`.
pub fn set(pairs: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    or_none(&pairs.join(","))
}

/// `app=web,tier in (a,b)`, or `<none>`.
pub fn selector(selector: Option<&LabelSelector>) -> String {
    match Parsed::from_proto(selector) {
        Ok(parsed) => or_none(&parsed.to_string()),
        Err(_) => "<invalid>".into(),
    }
}

/// The containers' names, and their images.
pub fn containers(template: Option<&PodTemplateSpec>) -> [String; 2] {
    let none = PodSpec::default();
    let spec = template
        .and_then(|template| template.spec.as_ref())
        .unwrap_or(&none);
    let join = |of: fn(&proto::api::core::v1::Container) -> &str| {
        let words: Vec<&str> = spec.containers.iter().map(of).collect();
        words.join(",")
    };
    [
        join(|container| &container.name),
        join(|container| &container.image),
    ]
}

/// A quantity as its unit writes it shortest; what is none stays as it is.
pub fn quantity(amount: &Quantity) -> String {
    quantity::parse(&amount.string).map_or_else(|_| amount.string.clone(), |amount| amount.to_string())
}

/// `RWO`, `ROX`, …: access modes of volumes.
pub fn access_modes(modes: &[String]) -> String {
    let short = |mode: &String| match mode.as_str() {
        "ReadWriteOnce" => "RWO".to_owned(),
        "ReadOnlyMany" => "ROX".to_owned(),
        "ReadWriteMany" => "RWX".to_owned(),
        "ReadWriteOncePod" => "RWOP".to_owned(),
        other => other.to_owned(),
    };
    modes.iter().map(short).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_the_finer_unit_only_while_it_matters() {
        const H: i64 = 3600;
        const D: i64 = 24 * H;
        for (seconds, expected) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (192, "3m12s"),
            (599, "9m59s"),
            (600, "10m"),
            (3 * H - 1, "179m"),
            (3 * H, "3h"),
            (5 * H + 120, "5h2m"),
            (8 * H + 120, "8h"),
            (47 * H, "47h"),
            (2 * D + 5 * H, "2d5h"),
            (8 * D + 5 * H, "8d"),
            (700 * D, "700d"),
            (800 * D, "2y70d"),
            (3000 * D, "8y"),
        ] {
            assert_eq!(duration(seconds), expected, "{seconds}");
        }
    }
}
