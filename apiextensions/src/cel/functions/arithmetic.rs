//! Operators, and optionals.

use super::{Cost, Function, Max, Ret, T, Val, global, member, mismatch};
use std::cmp::Ordering;
use std::sync::Arc;

const OVERFLOW: &str = "integer overflow";

macro_rules! ordering {
    ($name:literal, $test:expr) => {
        ordering!($name, $test; Bool, Bool; Int, Int; Uint, Uint; Double, Double; Int, Uint; Uint, Int; Int, Double;
            Double, Int; Uint, Double; Double, Uint; String, String; Bytes, Bytes; Timestamp, Timestamp;
            Duration, Duration)
    };
    ($name:literal, $test:expr; $($a:ident, $b:ident);*) => {
        &[$(global($name, &[T::$a, T::$b], Ret::Is(T::Bool), Max::One, Cost::Compare, |args| {
            let test: fn(Ordering) -> bool = $test;
            Ok(Val::Bool(args[0].compare(&args[1]).is_some_and(test)))
        })),*]
    };
}

const LESS: &[Function] = ordering!("_<_", Ordering::is_lt);
const LESS_EQUALS: &[Function] = ordering!("_<=_", Ordering::is_le);
const GREATER: &[Function] = ordering!("_>_", Ordering::is_gt);
const GREATER_EQUALS: &[Function] = ordering!("_>=_", Ordering::is_ge);

macro_rules! integers {
    ($name:literal, $int:ident, $uint:ident) => {
        [
            global(
                $name,
                &[T::Int, T::Int],
                Ret::Is(T::Int),
                Max::One,
                Cost::One,
                |args| match args {
                    [Val::Int(a), Val::Int(b)] => Ok(Val::Int(a.$int(*b).ok_or(OVERFLOW)?)),
                    _ => mismatch(),
                },
            ),
            global(
                $name,
                &[T::Uint, T::Uint],
                Ret::Is(T::Uint),
                Max::One,
                Cost::One,
                |args| match args {
                    [Val::Uint(a), Val::Uint(b)] => Ok(Val::Uint(a.$uint(*b).ok_or(OVERFLOW)?)),
                    _ => mismatch(),
                },
            ),
        ]
    };
}

macro_rules! doubles {
    ($name:literal, $op:tt) => {
        global($name, &[T::Double, T::Double], Ret::Is(T::Double), Max::One, Cost::One, |args| match args {
            [Val::Double(a), Val::Double(b)] => Ok(Val::Double(a $op b)),
            _ => mismatch(),
        })
    };
}

const ADD: [Function; 2] = integers!("_+_", checked_add, checked_add);
const SUBTRACT: [Function; 2] = integers!("_-_", checked_sub, checked_sub);
const MULTIPLY: [Function; 2] = integers!("_*_", checked_mul, checked_mul);

const OTHERS: &[Function] = &[
    doubles!("_+_", +),
    doubles!("_-_", -),
    doubles!("_*_", *),
    doubles!("_/_", /),
    global(
        "_/_",
        &[T::Int, T::Int],
        Ret::Is(T::Int),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Int(_), Val::Int(0)] => Err("division by zero".into()),
            [Val::Int(a), Val::Int(b)] => Ok(Val::Int(a.checked_div(*b).ok_or(OVERFLOW)?)),
            _ => mismatch(),
        },
    ),
    global(
        "_/_",
        &[T::Uint, T::Uint],
        Ret::Is(T::Uint),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Uint(a), Val::Uint(b)] => Ok(Val::Uint(a.checked_div(*b).ok_or("division by zero")?)),
            _ => mismatch(),
        },
    ),
    global(
        "_%_",
        &[T::Int, T::Int],
        Ret::Is(T::Int),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Int(_), Val::Int(0)] => Err("modulus by zero".into()),
            [Val::Int(a), Val::Int(b)] => Ok(Val::Int(a.checked_rem(*b).ok_or(OVERFLOW)?)),
            _ => mismatch(),
        },
    ),
    global(
        "_%_",
        &[T::Uint, T::Uint],
        Ret::Is(T::Uint),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Uint(a), Val::Uint(b)] => Ok(Val::Uint(a.checked_rem(*b).ok_or("modulus by zero")?)),
            _ => mismatch(),
        },
    ),
    global(
        "-_",
        &[T::Int],
        Ret::Is(T::Int),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Int(a)] => Ok(Val::Int(a.checked_neg().ok_or(OVERFLOW)?)),
            _ => mismatch(),
        },
    ),
    global(
        "-_",
        &[T::Double],
        Ret::Is(T::Double),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Double(a)] => Ok(Val::Double(-a)),
            _ => mismatch(),
        },
    ),
    global(
        "!_",
        &[T::Bool],
        Ret::Is(T::Bool),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Bool(a)] => Ok(Val::Bool(!a)),
            _ => mismatch(),
        },
    ),
    global(
        "_==_",
        &[T::Any, T::Any],
        Ret::Is(T::Bool),
        Max::One,
        Cost::Compare,
        |args| Ok(Val::Bool(args[0].equals(&args[1]))),
    ),
    global(
        "_!=_",
        &[T::Any, T::Any],
        Ret::Is(T::Bool),
        Max::One,
        Cost::Compare,
        |args| Ok(Val::Bool(!args[0].equals(&args[1]))),
    ),
    global(
        "optional.of",
        &[T::Any],
        Ret::Optional,
        Max::First,
        Cost::One,
        |args| Ok(Val::optional(Some(args[0].clone()))),
    ),
    global(
        "optional.none",
        &[],
        Ret::Is(T::Optional),
        Max::One,
        Cost::One,
        |_| Ok(Val::optional(None)),
    ),
    global(
        "optional.ofNonZeroValue",
        &[T::Any],
        Ret::Optional,
        Max::First,
        Cost::One,
        |args| {
            let value = &args[0];
            let is_zero = match value {
                Val::Null => true,
                Val::Bool(value) => !value,
                Val::Int(value) => *value == 0,
                Val::Uint(value) => *value == 0,
                Val::Double(value) => *value == 0.0,
                Val::Str(_) | Val::Bytes(_) | Val::List(_) | Val::Map(_) | Val::Json(..) => value.len() == 0,
                _ => false,
            };
            Ok(Val::optional((!is_zero).then(|| value.clone())))
        },
    ),
    member(
        "hasValue",
        &[T::Optional],
        Ret::Is(T::Bool),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Optional(value)] => Ok(Val::Bool(value.is_some())),
            _ => mismatch(),
        },
    ),
    member(
        "value",
        &[T::Optional],
        Ret::Item,
        Max::First,
        Cost::One,
        |args| match args {
            [Val::Optional(Some(value))] => Ok(Arc::unwrap_or_clone(value.clone())),
            [Val::Optional(None)] => Err("optional.none() dereference".into()),
            _ => mismatch(),
        },
    ),
    member(
        "orValue",
        &[T::Optional, T::Any],
        Ret::Item,
        Max::Sum,
        Cost::One,
        |args| match args {
            [Val::Optional(Some(value)), _] => Ok(Arc::unwrap_or_clone(value.clone())),
            [Val::Optional(None), other] => Ok(other.clone()),
            _ => mismatch(),
        },
    ),
    member(
        "or",
        &[T::Optional, T::Optional],
        Ret::Same,
        Max::Sum,
        Cost::One,
        |args| match args {
            [Val::Optional(None), other] => Ok(other.clone()),
            [some, _] => Ok(some.clone()),
            _ => mismatch(),
        },
    ),
];

/// Every table of this file.
pub(super) const FUNCTIONS: &[&[Function]] = &[
    LESS,
    LESS_EQUALS,
    GREATER,
    GREATER_EQUALS,
    &ADD,
    &SUBTRACT,
    &MULTIPLY,
    OTHERS,
];
