//! What a process has used, as Linux tells it. Elsewhere nothing is known, and zeros are shown.

use serde::Serialize;

/// Clock ticks in a second, as Linux reports CPU times to programs, whatever its own.
const TICKS: f64 = 100.0;

/// What a process has used since it began.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Used {
    /// Which.
    pub(super) component: &'static str,
    /// In user and kernel mode.
    pub(super) cpu_seconds: f64,
    /// The most memory that it has had.
    pub(super) peak_bytes: u64,
}

impl Used {
    /// By the process of this id.
    pub(super) fn by(component: &'static str, pid: u32) -> Self {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        Self {
            component,
            cpu_seconds: cpu_seconds(&read("stat")).unwrap_or(0.0),
            peak_bytes: peak_bytes(&read("status")).unwrap_or(0),
        }
    }
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The program's name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS)
}

fn peak_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_says_is_read() {
        let stat = "42 (a b) c) S 1 1 1 0 -1 4194560 10 0 0 0 150 50 0 0 20 0 3 0 100 1000 10";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(peak_bytes("Name:\tx\nVmHWM:\t   2048 kB\n"), Some(2 << 20));
        assert_eq!(cpu_seconds(""), None);
    }
}
