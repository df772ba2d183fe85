//! Where in an object something stands: `spec.template.spec.containers[0].name`.
//!
//! A path is a chain of borrows on the stack, built on the way down. Text is made only when there is a fault to tell, so
//! that validating a good object allocates nothing for paths.

use std::fmt;

/// A place in an object. The empty path is the object itself.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Segment<'a> {
    Root,
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// The object itself.
    pub const ROOT: Path<'static> = Path {
        parent: None,
        segment: Segment::Root,
    };

    /// A field, or several joined by dots: `metadata.name`.
    pub fn field(&'a self, name: &'a str) -> Self {
        self.child(Segment::Field(name))
    }

    /// An item of a list.
    pub fn index(&'a self, index: usize) -> Self {
        self.child(Segment::Index(index))
    }

    /// An entry of a map.
    pub fn key(&'a self, key: &'a str) -> Self {
        self.child(Segment::Key(key))
    }

    fn child(&'a self, segment: Segment<'a>) -> Self {
        Self {
            parent: Some(self),
            segment,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.segment {
            Segment::Root => Ok(()),
            Segment::Index(index) => write!(f, "[{index}]"),
            Segment::Key(key) => write!(f, "[{key}]"),
            Segment::Field(name) => {
                let first = self.parent.is_none_or(|p| matches!(p.segment, Segment::Root));
                write!(f, "{}{name}", if first { "" } else { "." })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_kubernetes_writes_it() {
        let spec = Path::ROOT.field("spec");
        let containers = spec.field("template.spec.containers");
        let container = containers.index(0);
        assert_eq!(
            container.field("name").to_string(),
            "spec.template.spec.containers[0].name"
        );
        assert_eq!(Path::ROOT.field("data").key("a.b").to_string(), "data[a.b]");
        assert_eq!(Path::ROOT.to_string(), "");
    }
}
