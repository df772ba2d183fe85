//! JSON text, one value at a time.
//!
//! In: text. Out: its tokens, borrowed where nothing in them is escaped, as RFC 8259 has them. What a value means is
//! the reader's business.
//!
//! Invariant: `at` is a character's boundary, never past the end. Nothing here recurses.

use super::buffer::Buffer;
use super::fault::{Fallible, Fault, FaultKind, Place, Segment};
use super::plain;
use super::schema::{Form, MAX_DEPTH};
use std::borrow::Cow;
use std::fmt;

/// One value, or the opening bracket of one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    Text(Cow<'a, str>),
    List,
    Map,
}

/// A number as it is written, and what it comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number<'a> {
    pub(super) text: &'a str,
    /// Whether it has neither fraction nor exponent.
    pub(super) is_integer: bool,
    /// The integer, if it fits.
    pub(super) integer: Option<i64>,
}

impl Number<'_> {
    pub(super) fn double(&self) -> f64 {
        self.text.parse().expect("the scanner reads what Rust reads")
    }

    /// For a tree. serde_json's own reading of many digits may miss the nearest double by one, and again next time.
    pub(super) fn exact(&self) -> serde_json::Number {
        let large = || self.text.parse::<u64>().ok().filter(|_| self.is_integer);
        self.integer
            .map(Into::into)
            .or_else(|| large().map(Into::into))
            .or_else(|| serde_json::Number::from_f64(self.double()))
            .expect("the scanner refuses what is not finite")
    }
}

/// How faults call a value.
impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "boolean `{value}`"),
            Self::Number(number) if number.is_integer => write!(f, "integer `{}`", number.text),
            Self::Number(number) => write!(f, "floating point `{}`", number.text),
            Self::Text(text) => write!(f, "string \"{}\"", shorten(text)),
            Self::List => f.write_str("sequence"),
            Self::Map => f.write_str("map"),
        }
    }
}

/// Enough of a text to recognise it by.
pub(super) fn shorten(text: &str) -> Cow<'_, str> {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// A string as it is written, without its quotes.
#[derive(Clone, Copy)]
struct Quoted<'a> {
    start: usize,
    text: &'a str,
    escapes: Escapes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    None,
    /// Only those that we write too.
    Ours,
    /// `\/`, and `\u` for whatever.
    Other,
}

/// A place in a text.
#[derive(Clone, Copy)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Whether what was read has white space between its tokens, or escapes that we would not write.
    is_loose: bool,
}

impl<'a> Scanner<'a> {
    /// Begins where `bytes` begin. They must be UTF-8.
    pub(super) fn new(bytes: &'a [u8]) -> Fallible<Self> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self {
                text,
                at: 0,
                is_loose: false,
            }),
            Err(error) => Err(Box::new(Fault {
                place: Some(place(bytes, error.valid_up_to())),
                ..Fault::new(FaultKind::Syntax, "not valid UTF-8")
            })),
        }
    }

    /// Line and column of an offset.
    pub(super) fn place(&self, at: usize) -> Place {
        place(self.text.as_bytes(), at)
    }

    #[cold]
    fn fault(&self, at: usize, message: &str) -> Box<Fault> {
        Box::new(Fault {
            place: Some(self.place(at)),
            ..Fault::new(FaultKind::Syntax, message)
        })
    }

    /// The fault of something else, or nothing, standing where `expected` should.
    #[cold]
    fn unexpected(&self, expected: &str) -> Box<Fault> {
        match self.text[self.at..].chars().next() {
            Some(found) => self.fault(self.at, &format!("expected {expected}, got {found:?}")),
            None => self.fault(self.at, &format!("expected {expected}, and the text ends")),
        }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space; stays there.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => {
                    self.at += 1;
                    self.is_loose = true;
                }
                found => return found,
            }
        }
    }

    /// Where the next value begins.
    #[inline]
    pub(super) fn offset(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// Whether the next value is `null`, as far as its first letter tells.
    #[inline]
    pub(super) fn is_null(&mut self) -> bool {
        self.peek() == Some(b'n')
    }

    /// How long the text is.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Reads the opening bracket of an object.
    pub(super) fn object(&mut self) -> Fallible<()> {
        if self.peek() != Some(b'{') {
            return Err(self.unexpected("an object"));
        }
        self.at += 1;
        Ok(())
    }

    /// The form of the next value, as far as its first letter tells.
    pub(super) fn form(&mut self) -> Option<Form> {
        match self.peek()? {
            b'{' => Some(Form::Object),
            b'[' => Some(Form::List),
            b't' | b'f' => Some(Form::Bool),
            _ => None,
        }
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Fallible<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the text")),
        }
    }

    /// Reads a value, or the opening bracket of one.
    #[inline]
    pub(super) fn token(&mut self) -> Fallible<Token<'a>> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                let text = self.quoted()?;
                self.unescape(text).map(Token::Text)
            }
            Some(b'{') => {
                self.at += 1;
                Ok(Token::Map)
            }
            Some(b'[') => {
                self.at += 1;
                Ok(Token::List)
            }
            Some(b'-' | b'0'..=b'9') => self.number().map(Token::Number),
            Some(b't') => self.word("true").map(|()| Token::Bool(true)),
            Some(b'f') => self.word("false").map(|()| Token::Bool(false)),
            Some(b'n') => self.word("null").map(|()| Token::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// The next value, if it is a string without escapes.
    #[inline]
    pub(super) fn plain(&mut self) -> Fallible<Option<&'a str>> {
        if self.peek() != Some(b'"') {
            return Ok(None);
        }
        let start = self.at;
        self.at += 1;
        let found = self.quoted()?;
        if found.escapes == Escapes::None {
            return Ok(Some(found.text));
        }
        self.at = start;
        Ok(None)
    }

    /// The key of an object's next entry; none at its end. `first` is true at first, and stays false from then on.
    #[inline]
    pub(super) fn key(&mut self, first: &mut bool) -> Fallible<Option<Cow<'a, str>>> {
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            Some(b',') if !*first => self.at += 1,
            _ if *first => {}
            _ => return Err(self.unexpected("',' or '}'")),
        }
        *first = false;
        let key = self.quoted_key()?;
        self.unescape(key).map(Some)
    }

    #[inline]
    fn quoted_key(&mut self) -> Fallible<Quoted<'a>> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in quotes"));
        }
        self.at += 1;
        let key = self.quoted()?;
        if self.peek() != Some(b':') {
            return Err(self.unexpected("':'"));
        }
        self.at += 1;
        Ok(key)
    }

    /// Whether a list has another item. `first` as in [`Self::key`].
    #[inline]
    pub(super) fn item(&mut self, first: &mut bool) -> Fallible<bool> {
        match self.peek() {
            // After a comma comes a value, which `]` is not.
            Some(b']') => {
                self.at += 1;
                return Ok(false);
            }
            Some(b',') if !*first => self.at += 1,
            _ if *first => {}
            _ => return Err(self.unexpected("',' or ']'")),
        }
        *first = false;
        Ok(true)
    }

    fn word(&mut self, word: &str) -> Fallible<()> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Fallible<Number<'a>> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        let leading = self.byte();
        let digits = self.digits()?;
        if leading == Some(b'0') && digits > 1 {
            return Err(self.fault(start, "a number begins with 0"));
        }
        let mut is_integer = true;
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
            is_integer = false;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
            is_integer = false;
        }
        let text = &self.text[start..self.at];
        let integer = if is_integer { text.parse().ok() } else { None };
        if integer.is_none() && !text.parse().is_ok_and(f64::is_finite) {
            return Err(self.fault(start, "a number is out of range"));
        }
        Ok(Number {
            text,
            is_integer,
            integer,
        })
    }

    fn digits(&mut self) -> Fallible<usize> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.unexpected("a digit"));
        }
        Ok(self.at - start)
    }

    /// Reads a string's content and its closing quote.
    #[inline]
    fn quoted(&mut self) -> Fallible<Quoted<'a>> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut escapes = Escapes::None;
        loop {
            self.at += plain::run(bytes, self.at);
            match self.byte() {
                Some(b'"') => {
                    let text = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Quoted { start, text, escapes });
                }
                Some(b'\\') => match bytes.get(self.at + 1) {
                    Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => {
                        self.at += 2;
                        if escapes == Escapes::None {
                            escapes = Escapes::Ours;
                        }
                    }
                    Some(b'/' | b'u') => {
                        self.at += 2;
                        escapes = Escapes::Other;
                        self.is_loose = true;
                    }
                    _ => return Err(self.fault(self.at, "no such escape in a string")),
                },
                Some(_) => return Err(self.fault(self.at, "a control character in a string must be escaped")),
                None => return Err(self.unexpected("a closing quote")),
            }
        }
    }

    #[inline]
    fn unescape(&self, quoted: Quoted<'a>) -> Fallible<Cow<'a, str>> {
        match quoted.escapes {
            Escapes::None => Ok(Cow::Borrowed(quoted.text)),
            _ => self.unescaped(quoted).map(Cow::Owned),
        }
    }

    fn unescaped(&self, quoted: Quoted<'a>) -> Fallible<String> {
        let mut plain = String::with_capacity(quoted.text.len());
        let mut rest = quoted.text;
        while let Some((before, escape)) = rest.split_once('\\') {
            plain.push_str(before);
            let mut length = 1;
            plain.push(match escape.as_bytes()[0] {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    let found = code_point(&escape[1..]).ok_or_else(|| {
                        let at = quoted.start + quoted.text.len() - escape.len() - 1;
                        self.fault(
                            at,
                            "no such character: \\u takes four hexadecimal digits, or two pairs of them",
                        )
                    })?;
                    length += found.1;
                    found.0
                }
                itself => char::from(itself),
            });
            rest = &escape[length..];
        }
        plain.push_str(rest);
        Ok(plain)
    }

    /// Where the value of a path begins, or the nearest one above it that is there. Of a key that is there twice the last
    /// one counts.
    pub(super) fn locate(mut self, path: &[Segment]) -> Fallible<Place> {
        for segment in path {
            let at = self.offset();
            let mut found = None;
            let mut first = true;
            match (self.token()?, segment) {
                (Token::Map, Segment::Field(name) | Segment::Key(name)) => {
                    while let Some(key) = self.key(&mut first)? {
                        if key == name.as_str() {
                            found = Some(self.offset());
                        }
                        self.skip()?;
                    }
                }
                (Token::List, Segment::Index(index)) => {
                    for i in 0..=*index {
                        if !self.item(&mut first)? {
                            break;
                        }
                        if i == *index {
                            found = Some(self.offset());
                        }
                        self.skip()?;
                    }
                }
                _ => {}
            }
            self.at = found.unwrap_or(at);
            if found.is_none() {
                break;
            }
        }
        let at = self.offset();
        Ok(self.place(at))
    }

    /// Reads past a value, however deep it is.
    pub(super) fn skip(&mut self) -> Fallible<()> {
        self.walk(usize::MAX, None)
    }

    /// Reads past the value that begins at `at`.
    pub(super) fn skip_from(&mut self, at: usize) -> Fallible<()> {
        self.at = at;
        self.skip()
    }

    /// Appends a value without white space, its strings escaped as we escape them. `depth` is how deep it stands in its
    /// object.
    pub(super) fn copy(&mut self, depth: usize, out: &mut Buffer) -> Fallible<()> {
        let start = self.offset();
        let mut checked = Self {
            is_loose: false,
            ..*self
        };
        checked.check(depth)?;
        if checked.is_loose {
            self.walk(usize::MAX, Some(out))
        } else {
            // As nearly all of it is: what we wrote, or another machine.
            *self = checked;
            out.put(&self.text.as_bytes()[start..self.at]);
            Ok(())
        }
    }

    /// Reads past a value that [`Self::copy`] would copy.
    pub(super) fn check(&mut self, depth: usize) -> Fallible<()> {
        self.walk(MAX_DEPTH.saturating_sub(depth), None)
    }

    fn walk(&mut self, levels: usize, mut out: Option<&mut Buffer>) -> Fallible<()> {
        let mut put = |text: &str| {
            if let Some(out) = &mut out {
                out.put(text.as_bytes());
            }
        };
        // The brackets that are to be closed, innermost last: at most one for each byte of the text.
        let mut open: Vec<u8> = Vec::new();
        loop {
            let start = self.offset();
            match self.byte() {
                Some(bracket @ (b'{' | b'[')) => {
                    if open.len() >= levels {
                        return Err(Box::new(Fault {
                            kind: FaultKind::TooDeep,
                            ..*self.fault(start, &format!("nested deeper than {MAX_DEPTH} levels"))
                        }));
                    }
                    self.at += 1;
                    put(&self.text[start..self.at]);
                    // ASCII's closing brackets stand two behind the opening ones.
                    let close = bracket + 2;
                    open.push(close);
                    if self.peek() != Some(close) {
                        if close == b'}' {
                            self.walk_key(&mut put)?;
                        }
                        continue;
                    }
                }
                Some(b'"') => {
                    self.at += 1;
                    let text = self.quoted()?;
                    self.walk_string(text, &mut put)?;
                }
                _ => {
                    self.token()?;
                    put(&self.text[start..self.at]);
                }
            }
            // A value has ended, and with it maybe those around it.
            loop {
                let Some(&close) = open.last() else { return Ok(()) };
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        put(",");
                        if close == b'}' {
                            self.walk_key(&mut put)?;
                        }
                        break;
                    }
                    Some(found) if found == close => {
                        put(&self.text[self.at..=self.at]);
                        self.at += 1;
                        open.pop();
                    }
                    _ => {
                        let expected = if close == b'}' { "',' or '}'" } else { "',' or ']'" };
                        return Err(self.unexpected(expected));
                    }
                }
            }
        }
    }

    fn walk_key(&mut self, put: &mut impl FnMut(&str)) -> Fallible<()> {
        let key = self.quoted_key()?;
        self.walk_string(key, put)?;
        put(":");
        Ok(())
    }

    fn walk_string(&mut self, quoted: Quoted<'a>, put: &mut impl FnMut(&str)) -> Fallible<()> {
        put("\"");
        if quoted.escapes == Escapes::Other {
            escape(&self.unescaped(quoted)?, put);
        } else {
            put(quoted.text);
        }
        put("\"");
        Ok(())
    }
}

/// The character of `\u`'s digits, and how many bytes they are.
fn code_point(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 4)?;
        let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hexadecimal
            .then(|| u16::from_str_radix(digits, 16).ok())
            .flatten()
    };
    let first = unit(0)?;
    if let Some(found) = char::from_u32(first.into()) {
        return Some((found, 4));
    }
    let second = text
        .get(4..6)
        .filter(|between| *between == "\\u")
        .and_then(|_| unit(6))?;
    let found = char::decode_utf16([first, second]).next()?.ok()?;
    Some((found, 10))
}

/// Gives out a string's content as JSON has it between its quotes.
pub(super) fn escape(text: &str, put: &mut impl FnMut(&str)) {
    let mut rest = text;
    loop {
        let (plain, marked) = rest.split_at(plain::run(rest.as_bytes(), 0));
        put(plain);
        let Some(&byte) = marked.as_bytes().first() else {
            return;
        };
        match byte {
            b'"' => put("\\\""),
            b'\\' => put("\\\\"),
            b'\n' => put("\\n"),
            b'\r' => put("\\r"),
            b'\t' => put("\\t"),
            0x08 => put("\\b"),
            0x0c => put("\\f"),
            control => put(&format!("\\u{control:04x}")),
        }
        rest = &marked[1..];
    }
}

fn place(bytes: &[u8], at: usize) -> Place {
    let before = &bytes[..at];
    let line = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    let is_continued = |byte: &u8| byte & 0xc0 == 0x80;
    Place {
        line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
        column: before[line..].iter().filter(|byte| !is_continued(byte)).count() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn skipped(text: &str) -> Fallible<()> {
        let mut source = Scanner::new(text.as_bytes())?;
        source.skip()?;
        source.end()
    }

    /// The value token by token.
    fn value(source: &mut Scanner<'_>) -> Fallible<Value> {
        let mut first = true;
        Ok(match source.token()? {
            Token::Null => Value::Null,
            Token::Bool(value) => value.into(),
            Token::Number(number) => serde_json::from_str(number.text).unwrap(),
            Token::Text(text) => text.into(),
            Token::List => {
                let mut items = Vec::new();
                while source.item(&mut first)? {
                    items.push(value(source)?);
                }
                items.into()
            }
            Token::Map => {
                let mut fields = serde_json::Map::new();
                while let Some(key) = source.key(&mut first)? {
                    fields.insert(key.into_owned(), value(source)?);
                }
                fields.into()
            }
        })
    }

    #[test]
    fn faults_name_what_stands_there_and_where() {
        for (text, fault) in [
            ("", "line 1, column 1: expected a value, and the text ends"),
            ("{\n \"é\" 1}", "line 2, column 6: expected ':', got '1'"),
            (
                "{\"a\":1 \"b\"}",
                "line 1, column 8: expected ',' or '}', got '\"'",
            ),
            ("[1}", "line 1, column 3: expected ',' or ']', got '}'"),
            ("[1,]", "line 1, column 4: expected a value, got ']'"),
            ("{a:1}", "line 1, column 2: expected a key in quotes, got 'a'"),
            ("[01]", "line 1, column 2: a number begins with 0"),
            ("[1.]", "line 1, column 4: expected a digit, got ']'"),
            ("-1e999", "line 1, column 1: a number is out of range"),
            (
                "\"a",
                "line 1, column 3: expected a closing quote, and the text ends",
            ),
            ("\"\\x\"", "line 1, column 2: no such escape in a string"),
            (
                "\"a\tb\"",
                "line 1, column 3: a control character in a string must be escaped",
            ),
            ("{} {}", "line 1, column 4: expected the end of the text, got '{'"),
        ] {
            assert_eq!(skipped(text).unwrap_err().to_string(), fault, "{text}");
        }
        let fault = skipped(r#""a\ud800b""#).unwrap_err().to_string();
        assert!(
            fault.starts_with("line 1, column 3: no such character"),
            "{fault}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_serde_json_reads_is_read_alike_and_nothing_else(
            text in r#"([\[\]{}",: \n0-9.eE+a\\u/-]|true|false|null|"a"|\\u00e9|\\ud83d\\ude00|é){0,12}"#,
        ) {
            let theirs: Option<Value> = serde_json::from_str(&text).ok();
            let ours = skipped(&text);
            prop_assert_eq!(ours.is_ok(), theirs.is_some(), "{:?}", ours);
            if let Some(theirs) = theirs {
                let mut source = Scanner::new(text.as_bytes()).unwrap();
                prop_assert_eq!(&value(&mut source).unwrap(), &theirs);
                let mut out = Buffer::behind(Vec::new(), 0);
                Scanner::new(text.as_bytes()).unwrap().copy(0, &mut out).unwrap();
                let copied: Value = serde_json::from_slice(&out.into_vec()).unwrap();
                prop_assert_eq!(&copied, &theirs);
            }
        }
    }
}
