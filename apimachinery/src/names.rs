//! The rules for names: DNS labels and subdomains, qualified names, label values, and the names of objects.
//!
//! Every check returns what is wrong in words that can follow `Invalid value: "x": `, and nothing when the name is good.
//! No regular expressions: each rule is one pass over bytes, because every write of every object goes through here.
//! Rules: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/> and
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>.

/// What is wrong with a name. Empty when nothing is.
pub type Problems = Vec<String>;

/// The most bytes in a DNS label, the name part of a qualified name, or a label's value.
pub const MAX_LABEL: usize = 63;
/// The most bytes in a DNS subdomain, and so in most objects' names.
pub const MAX_SUBDOMAIN: usize = 253;
/// The characters of generated suffixes. No vowels and no 0, 1, 3: no words arise, and nothing is misread.
pub const SAFE_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// How many characters of [`SAFE_ALPHABET`] follow a `generateName`.
pub const GENERATED_SUFFIX: usize = 5;
/// The longest part of `generateName` that is kept, so that the whole still is a DNS label.
pub const MAX_GENERATE_PREFIX: usize = MAX_LABEL - GENERATED_SUFFIX;

const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case letters, digits or '-', and must \
                          start and end with a letter or digit (e.g. 'my-name' or '123-abc')";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case letters, digits, '-' or '.', \
                              and must start and end with a letter or digit (e.g. 'example.com')";
const DNS1035_RULE: &str = "a DNS-1035 label must consist of lower case letters, digits or '-', start with a letter, \
                            and end with a letter or digit (e.g. 'my-name' or 'abc-123')";
const QUALIFIED_RULE: &str = "must consist of letters, digits, '-', '_' or '.', and must start and end with a letter \
                              or digit (e.g. 'MyName' or 'my.name' or '123-abc')";
const LABEL_VALUE_RULE: &str = "a valid label must be an empty string or consist of letters, digits, '-', '_' or '.', \
                                and must start and end with a letter or digit (e.g. 'MyValue' or 'my_value')";
const ENV_NAME_RULE: &str = "a valid environment variable name must consist only of printable ASCII characters other \
                             than '='";
const CONFIG_KEY_RULE: &str = "a valid config key must consist of letters, digits, '-', '_' or '.' (e.g. 'key.name' \
                               or 'KEY_NAME' or 'key-name')";

fn too_long(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

fn is_lower_alnum(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether `text` is not empty, starts and ends with bytes that `edge` takes, and else has only those that `inner` takes.
fn framed(text: &str, edge: fn(u8) -> bool, inner: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    edge(*first) && edge(*last) && bytes.iter().all(|b| edge(*b) || inner(*b))
}

fn label_shape(text: &str) -> bool {
    framed(text, is_lower_alnum, |b| b == b'-')
}

fn qualified_shape(text: &str) -> bool {
    framed(
        text,
        |b| b.is_ascii_alphanumeric(),
        |b| matches!(b, b'-' | b'_' | b'.'),
    )
}

/// A DNS label (RFC 1123): `my-name`.
pub fn dns1123_label(name: &str) -> Problems {
    let mut problems = Problems::new();
    if name.len() > MAX_LABEL {
        problems.push(too_long(MAX_LABEL));
    }
    if !label_shape(name) {
        problems.push(LABEL_RULE.into());
    }
    problems
}

/// A DNS subdomain (RFC 1123): labels joined by dots.
pub fn dns1123_subdomain(name: &str) -> Problems {
    let mut problems = Problems::new();
    if name.len() > MAX_SUBDOMAIN {
        problems.push(too_long(MAX_SUBDOMAIN));
    }
    if !name.split('.').all(label_shape) {
        problems.push(SUBDOMAIN_RULE.into());
    }
    problems
}

/// A DNS label (RFC 1035), which must begin with a letter: what Services are named.
pub fn dns1035_label(name: &str) -> Problems {
    let mut problems = Problems::new();
    if name.len() > MAX_LABEL {
        problems.push(too_long(MAX_LABEL));
    }
    if !label_shape(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        problems.push(DNS1035_RULE.into());
    }
    problems
}

/// `name` or `prefix.example.com/name`: keys of labels, annotations, taints, resources, condition types.
pub fn qualified_name(text: &str) -> Problems {
    let mut problems = Problems::new();
    let name = match text.split_once('/') {
        None => text,
        Some((prefix, name)) if !name.contains('/') => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".into());
            } else {
                problems.extend(
                    dns1123_subdomain(prefix)
                        .into_iter()
                        .map(|p| format!("prefix part {p}")),
                );
            }
            name
        }
        Some(_) => {
            problems.push(format!(
                "a qualified name {QUALIFIED_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
            return problems;
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".into());
    } else if name.len() > MAX_LABEL {
        problems.push(format!("name part {}", too_long(MAX_LABEL)));
    }
    if !qualified_shape(name) {
        problems.push(format!("name part {QUALIFIED_RULE}"));
    }
    problems
}

/// A label's value: empty, or at most 63 bytes of letters, digits, `-`, `_`, `.`.
pub fn label_value(value: &str) -> Problems {
    let mut problems = Problems::new();
    if value.len() > MAX_LABEL {
        problems.push(too_long(MAX_LABEL));
    }
    if !value.is_empty() && !qualified_shape(value) {
        problems.push(LABEL_VALUE_RULE.into());
    }
    problems
}

/// A name that can stand alone between two slashes, of a URL or of a storage key: the least that a request must keep
/// to, whatever its kind's own rule.
pub fn path_segment(name: &str) -> Problems {
    let mut problems = Problems::new();
    if name == "." || name == ".." {
        problems.push(format!("may not be '{name}'"));
    }
    for byte in ['/', '%'] {
        if name.contains(byte) {
            problems.push(format!("may not contain '{byte}'"));
        }
    }
    problems
}

/// The name of an environment variable.
pub fn env_var_name(name: &str) -> Problems {
    if name.is_empty() || !name.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
        vec![ENV_NAME_RULE.into()]
    } else {
        Problems::new()
    }
}

/// A key of a ConfigMap or Secret, which may become a file's name.
pub fn config_map_key(key: &str) -> Problems {
    let mut problems = Problems::new();
    if key.len() > MAX_SUBDOMAIN {
        problems.push(too_long(MAX_SUBDOMAIN));
    }
    if key.is_empty()
        || !key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    {
        problems.push(CONFIG_KEY_RULE.into());
    } else if key == "." {
        problems.push("must not be '.'".into());
    } else if key == ".." {
        problems.push("must not be '..'".into());
    } else if key.starts_with("..") {
        problems.push("must not start with '..'".into());
    }
    problems
}

/// The name of a port (IANA service name): at most 15 bytes, lower case, with a letter in it.
pub fn port_name(name: &str) -> Problems {
    let mut problems = Problems::new();
    if name.len() > 15 {
        problems.push("must be no more than 15 characters".into());
    }
    if name.is_empty() || !name.bytes().all(|b| is_lower_alnum(b) || b == b'-') {
        problems.push("must contain only lower case letters, digits and hyphens".into());
    }
    if !name.bytes().any(|b| b.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)".into());
    }
    if name.contains("--") {
        problems.push("must not contain consecutive hyphens".into());
    }
    if name.starts_with('-') || name.ends_with('-') {
        problems.push("must not begin or end with a hyphen".into());
    }
    problems
}

/// A port's number.
pub fn port_number(port: i64) -> Problems {
    if (1..=65535).contains(&port) {
        Problems::new()
    } else {
        vec!["must be between 1 and 65535, inclusive".into()]
    }
}

/// Which rule the names of a kind follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// [`dns1123_label`]: Namespaces.
    Label,
    /// [`dns1035_label`]: Services.
    Dns1035,
    /// [`dns1123_subdomain`]: everything else.
    Subdomain,
}

impl NameRule {
    /// The rule of a kind, by its number ([`proto::Kind::NUMBER`]).
    pub fn of(number: u32) -> Self {
        use proto::Kind;
        use proto::api::core::v1::{Namespace, Service};
        match number {
            Namespace::NUMBER => Self::Label,
            Service::NUMBER => Self::Dns1035,
            _ => Self::Subdomain,
        }
    }

    /// What is wrong with `name`.
    pub fn check(self, name: &str) -> Problems {
        match self {
            Self::Label => dns1123_label(name),
            Self::Dns1035 => dns1035_label(name),
            Self::Subdomain => dns1123_subdomain(name),
        }
    }

    /// What is wrong with `prefix` as a `generateName`, which may end where a name may not: `web-`.
    pub fn check_prefix(self, prefix: &str) -> Problems {
        match prefix.strip_suffix('-') {
            // The dash will be followed by a letter or digit, so one stands in for it.
            Some(stem) if !stem.is_empty() => self.check(&format!("{stem}a")),
            _ => self.check(prefix),
        }
    }
}

/// The name for a `generateName` and five characters drawn by [`suffix`].
pub fn generate(prefix: &str, suffix: &str) -> String {
    let mut end = prefix.len().min(MAX_GENERATE_PREFIX);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &prefix[..end])
}

/// Five characters of [`SAFE_ALPHABET`] out of a random number: pure, so that whoever holds the generator draws.
pub fn suffix(random: u64) -> String {
    encode_safe(random, GENERATED_SUFFIX)
}

/// `length` characters of [`SAFE_ALPHABET`], which are `number`'s lowest digits to the base of 27.
pub fn encode_safe(mut number: u64, length: usize) -> String {
    let base = SAFE_ALPHABET.len() as u64;
    let mut text = String::with_capacity(length);
    for _ in 0..length {
        // The remainder is below 27, so it fits any index type.
        text.push(char::from(SAFE_ALPHABET[(number % base) as usize]));
        number /= base;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&str) -> Problems, good: &[&str], bad: &[&str]) {
        for name in good {
            assert_eq!(rule(name), Problems::new(), "{name:?} is good");
        }
        for name in bad {
            assert!(!rule(name).is_empty(), "{name:?} is bad");
        }
    }

    #[test]
    fn dns_labels_are_lower_case_and_framed_by_letters_or_digits() {
        let longest = "a".repeat(63);
        let too_long = "a".repeat(64);
        check(
            dns1123_label,
            &["a", "ab", "a1", "a-1", "0", "01", "1-a", "a--1", &longest],
            &[
                "", "A", "-", "a-", "-a", "a.b", "a_b", " a", "a ", "é", "a\n", &too_long,
            ],
        );
        check(
            dns1035_label,
            &["a", "a1", "a-1"],
            &["", "1a", "-a", "a-", "A", &too_long],
        );
    }

    #[test]
    fn dns_subdomains_are_labels_joined_by_dots() {
        let longest = format!("{}a", "a.".repeat(126));
        let too_long = format!("{longest}.a");
        check(
            dns1123_subdomain,
            &["a", "a.b", "0.1", "a-b.c-d", &longest],
            &["", ".", "a.", ".a", "a..b", "a.-b", "A.b", "a_b", &too_long],
        );
    }

    #[test]
    fn qualified_names_may_have_one_dns_prefix() {
        let long = format!("example.com/{}", "a".repeat(64));
        check(
            qualified_name,
            &[
                "simple",
                "now-with-dashes",
                "1-starts",
                "simple/simple",
                "a.b/C_d",
                "Upper",
                "UPPER_e.x",
            ],
            &[
                "",
                "a/",
                "/a",
                "a/b/c",
                "nospecials%",
                "-a",
                "a-",
                "A.b/c",
                "a_b/c",
                "a b",
                &long,
            ],
        );
        check(
            label_value,
            &["", "a", "A_b.c", "1"],
            &["-", "a-", "_a", "a/b", "a b", &"a".repeat(64)],
        );
    }

    #[test]
    fn ports_keys_and_variables_have_rules_of_their_own() {
        check(
            port_name,
            &["http", "a", "1a", "web-1"],
            &["", "1", "a--b", "-a", "a-", "HTTP", "abcdefghijklmnop"],
        );
        check(
            config_map_key,
            &["a", "a.b", ".a", "A_b-c"],
            &["", ".", "..", "..a", "a/b", "a b"],
        );
        check(env_var_name, &["A", "a.b", "A B"], &["", "A=B", "é", "\n"]);
        check(path_segment, &["a", "a:b"], &[".", "..", "a/b", "a%b"]);
        assert!(
            port_number(65535).is_empty() && !port_number(0).is_empty() && !port_number(65536).is_empty()
        );
    }

    #[test]
    fn a_generated_name_keeps_its_suffix_whole_and_stays_a_label() {
        assert_eq!(generate("web-", "bcdfg"), "web-bcdfg");
        let name = generate(&"a".repeat(100), "bcdfg");
        assert_eq!(name.len(), 63);
        assert!(name.ends_with("bcdfg"));
        assert_eq!(suffix(0), "bbbbb");
        assert_ne!(suffix(1), suffix(2));
        assert!(suffix(u64::MAX).bytes().all(|b| SAFE_ALPHABET.contains(&b)));
        assert!(NameRule::Subdomain.check_prefix("web-").is_empty());
        assert!(!NameRule::Subdomain.check_prefix("Web-").is_empty());
        assert!(NameRule::Dns1035.check_prefix("a").is_empty());
    }
}
