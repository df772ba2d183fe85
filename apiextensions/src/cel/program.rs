//! A compiled rule, and how it runs.
//!
//! In: a [`Program`], its variables, a [`Meter`]. Out: a value, or why there is none. Every step is metered, so that a
//! rule ends however it was written and whatever it is given.

use super::functions::Function;
use super::value::{Entries, Val};
use std::sync::Arc;

/// An expression, checked, with its variables resolved to slots.
#[derive(Debug)]
pub(crate) enum Program {
    Const(Val<'static>),
    Var(usize),
    Field(Box<Program>, String),
    Has(Box<Program>, String),
    OptField(Box<Program>, String),
    Index(Box<Program>, Box<Program>),
    OptIndex(Box<Program>, Box<Program>),
    And(Box<Program>, Box<Program>),
    Or(Box<Program>, Box<Program>),
    If(Box<Program>, Box<Program>, Box<Program>),
    /// Items; those marked are optionals, left out when they hold nothing.
    List(Vec<(Program, bool)>),
    Map(Vec<(Program, Program, bool)>),
    /// The overloads that the arguments' types allow, of which the values choose one.
    Call(Vec<&'static Function>, Vec<Program>),
    Loop(Box<Loop>),
    /// `optMap`, `optFlatMap`: the slot holds the optional's value in the body.
    OptMap {
        target: Box<Program>,
        slot: usize,
        body: Box<Program>,
        flat: bool,
    },
}

/// What a macro does with the items of a list or the entries of a map.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) kind: Kind,
    pub(crate) range: Program,
    /// The slot of the loop's variable.
    pub(crate) slot: usize,
    /// Whether a second variable stands in the next slot; the first is then the index or key.
    pub(crate) two: bool,
    pub(crate) filter: Option<Program>,
    pub(crate) body: Program,
}

/// Which macro it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
    TransformMap,
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The expression failed, in the words of upstream's.
    Error(String),
    /// It went beyond its budget.
    Budget,
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Error(text)
    }
}

/// Counts steps down to zero.
#[derive(Debug)]
pub(crate) struct Meter {
    left: u64,
}

impl Meter {
    pub(crate) fn new(budget: u64) -> Self {
        Self { left: budget }
    }

    /// What is left of the budget.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    fn spend(&mut self, steps: u64) -> Result<()> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Failure::Budget)
            }
        }
    }
}

/// Variables by slot, and what is left to spend.
pub(crate) struct Run<'m, 'a> {
    pub(crate) slots: Vec<Val<'a>>,
    pub(crate) meter: &'m mut Meter,
}

type Result<T> = std::result::Result<T, Failure>;

impl<'a> Run<'_, 'a> {
    /// The value of an expression.
    pub(crate) fn eval(&mut self, program: &Program) -> Result<Val<'a>> {
        match program {
            Program::Const(_) | Program::Call(..) | Program::And(..) | Program::Or(..) | Program::If(..) => {}
            _ => self.meter.spend(1)?,
        }
        Ok(match program {
            Program::Const(value) => value.clone(),
            Program::Var(slot) => self.slots[*slot].clone(),
            Program::Field(target, name) => {
                let target = self.eval(target)?;
                match target {
                    // Selecting from an optional gives an optional.
                    Val::Optional(value) => Val::optional(value.and_then(|value| value.field(name))),
                    target => target.field(name).ok_or_else(|| format!("no such key: {name}"))?,
                }
            }
            Program::Has(target, name) => match self.eval(target)? {
                Val::Optional(value) => Val::Bool(value.is_some_and(|value| value.field(name).is_some())),
                target => Val::Bool(target.field(name).is_some()),
            },
            Program::OptField(target, name) => match self.eval(target)? {
                Val::Optional(value) => Val::optional(value.and_then(|value| value.field(name))),
                target => Val::optional(target.field(name)),
            },
            Program::Index(target, key) => {
                let (target, key) = (self.eval(target)?, self.eval(key)?);
                match &target {
                    Val::Optional(value) => Val::optional(value.as_ref().and_then(|value| value.get(&key))),
                    target => target.get(&key).ok_or_else(|| no_such_item(target, &key))?,
                }
            }
            Program::OptIndex(target, key) => {
                let (target, key) = (self.eval(target)?, self.eval(key)?);
                match &target {
                    Val::Optional(value) => Val::optional(value.as_ref().and_then(|value| value.get(&key))),
                    target => Val::optional(target.get(&key)),
                }
            }
            Program::And(left, right) => self.logical(left, right, false)?,
            Program::Or(left, right) => self.logical(left, right, true)?,
            Program::If(test, then, otherwise) => match self.eval(test)? {
                Val::Bool(true) => self.eval(then)?,
                Val::Bool(false) => self.eval(otherwise)?,
                _ => return Err(no_such_overload()),
            },
            Program::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (item, optional) in items {
                    match (self.eval(item)?, optional) {
                        (Val::Optional(value), true) => list.extend(value.map(Arc::unwrap_or_clone)),
                        (value, _) => list.push(value),
                    }
                }
                Val::list(list)
            }
            Program::Map(entries) => self.map(entries)?,
            Program::Call(overloads, args) => self.call(overloads, args)?,
            Program::Loop(of) => self.repeat(of)?,
            Program::OptMap {
                target,
                slot,
                body,
                flat,
            } => match self.eval(target)? {
                Val::Optional(None) => Val::optional(None),
                Val::Optional(Some(value)) => {
                    self.slots[*slot] = Arc::unwrap_or_clone(value);
                    let mapped = self.eval(body)?;
                    if *flat {
                        mapped
                    } else {
                        Val::optional(Some(mapped))
                    }
                }
                _ => return Err(no_such_overload()),
            },
        })
    }

    /// `&&` and `||`: either side alone can decide, even when the other fails.
    fn logical(&mut self, left: &Program, right: &Program, decides: bool) -> Result<Val<'a>> {
        let left = self.eval(left);
        if matches!(left, Ok(Val::Bool(value)) if value == decides) || matches!(left, Err(Failure::Budget)) {
            return left;
        }
        let right = self.eval(right);
        if matches!(right, Ok(Val::Bool(value)) if value == decides) || matches!(right, Err(Failure::Budget))
        {
            return right;
        }
        match (left?, right?) {
            (Val::Bool(_), Val::Bool(right)) => Ok(Val::Bool(right)),
            _ => Err(no_such_overload()),
        }
    }

    fn map(&mut self, entries: &[(Program, Program, bool)]) -> Result<Val<'a>> {
        let mut map = Entries::default();
        for (key, value, optional) in entries {
            let key = self.eval(key)?;
            let value = match (self.eval(value)?, optional) {
                (Val::Optional(None), true) => continue,
                (Val::Optional(Some(value)), true) => Arc::unwrap_or_clone(value),
                (value, _) => value,
            };
            map.push(key, value)?;
        }
        Ok(Val::Map(Arc::new(map)))
    }

    fn call(&mut self, overloads: &[&'static Function], args: &[Program]) -> Result<Val<'a>> {
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            values.push(self.eval(arg)?);
        }
        let fits = |function: &&&Function| function.args.iter().zip(&values).all(|(t, value)| t.is(value));
        let Some(function) = overloads.iter().find(fits) else {
            return Err(no_such_overload());
        };
        self.meter.spend(function.cost.spent(&values))?;
        Ok((function.run)(&values)?)
    }

    fn repeat(&mut self, of: &Loop) -> Result<Val<'a>> {
        let range = self.eval(&of.range)?;
        let rounds = range.rounds(of.two).ok_or_else(no_such_overload)?;
        let mut results = Results::new(of.kind);
        for (first, second) in rounds {
            self.meter.spend(1)?;
            let item = first.clone();
            self.slots[of.slot] = first;
            if of.two {
                self.slots[of.slot + 1] = second;
            }
            if let Some(filter) = &of.filter {
                match self.eval(filter)? {
                    Val::Bool(true) => {}
                    Val::Bool(false) => continue,
                    _ => return Err(no_such_overload()),
                }
            }
            let value = self.eval(&of.body);
            if let Some(result) = results.take(item, value, self.meter)? {
                return Ok(result);
            }
        }
        results.finish()
    }
}

/// What a loop has gathered.
struct Results<'a> {
    kind: Kind,
    count: u64,
    /// The first failure of an item; another item may decide without it.
    failure: Option<Failure>,
    list: Vec<Val<'a>>,
    map: Entries<'a>,
}

impl<'a> Results<'a> {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            count: 0,
            failure: None,
            list: Vec::new(),
            map: Entries::default(),
        }
    }

    /// Takes the body's value for an item. Gives the loop's value when that is decided.
    fn take(&mut self, item: Val<'a>, value: Result<Val<'a>>, meter: &mut Meter) -> Result<Option<Val<'a>>> {
        let decides = match self.kind {
            Kind::All => Some(false),
            Kind::Exists => Some(true),
            _ => None,
        };
        match (self.kind, value) {
            (_, Err(Failure::Budget)) => return Err(Failure::Budget),
            (Kind::All | Kind::Exists, Ok(Val::Bool(value))) => {
                if decides == Some(value) {
                    return Ok(Some(Val::Bool(value)));
                }
            }
            (Kind::All | Kind::Exists, Ok(_)) => self.failure = Some(no_such_overload()),
            (Kind::All | Kind::Exists, Err(why)) => self.failure = Some(why),
            (_, Err(why)) => return Err(why),
            (Kind::ExistsOne, Ok(Val::Bool(value))) => self.count += u64::from(value),
            (Kind::Filter, Ok(Val::Bool(keep))) => {
                if keep {
                    self.list.push(item);
                }
            }
            (Kind::ExistsOne | Kind::Filter, Ok(_)) => return Err(no_such_overload()),
            (Kind::Map, Ok(value)) => self.list.push(value),
            (Kind::TransformMap, Ok(value)) => {
                meter.spend(1)?;
                self.map.push(item, value)?;
            }
        }
        Ok(None)
    }

    fn finish(self) -> Result<Val<'a>> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        Ok(match self.kind {
            Kind::All => Val::Bool(true),
            Kind::Exists => Val::Bool(false),
            Kind::ExistsOne => Val::Bool(self.count == 1),
            Kind::Map | Kind::Filter => Val::list(self.list),
            Kind::TransformMap => Val::Map(Arc::new(self.map)),
        })
    }
}

fn no_such_overload() -> Failure {
    Failure::Error("no such overload".into())
}

fn no_such_item(target: &Val<'_>, key: &Val<'_>) -> Failure {
    Failure::Error(match (target, key) {
        (Val::List(_) | Val::Json(serde_json::Value::Array(_), _), Val::Int(index)) => {
            format!("index out of bounds: {index}")
        }
        (_, Val::Str(key)) => format!("no such key: {}", &**key),
        (_, key) => format!("no such key: {key:?}"),
    })
}
