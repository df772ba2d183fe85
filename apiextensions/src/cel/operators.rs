//! How many operators an expression has, counted before it is parsed: the parser recurses with them.

/// How many operators there are outside of quotes. Commas only widen the tree.
pub(crate) fn count(text: &str) -> usize {
    let mut count = 0;
    let mut rest = text;
    let mut last = ' ';
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == '\'' || c == '"' {
            rest = after_quote(rest, c, matches!(last, 'r' | 'R'));
        } else if ".+-*/%!<>=?:[({".contains(c) {
            count += 1;
        }
        last = c;
    }
    count
}

/// What follows a text that was opened with `quote`.
fn after_quote(text: &str, quote: char, raw: bool) -> &str {
    let close: String = std::iter::repeat_n(quote, 3).collect();
    // Three quotes open a text that only three close; the first is gone.
    let (mut rest, close) = match text.strip_prefix(&close[1..]) {
        Some(rest) => (rest, close.as_str()),
        None => (text, &close[..1]),
    };
    loop {
        if let Some(rest) = rest.strip_prefix(close) {
            return rest;
        }
        let mut chars = rest.chars();
        match chars.next() {
            None => return "",
            Some('\\') if !raw => drop(chars.next()),
            Some(_) => {}
        }
        rest = chars.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn operators_in_quotes_do_not_count_and_no_quote_hides_one() {
        for (text, operators) in [
            ("a.b + 1 > 2", 3),
            ("'a.b + 1' == c", 2),
            (r#""\".." + x"#, 1),
            (r#"r"\" . . x"#, 2),
            (r#"'''a'b.c''' . x"#, 1),
            ("'open . . .", 0),
            ("f(a, b)[0]", 2),
        ] {
            assert_eq!(count(text), operators, "{text}");
        }
    }
}
