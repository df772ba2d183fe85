//! Durations that chance decides: what `sim.orrery.dev/…` annotations may hold.
//!
//! Inputs: text such as `2s` or `uniform(1s, 3s)`, and a generator. Output: a duration.
//! Invariant: what [`Distribution`] prints, it reads back equal; no sample is negative or longer than [`LONGEST`].

use component_base::rng::Rng;
use jiff::SignedDuration;
use rand::RngExt;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The longest duration that is accepted or drawn: a year. The tails of some distributions have no end, and a
/// timestamp must still hold the sum.
pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The largest shape that a log-normal may have: beyond it, samples are all zero or [`LONGEST`].
const LARGEST_SIGMA: f64 = 10.0;

/// A duration, fixed or random.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same: `2s`.
    Constant(Duration),
    /// Any duration between the two, each as likely: `uniform(1s,3s)`.
    Uniform {
        /// The shortest.
        low: Duration,
        /// The longest.
        high: Duration,
    },
    /// The bell curve, cut off at zero: `normal(2s,500ms)`.
    Normal {
        /// The middle.
        mean: Duration,
        /// The standard deviation.
        deviation: Duration,
    },
    /// Time until a chance event that is as likely at every moment: `exp(10s)`.
    Exponential {
        /// The mean.
        mean: Duration,
    },
    /// Most are short and a few very long, as start times of real programs are: `lognormal(2s,0.5)`.
    LogNormal {
        /// Half of all samples are shorter.
        median: Duration,
        /// The shape: the standard deviation of the logarithm.
        sigma: f64,
    },
}

/// A text that is no duration and no distribution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DistributionError {
    /// A duration cannot be read.
    #[error("{0:?} is not a duration; write for example 500ms, 2s or 1m30s")]
    Duration(String),
    /// A duration is longer than [`LONGEST`].
    #[error("{0:?} is longer than a year")]
    TooLong(String),
    /// No such distribution.
    #[error(
        "{0:?} is not a distribution; there are uniform(low,high), normal(mean,deviation), exp(mean) and \
         lognormal(median,sigma)"
    )]
    Unknown(String),
    /// Too few or too many parameters, or no closing parenthesis.
    #[error("{text:?} needs the form {form}")]
    Form {
        /// What was read.
        text: String,
        /// How it should look.
        form: &'static str,
    },
    /// The first parameter of `uniform` is greater than the second.
    #[error("{0:?} has its limits the wrong way round")]
    Reversed(String),
    /// A log-normal's shape is out of range.
    #[error("{0:?} is not a shape between 0 and 10")]
    Sigma(String),
}

impl Distribution {
    /// No time at all.
    pub const ZERO: Self = Self::Constant(Duration::ZERO);

    /// A fixed number of milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self::Constant(Duration::from_millis(millis))
    }

    /// Whether every sample is the same, so that no generator is needed.
    pub fn constant(self) -> Option<Duration> {
        match self {
            Self::Constant(duration) => Some(duration),
            _ => None,
        }
    }

    /// Draws a duration.
    pub fn sample(self, rng: &mut Rng) -> Duration {
        let seconds = match self {
            Self::Constant(duration) => return duration,
            Self::Uniform { low, high } => {
                low.as_secs_f64() + (high - low).as_secs_f64() * rng.random::<f64>()
            }
            Self::Normal { mean, deviation } => {
                mean.as_secs_f64() + deviation.as_secs_f64() * standard_normal(rng)
            }
            Self::Exponential { mean } => -mean.as_secs_f64() * open_unit(rng).ln(),
            Self::LogNormal { median, sigma } => median.as_secs_f64() * (sigma * standard_normal(rng)).exp(),
        };
        // `max` and `min` also turn NaN into a number.
        Duration::from_secs_f64(seconds.max(0.0).min(LONGEST.as_secs_f64()))
    }
}

/// A number in (0, 1]: its logarithm is finite.
fn open_unit(rng: &mut Rng) -> f64 {
    1.0 - rng.random::<f64>()
}

/// Box and Muller's method: one of the two numbers that it gives.
fn standard_normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * open_unit(rng).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

fn duration(text: &str) -> Result<Duration, DistributionError> {
    let signed: SignedDuration = text
        .trim()
        .parse()
        .map_err(|_| DistributionError::Duration(text.trim().to_owned()))?;
    let unsigned =
        Duration::try_from(signed).map_err(|_| DistributionError::Duration(text.trim().to_owned()))?;
    if unsigned > LONGEST {
        return Err(DistributionError::TooLong(text.trim().to_owned()));
    }
    Ok(unsigned)
}

fn two<'a>(text: &str, body: &'a str, form: &'static str) -> Result<(&'a str, &'a str), DistributionError> {
    match body.split_once(',') {
        Some((a, b)) if !b.contains(',') => Ok((a, b)),
        _ => Err(DistributionError::Form {
            text: text.to_owned(),
            form,
        }),
    }
}

impl FromStr for Distribution {
    type Err = DistributionError;

    fn from_str(text: &str) -> Result<Self, DistributionError> {
        let text = text.trim();
        let Some((name, body)) = text.split_once('(') else {
            return duration(text).map(Self::Constant);
        };
        let Some(body) = body.strip_suffix(')') else {
            return Err(DistributionError::Form {
                text: text.to_owned(),
                form: "name(…)",
            });
        };
        match name.trim() {
            "uniform" => {
                let (low, high) = two(text, body, "uniform(low,high)")?;
                let (low, high) = (duration(low)?, duration(high)?);
                if low > high {
                    return Err(DistributionError::Reversed(text.to_owned()));
                }
                Ok(Self::Uniform { low, high })
            }
            "normal" => {
                let (mean, deviation) = two(text, body, "normal(mean,deviation)")?;
                Ok(Self::Normal {
                    mean: duration(mean)?,
                    deviation: duration(deviation)?,
                })
            }
            "exp" => Ok(Self::Exponential {
                mean: duration(body)?,
            }),
            "lognormal" => {
                let (median, sigma) = two(text, body, "lognormal(median,sigma)")?;
                let shape = sigma.trim().parse().ok();
                let Some(shape) = shape.filter(|s| (0.0..=LARGEST_SIGMA).contains(s)) else {
                    return Err(DistributionError::Sigma(sigma.trim().to_owned()));
                };
                Ok(Self::LogNormal {
                    median: duration(median)?,
                    sigma: shape,
                })
            }
            other => Err(DistributionError::Unknown(other.to_owned())),
        }
    }
}

/// Prints durations as people write them: `1h 30m`.
struct Friendly(Duration);

impl fmt::Display for Friendly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        write!(f, "{signed:#}")
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Constant(duration) => Friendly(duration).fmt(f),
            Self::Uniform { low, high } => write!(f, "uniform({},{})", Friendly(low), Friendly(high)),
            Self::Normal { mean, deviation } => {
                write!(f, "normal({},{})", Friendly(mean), Friendly(deviation))
            }
            Self::Exponential { mean } => write!(f, "exp({})", Friendly(mean)),
            Self::LogNormal { median, sigma } => write!(f, "lognormal({},{sigma})", Friendly(median)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use component_base::rng::Seed;
    use proptest::prelude::*;

    #[test]
    fn durations_and_distributions_are_read_as_people_write_them() {
        let second = Duration::from_secs(1);
        let cases = [
            ("2s", Distribution::Constant(second * 2)),
            ("500ms", Distribution::millis(500)),
            ("1m30s", Distribution::Constant(second * 90)),
            ("1.5s", Distribution::millis(1500)),
            (
                " uniform( 1s , 3s ) ",
                Distribution::Uniform {
                    low: second,
                    high: second * 3,
                },
            ),
            (
                "normal(2s,500ms)",
                Distribution::Normal {
                    mean: second * 2,
                    deviation: second / 2,
                },
            ),
            ("exp(10s)", Distribution::Exponential { mean: second * 10 }),
            (
                "lognormal(2s,0.5)",
                Distribution::LogNormal {
                    median: second * 2,
                    sigma: 0.5,
                },
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn malformed_text_is_refused_with_what_is_wrong_and_what_to_write() {
        let cases = [
            ("", "not a duration"),
            ("2", "not a duration"),
            ("-2s", "not a duration"),
            ("soon", "write for example 500ms"),
            ("100000h", "longer than a year"),
            ("zipf(2s)", "there are uniform(low,high)"),
            ("uniform(1s)", "needs the form uniform(low,high)"),
            ("uniform(1s,2s,3s)", "needs the form uniform(low,high)"),
            ("uniform(3s,1s)", "wrong way round"),
            ("exp(10s", "needs the form name(…)"),
            ("normal(2s,x)", "\"x\" is not a duration"),
            ("lognormal(2s,-1)", "not a shape"),
            ("lognormal(2s,NaN)", "not a shape"),
        ];
        for (text, part) in cases {
            let error = text.parse::<Distribution>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    fn durations() -> impl Strategy<Value = Duration> {
        (0..=LONGEST.as_nanos() as u64).prop_map(Duration::from_nanos)
    }

    fn distributions() -> impl Strategy<Value = Distribution> {
        prop_oneof![
            durations().prop_map(Distribution::Constant),
            (durations(), durations()).prop_map(|(a, b)| Distribution::Uniform {
                low: a.min(b),
                high: a.max(b),
            }),
            (durations(), durations()).prop_map(|(mean, deviation)| Distribution::Normal { mean, deviation }),
            durations().prop_map(|mean| Distribution::Exponential { mean }),
            (durations(), 0.0..=LARGEST_SIGMA)
                .prop_map(|(median, sigma)| Distribution::LogNormal { median, sigma }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back_equal(distribution in distributions()) {
            prop_assert_eq!(distribution.to_string().parse(), Ok(distribution));
        }

        #[test]
        fn samples_stay_in_bounds(distribution in distributions(), seed: u64) {
            let sample = distribution.sample(&mut Seed(seed).fork("sample"));
            prop_assert!(sample <= LONGEST);
            if let Distribution::Uniform { low, high } = distribution {
                // A double has fewer digits than a year has nanoseconds.
                let slack = Duration::from_micros(10);
                prop_assert!(sample + slack >= low && sample <= high + slack);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<Distribution>();
        }
    }

    #[test]
    fn means_come_out_as_promised() {
        for (text, mean) in [
            ("uniform(1s,3s)", 2.0),
            ("normal(2s,500ms)", 2.0),
            ("exp(2s)", 2.0),
        ] {
            let distribution: Distribution = text.parse().unwrap();
            let mut rng = Seed(1).fork(text);
            let sum: f64 = (0..10_000)
                .map(|_| distribution.sample(&mut rng).as_secs_f64())
                .sum();
            assert!((sum / 10_000.0 - mean).abs() < 0.1, "{text}: {}", sum / 10_000.0);
        }
    }
}
