//! The bounds of this crate, each with its reason.

/// How deep a schema may nest. Every walk recurses with the schema, never with the object alone, so that this also
/// bounds the stack. The deepest schemas in use (pod templates) nest 25 deep, each level being two keywords.
pub const MAX_DEPTH: usize = 64;

/// How many nodes a schema may have. A CRD of the largest size that is stored (1.5 MiB) has some 30,000.
pub const MAX_NODES: usize = 50_000;

/// How many faults are told. Nobody reads more.
pub const MAX_FAULTS: usize = 200;

/// How many bytes of a bad value a message repeats.
pub const MAX_SHOWN: usize = 256;

/// How much memory a compiled regular expression may take. Upstream has no such bound; `.{1,1000}{1,1000}` would take
/// gigabytes.
pub const MAX_PATTERN_BYTES: usize = 1 << 20;
