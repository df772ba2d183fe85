//! Kubernetes' `url`, `quantity` and `format` libraries.

use super::{Cost, Function, Max, Ret, T, Val, global, member, mismatch};
use crate::cel::value::Entries;
use crate::format;
use apimachinery::names;
use apimachinery::quantity::{Format, Quantity};
use std::cmp::Ordering;
use std::sync::Arc;

const BOOL: Ret = Ret::Is(T::Bool);
const INT: Ret = Ret::Is(T::Int);
const STRING: Ret = Ret::Is(T::String);
const QUANTITY: Ret = Ret::Is(T::Quantity);

macro_rules! of_url {
    ($name:literal, $read:expr) => {
        member(
            $name,
            &[T::Url],
            STRING,
            Max::First,
            Cost::Scan,
            |args| match args {
                [Val::Url(url)] => {
                    let read: fn(&url::Url) -> String = $read;
                    Ok(Val::text(read(url)))
                }
                _ => mismatch(),
            },
        )
    };
}

macro_rules! compare {
    ($name:literal, $test:expr) => {
        member(
            $name,
            &[T::Quantity, T::Quantity],
            BOOL,
            Max::One,
            Cost::One,
            |args| {
                let test: fn(Ordering) -> bool = $test;
                Ok(Val::Bool(args[0].compare(&args[1]).is_some_and(test)))
            },
        )
    };
}

macro_rules! combine {
    ($name:literal, $op:tt) => {
        &[
            member($name, &[T::Quantity, T::Quantity], QUANTITY, Max::One, Cost::One, |args| match args {
                [Val::Quantity(a), Val::Quantity(b)] => {
                    Ok(Val::Quantity(Arc::new(a.as_ref() $op b.as_ref())))
                }
                _ => mismatch(),
            }),
            member($name, &[T::Quantity, T::Int], QUANTITY, Max::One, Cost::One, |args| match args {
                [Val::Quantity(a), Val::Int(b)] => {
                    let b = Quantity::new(*b, Format::DecimalSi);
                    Ok(Val::Quantity(Arc::new(a.as_ref() $op &b)))
                }
                _ => mismatch(),
            }),
        ]
    };
}

macro_rules! formats {
    ($($name:literal),*) => {
        &[$(global(concat!("format.", $name), &[], Ret::Is(T::Format), Max::One, Cost::One, |_| {
            Ok(Val::Format($name))
        })),*]
    };
}

const FORMATS: &[Function] = formats!(
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime"
);

const OTHERS: &[Function] = &[
    global(
        "isURL",
        &[T::String],
        BOOL,
        Max::One,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => Ok(Val::Bool(url(text).is_some())),
            _ => mismatch(),
        },
    ),
    global(
        "url",
        &[T::String],
        Ret::Is(T::Url),
        Max::First,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => url(text)
                .map(|url| Val::Url(Arc::new(url)))
                .ok_or_else(|| format!("URL parse error during conversion from string: {:?}", &**text)),
            _ => mismatch(),
        },
    ),
    of_url!("getScheme", |url| if url.as_str().starts_with(ROOTED) {
        String::new()
    } else {
        url.scheme().into()
    }),
    of_url!("getHost", |url| {
        if url.as_str().starts_with(ROOTED) {
            return String::new();
        }
        let host = url.host_str().unwrap_or_default();
        match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.into(),
        }
    }),
    of_url!("getHostname", |url| {
        if url.as_str().starts_with(ROOTED) {
            return String::new();
        }
        let host = url.host_str().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']').into()
    }),
    of_url!("getPort", |url| url
        .port()
        .map(|port| port.to_string())
        .unwrap_or_default()),
    of_url!("getEscapedPath", |url| url.path().into()),
    member(
        "getQuery",
        &[T::Url],
        Ret::Is(T::Map),
        Max::First,
        Cost::Scan,
        |args| match args {
            [Val::Url(url)] => {
                let mut query: Vec<(String, Vec<Val<'_>>)> = Vec::new();
                for (key, value) in url.query_pairs() {
                    match query.iter_mut().find(|(other, _)| *other == key) {
                        Some((_, values)) => values.push(Val::text(value.as_ref())),
                        None => query.push((key.into_owned(), vec![Val::text(value.as_ref())])),
                    }
                }
                let mut entries = Entries::default();
                for (key, values) in query {
                    entries.push(Val::text(key), Val::list(values))?;
                }
                Ok(Val::Map(Arc::new(entries)))
            }
            _ => mismatch(),
        },
    ),
    global(
        "isQuantity",
        &[T::String],
        BOOL,
        Max::One,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => Ok(Val::Bool(text.parse::<Quantity>().is_ok())),
            _ => mismatch(),
        },
    ),
    global(
        "quantity",
        &[T::String],
        QUANTITY,
        Max::One,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => match text.parse::<Quantity>() {
                Ok(quantity) => Ok(Val::Quantity(Arc::new(quantity))),
                Err(why) => Err(why.to_string()),
            },
            _ => mismatch(),
        },
    ),
    member(
        "sign",
        &[T::Quantity],
        INT,
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Quantity(quantity)] => Ok(Val::Int(match (quantity.is_zero(), quantity.is_negative()) {
                (true, _) => 0,
                (_, true) => -1,
                _ => 1,
            })),
            _ => mismatch(),
        },
    ),
    member(
        "isInteger",
        &[T::Quantity],
        BOOL,
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Quantity(quantity)] => Ok(Val::Bool(integer(quantity).is_some())),
            _ => mismatch(),
        },
    ),
    member(
        "asInteger",
        &[T::Quantity],
        INT,
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Quantity(quantity)] => integer(quantity)
                .map(Val::Int)
                .ok_or_else(|| "cannot convert value to integer".into()),
            _ => mismatch(),
        },
    ),
    member(
        "asApproximateFloat",
        &[T::Quantity],
        Ret::Is(T::Double),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Quantity(quantity)] => Ok(Val::Double(quantity.as_f64())),
            _ => mismatch(),
        },
    ),
    member(
        "compareTo",
        &[T::Quantity, T::Quantity],
        INT,
        Max::One,
        Cost::One,
        |args| {
            Ok(Val::Int(match args[0].compare(&args[1]) {
                Some(Ordering::Less) => -1,
                Some(Ordering::Greater) => 1,
                _ => 0,
            }))
        },
    ),
    compare!("isLessThan", Ordering::is_lt),
    compare!("isGreaterThan", Ordering::is_gt),
    global(
        "format.named",
        &[T::String],
        Ret::OptionalOf(T::Format),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Str(text)] => {
                let rows = FORMATS.iter().filter_map(|row| row.name.strip_prefix("format."));
                let found = rows.into_iter().find(|name| *name == &**text);
                Ok(Val::optional(found.map(Val::Format)))
            }
            _ => mismatch(),
        },
    ),
    member(
        "validate",
        &[T::Format, T::String],
        Ret::OptionalOf(T::List),
        Max::Fixed(8),
        Cost::Scan,
        |args| match args {
            [Val::Format(name), Val::Str(text)] => {
                let problems = problems(name, text);
                let list = problems.into_iter().map(Val::text).collect::<Vec<_>>();
                Ok(Val::optional((!list.is_empty()).then(|| Val::list(list))))
            }
            _ => mismatch(),
        },
    ),
];

const ADD: &[Function] = combine!("add", +);
const SUBTRACT: &[Function] = combine!("sub", -);

/// Every table of this file.
pub(super) const FUNCTIONS: &[&[Function]] = &[FORMATS, OTHERS, ADD, SUBTRACT];

/// What stands in for the host of a URL that has only a path; no real URL has this scheme.
const ROOTED: &str = "orrery-path://";

/// A URL with a scheme, or an absolute path, as Go's `url.ParseRequestURI` takes them.
fn url(text: &str) -> Option<url::Url> {
    if text.starts_with('/') {
        return url::Url::parse(&format!("{ROOTED}x{text}")).ok();
    }
    url::Url::parse(text).ok()
}

/// The quantity as a whole number that fits.
fn integer(quantity: &Quantity) -> Option<i64> {
    let value = quantity.value();
    (Quantity::new(value, Format::DecimalSi) == *quantity).then_some(value)
}

/// What is wrong with a text of a named format.
fn problems(name: &str, text: &str) -> Vec<String> {
    let all = |problems: names::Problems| problems.into_iter().collect();
    // A prefix may end in a dash: what follows completes it.
    let completed = || {
        if text.ends_with('-') {
            format!("{text}a")
        } else {
            text.to_owned()
        }
    };
    let formatted = |format: &str| {
        if format::accepts(format, text) {
            Vec::new()
        } else {
            vec![format!("must be a valid {name}")]
        }
    };
    match name {
        "dns1123Label" => all(names::dns1123_label(text)),
        "dns1123Subdomain" => all(names::dns1123_subdomain(text)),
        "dns1035Label" => all(names::dns1035_label(text)),
        "qualifiedName" => all(names::qualified_name(text)),
        "dns1123LabelPrefix" => all(names::dns1123_label(&completed())),
        "dns1123SubdomainPrefix" => all(names::dns1123_subdomain(&completed())),
        "dns1035LabelPrefix" => all(names::dns1035_label(&completed())),
        "labelValue" => all(names::label_value(text)),
        "datetime" => formatted("date-time"),
        other => formatted(other),
    }
}
