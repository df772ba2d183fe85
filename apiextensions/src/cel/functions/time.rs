//! Timestamps and durations. A time zone is UTC, an offset such as `-02:00`; named zones are not known.

use super::{Cost, Function, Max, Ret, T, Val, global, member, mismatch};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

const INT: Ret = Ret::Is(T::Int);
const OVERFLOW: &str = "timestamp overflow";

macro_rules! part {
    ($name:literal, $read:expr) => {
        member($name, &[T::Timestamp], INT, Max::One, Cost::One, |args| {
            let read: fn(&DateTime) -> i64 = $read;
            Ok(Val::Int(read(&zoned(args)?)))
        })
    };
}

macro_rules! zoned_part {
    ($name:literal, $read:expr) => {
        member(
            $name,
            &[T::Timestamp, T::String],
            INT,
            Max::One,
            Cost::One,
            |args| {
                let read: fn(&DateTime) -> i64 = $read;
                Ok(Val::Int(read(&zoned(args)?)))
            },
        )
    };
}

macro_rules! total {
    ($name:literal, $read:expr) => {
        member(
            $name,
            &[T::Duration],
            INT,
            Max::One,
            Cost::One,
            |args| match args {
                [Val::Duration(value)] => {
                    let read: fn(&SignedDuration) -> i64 = $read;
                    Ok(Val::Int(read(value)))
                }
                _ => mismatch(),
            },
        )
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    global(
        "_+_",
        &[T::Timestamp, T::Duration],
        Ret::Is(T::Timestamp),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Timestamp(at), Val::Duration(by)] => moved(*at, *by),
            _ => mismatch(),
        },
    ),
    global(
        "_+_",
        &[T::Duration, T::Timestamp],
        Ret::Is(T::Timestamp),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Duration(by), Val::Timestamp(at)] => moved(*at, *by),
            _ => mismatch(),
        },
    ),
    global(
        "_-_",
        &[T::Timestamp, T::Duration],
        Ret::Is(T::Timestamp),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Timestamp(at), Val::Duration(by)] => moved(*at, by.checked_neg().ok_or(OVERFLOW)?),
            _ => mismatch(),
        },
    ),
    global(
        "_-_",
        &[T::Timestamp, T::Timestamp],
        Ret::Is(T::Duration),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Timestamp(a), Val::Timestamp(b)] => Ok(Val::Duration(a.duration_since(*b))),
            _ => mismatch(),
        },
    ),
    global(
        "_+_",
        &[T::Duration, T::Duration],
        Ret::Is(T::Duration),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Duration(a), Val::Duration(b)] => {
                Ok(Val::Duration(a.checked_add(*b).ok_or("duration overflow")?))
            }
            _ => mismatch(),
        },
    ),
    global(
        "_-_",
        &[T::Duration, T::Duration],
        Ret::Is(T::Duration),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Duration(a), Val::Duration(b)] => {
                Ok(Val::Duration(a.checked_sub(*b).ok_or("duration overflow")?))
            }
            _ => mismatch(),
        },
    ),
    part!("getFullYear", |at| at.year().into()),
    part!("getMonth", |at| i64::from(at.month()) - 1),
    part!("getDate", |at| at.day().into()),
    part!("getDayOfMonth", |at| i64::from(at.day()) - 1),
    part!("getDayOfYear", |at| i64::from(at.day_of_year()) - 1),
    part!("getDayOfWeek", |at| at.weekday().to_sunday_zero_offset().into()),
    part!("getHours", |at| at.hour().into()),
    part!("getMinutes", |at| at.minute().into()),
    part!("getSeconds", |at| at.second().into()),
    part!("getMilliseconds", |at| at.millisecond().into()),
    zoned_part!("getFullYear", |at| at.year().into()),
    zoned_part!("getMonth", |at| i64::from(at.month()) - 1),
    zoned_part!("getDate", |at| at.day().into()),
    zoned_part!("getDayOfMonth", |at| i64::from(at.day()) - 1),
    zoned_part!("getDayOfYear", |at| i64::from(at.day_of_year()) - 1),
    zoned_part!("getDayOfWeek", |at| at.weekday().to_sunday_zero_offset().into()),
    zoned_part!("getHours", |at| at.hour().into()),
    zoned_part!("getMinutes", |at| at.minute().into()),
    zoned_part!("getSeconds", |at| at.second().into()),
    zoned_part!("getMilliseconds", |at| at.millisecond().into()),
    total!("getHours", SignedDuration::as_hours),
    total!("getMinutes", SignedDuration::as_mins),
    total!("getSeconds", SignedDuration::as_secs),
    total!("getMilliseconds", |value| value.as_millis() as i64),
];

fn moved<'a>(at: Timestamp, by: SignedDuration) -> Result<Val<'a>, String> {
    at.checked_add(by)
        .map(Val::Timestamp)
        .map_err(|_| OVERFLOW.into())
}

/// A timestamp as clocks of a zone show it.
fn zoned(args: &[Val<'_>]) -> Result<DateTime, String> {
    match args {
        [Val::Timestamp(at)] => Ok(Offset::UTC.to_datetime(*at)),
        [Val::Timestamp(at), Val::Str(zone)] => Ok(self::zone(zone)?.to_datetime(*at)),
        _ => Err("no such overload".into()),
    }
}

fn zone(name: &str) -> Result<Offset, String> {
    if name == "UTC" || name == "Etc/UTC" {
        return Ok(Offset::UTC);
    }
    let read = || {
        let (negative, digits) = match name.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, name.strip_prefix('+').unwrap_or(name)),
        };
        let (hours, minutes) = digits.split_once(':')?;
        let seconds = hours.parse::<u16>().ok()? as i32 * 3600 + minutes.parse::<u8>().ok()? as i32 * 60;
        Offset::from_seconds(if negative { -seconds } else { seconds }).ok()
    };
    read().ok_or_else(|| format!("unknown time zone {name}: use UTC or an offset such as -02:00"))
}
