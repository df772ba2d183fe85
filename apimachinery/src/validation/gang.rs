//! PodGroups.

use super::{Faults, Validate, resources};
use crate::path::Path;
use proto::gangs::v1alpha1::PodGroup;

impl Validate for PodGroup {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        if spec.min_member < 1 {
            let detail = "must be greater than or equal to 1";
            faults.invalid(&at.field("minMember"), spec.min_member, detail);
        }
        resources::list(&spec.min_resources, &at.field("minResources"), faults);
        if let Some(seconds) = spec.schedule_timeout_seconds
            && seconds <= 0
        {
            let detail = "must be greater than 0";
            faults.invalid(&at.field("scheduleTimeoutSeconds"), seconds, detail);
        }
    }

    fn validate_status_update(&self, _old: &Self, faults: &mut Faults) {
        let Some(status) = &self.status else { return };
        let at = Path::ROOT.field("status");
        for (name, count) in [
            ("scheduled", status.scheduled),
            ("running", status.running),
            ("succeeded", status.succeeded),
            ("failed", status.failed),
        ] {
            faults.non_negative(&at.field(name), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::gangs::v1alpha1::{PodGroupSpec, PodGroupStatus};

    #[test]
    fn a_group_has_members_and_waits_for_some_time() {
        let amount = |text: &str| [("cpu".to_owned(), proto::Quantity { string: text.into() })].into();
        for (what, spec, expected) in [
            (
                "one member is enough",
                PodGroupSpec {
                    min_member: 1,
                    ..PodGroupSpec::default()
                },
                vec![],
            ),
            ("none is not", PodGroupSpec::default(), vec!["spec.minMember"]),
            (
                "no time to wait is no time-out",
                PodGroupSpec {
                    min_member: 1,
                    schedule_timeout_seconds: Some(0),
                    ..PodGroupSpec::default()
                },
                vec!["spec.scheduleTimeoutSeconds"],
            ),
            (
                "amounts are not negative",
                PodGroupSpec {
                    min_member: 1,
                    min_resources: amount("-1"),
                    ..PodGroupSpec::default()
                },
                vec!["spec.minResources[cpu]"],
            ),
        ] {
            let group = PodGroup {
                spec: Some(spec),
                ..PodGroup::default()
            };
            let mut faults = Faults::default();
            group.validate(&mut faults);
            let fields: Vec<_> = faults.into_vec().into_iter().map(|f| f.field).collect();
            assert_eq!(fields, expected, "{what}");
        }
        let group = PodGroup {
            status: Some(PodGroupStatus {
                running: -1,
                ..PodGroupStatus::default()
            }),
            ..PodGroup::default()
        };
        let mut faults = Faults::default();
        group.validate_status_update(&group, &mut faults);
        assert_eq!(faults.len(), 1);
    }
}
