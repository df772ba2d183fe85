//! `IntOrString`: a number, a percentage, or a port's name.

use proto::IntOrString;

/// `IntOrString.type` of a string; numbers are 0.
const STRING: i64 = 1;

/// A number.
pub fn int(value: i32) -> IntOrString {
    IntOrString {
        int_val: value,
        ..IntOrString::default()
    }
}

/// A percentage (`25%`) or a name.
pub fn string(value: impl Into<String>) -> IntOrString {
    IntOrString {
        r#type: STRING,
        str_val: value.into(),
        ..IntOrString::default()
    }
}

/// The string, unless it is a number.
pub fn as_string(value: &IntOrString) -> Option<&str> {
    (value.r#type == STRING).then_some(value.str_val.as_str())
}

/// The number, unless it is a string.
pub fn as_int(value: &IntOrString) -> Option<i32> {
    (value.r#type != STRING).then_some(value.int_val)
}

/// 25 for `25%`; `None` for numbers and for strings that are no percentage.
pub fn as_percent(value: &IntOrString) -> Option<i32> {
    let digits = as_string(value)?.strip_suffix('%')?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// The number itself, or the percentage of `total`, rounded up or down. `None` for other strings.
pub fn scaled(value: &IntOrString, total: i32, round_up: bool) -> Option<i32> {
    if let Some(number) = as_int(value) {
        return Some(number);
    }
    let product = i64::from(as_percent(value)?) * i64::from(total);
    let share = if round_up {
        (product + 99).div_euclid(100)
    } else {
        product.div_euclid(100)
    };
    Some(i32::try_from(share).unwrap_or(i32::MAX))
}

/// For messages: `5` or `25%`.
pub fn display(value: &IntOrString) -> String {
    as_string(value).map_or_else(|| value.int_val.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_shares_of_the_total() {
        for (value, total, up, down) in [
            (int(3), 10, Some(3), Some(3)),
            (string("25%"), 10, Some(3), Some(2)),
            (string("25%"), 0, Some(0), Some(0)),
            (string("100%"), 7, Some(7), Some(7)),
            (string("150%"), 3, Some(5), Some(4)),
            (string("http"), 3, None, None),
            (string("%"), 3, None, None),
            (string("-5%"), 3, None, None),
            (string("99999999999%"), 3, None, None),
        ] {
            assert_eq!(scaled(&value, total, true), up, "{}", display(&value));
            assert_eq!(scaled(&value, total, false), down, "{}", display(&value));
        }
        assert_eq!(as_int(&string("5")), None);
        assert_eq!(as_percent(&string("25%")), Some(25));
    }
}
