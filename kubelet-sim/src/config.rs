//! The flags of kubelet-sim, and the nodes that they ask for.

use crate::node::address;
use crate::node::group::{self, GroupError, MOST_NODES, NodeGroup, NodeTaint};
use crate::node::state::Blocks;
use anyhow::Context;
use apimachinery::quantity::Quantity;
use ipnet::Ipv4Net;
use std::path::PathBuf;

/// What kubelet-sim stands for, and whom it asks.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    /// The apiserver
    #[arg(
        long,
        env = "ORRERY_SERVER",
        default_value = "127.0.0.1:7443",
        value_name = "ADDR"
    )]
    pub server: String,

    /// Where others reach this process (its Nodes say so, for faults); the address it listens on unless given
    #[arg(long, env = "ORRERY_ADVERTISE", value_name = "HOST:PORT")]
    pub advertise: Option<String>,

    /// Where the apiserver reaches this process, for logs; as --advertise unless given
    #[arg(long, env = "ORRERY_ADVERTISE_KUBELET", value_name = "HOST:PORT")]
    pub advertise_kubelet: Option<String>,

    /// How many nodes to stand for
    #[arg(long, env = "ORRERY_NODES", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=i64::from(MOST_NODES)))]
    pub nodes: u32,

    /// Groups of nodes of different kinds, as YAML; takes the place of the flags that describe nodes
    #[arg(long, env = "ORRERY_NODE_GROUPS", value_name = "FILE",
          conflicts_with_all = ["name_prefix", "region", "instance_type", "cpu", "memory", "pods", "ephemeral_storage", "node_labels", "node_taints"])]
    pub node_groups: Option<PathBuf>,

    /// The zone of the nodes, and of their addresses: give each process its own
    #[arg(long, env = "ORRERY_ZONE", default_value = "", hide_default_value = true)]
    pub zone: String,

    /// The region of the nodes
    #[arg(long, env = "ORRERY_REGION", default_value = "", hide_default_value = true)]
    pub region: String,

    /// What the nodes' names begin with, before -0, -1, …; "node", or "node-ZONE", unless given
    #[arg(long, env = "ORRERY_NAME_PREFIX", value_name = "NAME")]
    pub name_prefix: Option<String>,

    /// The nodes' instance type
    #[arg(long, default_value = "", hide_default_value = true)]
    pub instance_type: String,

    /// Processors of each node
    #[arg(long, default_value = "8", value_name = "QUANTITY")]
    pub cpu: Quantity,

    /// Memory of each node
    #[arg(long, default_value = "32Gi", value_name = "QUANTITY")]
    pub memory: Quantity,

    /// The most pods that each node takes
    #[arg(long, default_value = "110", value_name = "QUANTITY")]
    pub pods: Quantity,

    /// Disk of each node
    #[arg(long, default_value = "100Gi", value_name = "QUANTITY")]
    pub ephemeral_storage: Quantity,

    /// A label for every node; may be given several times
    #[arg(long = "node-label", value_name = "KEY=VALUE", value_parser = label)]
    pub node_labels: Vec<(String, String)>,

    /// A taint for every node; may be given several times
    #[arg(long = "node-taint", value_name = "KEY=VALUE:EFFECT", value_parser = NodeTaint::parse)]
    pub node_taints: Vec<NodeTaint>,

    /// Where pods' addresses come from; a part of 10.0.0.0/8 that the zone picks unless given
    #[arg(long, value_name = "CIDR")]
    pub pod_cidr: Option<Ipv4Net>,

    /// Where the nodes' addresses come from; a part of 172.16.0.0/12 that the zone picks unless given
    #[arg(long, value_name = "CIDR")]
    pub node_cidr: Option<Ipv4Net>,

    /// Which Events to record about pods
    #[arg(long, env = "ORRERY_EVENTS", value_enum, default_value_t)]
    pub events: Events,
}

/// Which Events to record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Events {
    /// All that a real kubelet records.
    #[default]
    All,
    /// Only what went wrong.
    Warnings,
    /// None: for measuring.
    None,
}

fn label(text: &str) -> Result<(String, String), String> {
    let parts = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is no label; write key=value"))?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}

impl Config {
    /// The nodes that are asked for.
    ///
    /// # Errors
    /// The file cannot be read, or a group breaks a rule; the text says where.
    pub fn groups(&self) -> anyhow::Result<Vec<NodeGroup>> {
        if let Some(path) = &self.node_groups {
            let file = path.display().to_string();
            let text =
                std::fs::read_to_string(path).with_context(|| format!("reading --node-groups {file}"))?;
            return Ok(group::parse(&file, &text)?);
        }
        let group = self.group();
        group::check("flags", std::slice::from_ref(&group))
            .map_err(|error: GroupError| anyhow::anyhow!(error))?;
        Ok(vec![group])
    }

    /// The group that the flags describe.
    fn group(&self) -> NodeGroup {
        let prefix = match (&self.name_prefix, self.zone.as_str()) {
            (Some(prefix), _) => prefix.clone(),
            (None, "") => "node".to_owned(),
            (None, zone) => format!("node-{zone}"),
        };
        let mut capacity = group::default_capacity();
        let given = [
            ("cpu", &self.cpu),
            ("memory", &self.memory),
            ("pods", &self.pods),
            ("ephemeral-storage", &self.ephemeral_storage),
        ];
        capacity.extend(given.map(|(name, amount)| (name.to_owned(), amount.clone())));
        NodeGroup {
            name: prefix,
            count: self.nodes,
            zone: self.zone.clone(),
            region: self.region.clone(),
            instance_type: self.instance_type.clone(),
            capacity,
            labels: self.node_labels.iter().cloned().collect(),
            taints: self.node_taints.clone(),
        }
    }

    /// Where addresses come from.
    pub fn blocks(&self) -> Blocks {
        Blocks {
            nodes: self
                .node_cidr
                .unwrap_or_else(|| address::default_nodes(&self.zone)),
            pods: self.pod_cidr.unwrap_or_else(|| address::default_pods(&self.zone)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        config: Config,
    }

    fn config(args: &[&str]) -> Result<Config, clap::Error> {
        let args = std::iter::once("kubelet-sim").chain(args.iter().copied());
        Program::try_parse_from(args).map(|program| program.config)
    }

    #[test]
    fn flags_describe_one_group() {
        let args = [
            "--nodes",
            "5",
            "--zone",
            "zone-a",
            "--cpu",
            "4",
            "--node-taint",
            "a=b:NoSchedule",
        ];
        let groups = config(&args).unwrap().groups().unwrap();
        assert_eq!((groups[0].name.as_str(), groups[0].count), ("node-zone-a", 5));
        assert_eq!(groups[0].capacity["cpu"].to_string(), "4");
        assert_eq!(config(&[]).unwrap().groups().unwrap()[0].name, "node");
    }

    #[test]
    fn wrong_flags_are_refused_with_what_to_write() {
        for (args, part) in [
            (&["--node-label", "x"][..], "write key=value"),
            (&["--node-taint", "x"], "write key=value:NoSchedule"),
            (&["--cpu", "lots"], "quantities must be"),
            (&["--nodes", "99999"], "10000"),
            (&["--node-groups", "x.yaml", "--cpu", "1"], "cannot be used with"),
        ] {
            let error = config(args).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let error = config(&["--zone", "no zone"])
            .unwrap()
            .groups()
            .unwrap_err()
            .to_string();
        assert!(error.contains("flags: group \"node-no zone\": name"), "{error}");
    }
}
