//! The formats of strings that validation checks. A format that is not listed here accepts everything, as upstream.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the text is of the format.
pub(crate) fn accepts(format: &str, text: &str) -> bool {
    match format {
        "date" => text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10,
        "date-time" | "datetime" => timestamp(text).is_some(),
        "duration" => duration(text).is_some(),
        "byte" => STANDARD.decode(text).is_ok(),
        "uri" => url::Url::parse(text).is_ok() || text.starts_with('/'),
        "email" => is_email(text),
        "hostname" => is_hostname(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "ip" => text.parse::<IpAddr>().is_ok(),
        "cidr" => text.parse::<ipnet::IpNet>().is_ok(),
        "mac" => is_mac(text),
        "uuid" => is_uuid(text, None),
        "uuid3" => is_uuid(text, Some('3')),
        "uuid4" => is_uuid(text, Some('4')),
        "uuid5" => is_uuid(text, Some('5')),
        "bsonobjectid" => text.len() == 24 && is_hex(text),
        "hexcolor" => {
            let digits = text.strip_prefix('#').unwrap_or(text);
            matches!(digits.len(), 3 | 6) && is_hex(digits)
        }
        "ssn" => {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            digits.len() == 9 && text.chars().all(|c| c.is_ascii_digit() || "- ".contains(c))
        }
        "isbn" => is_isbn10(text) || is_isbn13(text),
        "isbn10" => is_isbn10(text),
        "isbn13" => is_isbn13(text),
        "creditcard" => is_credit_card(text),
        "rgbcolor" => is_rgb(text),
        "k8s-short-name" => apimachinery::names::dns1123_label(text).is_empty(),
        "k8s-long-name" => apimachinery::names::dns1123_subdomain(text).is_empty(),
        _ => true,
    }
}

/// An RFC 3339 time.
pub(crate) fn timestamp(text: &str) -> Option<jiff::Timestamp> {
    text.parse().ok()
}

/// A duration as Go writes it: `1h30m`, `1.5s`, `-300ms`.
pub(crate) fn duration(text: &str) -> Option<jiff::SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(jiff::SignedDuration::ZERO);
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, tail) = rest.split_at(end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        nanos = nanos.checked_add(whole.checked_mul(scale)?)?;
        let mut place = scale;
        for digit in fraction.chars() {
            place /= 10;
            nanos += i128::from(digit.to_digit(10)?) * place;
        }
        rest = tail;
    }
    if text.is_empty() || !rest.is_empty() || text.len() == usize::from(text.starts_with(['-', '+'])) {
        return None;
    }
    let nanos = i64::try_from(if negative { -nanos } else { nanos }).ok()?;
    Some(jiff::SignedDuration::from_nanos(nanos))
}

fn is_hex(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_hexdigit())
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let allowed = |c: char| c.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    !local.is_empty()
        && local.chars().all(allowed)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && is_hostname(domain)
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 255 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

fn is_mac(text: &str) -> bool {
    let groups = |separator: char, width: usize, counts: &[usize]| {
        let parts: Vec<&str> = text.split(separator).collect();
        counts.contains(&parts.len()) && parts.iter().all(|part| part.len() == width && is_hex(part))
    };
    groups(':', 2, &[6, 8, 20]) || groups('-', 2, &[6, 8, 20]) || groups('.', 4, &[3, 4, 10])
}

fn is_uuid(text: &str, version: Option<char>) -> bool {
    let plain: String = text.chars().filter(|c| *c != '-').collect();
    let dashes = text.len() == 32
        || [8, 13, 18, 23]
            .iter()
            .all(|at| text.get(*at..*at + 1) == Some("-"));
    plain.len() == 32
        && is_hex(&plain)
        && dashes
        && version.is_none_or(|version| plain.chars().nth(12) == Some(version))
}

fn is_isbn10(text: &str) -> bool {
    let plain: Vec<char> = text.chars().filter(|c| !"- ".contains(*c)).collect();
    let sum = plain.iter().enumerate().try_fold(0, |sum, (index, c)| {
        let digit = match c {
            'X' if index == 9 => 10,
            _ => c.to_digit(10)?,
        };
        Some(sum + digit * (10 - index.min(9) as u32))
    });
    plain.len() == 10 && sum.is_some_and(|sum| sum % 11 == 0)
}

fn is_isbn13(text: &str) -> bool {
    let plain: Vec<char> = text.chars().filter(|c| !"- ".contains(*c)).collect();
    let sum = plain.iter().enumerate().try_fold(0, |sum, (index, c)| {
        Some(sum + c.to_digit(10)? * if index % 2 == 0 { 1 } else { 3 })
    });
    plain.len() == 13 && sum.is_some_and(|sum| sum % 10 == 0)
}

fn is_credit_card(text: &str) -> bool {
    let digits: Option<Vec<u32>> = text
        .chars()
        .filter(|c| !"- ".contains(*c))
        .map(|c| c.to_digit(10))
        .collect();
    let Some(digits) = digits.filter(|digits| (13..=19).contains(&digits.len())) else {
        return false;
    };
    let luhn = |(index, digit): (usize, &u32)| match (index % 2, digit * 2) {
        (0, _) => *digit,
        (_, twice) if twice > 9 => twice - 9,
        (_, twice) => twice,
    };
    digits.iter().rev().enumerate().map(luhn).sum::<u32>() % 10 == 0
}

fn is_rgb(text: &str) -> bool {
    let Some(inner) = text.strip_prefix("rgb(").and_then(|text| text.strip_suffix(')')) else {
        return false;
    };
    let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_tells_good_texts_from_bad() {
        for (format, good, bad) in [
            ("date", "2026-02-28", "2026-02-30"),
            ("date-time", "2026-02-28T12:00:00Z", "2026-02-28 12:00"),
            ("duration", "1h30m0.5s", "1 hour"),
            ("duration", "-300ms", "-"),
            ("byte", "aGVsbG8=", "a"),
            ("uri", "https://a.b/c", "a b"),
            ("email", "a.b@c.de", "a.b"),
            ("hostname", "a-1.b", "-a.b"),
            ("ipv4", "1.2.3.4", "1.2.3.400"),
            ("ipv6", "::1", "1.2.3.4"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "01:23:45:67:89:ab", "01:23:45"),
            ("uuid", "12345678-1234-4234-8234-123456789abc", "12345678"),
            (
                "uuid4",
                "12345678-1234-4234-8234-123456789abc",
                "12345678-1234-3234-8234-123456789abc",
            ),
            ("isbn", "0-306-40615-2", "0-306-40615-3"),
            ("isbn13", "978-0-306-40615-7", "978-0-306-40615-8"),
            ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
            ("hexcolor", "#ffAA00", "#ffAA0"),
            ("rgbcolor", "rgb(1, 2, 255)", "rgb(1,2,256)"),
            ("k8s-short-name", "abc", "a.b"),
            ("bsonobjectid", "0123456789abcdef01234567", "xyz"),
            ("ssn", "123-45-6789", "123"),
        ] {
            assert!(accepts(format, good), "{format} {good}");
            assert!(!accepts(format, bad), "{format} {bad}");
        }
        assert!(accepts("my-own", "anything"));
    }
}
