//! Quantities as text, and against a model in big integers.

use super::*;
use proptest::prelude::*;

fn q(text: &str) -> Quantity {
    parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn quantities_are_printed_in_canonical_form() {
    for (text, canonical) in [
        ("0", "0"),
        ("0n", "0"),
        ("-0", "0"),
        ("0Ki", "0"),
        ("00100m", "100m"),
        ("+1", "1"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1.5", "1500m"),
        ("0.1", "100m"),
        (".5", "500m"),
        ("1.", "1"),
        ("1000", "1k"),
        ("1000000", "1M"),
        ("1.5k", "1500"),
        ("12345", "12345"),
        ("10P", "10P"),
        ("1000E", "1000E"),
        ("1024", "1024"),
        ("1Ki", "1Ki"),
        ("1024Ki", "1Mi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("0.5Mi", "512Ki"),
        ("1.1Ki", "1126400m"),
        ("0.0001Ki", "102400u"),
        ("-1.5Gi", "-1536Mi"),
        ("100Ei", "9223372036854775807"),
        ("-100Ei", "-9223372036854775807"),
        ("7Ei", "7Ei"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("100e-3", "100e-3"),
        ("1.2e2", "120"),
        ("12000e3", "12e6"),
        ("1e100", "10e99"),
        ("1e-1000", "1e-9"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        ("1.00000000000001", "1000000001n"),
        ("-0.1n", "-1n"),
        ("1u", "1u"),
        ("1E", "1E"),
        (
            "340282366920938463463374607431768211456",
            "340282366920938463463374607431768211456",
        ),
    ] {
        assert_eq!(q(text).to_string(), canonical, "{text}");
        assert_eq!(q(canonical), q(text), "{text}");
    }
}

#[test]
fn what_is_no_quantity_is_refused() {
    for text in [
        "", " ", "1 ", " 1", "m", ".", "+", "-", "1i", "1mi", "1KI", "1ki", "1K", "1.1.1", "1+1", "1e",
        "1e+", "1ee3", "0x1", "1_000", "1,5", "--1", "aoeu", "1Gi1", "1e1.5", "\u{662}", "1e1001",
    ] {
        assert!(parse(text).is_err(), "{text:?}");
    }
    assert_eq!(parse(&"1".repeat(MAX_TEXT + 1)), Err(ParseError::Range));
    assert_eq!(
        parse("1e99999999999999999999"),
        Err(ParseError::Suffix("e99999999999999999999".into()))
    );
}

#[test]
fn values_are_rounded_away_from_zero() {
    for (text, value, milli) in [
        ("1", 1, 1000),
        ("1m", 1, 1),
        ("1n", 1, 1),
        ("-1n", -1, -1),
        ("1001m", 2, 1001),
        ("-1500m", -2, -1500),
        ("1Gi", 1 << 30, 1000 << 30),
        ("10E", i64::MAX, i64::MAX),
        ("-1e40", i64::MIN, i64::MIN),
    ] {
        assert_eq!(q(text).value(), value, "{text}");
        assert_eq!(q(text).milli_value(), milli, "{text}");
    }
    assert_eq!(q("1n").round_up_to_milli().to_string(), "1m");
    assert_eq!(q("1e40").round_up_to_milli(), q("1e40"));
}

#[test]
fn sums_take_the_format_of_the_first_that_is_not_zero() {
    assert_eq!((&q("0") + &q("1Ki")).to_string(), "1Ki");
    assert_eq!((&q("1Ki") + &q("1k")).to_string(), "2024");
    assert_eq!((&q("1Mi") - &q("1Ki")).to_string(), "1023Ki");
    assert_eq!([q("100m"), q("900m")].iter().sum::<Quantity>().to_string(), "1");
    assert_eq!(q("250m").multiply(4).to_string(), "1");
    assert_eq!(Quantity::from_milli(2500), q("2.5"));
    assert!((q("2.5").as_f64() - 2.5).abs() < 1e-12);
    assert!((q("1e40").as_f64() / 1e40 - 1.0).abs() < 1e-12);
}

/// The model: digits, times ten to a power, times two to a power, in big integers of nanos.
fn model(negative: bool, digits: u128, places: usize, suffix: &str) -> BigInt {
    let (tens, twos) = match suffix {
        "n" => (0, 0),
        "u" => (3, 0),
        "m" => (6, 0),
        "" => (9, 0),
        "k" => (12, 0),
        "M" => (15, 0),
        "G" => (18, 0),
        "T" => (21, 0),
        "P" => (24, 0),
        "E" => (27, 0),
        "Ki" => (9, 10),
        "Mi" => (9, 20),
        "Gi" => (9, 30),
        "e5" => (14, 0),
        "e-5" => (4, 0),
        "e40" => (49, 0),
        other => panic!("{other}"),
    };
    let value = (BigInt::from(digits) << twos) * BigInt::from(10).pow(tens);
    let divisor = BigInt::from(10).pow(places as u32);
    let mut nanos = (value + divisor.clone() - BigInt::from(1)) / divisor;
    let cap = BigInt::from(i64::MAX) * NANOS_PER_UNIT;
    if suffix.ends_with('i') && nanos > cap {
        nanos = cap;
    }
    if negative { -nanos } else { nanos }
}

prop_compose! {
    fn written()(
        negative: bool,
        digits in prop_oneof![0_u128..5000, any::<u64>().prop_map(u128::from), any::<u128>()],
        places in 0_usize..14,
        suffix in prop::sample::select(vec![
            "n", "u", "m", "", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "e5", "e-5", "e40",
        ]),
    ) -> (String, BigInt) {
        let number = format!("{digits:0width$}", width = places + 1);
        let (whole, fraction) = number.split_at(number.len() - places);
        let point = if places > 0 { "." } else { "" };
        let sign = if negative { "-" } else { "" };
        (format!("{sign}{whole}{point}{fraction}{suffix}"), model(negative, digits, places, suffix))
    }
}

proptest! {
    #[test]
    fn a_quantity_is_worth_what_the_model_says((text, nanos) in written()) {
        prop_assert_eq!(q(&text).nanos.to_big(), nanos);
    }

    #[test]
    fn printing_loses_nothing_and_is_stable((text, _) in written()) {
        let quantity = q(&text);
        let printed = quantity.to_string();
        prop_assert_eq!(&q(&printed), &quantity);
        prop_assert_eq!(q(&printed).to_string(), printed);
    }

    #[test]
    fn arithmetic_and_order_are_the_models((a, x) in written(), (b, y) in written()) {
        let (a, b) = (q(&a), q(&b));
        prop_assert_eq!((&a + &b).nanos.to_big(), &x + &y);
        prop_assert_eq!((&a - &b).nanos.to_big(), &x - &y);
        prop_assert_eq!(a.cmp(&b), x.cmp(&y));
        prop_assert_eq!(a == b, x == y);
        prop_assert_eq!(&(&a + &b) - &b, a);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,40}") {
        let _ = parse(&text);
    }
}
