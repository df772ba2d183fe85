//! Configurations as upstream writes them, and what is wrong with others.

use super::*;
use crate::registry::FilterPlugin;

const HEAD: &str = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";

fn read(text: &str) -> Result<Scheduling, String> {
    parse("config.yaml", &format!("{HEAD}{text}")).map_err(|error| format!("{error:#}"))
}

/// Filters, and scores with their weights, of a profile.
fn plugins(scheduling: &Scheduling, name: &str) -> (Vec<&'static str>, Vec<(&'static str, i64)>) {
    let plugins = &scheduling.profiles[name].plugins;
    let filters = plugins.filters.iter().map(FilterPlugin::name);
    let scores = plugins
        .scores
        .iter()
        .map(|scoring| (scoring.plugin.name(), scoring.weight));
    (filters.collect(), scores.collect())
}

#[test]
fn a_configuration_that_says_nothing_is_upstreams_default() {
    let scheduling = read("").unwrap();
    let (filters, scores) = plugins(&scheduling, DEFAULT_SCHEDULER);
    assert_eq!(
        filters,
        [
            "Coscheduling",
            "NodeUnschedulable",
            "NodeName",
            "TaintToleration",
            "NodeAffinity",
            "NodePorts",
            "NodeResourcesFit",
            "VolumeRestrictions",
            "NodeVolumeLimits",
            "VolumeBinding",
            "VolumeZone",
            "PodTopologySpread",
            "InterPodAffinity",
        ]
    );
    assert_eq!(
        scores,
        [
            ("TaintToleration", 3),
            ("NodeAffinity", 2),
            ("NodeResourcesFit", 1),
            ("PodTopologySpread", 2),
            ("InterPodAffinity", 2),
            ("NodeResourcesBalancedAllocation", 1),
            ("ImageLocality", 1),
        ]
    );
    assert_eq!(scheduling.backoff, BackoffBounds::default());
    assert!(scheduling.notes.is_empty());
}

#[test]
fn plugins_are_enabled_disabled_and_weighted_as_upstream_does() {
    let only = |text: &str| {
        let text = format!("profiles:\n- schedulerName: mine\n  plugins: {text}\n");
        let scheduling = read(&text).unwrap();
        let (filters, scores) = plugins(&scheduling, "mine");
        (filters.join(" "), scores)
    };
    for (shows, text, filters, scores) in [
        (
            "a score alone is disabled: it still filters",
            "{score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit, weight: 5}]}, filter: {disabled: [{name: '*'}], enabled: [{name: NodeName}]}}",
            "NodeName",
            vec![("NodeResourcesFit", 5)],
        ),
        (
            "all points at once; one point goes before that",
            "{multiPoint: {disabled: [{name: '*'}], enabled: [{name: PrioritySort}, {name: SchedulingGates}, {name: DefaultBinder}, {name: NodeAffinity, weight: 7}, {name: ImageLocality}]}, filter: {disabled: [{name: NodeAffinity}]}}",
            "",
            vec![("NodeAffinity", 7), ("ImageLocality", 1)],
        ),
        (
            "a weight at the point goes before the one for all points",
            "{multiPoint: {disabled: [{name: '*'}], enabled: [{name: PrioritySort}, {name: SchedulingGates}, {name: DefaultBinder}, {name: TaintToleration, weight: 7}]}, score: {enabled: [{name: TaintToleration, weight: 9}]}}",
            "TaintToleration",
            vec![("TaintToleration", 9)],
        ),
    ] {
        assert_eq!(only(text), (filters.to_owned(), scores), "{shows}");
    }
}

#[test]
fn several_profiles_bounds_and_what_has_no_meaning() {
    let scheduling = read(
        "profiles:\n- schedulerName: one\n- schedulerName: two\n  plugins: {postFilter: {disabled: [{name: DefaultPreemption}]}}\n\
         podInitialBackoffSeconds: 2\npodMaxBackoffSeconds: 20\npercentageOfNodesToScore: 10\nparallelism: 16\n\
         leaderElection: {leaderElect: false}\n",
    )
    .unwrap();
    let names: Vec<&str> = scheduling.profiles.keys().map(String::as_str).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(scheduling.profiles["one"].plugins.post_filters.len(), 1);
    assert!(scheduling.profiles["two"].plugins.post_filters.is_empty());
    assert_eq!(scheduling.backoff.first, Duration::from_secs(2));
    assert_eq!(scheduling.backoff.longest, Duration::from_secs(20));
    let fields: Vec<&str> = scheduling
        .notes
        .iter()
        .filter_map(|note| note.split(':').next())
        .collect();
    assert_eq!(
        fields,
        ["percentageOfNodesToScore", "parallelism", "leaderElection"]
    );
}

#[test]
fn arguments_reach_their_plugins() {
    let scheduling = read(
        "profiles:\n- pluginConfig:\n  - name: PodTopologySpread\n    args:\n      apiVersion: kubescheduler.config.k8s.io/v1\n      \
         kind: PodTopologySpreadArgs\n      defaultingType: List\n      defaultConstraints:\n      - {maxSkew: 2, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}\n  \
         - name: NodeResourcesFit\n    args:\n      scoringStrategy:\n        type: RequestedToCapacityRatio\n        resources: [{name: cpu, weight: 3}]\n        \
         requestedToCapacityRatio: {shape: [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}\n  \
         - name: InterPodAffinity\n    args: {hardPodAffinityWeight: 50}\n  - name: DefaultPreemption\n    args: {minCandidateNodesPercentage: 100}\n",
    )
    .unwrap();
    let spreading = &scheduling.profiles[DEFAULT_SCHEDULER].plugins.spreading;
    assert!(!spreading.built_in);
    assert_eq!(
        (spreading.constraints.len(), spreading.constraints[0].max_skew),
        (1, 2)
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, said) in [
        ("color: red", "unknown field"),
        (
            "profiles:\n- {schedulerName: a}\n- {schedulerName: a}",
            "profiles[1].schedulerName: Duplicate value: \"a\"",
        ),
        (
            "profiles:\n- plugins: {score: {enabled: [{name: Beauty}]}}",
            "profiles[0]: plugins.score.enabled[0]: there is no plugin \"Beauty\"; there are SchedulingGates",
        ),
        (
            "profiles:\n- plugins: {filter: {disabled: [{name: Beauty}]}}",
            "plugins.filter.disabled[0]",
        ),
        (
            "profiles:\n- plugins: {score: {enabled: [{name: NodeName}]}}",
            "NodeName has no part in score",
        ),
        (
            "profiles:\n- plugins: {bind: {disabled: [{name: '*'}]}}",
            "at least one bind plugin",
        ),
        (
            "profiles:\n- pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 101}}]",
            "profiles[0]: pluginConfig[0] (InterPodAffinity): args: hardPodAffinityWeight: not in valid range [0, 100]",
        ),
        (
            "profiles:\n- pluginConfig: [{name: InterPodAffinity, args: {softness: 1}}]",
            "(InterPodAffinity): args: unknown field `softness`",
        ),
        (
            "profiles:\n- pluginConfig: [{name: Beauty}]",
            "pluginConfig[0]: there is no plugin \"Beauty\"",
        ),
        (
            "profiles:\n- pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {requred: {}}}}]",
            "addedAffinity: ",
        ),
        (
            "profiles:\n- pluginConfig: [{name: PodTopologySpread, args: {defaultingType: System, defaultConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule}]}}]",
            "when .defaultingType is System, must be empty",
        ),
        (
            "profiles:\n- pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: [{utilization: 9, score: 11}]}}}}]",
            "shape[0].score: not in valid range [0, 10]",
        ),
        (
            "profiles:\n- pluginConfig: [{name: VolumeBinding, args: {bindTimeoutSeconds: -1}}]",
            "bindTimeoutSeconds: invalid BindTimeoutSeconds, should not be a negative value",
        ),
        (
            "profiles:\n- pluginConfig: [{name: VolumeBinding, args: {shape: [{utilization: 0, score: 0}]}}]",
            "shape: volumes are not scored",
        ),
        (
            "percentageOfNodesToScore: 101",
            "percentageOfNodesToScore: not in valid range [0-100]",
        ),
        (
            "podInitialBackoffSeconds: 0",
            "podInitialBackoffSeconds: must be greater than 0",
        ),
        (
            "podInitialBackoffSeconds: 5\npodMaxBackoffSeconds: 4",
            "podMaxBackoffSeconds",
        ),
        (
            "extenders: [{filterVerb: f}]",
            "extenders[0].urlPrefix: Required value",
        ),
        (
            "extenders: [{urlPrefix: 'https://x'}]",
            "extenders[0]: HTTPS is not spoken here",
        ),
        (
            "extenders: [{urlPrefix: 'http://x', prioritizeVerb: p}]",
            "extenders[0].weight: must have a positive weight",
        ),
        (
            "extenders: [{urlPrefix: 'http://x', bindVerb: b}, {urlPrefix: 'http://y', bindVerb: b}]",
            "extenders[1].bindVerb: found 2 extenders implementing bind",
        ),
        (
            "extenders: [{urlPrefix: 'http://x', httpTimeout: soon}]",
            "extenders[0].httpTimeout",
        ),
        (
            "extenders: [{urlPrefix: 'http://x', managedResources: [{name: cpu}]}]",
            "extenders[0].managedResources[0].name: \"cpu\" is no extended resource",
        ),
        (
            "extenders: [{urlPrefix: 'http://x', color: red}]",
            "unknown field",
        ),
    ] {
        let error = read(text).err().unwrap_or_else(|| panic!("{text} was taken"));
        assert!(
            error.contains("config.yaml") && error.contains(said),
            "{text}: {error}"
        );
    }
    let other = parse("config.yaml", "apiVersion: v1\nkind: Pod\n").err().unwrap();
    assert!(format!("{other:#}").contains("is not supported: write kubescheduler"));
}

#[test]
fn extenders_are_read_and_what_they_alone_look_at_is_not_counted() {
    let scheduling = read(
        "extenders:\n- {urlPrefix: '127.0.0.1:8888/x', filterVerb: filter, prioritizeVerb: rank, weight: 3, httpTimeout: 200ms, nodeCacheCapable: true,\n  \
         managedResources: [{name: example.com/gpu, ignoredByScheduler: true}], ignorable: true}\n",
    )
    .unwrap();
    let gpu = crate::testing::fresh(&crate::testing::pod("gpu", &[("example.com/gpu", "1")]));
    assert!(scheduling.extenders.choose_nodes(&gpu.template));
    let plugins = &scheduling.profiles[DEFAULT_SCHEDULER].plugins;
    assert!(plugins.extenders.choose_nodes(&gpu.template));
    let mut snapshot = crate::testing::cluster(&[("a", "")]);
    let feasible = crate::cycle::feasible(plugins, &gpu, &mut snapshot);
    assert_eq!(feasible.len(), 1, "no node has gpus, and nobody minds");
}

#[test]
fn what_waits_before_a_bind_is_disabled_where_it_stands() {
    let permits = |text: &str| {
        let text = format!("profiles:\n- schedulerName: mine\n  plugins: {text}\n");
        let scheduling = read(&text).unwrap();
        let permits = &scheduling.profiles["mine"].plugins.permits;
        permits.iter().map(|plugin| plugin.name()).collect::<Vec<_>>()
    };
    assert_eq!(permits("{}"), ["Coscheduling", "VolumeBinding"]);
    assert_eq!(
        permits("{preBind: {disabled: [{name: VolumeBinding}]}}"),
        ["Coscheduling"]
    );
    assert_eq!(permits("{permit: {disabled: [{name: '*'}]}}"), ["VolumeBinding"]);
    assert!(permits("{multiPoint: {disabled: [{name: Coscheduling}, {name: VolumeBinding}]}}").is_empty());
}
