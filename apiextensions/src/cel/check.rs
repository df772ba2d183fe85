//! From the text of an expression to a program: parsed, checked, and estimated.
//!
//! In: a text and the shapes of its variables. Out: a [`Program`], the shape of its value, and the most steps that it
//! can take, found by running the same cost table with the largest sizes. What upstream's compiler refuses is refused
//! here: unknown fields, variables and functions, and operators on types that have none.

use super::escape;
use super::functions::{self, Function, T};
use super::operators;
use super::program::Program;
use super::shape::{self, MAX_REQUEST, Shape, Ty};
use super::value::Val;
use crate::compile::regex;
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators as names};
use std::sync::Arc;

/// The longest expression that is read. The longest rule in the CRDs that people use has 1.5 KB.
pub(crate) const MAX_EXPRESSION: usize = 16 * 1024;

/// How deep parentheses and calls may nest.
const MAX_NESTING: u16 = 64;

/// How many operators an expression may have. The parser turns chains of them (`a.b.c`, `1 + 2 + 3`) into trees as deep as
/// they are long, and recurses: together with [`STACK`] this keeps it from running out. Rules in use have up to 200.
const MAX_OPERATORS: usize = 1000;

/// How deep the tree of an expression may be. Rules run on the threads that serve requests, whose stacks are small.
const MAX_DEPTH: usize = 100;

/// The stack to check expressions on: [`MAX_OPERATORS`] levels of the parser's frames, in a build without optimization.
pub(crate) const STACK: usize = 32 << 20;

/// A checked expression.
#[derive(Debug)]
pub(crate) struct Checked<'n> {
    pub(crate) program: Program,
    pub(crate) shape: Shape<'n>,
    /// The most steps that one run takes.
    pub(crate) cost: u64,
    /// How many slots a run needs.
    pub(crate) slots: usize,
    /// Whether each of the given variables is used.
    pub(crate) used: Vec<bool>,
}

/// Checks an expression whose first slots are these variables.
pub(crate) fn check<'n>(text: &str, variables: &[(&str, Shape<'n>)]) -> Result<Checked<'n>, String> {
    if text.len() > MAX_EXPRESSION {
        return Err(format!("expression is longer than {MAX_EXPRESSION} bytes"));
    }
    if operators::count(text) > MAX_OPERATORS {
        return Err(format!("expression has more than {MAX_OPERATORS} operators"));
    }
    // Without macros: their calls stay as they are written, and become loops that can be metered.
    let parser = cel::Env::default().parser().max_recursion_depth(MAX_NESTING);
    let parsed = parser.parse(text).map_err(|errors| {
        let lines: Vec<String> = errors
            .errors
            .iter()
            .map(|error| format!("ERROR: <input>:{}:{}: {}", error.pos.0, error.pos.1, error.msg))
            .collect();
        lines.join("\n")
    })?;
    let scope = variables.iter().enumerate();
    let mut checker = Checker {
        scope: scope
            .map(|(slot, (name, shape))| ((*name).to_owned(), slot, shape.clone()))
            .collect(),
        slots: variables.len(),
        cost: 0,
        used: vec![false; variables.len()],
        depth: 0,
    };
    let (program, shape) = checker.walk(&parsed)?;
    Ok(Checked {
        program,
        shape,
        cost: checker.cost,
        slots: checker.slots,
        used: checker.used,
    })
}

pub(super) struct Checker<'n> {
    /// Variables that can be seen, innermost last.
    pub(super) scope: Vec<(String, usize, Shape<'n>)>,
    pub(super) slots: usize,
    pub(super) cost: u64,
    used: Vec<bool>,
    depth: usize,
}

pub(super) type Walked<'n> = Result<(Program, Shape<'n>), String>;

impl<'n> Checker<'n> {
    pub(super) fn spend(&mut self, steps: u64) {
        self.cost = self.cost.saturating_add(steps);
    }

    pub(super) fn walk(&mut self, e: &IdedExpr) -> Walked<'n> {
        if self.depth == MAX_DEPTH {
            return Err(format!("expression nests deeper than {MAX_DEPTH} levels"));
        }
        self.depth += 1;
        // Constants are free, and calls cost what their row says.
        self.spend(u64::from(!matches!(e.expr, Expr::Literal(_) | Expr::Call(_))));
        let walked = self.expression(e);
        self.depth -= 1;
        walked
    }

    fn expression(&mut self, e: &IdedExpr) -> Walked<'n> {
        match &e.expr {
            Expr::Literal(literal) => Ok(self::literal(literal)),
            Expr::Ident(name) => self.ident(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                let mut items = Vec::with_capacity(list.elements.len());
                let mut of: Option<Shape<'n>> = None;
                for (index, element) in list.elements.iter().enumerate() {
                    let (item, mut shape) = self.walk(element)?;
                    let optional = list.optional_indices.contains(&index);
                    if let (true, Ty::Optional(inner)) = (optional, &shape.ty) {
                        shape = (**inner).clone();
                    }
                    of = Some(join(of, shape));
                    items.push((item, optional));
                }
                let shape = Shape::list(of.unwrap_or(Shape::one(Ty::Dyn)), items.len() as u64);
                Ok((Program::List(items), shape))
            }
            Expr::Map(map) => self.map(&map.entries),
            Expr::Struct(of) => Err(format!("undeclared reference to '{}'", of.type_name)),
            Expr::Comprehension(_) | Expr::Unspecified => Err("unsupported expression".into()),
        }
    }

    pub(super) fn boxed(&mut self, e: &IdedExpr) -> Result<(Box<Program>, Shape<'n>), String> {
        self.walk(e).map(|(program, shape)| (Box::new(program), shape))
    }

    fn find(&self, name: &str) -> Option<(usize, Shape<'n>)> {
        let found = self.scope.iter().rev().find(|(other, ..)| other == name);
        found.map(|(_, slot, shape)| (*slot, shape.clone()))
    }

    fn ident(&mut self, name: &str) -> Walked<'n> {
        if let Some((slot, shape)) = self.find(name) {
            if let Some(used) = self.used.get_mut(slot) {
                *used = true;
            }
            return Ok((Program::Var(slot), shape));
        }
        let known = [
            ("bool", "bool"),
            ("int", "int"),
            ("uint", "uint"),
            ("double", "double"),
            ("string", "string"),
            ("bytes", "bytes"),
            ("list", "list"),
            ("map", "map"),
            ("null_type", "null_type"),
            ("type", "type"),
        ];
        match known.iter().find(|(other, _)| *other == name) {
            Some((_, ty)) => Ok((Program::Const(Val::Type(ty)), Shape::one(Ty::Type))),
            None => Err(format!("undeclared reference to '{name}' (in container '')")),
        }
    }

    fn select(&mut self, select: &SelectExpr) -> Walked<'n> {
        if let Expr::Select(inner) = &select.operand.expr
            && matches!(&inner.operand.expr, Expr::Ident(name) if name == "google")
            && inner.field == "protobuf"
        {
            let name = match select.field.as_str() {
                "Timestamp" => "google.protobuf.Timestamp",
                "Duration" => "google.protobuf.Duration",
                other => return Err(format!("undeclared reference to 'google.protobuf.{other}'")),
            };
            return Ok((Program::Const(Val::Type(name)), Shape::one(Ty::Type)));
        }
        let (target, of) = self.boxed(&select.operand)?;
        let (name, shape) = self.field(&of, &select.field)?;
        if select.test {
            return Ok((Program::Has(target, name), Shape::one(Ty::Bool)));
        }
        let shape = if matches!(of.ty, Ty::Optional(_)) {
            shape.optional()
        } else {
            shape
        };
        Ok((Program::Field(target, name), shape))
    }

    /// The name of a field as the document spells it, and what it holds.
    fn field(&self, of: &Shape<'n>, name: &str) -> Result<(String, Shape<'n>), String> {
        match &of.ty {
            Ty::Object(node) => {
                let unescaped = escape::unescape(name).ok_or_else(|| format!("undefined field '{name}'"))?;
                let of_schema = node.field(&unescaped).map(shape::of);
                let found = match of_schema {
                    Some(Some(shape)) => Some(shape),
                    _ if node.embedded => shape::resource_field(&unescaped),
                    _ => None,
                };
                match found {
                    Some(_) if unescaped == "metadata" && node.embedded => {
                        Ok((unescaped, Shape::one(Ty::Object(shape::metadata()))))
                    }
                    Some(shape) => Ok((unescaped, shape)),
                    None => Err(format!("undefined field '{name}'")),
                }
            }
            Ty::Map(_, value) => Ok((name.into(), (**value).clone())),
            Ty::Dyn => Ok((name.into(), Shape::any())),
            Ty::Optional(inner) => self.field(inner, name),
            other => Err(format!(
                "type '{}' does not support field selection",
                other.name()
            )),
        }
    }

    fn map(&mut self, entries: &[cel::common::ast::IdedEntryExpr]) -> Walked<'n> {
        let mut all = Vec::with_capacity(entries.len());
        let (mut keys, mut values) = (None, None);
        for entry in entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err("unsupported expression".into());
            };
            let (key, key_shape) = self.walk(&entry.key)?;
            let (value, mut shape) = self.walk(&entry.value)?;
            if let (true, Ty::Optional(inner)) = (entry.optional, &shape.ty) {
                shape = (**inner).clone();
            }
            keys = Some(join(keys, key_shape));
            values = Some(join(values, shape));
            all.push((key, value, entry.optional));
        }
        let or_any = |shape: Option<Shape<'n>>| Arc::new(shape.unwrap_or(Shape::one(Ty::Dyn)));
        let count = all.len() as u64;
        // Keys are compared with those before them.
        self.spend(count.saturating_mul(count));
        let shape = Shape {
            ty: Ty::Map(or_any(keys), or_any(values)),
            max: count,
        };
        Ok((Program::Map(all), shape))
    }

    fn call(&mut self, call: &CallExpr) -> Walked<'n> {
        let args = call.args.as_slice();
        match (call.func_name.as_str(), &call.target, args) {
            (names::LOGICAL_AND, None, [left, right]) => Ok((
                Program::And(self.bool(left)?, self.bool(right)?),
                Shape::one(Ty::Bool),
            )),
            (names::LOGICAL_OR, None, [left, right]) => Ok((
                Program::Or(self.bool(left)?, self.bool(right)?),
                Shape::one(Ty::Bool),
            )),
            (names::CONDITIONAL, None, [test, then, otherwise]) => self.conditional(test, then, otherwise),
            ("has", None, [arg]) => self.has(arg),
            (names::INDEX, None, [target, key]) => {
                let (target, key, shape, of) = self.index(target, key)?;
                let shape = if matches!(of, Ty::Optional(_)) {
                    shape.optional()
                } else {
                    shape
                };
                Ok((Program::Index(target, key), shape))
            }
            (names::OPT_INDEX, None, [target, key]) => {
                let (target, key, shape, _) = self.index(target, key)?;
                Ok((Program::OptIndex(target, key), shape.optional()))
            }
            (names::OPT_SELECT, None, [target, name]) => {
                let Expr::Literal(LiteralValue::String(name)) = &name.expr else {
                    return Err("unsupported expression".into());
                };
                self.spend(1);
                let (target, of) = self.boxed(target)?;
                let (name, shape) = self.field(&of, name.inner())?;
                Ok((Program::OptField(target, name), shape.optional()))
            }
            (name, Some(target), args) => match self.macro_of(name, target, args) {
                Some(walked) => walked,
                None => self.method(name, target, args),
            },
            (name, None, args) => self.function(name, args),
        }
    }

    pub(super) fn bool(&mut self, e: &IdedExpr) -> Result<Box<Program>, String> {
        let (program, shape) = self.boxed(e)?;
        match shape.ty {
            Ty::Bool | Ty::Dyn => Ok(program),
            other => Err(format!("expected type 'bool' but found '{}'", other.name())),
        }
    }

    fn conditional(&mut self, test: &IdedExpr, then: &IdedExpr, otherwise: &IdedExpr) -> Walked<'n> {
        let test = self.bool(test)?;
        // Only one branch runs: the dearer one counts.
        let before = std::mem::take(&mut self.cost);
        let (then, a) = self.boxed(then)?;
        let first = std::mem::take(&mut self.cost);
        let (otherwise, b) = self.boxed(otherwise)?;
        self.cost = before.saturating_add(first.max(self.cost));
        if !a.ty.meets(&b.ty) {
            return Err(no_overload("_?_:_", &[&Shape::one(Ty::Bool), &a, &b]));
        }
        Ok((Program::If(test, then, otherwise), join(Some(a), b)))
    }

    fn has(&mut self, arg: &IdedExpr) -> Walked<'n> {
        match &arg.expr {
            Expr::Select(select) => {
                self.spend(1);
                let (target, of) = self.boxed(&select.operand)?;
                let (name, _) = self.field(&of, &select.field)?;
                Ok((Program::Has(target, name), Shape::one(Ty::Bool)))
            }
            _ => Err("invalid argument to has() macro".into()),
        }
    }

    #[allow(clippy::type_complexity)]
    fn index(
        &mut self,
        target: &IdedExpr,
        key: &IdedExpr,
    ) -> Result<(Box<Program>, Box<Program>, Shape<'n>, Ty<'n>), String> {
        self.spend(1);
        let (target, of) = self.boxed(target)?;
        let (key, by) = self.boxed(key)?;
        let inner = match &of.ty {
            Ty::Optional(inner) => (**inner).clone(),
            _ => of.clone(),
        };
        let shape = match (&inner.ty, &by.ty) {
            (Ty::List(item), Ty::Int | Ty::Uint | Ty::Double | Ty::Dyn) => (**item).clone(),
            (Ty::Map(expected, value), by) if expected.ty.meets(by) => (**value).clone(),
            (Ty::Dyn, _) => Shape::any(),
            _ => return Err(no_overload("_[_]", &[&of, &by])),
        };
        Ok((target, key, shape, of.ty))
    }

    fn method(&mut self, name: &str, target: &IdedExpr, args: &[IdedExpr]) -> Walked<'n> {
        // `sets.contains(…)` reads as a call on a variable `sets`: names of libraries come first, as there is none.
        if let Expr::Ident(library) = &target.expr
            && self.find(library).is_none()
        {
            let qualified = format!("{library}.{name}");
            if !functions::overloads(&qualified, false).is_empty() {
                return self.resolve(&qualified, false, args.iter());
            }
        }
        self.resolve(name, true, std::iter::once(target).chain(args))
    }

    fn function(&mut self, name: &str, args: &[IdedExpr]) -> Walked<'n> {
        self.resolve(name, false, args.iter())
    }

    fn resolve<'e>(
        &mut self,
        name: &str,
        member: bool,
        args: impl Iterator<Item = &'e IdedExpr>,
    ) -> Walked<'n> {
        let known = functions::overloads(name, member);
        if known.is_empty() {
            return Err(format!("undeclared reference to '{name}' (in container '')"));
        }
        let mut programs = Vec::new();
        let mut shapes = Vec::new();
        for arg in args {
            let (program, shape) = self.walk(arg)?;
            programs.push(program);
            shapes.push(shape);
        }
        let fits = |function: &&&'static Function| {
            function.args.len() == shapes.len()
                && function
                    .args
                    .iter()
                    .zip(&shapes)
                    .all(|(t, shape)| t.may_be(&shape.ty))
        };
        let fitting: Vec<&'static Function> = known.iter().filter(fits).copied().collect();
        let is_equality = [names::EQUALS, names::NOT_EQUALS].contains(&name);
        let strangers = match (name, shapes.as_slice()) {
            (_, [a, b]) if is_equality => !a.ty.meets(&b.ty),
            (names::IN, [a, b]) => match &b.ty {
                Ty::List(item) => !item.ty.meets(&a.ty),
                _ => false,
            },
            _ => false,
        };
        if fitting.is_empty() || strangers {
            let all: Vec<&Shape<'n>> = shapes.iter().collect();
            return Err(no_overload(name, &all));
        }
        if fitting
            .iter()
            .any(|function| function.args.get(1) == Some(&T::String))
        {
            self::pattern(name, &mut programs)?;
        }
        let sizes: Vec<u64> = shapes.iter().map(|shape| shape.max).collect();
        let weights: Vec<u64> = shapes.iter().map(Shape::weight).collect();
        let dearest = fitting
            .iter()
            .map(|function| function.cost.steps(&sizes, &weights))
            .max();
        self.spend(dearest.unwrap_or(1));
        let mut results = fitting.iter().map(|function| function.result(&shapes));
        let first = results.next().unwrap_or_else(Shape::any);
        let shape = results.fold(first, |all, one| join(Some(all), one));
        Ok((Program::Call(fitting, programs), shape))
    }
}

/// Compiles a constant pattern once, with the rule.
fn pattern(name: &str, args: &mut [Program]) -> Result<(), String> {
    if !["matches", "find", "findAll"].contains(&name) {
        return Ok(());
    }
    if let Some(Program::Const(value)) = args.get_mut(1)
        && let Val::Str(text) = value
    {
        let compiled = regex(text).map_err(|why| format!("invalid matches argument: {why}"))?;
        *value = Val::Regex(Arc::new(compiled));
    }
    Ok(())
}

fn literal<'n>(literal: &LiteralValue) -> (Program, Shape<'n>) {
    let (value, shape) = match literal {
        LiteralValue::Null => (Val::Null, Shape::one(Ty::Null)),
        LiteralValue::Boolean(value) => (Val::Bool(*value.inner()), Shape::one(Ty::Bool)),
        LiteralValue::Int(value) => (Val::Int(*value.inner()), Shape::one(Ty::Int)),
        LiteralValue::UInt(value) => (Val::Uint(*value.inner()), Shape::one(Ty::Uint)),
        LiteralValue::Double(value) => (Val::Double(*value.inner()), Shape::one(Ty::Double)),
        LiteralValue::String(text) => (Val::text(text.inner()), Shape::text(text.inner().len() as u64)),
        LiteralValue::Bytes(bytes) => (
            Val::Bytes(bytes.inner().into()),
            Shape {
                ty: Ty::Bytes,
                max: bytes.inner().len() as u64,
            },
        ),
    };
    (Program::Const(value), shape)
}

/// What holds values of either shape.
fn join<'n>(a: Option<Shape<'n>>, b: Shape<'n>) -> Shape<'n> {
    let Some(a) = a else {
        return b;
    };
    let max = a.max.max(b.max).min(MAX_REQUEST);
    let ty = match (a.ty, b.ty) {
        (Ty::Null, ty) | (ty, Ty::Null) => ty,
        (Ty::List(a), Ty::List(b)) => Ty::List(Arc::new(join(Some((*a).clone()), (*b).clone()))),
        (Ty::Optional(a), Ty::Optional(b)) => Ty::Optional(Arc::new(join(Some((*a).clone()), (*b).clone()))),
        (Ty::Map(k, v), Ty::Map(l, w)) => Ty::Map(
            Arc::new(join(Some((*k).clone()), (*l).clone())),
            Arc::new(join(Some((*v).clone()), (*w).clone())),
        ),
        (Ty::Object(a), Ty::Object(b)) if std::ptr::eq(a, b) => Ty::Object(a),
        (Ty::Object(_) | Ty::List(_) | Ty::Map(..), _) | (_, Ty::Object(_)) => return Shape::any(),
        (a, b) if std::mem::discriminant(&a) == std::mem::discriminant(&b) => a,
        _ => Ty::Dyn,
    };
    Shape { ty, max }
}

pub(super) fn no_overload(name: &str, args: &[&Shape<'_>]) -> String {
    let types: Vec<String> = args.iter().map(|shape| shape.ty.name()).collect();
    format!(
        "found no matching overload for '{name}' applied to '({})'",
        types.join(", ")
    )
}
