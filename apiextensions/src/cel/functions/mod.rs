//! The functions and operators that rules can call: one table, one row an overload.
//!
//! A row says what a call takes, what it gives, how large that can be and what it costs. The compiler reads rows to check
//! a rule and to estimate it with the largest sizes; the evaluator reads the same rows with the sizes that are there.

mod arithmetic;
mod convert;
mod kubernetes;
mod lists;
mod net;
mod strings;
mod time;

use super::shape::{MAX_REQUEST, Shape, Ty};
use super::value::Val;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum T {
    Any,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    List,
    Map,
    Optional,
    Type,
    Quantity,
    Url,
    Ip,
    Cidr,
    Format,
}

/// What a call gives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ret {
    Is(T),
    /// What the first argument is.
    Same,
    /// An item of the list that the first argument is; an optional's value.
    Item,
    ListOf(T),
    OptionalOf(T),
    /// An optional of the first argument.
    Optional,
    /// The list of items that the lists in the first argument hold.
    Flat,
}

/// How large a result can be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Max {
    One,
    First,
    Sum,
    Product,
    Fixed(u64),
}

/// What a call costs, in steps. Reading ten bytes is a step, as upstream counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cost {
    One,
    /// Reads all arguments.
    Scan,
    /// Reads the smaller argument.
    Compare,
    /// Looks at every item of all arguments.
    Items,
    /// Compares every item of one with every item of the other.
    Pairs,
    /// Searches one text for another.
    Search,
    /// Runs the pattern, the second argument, over the first.
    Regex,
    /// The same, again after every match.
    RegexAll,
}

/// An overload.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// Whether it is called as `x.name()`; the receiver is its first argument.
    pub(crate) member: bool,
    pub(crate) args: &'static [T],
    pub(crate) ret: Ret,
    pub(crate) max: Max,
    pub(crate) cost: Cost,
    pub(crate) run: Run,
}

/// Computes a result; the arguments have the types of the row. An error is a sentence.
pub(crate) type Run = for<'a> fn(&[Val<'a>]) -> Result<Val<'a>, String>;

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A function `name(args)`.
const fn global(
    name: &'static str,
    args: &'static [T],
    ret: Ret,
    max: Max,
    cost: Cost,
    run: Run,
) -> Function {
    Function {
        name,
        member: false,
        args,
        ret,
        max,
        cost,
        run,
    }
}

/// A function `receiver.name(args)`.
const fn member(
    name: &'static str,
    args: &'static [T],
    ret: Ret,
    max: Max,
    cost: Cost,
    run: Run,
) -> Function {
    Function {
        member: true,
        ..global(name, args, ret, max, cost, run)
    }
}

/// Every overload of a name, called as a member or not.
pub(crate) fn overloads(name: &str, member: bool) -> &'static [&'static Function] {
    type Table = HashMap<(&'static str, bool), Vec<&'static Function>>;
    static TABLE: LazyLock<Table> = LazyLock::new(|| {
        let all = [
            convert::FUNCTIONS,
            strings::FUNCTIONS,
            lists::FUNCTIONS,
            time::FUNCTIONS,
            net::FUNCTIONS,
        ];
        let nested = arithmetic::FUNCTIONS.iter().chain(kubernetes::FUNCTIONS);
        let mut table = Table::new();
        for function in all.into_iter().chain(nested.copied()).flatten() {
            table
                .entry((function.name, function.member))
                .or_default()
                .push(function);
        }
        table
    });
    // The key's text is looked for, not kept.
    TABLE
        .iter()
        .find(|((other, of_member), _)| *other == name && *of_member == member)
        .map_or(&[], |(_, found)| found)
}

impl T {
    /// Whether an expression of this type may be such an argument.
    pub(crate) fn may_be(self, ty: &Ty<'_>) -> bool {
        matches!(
            (self, ty),
            (Self::Any, _)
                | (_, Ty::Dyn)
                | (Self::Bool, Ty::Bool)
                | (Self::Int, Ty::Int)
                | (Self::Uint, Ty::Uint)
                | (Self::Double, Ty::Double)
                | (Self::String, Ty::String)
                | (Self::Bytes, Ty::Bytes)
                | (Self::Timestamp, Ty::Timestamp)
                | (Self::Duration, Ty::Duration)
                | (Self::List, Ty::List(_))
                | (Self::Map, Ty::Map(..) | Ty::Object(_))
                | (Self::Optional, Ty::Optional(_))
                | (Self::Type, Ty::Type)
                | (Self::Quantity, Ty::Quantity)
                | (Self::Url, Ty::Url)
                | (Self::Ip, Ty::Ip)
                | (Self::Cidr, Ty::Cidr)
                | (Self::Format, Ty::Format)
        )
    }

    /// Whether a value is such an argument.
    pub(crate) fn is(self, value: &Val<'_>) -> bool {
        matches!(
            (self, value),
            (Self::Any, _)
                | (Self::Bool, Val::Bool(_))
                | (Self::Int, Val::Int(_))
                | (Self::Uint, Val::Uint(_))
                | (Self::Double, Val::Double(_))
                | (Self::String, Val::Str(_) | Val::Regex(_))
                | (Self::Bytes, Val::Bytes(_))
                | (Self::Timestamp, Val::Timestamp(_))
                | (Self::Duration, Val::Duration(_))
                | (Self::List, Val::List(_) | Val::Json(Value::Array(_), _))
                | (Self::Map, Val::Map(_) | Val::Json(Value::Object(_), _))
                | (Self::Optional, Val::Optional(_))
                | (Self::Type, Val::Type(_))
                | (Self::Quantity, Val::Quantity(_))
                | (Self::Url, Val::Url(_))
                | (Self::Ip, Val::Ip(_))
                | (Self::Cidr, Val::Cidr(_))
                | (Self::Format, Val::Format(_))
        )
    }

    fn ty<'n>(self) -> Ty<'n> {
        let any = || Arc::new(Shape::any());
        match self {
            Self::Any => Ty::Dyn,
            Self::Bool => Ty::Bool,
            Self::Int => Ty::Int,
            Self::Uint => Ty::Uint,
            Self::Double => Ty::Double,
            Self::String => Ty::String,
            Self::Bytes => Ty::Bytes,
            Self::Timestamp => Ty::Timestamp,
            Self::Duration => Ty::Duration,
            Self::List => Ty::List(any()),
            Self::Map => Ty::Map(any(), any()),
            Self::Optional => Ty::Optional(any()),
            Self::Type => Ty::Type,
            Self::Quantity => Ty::Quantity,
            Self::Url => Ty::Url,
            Self::Ip => Ty::Ip,
            Self::Cidr => Ty::Cidr,
            Self::Format => Ty::Format,
        }
    }
}

impl Function {
    /// What a call with such arguments gives.
    pub(crate) fn result<'n>(&self, args: &[Shape<'n>]) -> Shape<'n> {
        let sizes = args.iter().map(|arg| arg.max);
        let max = match self.max {
            Max::One => 1,
            Max::First => args.first().map_or(1, |arg| arg.max),
            Max::Sum => sizes.fold(0, u64::saturating_add),
            Max::Product => sizes.fold(1, |product: u64, size| product.saturating_mul(size.max(1))),
            Max::Fixed(max) => max,
        };
        let first = || args.first().map_or(Ty::Dyn, |arg| arg.ty.clone());
        let of = |t: T| Arc::new(Shape { ty: t.ty(), max });
        let ty = match self.ret {
            Ret::Is(t) => t.ty(),
            Ret::Same => first(),
            Ret::Item => match first() {
                Ty::List(item) | Ty::Optional(item) => return (*item).clone(),
                _ => return Shape::any(),
            },
            Ret::ListOf(t) => Ty::List(of(t)),
            Ret::OptionalOf(T::List) => Ty::Optional(Arc::new(Shape::list(Shape::text(MAX_REQUEST), max))),
            Ret::OptionalOf(t) => Ty::Optional(of(t)),
            Ret::Optional => Ty::Optional(Arc::new(args.first().cloned().unwrap_or_else(Shape::any))),
            Ret::Flat => match first() {
                Ty::List(item) => match &item.ty {
                    Ty::List(inner) => Ty::List(inner.clone()),
                    _ => Ty::List(item.clone()),
                },
                other => other,
            },
        };
        Shape { ty, max }
    }
}

impl Cost {
    /// The steps of a call whose arguments have these sizes, and this much to read in all their levels.
    pub(crate) fn steps(self, sizes: &[u64], weights: &[u64]) -> u64 {
        let sum = || weights.iter().copied().fold(0, u64::saturating_add);
        let product = || {
            weights
                .iter()
                .copied()
                .fold(1, |product: u64, weight| product.saturating_mul(weight))
        };
        match self {
            Self::One => 1,
            Self::Scan => sum() / 10 + 1,
            Self::Compare => weights.iter().copied().min().unwrap_or(1) / 10 + 1,
            Self::Items => sum().max(sizes.iter().copied().fold(0, u64::saturating_add)) + 1,
            Self::Pairs => product().saturating_add(1),
            Self::Search => product() / 100 + 1,
            Self::Regex | Self::RegexAll => {
                let text = weights.first().copied().unwrap_or(1) / 10 + 1;
                text.saturating_mul(weights.get(1).copied().unwrap_or(1) / 4 + 1)
            }
        }
    }
}

/// What compiling a pattern costs when it was no constant: a tenth of a millisecond or two.
const COMPILE: u64 = 20_000;

impl Cost {
    /// The steps of a call with these arguments. Finding that out takes no longer than what is charged for it.
    pub(crate) fn spent(self, values: &[Val<'_>]) -> u64 {
        let weigh = |cap: u64| -> Vec<u64> { values.iter().map(|value| value.weight(cap)).collect() };
        match self {
            Self::One => 1,
            Self::Compare => {
                // Of a small and a large value only as much is weighed as decides which is small.
                let mut cap = 256;
                loop {
                    let weights = weigh(cap);
                    if weights.iter().any(|weight| *weight < cap) {
                        return self.steps(&[], &weights);
                    }
                    cap = cap.saturating_mul(4);
                }
            }
            Self::Regex | Self::RegexAll => {
                let weights = weigh(u64::MAX);
                let compile = if matches!(values.get(1), Some(Val::Str(_))) {
                    COMPILE
                } else {
                    0
                };
                // After a match the search begins anew, at worst from every place to the end.
                let again = match self {
                    Self::RegexAll => weights[0].saturating_mul(weights[0]) / 4096,
                    _ => 0,
                };
                self.steps(&[], &weights)
                    .saturating_add(compile)
                    .saturating_add(again)
            }
            _ => {
                let sizes: Vec<u64> = values.iter().map(Val::len).collect();
                self.steps(&sizes, &weigh(u64::MAX))
            }
        }
    }
}

/// The error of arguments that no row promises; rows make it unreachable, and it stops nothing else.
fn mismatch<'a>() -> Result<Val<'a>, String> {
    Err("no such overload".into())
}
