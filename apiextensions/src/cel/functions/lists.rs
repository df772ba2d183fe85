//! Lists, maps and sets: CEL's own functions, Kubernetes' list library, and the `sets` library.

use super::{Cost, Function, Max, Ret, T, Val, global, member, mismatch};
use std::cmp::Ordering;
use std::collections::HashMap;

const BOOL: Ret = Ret::Is(T::Bool);
const INT: Ret = Ret::Is(T::Int);

pub(super) const FUNCTIONS: &[Function] = &[
    global("size", &[T::List], INT, Max::One, Cost::One, size),
    member("size", &[T::List], INT, Max::One, Cost::One, size),
    global("size", &[T::Map], INT, Max::One, Cost::One, size),
    member("size", &[T::Map], INT, Max::One, Cost::One, size),
    global("@in", &[T::Any, T::List], BOOL, Max::One, Cost::Items, |args| {
        Ok(Val::Bool(
            items(&args[1]).iter().any(|item| item.equals(&args[0])),
        ))
    }),
    global("@in", &[T::Any, T::Map], BOOL, Max::One, Cost::One, |args| {
        Ok(Val::Bool(args[1].get(&args[0]).is_some()))
    }),
    global(
        "_+_",
        &[T::List, T::List],
        Ret::Same,
        Max::Sum,
        Cost::Scan,
        |args| {
            let mut all = items(&args[0]);
            // A set or list-map of the document stays one: an item that is known already takes its place.
            let keyed = all.iter().enumerate();
            let mut slots: HashMap<String, usize> = keyed
                .filter_map(|(at, item)| Some((args[0].merge_key(item)?, at)))
                .collect();
            for item in items(&args[1]) {
                let key = args[0].merge_key(&item);
                match key.as_ref().and_then(|key| slots.get(key)) {
                    Some(at) => all[*at] = item,
                    None => {
                        slots.extend(key.map(|key| (key, all.len())));
                        all.push(item);
                    }
                }
            }
            Ok(Val::list(all))
        },
    ),
    member("isSorted", &[T::List], BOOL, Max::One, Cost::Items, |args| {
        let sorted = items(&args[0])
            .windows(2)
            .all(|pair| pair[0].compare(&pair[1]).is_some_and(Ordering::is_le));
        Ok(Val::Bool(sorted))
    }),
    member("sum", &[T::List], Ret::Item, Max::One, Cost::Items, |args| {
        let mut sum = Val::Int(0);
        for (index, item) in items(&args[0]).into_iter().enumerate() {
            sum = match (sum, item) {
                (_, item) if index == 0 => item,
                (Val::Int(a), Val::Int(b)) => Val::Int(a.checked_add(b).ok_or("integer overflow")?),
                (Val::Uint(a), Val::Uint(b)) => Val::Uint(a.checked_add(b).ok_or("integer overflow")?),
                (Val::Double(a), Val::Double(b)) => Val::Double(a + b),
                (Val::Duration(a), Val::Duration(b)) => {
                    Val::Duration(a.checked_add(b).ok_or("duration overflow")?)
                }
                _ => return mismatch(),
            };
        }
        Ok(sum)
    }),
    member("min", &[T::List], Ret::Item, Max::One, Cost::Items, |args| {
        extreme(&args[0], "min", Ordering::is_lt)
    }),
    member("max", &[T::List], Ret::Item, Max::One, Cost::Items, |args| {
        extreme(&args[0], "max", Ordering::is_gt)
    }),
    member(
        "indexOf",
        &[T::List, T::Any],
        INT,
        Max::One,
        Cost::Items,
        |args| {
            let at = items(&args[0]).iter().position(|item| item.equals(&args[1]));
            Ok(Val::Int(at.map_or(-1, |at| at as i64)))
        },
    ),
    member(
        "lastIndexOf",
        &[T::List, T::Any],
        INT,
        Max::One,
        Cost::Items,
        |args| {
            let at = items(&args[0]).iter().rposition(|item| item.equals(&args[1]));
            Ok(Val::Int(at.map_or(-1, |at| at as i64)))
        },
    ),
    member(
        "flatten",
        &[T::List],
        Ret::Flat,
        Max::Fixed(FLAT),
        Cost::Items,
        |args| {
            let mut flat = Vec::new();
            for item in items(&args[0]) {
                match item {
                    Val::List(_) | Val::Json(serde_json::Value::Array(_), _) => flat.extend(items(&item)),
                    other => flat.push(other),
                }
            }
            Ok(Val::list(flat))
        },
    ),
    global(
        "sets.contains",
        &[T::List, T::List],
        BOOL,
        Max::One,
        Cost::Pairs,
        |args| Ok(Val::Bool(covers(&args[0], &args[1]))),
    ),
    global(
        "sets.equivalent",
        &[T::List, T::List],
        BOOL,
        Max::One,
        Cost::Pairs,
        |args| {
            Ok(Val::Bool(
                covers(&args[0], &args[1]) && covers(&args[1], &args[0]),
            ))
        },
    ),
    global(
        "sets.intersects",
        &[T::List, T::List],
        BOOL,
        Max::One,
        Cost::Pairs,
        |args| {
            let other = items(&args[1]);
            let meets = |item: &Val<'_>| other.iter().any(|one| one.equals(item));
            Ok(Val::Bool(items(&args[0]).iter().any(meets)))
        },
    ),
];

/// How long a flattened list can be, as estimates see it: what fits into a request.
const FLAT: u64 = crate::cel::shape::MAX_REQUEST;

fn items<'a>(list: &Val<'a>) -> Vec<Val<'a>> {
    list.items().unwrap_or_default()
}

fn size<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    Ok(Val::Int(args[0].len() as i64))
}

fn extreme<'a>(list: &Val<'a>, name: &str, wins: fn(Ordering) -> bool) -> Result<Val<'a>, String> {
    let mut items = items(list).into_iter();
    let mut best = items
        .next()
        .ok_or_else(|| format!("{name} called on empty list"))?;
    for item in items {
        if item.compare(&best).is_some_and(wins) {
            best = item;
        }
    }
    Ok(best)
}

fn covers(all: &Val<'_>, part: &Val<'_>) -> bool {
    let all = items(all);
    items(part)
        .iter()
        .all(|wanted| all.iter().any(|one| one.equals(wanted)))
}
