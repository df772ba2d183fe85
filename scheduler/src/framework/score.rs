//! How raw scores become scores from 0 to [`MAX_SCORE`].

/// The highest score after normalizing, as upstream's `MaxNodeScore`.
pub const MAX_SCORE: i64 = 100;

/// The raw score of a node that is not to count: it gets 0, and the others are normalized without it.
pub const UNSCORED: i64 = i64::MIN;

/// The lowest and the highest raw score among the feasible nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The lowest.
    pub lowest: i64,
    /// The highest.
    pub highest: i64,
}

impl Bounds {
    /// The bounds of raw scores; `None` where no node is scored.
    pub fn of(scores: impl IntoIterator<Item = i64>) -> Option<Self> {
        let mut bounds: Option<Self> = None;
        for score in scores {
            if score == UNSCORED {
                continue;
            }
            let held = bounds.get_or_insert(Self {
                lowest: score,
                highest: score,
            });
            held.lowest = held.lowest.min(score);
            held.highest = held.highest.max(score);
        }
        bounds
    }
}

/// How raw scores become scores from 0 to [`MAX_SCORE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalize {
    /// They are so already.
    AsIs,
    /// In proportion to the highest, which becomes [`MAX_SCORE`].
    HighestBest,
    /// In proportion to the highest, which becomes 0.
    LowestBest,
    /// The lowest becomes 0 and the highest [`MAX_SCORE`]; 0 when all are equal.
    Stretched,
    /// The fewer the better, the lowest becoming [`MAX_SCORE`]; that also when all are 0.
    Even,
}

impl Normalize {
    /// The score of a node with a raw score of `raw`. `None` for `bounds` says that no node is scored.
    pub fn apply(self, raw: i64, bounds: Option<Bounds>) -> i64 {
        let Some(Bounds { lowest, highest }) = bounds.filter(|_| raw != UNSCORED) else {
            return 0;
        };
        let share = if highest == 0 {
            0
        } else {
            raw * MAX_SCORE / highest
        };
        match self {
            Self::AsIs => raw,
            Self::HighestBest => share,
            Self::LowestBest => MAX_SCORE - share,
            Self::Stretched if highest == lowest => 0,
            // In floating point, because upstream does so and cuts the fraction off.
            Self::Stretched => {
                (MAX_SCORE as f64 * ((raw - lowest) as f64 / (highest - lowest) as f64)) as i64
            }
            Self::Even if highest == 0 => MAX_SCORE,
            Self::Even => MAX_SCORE * (highest + lowest - raw) / highest,
        }
    }

    /// Whether all nodes get one score, so that it decides nothing.
    pub fn is_flat(self, bounds: Option<Bounds>) -> bool {
        match self {
            Self::AsIs => false,
            _ => bounds.is_none_or(|bounds| bounds.lowest == bounds.highest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_normalized_as_each_way_says() {
        for (how, raw, (lowest, highest), expected) in [
            (Normalize::AsIs, 70, (0, 90), 70),
            (Normalize::HighestBest, 5, (0, 10), 50),
            (Normalize::HighestBest, 10, (5, 10), 100),
            (Normalize::HighestBest, 0, (0, 0), 0),
            (Normalize::LowestBest, 1, (0, 3), 67),
            (Normalize::LowestBest, 3, (0, 3), 0),
            (Normalize::LowestBest, 0, (0, 0), 100),
            (Normalize::Stretched, -5, (-5, 5), 0),
            (Normalize::Stretched, 0, (-5, 5), 50),
            (Normalize::Stretched, 5, (-5, 5), 100),
            (Normalize::Stretched, 7, (7, 7), 0),
            (Normalize::Even, 0, (0, 0), 100),
            (Normalize::Even, 2, (2, 8), 100),
            (Normalize::Even, 8, (2, 8), 25),
            (Normalize::Even, UNSCORED, (2, 8), 0),
        ] {
            let bounds = Some(Bounds { lowest, highest });
            assert_eq!(how.apply(raw, bounds), expected, "{how:?} {raw} in {bounds:?}");
        }
        assert_eq!(Normalize::LowestBest.apply(UNSCORED, None), 0);
    }

    #[test]
    fn nodes_that_do_not_count_have_no_part_in_the_bounds() {
        assert_eq!(
            Bounds::of([3, UNSCORED, -1]),
            Some(Bounds {
                lowest: -1,
                highest: 3
            })
        );
        assert_eq!(Bounds::of([UNSCORED]), None);
    }
}
