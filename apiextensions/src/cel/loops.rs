//! Macros over lists, maps and optionals, checked: `all`, `exists`, `map`, `filter`, `optMap` and their kin.
//!
//! In: the call as it is written, for the parser expands nothing. Out: a loop, whose estimate is that of one round times
//! the most rounds that there can be.

use super::check::{Checker, Walked, no_overload};
use super::program::{Kind, Loop, Program};
use super::shape::{Shape, Ty};
use cel::common::ast::{Expr, IdedExpr};
use std::sync::Arc;

impl<'n> Checker<'n> {
    /// The macro that a call on a target is, if it is one.
    pub(super) fn macro_of(
        &mut self,
        name: &str,
        target: &IdedExpr,
        args: &[IdedExpr],
    ) -> Option<Walked<'n>> {
        let ident = |e: &'_ IdedExpr| match &e.expr {
            Expr::Ident(name) => Some(name.clone()),
            _ => None,
        };
        let kind = match (name, args.len()) {
            ("all", 2 | 3) => Kind::All,
            ("exists", 2 | 3) => Kind::Exists,
            ("exists_one" | "existsOne", 2 | 3) => Kind::ExistsOne,
            ("map", 2 | 3) | ("transformList", 3 | 4) => Kind::Map,
            ("filter", 2) => Kind::Filter,
            ("transformMap", 3 | 4) => Kind::TransformMap,
            ("optMap" | "optFlatMap", 2) => {
                let Some(variable) = ident(&args[0]) else {
                    return Some(Err("argument must be a simple name".into()));
                };
                return Some(self.opt_map(target, variable, &args[1], name == "optFlatMap"));
            }
            _ => return None,
        };
        let two = match name {
            "map" | "filter" => false,
            "transformList" | "transformMap" => true,
            _ => args.len() == 3,
        };
        let (variables, rest) = args.split_at(1 + usize::from(two));
        let names: Option<Vec<String>> = variables.iter().map(ident).collect();
        let Some(names) = names else {
            return Some(Err("argument must be a simple name".into()));
        };
        Some(self.repeat(kind, target, names, rest))
    }

    fn opt_map(&mut self, target: &IdedExpr, variable: String, body: &IdedExpr, flat: bool) -> Walked<'n> {
        let (target, of) = self.boxed(target)?;
        let Ty::Optional(inner) = of.ty else {
            return Err(no_overload("optMap", &[&of]));
        };
        let slot = self.bind(vec![(variable, (*inner).clone())]);
        let body = self.boxed(body);
        self.scope.pop();
        let (body, shape) = body?;
        let shape = if flat { shape } else { shape.optional() };
        let program = Program::OptMap {
            target,
            slot,
            body,
            flat,
        };
        Ok((program, shape))
    }

    /// Gives variables of a loop the next slots, and the scope. Gives the first slot.
    fn bind(&mut self, variables: Vec<(String, Shape<'n>)>) -> usize {
        let first = self.slots;
        for (name, shape) in variables {
            self.scope.push((name, self.slots, shape));
            self.slots += 1;
        }
        first
    }

    fn repeat(&mut self, kind: Kind, target: &IdedExpr, names: Vec<String>, rest: &[IdedExpr]) -> Walked<'n> {
        let (range, of) = self.walk(target)?;
        let index = || Shape::one(Ty::Int);
        let (first, second) = match &of.ty {
            Ty::List(item) if names.len() == 1 => ((**item).clone(), Shape::one(Ty::Null)),
            Ty::List(item) => (index(), (**item).clone()),
            Ty::Map(key, value) => ((**key).clone(), (**value).clone()),
            Ty::Dyn => (Shape::any(), Shape::any()),
            other => {
                let name = other.name();
                return Err(format!(
                    "expression of type '{name}' cannot be range of a comprehension (must be list, map, or dynamic)"
                ));
            }
        };
        let two = names.len() == 2;
        let depth = self.scope.len();
        let shapes = [first.clone(), second];
        let slot = self.bind(names.into_iter().zip(shapes).collect());
        // A round costs what its parts cost; there are as many rounds as the range can have items.
        let before = std::mem::take(&mut self.cost);
        let parts = self.round(kind, rest);
        let round = std::mem::replace(&mut self.cost, before);
        self.scope.truncate(depth);
        let (filter, body, result) = parts?;
        self.spend(of.max.saturating_mul(round.saturating_add(1)));
        let shape = match kind {
            Kind::All | Kind::Exists | Kind::ExistsOne => Shape::one(Ty::Bool),
            Kind::Filter => Shape::list(first, of.max),
            Kind::Map => Shape::list(result, of.max),
            Kind::TransformMap => Shape {
                ty: Ty::Map(Arc::new(first), Arc::new(result)),
                max: of.max,
            },
        };
        let program = Program::Loop(Box::new(Loop {
            kind,
            range,
            slot,
            two,
            filter,
            body,
        }));
        Ok((program, shape))
    }

    fn round(
        &mut self,
        kind: Kind,
        rest: &[IdedExpr],
    ) -> Result<(Option<Program>, Program, Shape<'n>), String> {
        let (filter, body) = match rest {
            [filter, body] => (Some(*self.bool(filter)?), body),
            [body] => (None, body),
            _ => return Err("unsupported expression".into()),
        };
        if matches!(kind, Kind::Map | Kind::TransformMap) {
            let (body, shape) = self.walk(body)?;
            return Ok((filter, body, shape));
        }
        Ok((filter, *self.bool(body)?, Shape::one(Ty::Bool)))
    }
}
