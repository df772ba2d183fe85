//! Conversions between types, and `type` itself.

use super::{Cost, Function, Max, Ret, T, Val, global, mismatch};
use crate::format;

/// The longest text that a number, a time or a type becomes.
const SHORT: Max = Max::Fixed(64);

pub(super) const FUNCTIONS: &[Function] = &[
    global(
        "string",
        &[T::String],
        Ret::Is(T::String),
        Max::First,
        Cost::One,
        same,
    ),
    global("string", &[T::Int], Ret::Is(T::String), SHORT, Cost::One, text),
    global("string", &[T::Uint], Ret::Is(T::String), SHORT, Cost::One, text),
    global(
        "string",
        &[T::Double],
        Ret::Is(T::String),
        Max::Fixed(400),
        Cost::One,
        text,
    ),
    global("string", &[T::Bool], Ret::Is(T::String), SHORT, Cost::One, text),
    global(
        "string",
        &[T::Bytes],
        Ret::Is(T::String),
        Max::First,
        Cost::Scan,
        text,
    ),
    global(
        "string",
        &[T::Timestamp],
        Ret::Is(T::String),
        SHORT,
        Cost::One,
        text,
    ),
    global(
        "string",
        &[T::Duration],
        Ret::Is(T::String),
        SHORT,
        Cost::One,
        text,
    ),
    global("string", &[T::Ip], Ret::Is(T::String), SHORT, Cost::One, text),
    global("string", &[T::Cidr], Ret::Is(T::String), SHORT, Cost::One, text),
    global("int", &[T::Int], Ret::Is(T::Int), Max::One, Cost::One, same),
    global("int", &[T::Uint], Ret::Is(T::Int), Max::One, Cost::One, int),
    global("int", &[T::Double], Ret::Is(T::Int), Max::One, Cost::One, int),
    global("int", &[T::String], Ret::Is(T::Int), Max::One, Cost::Scan, int),
    global("int", &[T::Timestamp], Ret::Is(T::Int), Max::One, Cost::One, int),
    global("uint", &[T::Uint], Ret::Is(T::Uint), Max::One, Cost::One, same),
    global("uint", &[T::Int], Ret::Is(T::Uint), Max::One, Cost::One, uint),
    global("uint", &[T::Double], Ret::Is(T::Uint), Max::One, Cost::One, uint),
    global("uint", &[T::String], Ret::Is(T::Uint), Max::One, Cost::Scan, uint),
    global(
        "double",
        &[T::Double],
        Ret::Is(T::Double),
        Max::One,
        Cost::One,
        same,
    ),
    global(
        "double",
        &[T::Int],
        Ret::Is(T::Double),
        Max::One,
        Cost::One,
        double,
    ),
    global(
        "double",
        &[T::Uint],
        Ret::Is(T::Double),
        Max::One,
        Cost::One,
        double,
    ),
    global(
        "double",
        &[T::String],
        Ret::Is(T::Double),
        Max::One,
        Cost::Scan,
        double,
    ),
    global("bool", &[T::Bool], Ret::Is(T::Bool), Max::One, Cost::One, same),
    global(
        "bool",
        &[T::String],
        Ret::Is(T::Bool),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Str(text)] => match &**text {
                "true" | "True" | "TRUE" | "t" | "1" => Ok(Val::Bool(true)),
                "false" | "False" | "FALSE" | "f" | "0" => Ok(Val::Bool(false)),
                _ => Err("type conversion error from string to bool".into()),
            },
            _ => mismatch(),
        },
    ),
    global(
        "bytes",
        &[T::Bytes],
        Ret::Is(T::Bytes),
        Max::First,
        Cost::One,
        same,
    ),
    global(
        "bytes",
        &[T::String],
        Ret::Is(T::Bytes),
        Max::First,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => Ok(Val::Bytes(text.as_bytes().into())),
            _ => mismatch(),
        },
    ),
    global(
        "timestamp",
        &[T::Timestamp],
        Ret::Is(T::Timestamp),
        Max::One,
        Cost::One,
        same,
    ),
    global(
        "timestamp",
        &[T::String],
        Ret::Is(T::Timestamp),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Str(text)] => format::timestamp(text)
                .map(Val::Timestamp)
                .ok_or_else(|| format!("invalid timestamp {:?}", &**text)),
            _ => mismatch(),
        },
    ),
    global(
        "timestamp",
        &[T::Int],
        Ret::Is(T::Timestamp),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Int(seconds)] => jiff::Timestamp::from_second(*seconds)
                .map(Val::Timestamp)
                .map_err(|_| "timestamp overflow".into()),
            _ => mismatch(),
        },
    ),
    global(
        "duration",
        &[T::Duration],
        Ret::Is(T::Duration),
        Max::One,
        Cost::One,
        same,
    ),
    global(
        "duration",
        &[T::String],
        Ret::Is(T::Duration),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Str(text)] => format::duration(text)
                .map(Val::Duration)
                .ok_or_else(|| format!("invalid duration {:?}", &**text)),
            _ => mismatch(),
        },
    ),
    global("dyn", &[T::Any], Ret::Is(T::Any), Max::First, Cost::One, same),
    global("type", &[T::Any], Ret::Is(T::Type), Max::One, Cost::One, |args| {
        Ok(Val::Type(args[0].type_name()))
    }),
];

fn same<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    Ok(args[0].clone())
}

fn text<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    Ok(Val::text(match &args[0] {
        Val::Int(value) => value.to_string(),
        Val::Uint(value) => value.to_string(),
        Val::Double(value) => value.to_string(),
        Val::Bool(value) => value.to_string(),
        Val::Bytes(bytes) => String::from_utf8(bytes.to_vec())
            .map_err(|_| "invalid UTF-8 in bytes, cannot convert to string")?,
        Val::Timestamp(value) => value.to_string(),
        Val::Duration(value) => format!("{}s", value.as_secs_f64()),
        Val::Ip(value) => value.to_string(),
        Val::Cidr(value) => value.to_string(),
        _ => return mismatch(),
    }))
}

fn int<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    let int = match &args[0] {
        Val::Uint(value) => i64::try_from(*value).ok(),
        Val::Double(value) if value.abs() < 9.223_372_036_854_775e18 => Some(*value as i64),
        Val::Str(text) => {
            return text
                .parse()
                .map(Val::Int)
                .map_err(|_| "type conversion error from string to int".into());
        }
        Val::Timestamp(value) => Some(value.as_second()),
        _ => None,
    };
    int.map(Val::Int).ok_or_else(|| "integer overflow".into())
}

fn uint<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    let uint = match &args[0] {
        Val::Int(value) => u64::try_from(*value).ok(),
        Val::Double(value) if (0.0..1.844_674_407_370_955e19).contains(value) => Some(*value as u64),
        Val::Str(text) => {
            return text
                .parse()
                .map(Val::Uint)
                .map_err(|_| "type conversion error from string to uint".into());
        }
        _ => None,
    };
    uint.map(Val::Uint)
        .ok_or_else(|| "unsigned integer overflow".into())
}

fn double<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    Ok(Val::Double(match &args[0] {
        Val::Int(value) => *value as f64,
        Val::Uint(value) => *value as f64,
        Val::Str(text) => text
            .parse()
            .map_err(|_| "type conversion error from string to double")?,
        _ => return mismatch(),
    }))
}
