//! How rules spell property names that CEL cannot: `foo-bar` is `foo__dash__bar`.

/// Words that CEL keeps for itself; a property of that name is spelled `__namespace__`.
const KEYWORDS: [&str; 22] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "__proto__",
];

/// The property that a name in a rule means; `None` when the name is not one that escaping gives.
pub(crate) fn unescape(name: &str) -> Option<String> {
    let keyword = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"));
    if let Some(keyword) = keyword.filter(|word| KEYWORDS.contains(word)) {
        return Some(keyword.into());
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find("__") {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        let (escape, plain) = [
            ("__underscores__", "__"),
            ("__dot__", "."),
            ("__dash__", "-"),
            ("__slash__", "/"),
        ]
        .into_iter()
        .find(|(escape, _)| tail.starts_with(escape))?;
        out.push_str(plain);
        rest = &tail[escape.len()..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn an_escaped_name_is_the_property_that_it_stands_for() {
        for (escaped, property) in [
            ("plain", Some("plain")),
            ("one_under", Some("one_under")),
            ("foo__dot__bar", Some("foo.bar")),
            ("foo__dash__bar__slash__x", Some("foo-bar/x")),
            ("two__underscores__", Some("two__")),
            ("__namespace__", Some("namespace")),
            ("a__b", None),
        ] {
            assert_eq!(unescape(escaped).as_deref(), property, "{escaped}");
        }
    }
}
