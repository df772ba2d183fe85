//! The tokens of a label selector's text. A token borrows from the text; nothing is allocated.

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A key or a value; also `in` and `notin`, which only their place tells from keys.
    Word(&'a str),
    /// `=`
    Equals,
    /// `==`
    DoubleEquals,
    /// `!=`
    NotEquals,
    /// `!`
    Not,
    /// `>`
    Greater,
    /// `<`
    Less,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// The text is over.
    End,
}

impl Token<'_> {
    /// For error messages.
    pub(super) fn describe(self) -> String {
        match self {
            Self::Word(word) => format!("'{word}'"),
            Self::Equals => "'='".into(),
            Self::DoubleEquals => "'=='".into(),
            Self::NotEquals => "'!='".into(),
            Self::Not => "'!'".into(),
            Self::Greater => "'>'".into(),
            Self::Less => "'<'".into(),
            Self::Open => "'('".into(),
            Self::Close => "')'".into(),
            Self::Comma => "','".into(),
            Self::End => "the end".into(),
        }
    }
}

/// Cuts the next token off the front of `rest`.
pub(super) fn next<'a>(rest: &mut &'a str) -> Token<'a> {
    *rest = rest.trim_start();
    let symbols = [
        ("==", Token::DoubleEquals),
        ("!=", Token::NotEquals),
        ("=", Token::Equals),
        ("!", Token::Not),
        (">", Token::Greater),
        ("<", Token::Less),
        ("(", Token::Open),
        (")", Token::Close),
        (",", Token::Comma),
    ];
    for (symbol, token) in symbols {
        if let Some(after) = rest.strip_prefix(symbol) {
            *rest = after;
            return token;
        }
    }
    let end = rest
        .find(|c: char| c.is_whitespace() || "=!><(),".contains(c))
        .unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    if word.is_empty() {
        Token::End
    } else {
        Token::Word(word)
    }
}

/// The next token, left where it is.
pub(super) fn peek<'a>(rest: &&'a str) -> Token<'a> {
    next(&mut { *rest })
}
