//! What is wrong with a manifest or with wire bytes: each fault says what, and where.
//!
//! Invariant: a fault's field is a path as Kubernetes writes it: `spec.template.spec.containers[0].image`,
//! `metadata.labels[app]`; empty for the object as a whole.

use crate::status::FieldError;
use crate::wire::WireError;
use std::fmt;

/// Faults named at most for one object. More help nobody, and hostile input could make any number.
pub const MAX_FAULTS: usize = 64;

/// What kind of mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The text is no JSON or YAML, or the bytes are no protobuf.
    Syntax,
    /// No field has this name or number.
    UnknownField,
    /// The field is there twice.
    DuplicateField,
    /// A value of another type belongs here: a string where a number should be.
    WrongType,
    /// The right type, and no legal value: no base64, no time, a number too large.
    InvalidValue,
    /// `apiVersion` or `kind` is missing, or names nothing that is served.
    UnknownKind,
    /// Nested deeper than [`super::MAX_DEPTH`].
    TooDeep,
}

/// A result of the wire's hot path. The fault is boxed so that the good case travels in registers.
pub(super) type Fallible<T> = Result<T, Box<Fault>>;

/// One step on the way to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A field of a message.
    Field(String),
    /// An item of a list.
    Index(usize),
    /// A key of a map.
    Key(String),
}

/// One fault: what is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The mistake.
    pub kind: FaultKind,
    /// The way to the field.
    pub path: Vec<Segment>,
    /// What is wrong, for people.
    pub message: String,
    /// Line and column in the text, from 1, where they are known.
    pub place: Option<Place>,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            path: Vec::new(),
            message: message.into(),
            place: None,
        }
    }

    /// A text that is no JSON or YAML.
    pub fn syntax(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Syntax, message)
    }

    /// The same fault, seen from one level further out. Paths are built outwards, so the steps come last first.
    pub(super) fn below(mut self: Box<Self>, segment: Segment) -> Box<Self> {
        self.path.insert(0, segment);
        self
    }

    pub(super) fn boxed(kind: FaultKind, message: impl Into<String>) -> Box<Self> {
        Box::new(Self::new(kind, message))
    }

    /// The path as Kubernetes writes it.
    pub fn field(&self) -> String {
        let mut text = String::new();
        for segment in &self.path {
            match segment {
                Segment::Field(name) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(name);
                }
                Segment::Index(index) => text.push_str(&format!("[{index}]")),
                Segment::Key(key) => text.push_str(&format!("[{key}]")),
            }
        }
        text
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        match self.kind {
            FaultKind::UnknownField => write!(f, "unknown field \"{}\"", self.field()),
            FaultKind::DuplicateField => write!(f, "duplicate field \"{}\"", self.field()),
            _ if self.path.is_empty() => f.write_str(&self.message),
            _ => write!(f, "{}: {}", self.field(), self.message),
        }
    }
}

impl From<WireError> for Box<Fault> {
    #[cold]
    fn from(error: WireError) -> Self {
        Fault::boxed(FaultKind::Syntax, error.to_string())
    }
}

impl From<&Fault> for FieldError {
    /// As a cause of a `Status`, with the reasons of `metav1.CauseType`.
    fn from(fault: &Fault) -> Self {
        let reason = match fault.kind {
            FaultKind::WrongType => "FieldValueTypeInvalid",
            FaultKind::DuplicateField => "FieldValueDuplicate",
            FaultKind::UnknownKind | FaultKind::Syntax | FaultKind::TooDeep | FaultKind::InvalidValue => {
                "FieldValueInvalid"
            }
            FaultKind::UnknownField => "FieldValueForbidden",
        };
        Self {
            reason,
            field: fault.field(),
            message: fault.to_string(),
        }
    }
}

/// Why an object could not be read: every fault found, at most [`MAX_FAULTS`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", join(.0))]
pub struct Faults(pub Vec<Fault>);

fn join(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}
