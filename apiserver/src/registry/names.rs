//! Names and UIDs that the server makes, from the seeded generator.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#generated-values>.

use apimachinery::names;
use component_base::rng::Rng;
use rand::RngExt;

/// The five random characters that end a generated name.
pub(crate) fn suffix(rng: &mut Rng) -> String {
    names::suffix(rng.random())
}

/// A random (version 4) UID.
pub(crate) fn uid(rng: &mut Rng) -> String {
    uuid::Builder::from_random_bytes(rng.random())
        .into_uuid()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use component_base::rng::Seed;

    #[test]
    fn what_is_drawn_repeats_with_the_seed_and_differs_within_it() {
        let mut rng = Seed(1).fork("names");
        let (first, second) = (suffix(&mut rng), suffix(&mut rng));
        assert_ne!(first, second);
        assert_eq!(first, suffix(&mut Seed(1).fork("names")));
    }

    #[test]
    fn uids_are_of_version_4() {
        let uid = uid(&mut Seed(1).fork("uids"));
        assert_eq!(uuid::Uuid::parse_str(&uid).unwrap().get_version_num(), 4);
    }
}
