//! Texts: CEL's own functions, its string library, and Kubernetes' regular expressions.

use super::{Cost, Function, Max, Ret, T, Val, global, member, mismatch};
use crate::cel::value::Text;
use crate::compile::regex_within;
use regex::Regex;
use std::borrow::Cow;

const BOOL: Ret = Ret::Is(T::Bool);
const INT: Ret = Ret::Is(T::Int);
const STRING: Ret = Ret::Is(T::String);

pub(super) const FUNCTIONS: &[Function] = &[
    global(
        "_+_",
        &[T::String, T::String],
        STRING,
        Max::Sum,
        Cost::Scan,
        |args| match args {
            [Val::Str(a), Val::Str(b)] => Ok(Val::text([&**a, &**b].concat())),
            _ => mismatch(),
        },
    ),
    global("size", &[T::String], INT, Max::One, Cost::Scan, size),
    member("size", &[T::String], INT, Max::One, Cost::Scan, size),
    global("size", &[T::Bytes], INT, Max::One, Cost::One, size),
    member("size", &[T::Bytes], INT, Max::One, Cost::One, size),
    member(
        "startsWith",
        &[T::String, T::String],
        BOOL,
        Max::One,
        Cost::Compare,
        |args| match args {
            [Val::Str(text), Val::Str(prefix)] => Ok(Val::Bool(text.starts_with(&**prefix))),
            _ => mismatch(),
        },
    ),
    member(
        "endsWith",
        &[T::String, T::String],
        BOOL,
        Max::One,
        Cost::Compare,
        |args| match args {
            [Val::Str(text), Val::Str(suffix)] => Ok(Val::Bool(text.ends_with(&**suffix))),
            _ => mismatch(),
        },
    ),
    member(
        "contains",
        &[T::String, T::String],
        BOOL,
        Max::One,
        Cost::Search,
        |args| match args {
            [Val::Str(text), Val::Str(part)] => Ok(Val::Bool(text.contains(&**part))),
            _ => mismatch(),
        },
    ),
    member(
        "matches",
        &[T::String, T::String],
        BOOL,
        Max::One,
        Cost::Regex,
        matches,
    ),
    global(
        "matches",
        &[T::String, T::String],
        BOOL,
        Max::One,
        Cost::Regex,
        matches,
    ),
    member(
        "find",
        &[T::String, T::String],
        STRING,
        Max::First,
        Cost::Regex,
        |args| {
            let (text, pattern) = pattern(args)?;
            let found = pattern.find(text).map_or("", |found| found.as_str());
            Ok(Val::text(found))
        },
    ),
    member(
        "findAll",
        &[T::String, T::String],
        Ret::ListOf(T::String),
        Max::First,
        Cost::RegexAll,
        |args| find_all(args, usize::MAX),
    ),
    member(
        "findAll",
        &[T::String, T::String, T::Int],
        Ret::ListOf(T::String),
        Max::First,
        Cost::RegexAll,
        |args| match args {
            [.., Val::Int(most)] => find_all(&args[..2], usize::try_from(*most).unwrap_or(usize::MAX)),
            _ => mismatch(),
        },
    ),
    member(
        "charAt",
        &[T::String, T::Int],
        STRING,
        Max::Fixed(4),
        Cost::Scan,
        |args| match args {
            [Val::Str(text), Val::Int(index)] => {
                let count = text.chars().count();
                match usize::try_from(*index) {
                    Ok(at) if at <= count => Ok(Val::text(text.chars().skip(at).take(1).collect::<String>())),
                    _ => Err(format!("index out of range: {index}")),
                }
            }
            _ => mismatch(),
        },
    ),
    member(
        "indexOf",
        &[T::String, T::String],
        INT,
        Max::One,
        Cost::Search,
        |args| match args {
            [Val::Str(text), Val::Str(part)] => Ok(position(text, text.find(&**part))),
            _ => mismatch(),
        },
    ),
    member(
        "indexOf",
        &[T::String, T::String, T::Int],
        INT,
        Max::One,
        Cost::Search,
        |args| match args {
            [Val::Str(text), Val::Str(part), Val::Int(from)] => {
                let from = byte_of(text, *from)?;
                Ok(position(text, text[from..].find(&**part).map(|at| at + from)))
            }
            _ => mismatch(),
        },
    ),
    member(
        "lastIndexOf",
        &[T::String, T::String],
        INT,
        Max::One,
        Cost::Search,
        |args| match args {
            [Val::Str(text), Val::Str(part)] => Ok(position(text, text.rfind(&**part))),
            _ => mismatch(),
        },
    ),
    member(
        "lowerAscii",
        &[T::String],
        STRING,
        Max::First,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => Ok(Val::text(text.to_ascii_lowercase())),
            _ => mismatch(),
        },
    ),
    member(
        "upperAscii",
        &[T::String],
        STRING,
        Max::First,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => Ok(Val::text(text.to_ascii_uppercase())),
            _ => mismatch(),
        },
    ),
    member(
        "trim",
        &[T::String],
        STRING,
        Max::First,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => Ok(Val::text(text.trim())),
            _ => mismatch(),
        },
    ),
    member(
        "reverse",
        &[T::String],
        STRING,
        Max::First,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => Ok(Val::text(text.chars().rev().collect::<String>())),
            _ => mismatch(),
        },
    ),
    member(
        "substring",
        &[T::String, T::Int],
        STRING,
        Max::First,
        Cost::Scan,
        |args| match args {
            [Val::Str(text), Val::Int(from)] => Ok(Val::text(&text[byte_of(text, *from)?..])),
            _ => mismatch(),
        },
    ),
    member(
        "substring",
        &[T::String, T::Int, T::Int],
        STRING,
        Max::First,
        Cost::Scan,
        |args| match args {
            [Val::Str(text), Val::Int(from), Val::Int(to)] => {
                let (start, end) = (byte_of(text, *from)?, byte_of(text, *to)?);
                text.get(start..end)
                    .map(Val::text)
                    .ok_or_else(|| format!("invalid substring range. start: {from}, end: {to}"))
            }
            _ => mismatch(),
        },
    ),
    member(
        "replace",
        &[T::String, T::String, T::String],
        STRING,
        Max::Product,
        Cost::Pairs,
        |args| match args {
            [Val::Str(text), Val::Str(from), Val::Str(to)] => Ok(Val::text(text.replace(&**from, to))),
            _ => mismatch(),
        },
    ),
    member(
        "replace",
        &[T::String, T::String, T::String, T::Int],
        STRING,
        Max::Product,
        Cost::Pairs,
        |args| match args {
            [Val::Str(text), Val::Str(from), Val::Str(to), Val::Int(most)] => {
                let most = usize::try_from(*most).unwrap_or(usize::MAX);
                Ok(Val::text(text.replacen(&**from, to, most)))
            }
            _ => mismatch(),
        },
    ),
    member(
        "split",
        &[T::String, T::String],
        Ret::ListOf(T::String),
        Max::First,
        Cost::Items,
        |args| match args {
            [Val::Str(text), Val::Str(separator)] => Ok(split(text, separator, usize::MAX)),
            _ => mismatch(),
        },
    ),
    member(
        "split",
        &[T::String, T::String, T::Int],
        Ret::ListOf(T::String),
        Max::First,
        Cost::Items,
        |args| match args {
            [Val::Str(text), Val::Str(separator), Val::Int(most)] => Ok(split(
                text,
                separator,
                usize::try_from(*most).unwrap_or(usize::MAX),
            )),
            _ => mismatch(),
        },
    ),
    member(
        "join",
        &[T::List],
        STRING,
        Max::Fixed(JOINED),
        Cost::Items,
        |args| join(&args[0], ""),
    ),
    member(
        "join",
        &[T::List, T::String],
        STRING,
        Max::Fixed(JOINED),
        Cost::Pairs,
        |args| match args {
            [list, Val::Str(separator)] => join(list, separator),
            _ => mismatch(),
        },
    ),
];

/// How much memory a pattern may take that is compiled while a rule runs: it takes at most a millisecond.
const MAX_MADE_PATTERN: usize = 64 << 10;

/// How long a joined list can be, as estimates see it: what fits into a request.
const JOINED: u64 = crate::cel::shape::MAX_REQUEST;

fn size<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    Ok(Val::Int(match &args[0] {
        Val::Str(text) => text.chars().count() as i64,
        other => other.len() as i64,
    }))
}

fn matches<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    let (text, pattern) = pattern(args)?;
    Ok(Val::Bool(pattern.is_match(text)))
}

/// A text and the pattern that runs over it; compiled now, unless it was a constant.
fn pattern<'v>(args: &'v [Val<'_>]) -> Result<(&'v str, Cow<'v, Regex>), String> {
    match args {
        [Val::Str(text), Val::Regex(pattern)] => Ok((text, Cow::Borrowed(pattern))),
        [Val::Str(text), Val::Str(pattern)] => {
            Ok((text, Cow::Owned(regex_within(pattern, MAX_MADE_PATTERN)?)))
        }
        _ => Err("no such overload".into()),
    }
}

fn find_all<'a>(args: &[Val<'a>], most: usize) -> Result<Val<'a>, String> {
    let (text, pattern) = pattern(args)?;
    let found = pattern.find_iter(text).take(most);
    Ok(Val::list(found.map(|found| Val::text(found.as_str())).collect()))
}

/// A place in a text, counted in characters; -1 for none.
fn position<'a>(text: &Text<'_>, at: Option<usize>) -> Val<'a> {
    Val::Int(at.map_or(-1, |at| text[..at].chars().count() as i64))
}

/// The byte where the character of this number begins.
fn byte_of(text: &str, character: i64) -> Result<usize, String> {
    let wanted = usize::try_from(character).map_err(|_| format!("index out of range: {character}"))?;
    text.char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .nth(wanted)
        .ok_or_else(|| format!("index out of range: {character}"))
}

fn split<'a>(text: &str, separator: &str, most: usize) -> Val<'a> {
    let parts: Vec<Val<'a>> = match (most, separator) {
        (0, _) => Vec::new(),
        // Every character alone; the last part holds what is left.
        (most, "") => {
            let mut rest = text.chars();
            let mut parts = Vec::new();
            while parts.len() + 1 < most {
                match rest.next() {
                    Some(c) => parts.push(Val::text(c.to_string())),
                    None => break,
                }
            }
            if !rest.as_str().is_empty() {
                parts.push(Val::text(rest.as_str()));
            }
            parts
        }
        (most, separator) => text.splitn(most, separator).map(Val::text).collect(),
    };
    Val::list(parts)
}

fn join<'a>(list: &Val<'a>, separator: &str) -> Result<Val<'a>, String> {
    let mut joined = String::new();
    for (index, item) in list.items().unwrap_or_default().iter().enumerate() {
        let Val::Str(text) = item else {
            return mismatch();
        };
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text);
    }
    Ok(Val::text(joined))
}
