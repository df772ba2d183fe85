//! How flags are read whose type alone does not say how people write them.

use jiff::SignedDuration;
use std::time::Duration;

/// Reads `90s`, `1h 30m` or `PT1H`.
///
/// # Errors
/// The text is no duration, or a negative one.
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text
        .parse()
        .map_err(|error| format!("{error}; write for example 90s, 30m or 1h"))?;
    Duration::try_from(duration).map_err(|_| "must not be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_do() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("-1h").is_err());
        assert!(duration("soon").is_err());
    }
}
