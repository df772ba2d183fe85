//! The flags of single controllers.

use component_base::flag::duration;
use std::time::Duration;

/// What the controllers are told by flags.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// How long a Node may be silent before it counts as lost. Kubelets renew their Leases every 10 seconds
    #[arg(
        long,
        env = "ORRERY_NODE_MONITOR_GRACE_PERIOD",
        default_value = "40s",
        value_name = "TIME",
        value_parser = duration
    )]
    pub node_monitor_grace_period: Duration,

    /// How many lost Nodes of a zone a second may begin to lose their Pods; 0 for none. Pods tolerate that for 300
    /// seconds unless their tolerations say otherwise
    #[arg(
        long,
        env = "ORRERY_NODE_EVICTION_RATE",
        default_value_t = 0.1,
        value_name = "PER_SECOND"
    )]
    pub node_eviction_rate: f64,

    /// From which share of lost Nodes on a zone counts as disrupted. Then the fault is rather the network's than the
    /// Nodes', and no Pod is evicted
    #[arg(
        long,
        env = "ORRERY_UNHEALTHY_ZONE_THRESHOLD",
        default_value_t = 0.55,
        value_name = "SHARE"
    )]
    pub unhealthy_zone_threshold: f64,

    /// How many finished Pods are kept; the oldest go first. 0 keeps all
    #[arg(
        long,
        env = "ORRERY_TERMINATED_POD_GC_THRESHOLD",
        default_value_t = 12_500,
        value_name = "NUMBER"
    )]
    pub terminated_pod_gc_threshold: usize,

    /// Whether volumes are made for claims whose StorageClass has a provisioner. They are simulated: nothing is stored.
    /// Turn it off to test a provisioner of your own
    #[arg(
        long,
        env = "ORRERY_ENABLE_DYNAMIC_PROVISIONING",
        default_value_t = true,
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub enable_dynamic_provisioning: bool,
}

impl Settings {
    /// The time between two Nodes of a zone that begin to lose their Pods; `None` for never.
    pub(crate) fn eviction_interval(&self) -> Option<Duration> {
        let rate = self.node_eviction_rate;
        (rate > 0.0)
            .then(|| Duration::try_from_secs_f64(1.0 / rate).ok())
            .flatten()
    }
}

impl Default for Settings {
    /// What the flags say when none is given.
    fn default() -> Self {
        Self {
            node_monitor_grace_period: Duration::from_secs(40),
            node_eviction_rate: 0.1,
            unhealthy_zone_threshold: 0.55,
            terminated_pod_gc_threshold: 12_500,
            enable_dynamic_provisioning: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, Command, FromArgMatches};

    #[test]
    fn the_flags_mean_what_their_defaults_in_code_say() {
        let command = Settings::augment_args(Command::new("test"));
        let given = Settings::from_arg_matches(&command.get_matches_from(["test"])).unwrap();
        assert_eq!(format!("{given:?}"), format!("{:?}", Settings::default()));
    }

    #[test]
    fn a_rate_is_a_time_between_nodes_and_none_at_all_is_never() {
        let interval = |node_eviction_rate| {
            let settings = Settings {
                node_eviction_rate,
                ..Settings::default()
            };
            settings.eviction_interval()
        };
        assert_eq!(interval(0.1), Some(Duration::from_secs(10)));
        assert_eq!(interval(4.0), Some(Duration::from_millis(250)));
        assert_eq!(interval(0.0), None);
        assert_eq!(interval(-1.0), None);
    }
}
