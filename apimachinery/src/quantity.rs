//! Kubernetes quantities: `500m`, `1.5Gi`, `12e6`. Exact, ordered, printed in canonical form.
//!
//! A value is a whole number of nanos (10⁻⁹), which is the finest that Kubernetes keeps: finer input is rounded away
//! from zero. Nanos are held as `i128`, which reaches 1.7·10²⁹ units, and as a big integer beyond.
//! Invariant: `Nanos::Big` holds only what `i128` cannot, so that equal values have equal representations.
//!
//! Rules: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>. Three quirks of upstream
//! are not copied: a number without any digit (`.`, `m`) is refused; a sum beyond the largest suffix is printed with that
//! suffix, where upstream prints no suffix at all; and a negative value is always rounded away from zero.

use num_bigint::{BigInt, Sign};
use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

/// The longest text that is read. Upstream has no limit; nobody writes a quantity of 200 digits but to do harm.
pub const MAX_TEXT: usize = 200;
/// The largest decimal exponent that is read, for the same reason: `1e999999999` would fill the memory.
pub const MAX_EXPONENT: i32 = 1000;

const NANOS_PER_UNIT: i128 = 1_000_000_000;
const NANOS_PER_MILLI: i128 = 1_000_000;

/// How a quantity is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `12M`, `500m`.
    #[default]
    DecimalSi,
    /// `12Mi`.
    BinarySi,
    /// `12e6`.
    DecimalExponent,
}

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not a number with a suffix.
    #[error("quantities must be a signed decimal number and a suffix, as in 100m, 1.5Gi or 12e6; got {0:?}")]
    Format(String),
    /// The suffix is none of ours.
    #[error(
        "unable to parse quantity's suffix {0:?}: use one of n u m k M G T P E Ki Mi Gi Ti Pi Ei, or an exponent such as e3"
    )]
    Suffix(String),
    /// More than [`MAX_TEXT`] bytes, or an exponent beyond [`MAX_EXPONENT`].
    #[error(
        "quantity is out of range: at most {MAX_TEXT} characters and exponents up to {MAX_EXPONENT} are read"
    )]
    Range,
}

/// An exact amount of something.
///
/// Compared, hashed and ordered by value: `1` equals `1000m`. The [`Format`] only says how it is printed.
#[derive(Clone, Debug, Default)]
pub struct Quantity {
    nanos: Nanos,
    format: Format,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Nanos {
    Small(i128),
    Big(Box<BigInt>),
}

impl Default for Nanos {
    fn default() -> Self {
        Self::Small(0)
    }
}

impl Nanos {
    fn from_big(big: BigInt) -> Self {
        i128::try_from(&big).map_or_else(|_| Self::Big(Box::new(big)), Self::Small)
    }

    fn to_big(&self) -> BigInt {
        match self {
            Self::Small(small) => BigInt::from(*small),
            Self::Big(big) => (**big).clone(),
        }
    }

    /// The quotient, rounded away from zero, and whether it is exact. `divisor` is positive.
    fn divide(&self, divisor: i128) -> (Self, bool) {
        match self {
            Self::Small(small) => {
                let (quotient, rest) = (small / divisor, small % divisor);
                (Self::Small(quotient + rest.signum()), rest == 0)
            }
            Self::Big(big) => {
                let divisor = BigInt::from(divisor);
                let (quotient, rest) = (&**big / &divisor, &**big % &divisor);
                match rest.sign() {
                    Sign::NoSign => (Self::from_big(quotient), true),
                    Sign::Plus => (Self::from_big(quotient + 1), false),
                    Sign::Minus => (Self::from_big(quotient - 1), false),
                }
            }
        }
    }

    fn combine(
        &self,
        other: &Self,
        small: fn(i128, i128) -> Option<i128>,
        big: fn(BigInt, BigInt) -> BigInt,
    ) -> Self {
        if let (Self::Small(a), Self::Small(b)) = (self, other)
            && let Some(sum) = small(*a, *b)
        {
            return Self::Small(sum);
        }
        Self::from_big(big(self.to_big(), other.to_big()))
    }

    /// Divides by `factor` as often as it goes without a rest, at most `limit` times. Zero stays as it is.
    fn strip(mut self, factor: i128, limit: u32) -> (Self, u32) {
        let mut times = 0;
        while times < limit && !self.is_zero() {
            let (quotient, exact) = self.divide(factor);
            if !exact {
                break;
            }
            self = quotient;
            times += 1;
        }
        (self, times)
    }

    fn is_zero(&self) -> bool {
        matches!(self, Self::Small(0))
    }

    fn clamp_i64(&self) -> i64 {
        match self {
            Self::Small(small) => (*small).clamp(i64::MIN.into(), i64::MAX.into()) as i64,
            Self::Big(big) if big.sign() == Sign::Minus => i64::MIN,
            Self::Big(_) => i64::MAX,
        }
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Small(small) => write!(f, "{small}"),
            Self::Big(big) => write!(f, "{big}"),
        }
    }
}

impl Ord for Nanos {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Small(a), Self::Small(b)) => a.cmp(b),
            _ => self.to_big().cmp(&other.to_big()),
        }
    }
}

impl PartialOrd for Nanos {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Quantity {
    /// Whole units.
    pub fn new(units: i64, format: Format) -> Self {
        Self {
            nanos: Nanos::Small(i128::from(units) * NANOS_PER_UNIT),
            format,
        }
    }

    /// Thousandths, printed as decimal: 1500 is `1500m`.
    pub fn from_milli(milli: i64) -> Self {
        Self {
            nanos: Nanos::Small(i128::from(milli) * NANOS_PER_MILLI),
            format: Format::DecimalSi,
        }
    }

    /// How it is printed.
    pub fn format(&self) -> Format {
        self.format
    }

    /// In whole units, rounded away from zero; the ends of `i64` where it lies beyond them.
    pub fn value(&self) -> i64 {
        self.nanos.divide(NANOS_PER_UNIT).0.clamp_i64()
    }

    /// In thousandths, rounded away from zero; the ends of `i64` where it lies beyond them.
    pub fn milli_value(&self) -> i64 {
        self.nanos.divide(NANOS_PER_MILLI).0.clamp_i64()
    }

    /// As a floating-point number, for people and ratios. Not exact.
    pub fn as_f64(&self) -> f64 {
        match &self.nanos {
            Nanos::Small(small) => *small as f64 / NANOS_PER_UNIT as f64,
            // A big integer's decimal digits are always a float's.
            Nanos::Big(big) => {
                big.to_string().parse::<f64>().unwrap_or(f64::INFINITY) / NANOS_PER_UNIT as f64
            }
        }
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.nanos.is_zero()
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.nanos < Nanos::Small(0)
    }

    /// Whether it is a whole number of units.
    pub fn is_whole(&self) -> bool {
        self.nanos.divide(NANOS_PER_UNIT).1
    }

    /// Rounded away from zero to thousandths, which is all that resource lists keep.
    #[must_use]
    pub fn round_up_to_milli(&self) -> Self {
        let milli = self.nanos.divide(NANOS_PER_MILLI).0;
        let big = |a: BigInt, b: BigInt| a * b;
        Self {
            nanos: milli.combine(&Nanos::Small(NANOS_PER_MILLI), i128::checked_mul, big),
            format: self.format,
        }
    }

    /// `times` as much.
    #[must_use]
    pub fn multiply(&self, times: i64) -> Self {
        let big = |a: BigInt, b: BigInt| a * b;
        Self {
            nanos: self
                .nanos
                .combine(&Nanos::Small(times.into()), i128::checked_mul, big),
            format: self.format,
        }
    }

    /// The format of a sum: the left one's, or the right one's when there is nothing on the left.
    fn sum_format(&self, other: &Self) -> Format {
        if self.is_zero() { other.format } else { self.format }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl std::hash::Hash for Quantity {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.nanos.hash(state);
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Add for &Quantity {
    type Output = Quantity;

    fn add(self, other: Self) -> Quantity {
        Quantity {
            nanos: self.nanos.combine(&other.nanos, i128::checked_add, |a, b| a + b),
            format: self.sum_format(other),
        }
    }
}

impl Sub for &Quantity {
    type Output = Quantity;

    fn sub(self, other: Self) -> Quantity {
        Quantity {
            nanos: self.nanos.combine(&other.nanos, i128::checked_sub, |a, b| a - b),
            format: self.sum_format(other),
        }
    }
}

impl AddAssign<&Self> for Quantity {
    fn add_assign(&mut self, other: &Self) {
        *self = &*self + other;
    }
}

impl SubAssign<&Self> for Quantity {
    fn sub_assign(&mut self, other: &Self) {
        *self = &*self - other;
    }
}

impl Neg for &Quantity {
    type Output = Quantity;

    fn neg(self) -> Quantity {
        let zero = Quantity {
            nanos: Nanos::default(),
            format: self.format,
        };
        &zero - self
    }
}

impl<'a> std::iter::Sum<&'a Self> for Quantity {
    fn sum<I: Iterator<Item = &'a Self>>(quantities: I) -> Self {
        quantities.fold(Self::default(), |sum, q| &sum + q)
    }
}

/// A quantity's text.
pub fn parse(text: &str) -> Result<Quantity, ParseError> {
    text.parse()
}

impl FromStr for Quantity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() > MAX_TEXT {
            return Err(ParseError::Range);
        }
        let malformed = || ParseError::Format(text.to_owned());
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let digits_in = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, rest) = unsigned.split_at(digits_in(unsigned));
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(digits_in(rest)),
            None => ("", rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(malformed());
        }
        if !suffix
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'-')
        {
            return Err(malformed());
        }
        let (scale, mut format) = Scale::parse(suffix)?;
        let magnitude = scale.nanos(whole, fraction);
        let nanos = if negative {
            Nanos::default().combine(&magnitude, i128::checked_sub, |a, b| a - b)
        } else {
            magnitude
        };
        let mut quantity = Self { nanos, format };
        if format == Format::BinarySi {
            // Upstream caps binary quantities, and only those, at what 63 bits can count.
            let cap = Self::new(i64::MAX, format);
            if quantity > cap {
                quantity = cap;
            } else if quantity < -&cap {
                quantity = -&cap;
            }
            let unit = Self::new(1, format);
            if !quantity.is_zero() && quantity < unit && quantity > -&unit {
                format = Format::DecimalSi;
            }
        }
        quantity.format = format;
        Ok(quantity)
    }
}

/// What a suffix multiplies by.
#[derive(Clone, Copy)]
enum Scale {
    /// 10 to this power.
    Ten(i32),
    /// 2 to this power.
    Two(u32),
}

impl Scale {
    fn parse(suffix: &str) -> Result<(Self, Format), ParseError> {
        let unknown = || ParseError::Suffix(suffix.to_owned());
        if let Some(i) = DECIMAL_SUFFIXES.iter().position(|s| *s == suffix) {
            return Ok((Self::Ten(i as i32 * 3 - 9), Format::DecimalSi));
        }
        if let Some(i) = BINARY_SUFFIXES.iter().position(|s| *s == suffix) {
            return Ok((Self::Two((i as u32 + 1) * 10), Format::BinarySi));
        }
        let exponent = suffix.strip_prefix(['e', 'E']).ok_or_else(unknown)?;
        match exponent.parse::<i64>() {
            Ok(exponent) if exponent.abs() <= i64::from(MAX_EXPONENT) => {
                Ok((Self::Ten(exponent as i32), Format::DecimalExponent))
            }
            Ok(_) => Err(ParseError::Range),
            Err(_) => Err(unknown()),
        }
    }

    /// The nanos of `whole.fraction` times this, rounded up.
    fn nanos(self, whole: &str, fraction: &str) -> Nanos {
        self.small_nanos(whole, fraction)
            .map_or_else(|| Nanos::from_big(self.big_nanos(whole, fraction)), Nanos::Small)
    }

    fn small_nanos(self, whole: &str, fraction: &str) -> Option<i128> {
        let digits = whole.bytes().chain(fraction.bytes()).try_fold(0_i128, |n, b| {
            n.checked_mul(10)?.checked_add(i128::from(b - b'0'))
        })?;
        let (factor, power) = self.factor_and_power(fraction.len());
        let digits = digits.checked_mul(1_i128.checked_shl(factor)?)?;
        let tens = 10_i128.checked_pow(power.unsigned_abs())?;
        if power >= 0 {
            digits.checked_mul(tens)
        } else {
            Some(digits / tens + (digits % tens).signum())
        }
    }

    fn big_nanos(self, whole: &str, fraction: &str) -> BigInt {
        let digits = BigInt::parse_bytes(format!("{whole}{fraction}").as_bytes(), 10)
            .expect("the scanner let only digits through");
        let (factor, power) = self.factor_and_power(fraction.len());
        let digits = digits << factor;
        let tens = BigInt::from(10).pow(power.unsigned_abs());
        if power >= 0 {
            digits * tens
        } else {
            (digits + &tens - 1) / tens
        }
    }

    /// The powers of two and of ten that turn the number's digits, read without the point, into nanos.
    fn factor_and_power(self, fraction_digits: usize) -> (u32, i32) {
        // The text is at most MAX_TEXT long, so the count fits.
        let places = fraction_digits as i32;
        match self {
            Self::Ten(exponent) => (0, exponent - places + 9),
            Self::Two(exponent) => (exponent, 9 - places),
        }
    }
}

/// From 10⁻⁹ in steps of 10³.
const DECIMAL_SUFFIXES: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
/// From 2¹⁰ in steps of 2¹⁰.
const BINARY_SUFFIXES: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl fmt::Display for Quantity {
    /// The canonical form: the largest suffix that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        if self.format == Format::BinarySi
            && let (units, true) = self.nanos.divide(NANOS_PER_UNIT)
            && !(Nanos::Small(-1023)..=Nanos::Small(1023)).contains(&units)
        {
            let (number, times) = units.strip(1024, BINARY_SUFFIXES.len() as u32);
            let suffix = times.checked_sub(1).map_or("", |i| BINARY_SUFFIXES[i as usize]);
            return write!(f, "{number}{suffix}");
        }
        if self.format == Format::DecimalExponent {
            // Bounded by the number's own length.
            let (number, times) = self.nanos.clone().strip(1000, u32::MAX);
            return match times as i32 * 3 - 9 {
                0 => write!(f, "{number}"),
                exponent => write!(f, "{number}e{exponent}"),
            };
        }
        let (number, times) = self.nanos.clone().strip(1000, DECIMAL_SUFFIXES.len() as u32 - 1);
        write!(f, "{number}{}", DECIMAL_SUFFIXES[times as usize])
    }
}

impl From<&Quantity> for proto::Quantity {
    fn from(quantity: &Quantity) -> Self {
        Self {
            string: quantity.to_string(),
        }
    }
}

impl From<Quantity> for proto::Quantity {
    fn from(quantity: Quantity) -> Self {
        (&quantity).into()
    }
}

impl TryFrom<&proto::Quantity> for Quantity {
    type Error = ParseError;

    fn try_from(quantity: &proto::Quantity) -> Result<Self, ParseError> {
        parse(&quantity.string)
    }
}

#[cfg(test)]
mod tests;
