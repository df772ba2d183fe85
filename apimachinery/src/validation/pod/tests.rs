//! What a Pod may be, fault by fault.

use super::*;
use crate::defaults::Defaults;
use crate::int_or_string;
use proto::api::core::v1::*;

fn pod() -> Pod {
    let container = |name: &str| Container {
        name: name.into(),
        image: "nginx:1.27".into(),
        ..Container::default()
    };
    let mut pod = Pod {
        spec: Some(PodSpec {
            containers: vec![container("web"), container("log")],
            init_containers: vec![container("init")],
            volumes: vec![Volume {
                name: "data".into(),
                ..Volume::default()
            }],
            ..PodSpec::default()
        }),
        ..Pod::default()
    };
    pod.set_defaults();
    pod
}

fn faults(check: impl FnOnce(&mut Faults)) -> Vec<String> {
    let mut faults = Faults::default();
    check(&mut faults);
    faults
        .into_vec()
        .into_iter()
        .map(|f| format!("{}: {}", f.field, f.message))
        .collect()
}

/// Spoils a good Pod and compares the start of every fault.
fn check(cases: &[(fn(&mut PodSpec), &[&str])]) {
    for (spoil, expected) in cases {
        let mut spoilt = pod();
        spoil(spoilt.spec.as_mut().unwrap());
        let found = faults(|f| spoilt.validate_create(f));
        assert_eq!(found.len(), expected.len(), "{expected:?} but found {found:?}");
        for (found, expected) in found.iter().zip(*expected) {
            assert!(found.starts_with(expected), "{expected:?} but found {found:?}");
        }
    }
}

fn main(spec: &mut PodSpec) -> &mut Container {
    &mut spec.containers[0]
}

#[test]
fn a_good_pod_has_no_fault() {
    check(&[(|_| {}, &[])]);
}

#[test]
fn a_pod_needs_containers_with_names_and_images() {
    check(&[
        (|s| s.containers.clear(), &["spec.containers: Required value"]),
        (
            |s| main(s).name.clear(),
            &["spec.containers[0].name: Required value"],
        ),
        (
            |s| main(s).name = "Web".into(),
            &["spec.containers[0].name: Invalid value: \"Web\""],
        ),
        (
            |s| main(s).name = "log".into(),
            &["spec.containers[1].name: Duplicate value: \"log\""],
        ),
        (
            |s| s.init_containers[0].name = "log".into(),
            &["spec.initContainers[0].name: Duplicate value: \"log\""],
        ),
        (
            |s| main(s).image.clear(),
            &["spec.containers[0].image: Required value"],
        ),
        (
            |s| main(s).image = " a".into(),
            &["spec.containers[0].image: Invalid value: \" a\""],
        ),
        (
            |s| main(s).image_pull_policy = "Often".into(),
            &[
                "spec.containers[0].imagePullPolicy: Unsupported value: \"Often\": supported values: \"Always\"",
            ],
        ),
        (
            |s| s.restart_policy = "Sometimes".into(),
            &["spec.restartPolicy: Unsupported value"],
        ),
        (
            |s| s.ephemeral_containers.push(EphemeralContainer::default()),
            &[
                "spec.ephemeralContainers[0].name: Required value",
                "spec.ephemeralContainers: Forbidden: cannot be set on create",
            ],
        ),
    ]);
}

#[test]
fn a_container_may_have_a_restart_policy_of_its_own_and_exceptions_to_it() {
    fn with(container: &mut Container, action: &str, operator: &str, values: Vec<i32>) {
        container.restart_policy = Some("Never".into());
        container.restart_policy_rules.push(ContainerRestartRule {
            action: action.into(),
            exit_codes: Some(ContainerRestartRuleOnExitCodes {
                operator: operator.into(),
                values,
            }),
        });
    }
    check(&[
        (|s| main(s).restart_policy = Some("Always".into()), &[]),
        (|s| main(s).restart_policy = Some("OnFailure".into()), &[]),
        (
            |s| s.init_containers[0].restart_policy = Some("Always".into()),
            &[],
        ),
        (
            |s| s.init_containers[0].restart_policy = Some("Never".into()),
            &[],
        ),
        (
            |s| main(s).restart_policy = Some("Sometimes".into()),
            &[
                "spec.containers[0].restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            ],
        ),
        (|s| with(main(s), "Restart", "In", vec![42]), &[]),
        (
            |s| with(&mut s.init_containers[0], "Restart", "NotIn", vec![0]),
            &[],
        ),
        (
            |s| {
                with(main(s), "Restart", "In", vec![42]);
                main(s).restart_policy = None;
            },
            &[
                "spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used",
            ],
        ),
        (
            |s| with(main(s), "Stop", "Equals", (0..256).collect()),
            &[
                "spec.containers[0].restartPolicyRules[0].action: Unsupported value: \"Stop\": supported values: \"Restart\"",
                "spec.containers[0].restartPolicyRules[0].exitCodes.operator: Unsupported value: \"Equals\"",
                "spec.containers[0].restartPolicyRules[0].exitCodes.values: Too many: must have at most 255 items",
            ],
        ),
        (
            |s| {
                with(main(s), "Restart", "In", vec![1]);
                main(s).restart_policy_rules[0].exit_codes = None;
            },
            &["spec.containers[0].restartPolicyRules[0].exitCodes: Required value: must be specified"],
        ),
        (
            |s| (0..21).for_each(|code| with(main(s), "Restart", "In", vec![code])),
            &["spec.containers[0].restartPolicyRules: Too many: must have at most 20 items"],
        ),
    ]);
}

#[test]
fn ports_have_numbers_names_and_protocols() {
    fn with(spec: &mut PodSpec, port: ContainerPort) {
        main(spec).ports.push(ContainerPort {
            protocol: "TCP".into(),
            container_port: 80,
            ..port
        });
    }
    check(&[
        (|s| with(s, ContainerPort::default()), &[]),
        (
            |s| {
                main(s).ports.push(ContainerPort {
                    protocol: "TCP".into(),
                    ..ContainerPort::default()
                });
            },
            &["spec.containers[0].ports[0].containerPort: Required value"],
        ),
        (
            |s| {
                main(s).ports.push(ContainerPort {
                    container_port: 70000,
                    ..ContainerPort::default()
                });
            },
            &[
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535",
                "spec.containers[0].ports[0].protocol: Required value",
            ],
        ),
        (
            |s| {
                with(
                    s,
                    ContainerPort {
                        name: "HTTP".into(),
                        ..ContainerPort::default()
                    },
                );
            },
            &[
                "spec.containers[0].ports[0].name: Invalid value: \"HTTP\"",
                "spec.containers[0].ports[0].name: Invalid value: \"HTTP\"",
            ],
        ),
        (
            |s| {
                for _ in 0..2 {
                    with(
                        s,
                        ContainerPort {
                            name: "http".into(),
                            host_port: 80,
                            ..ContainerPort::default()
                        },
                    );
                }
            },
            &[
                "spec.containers[0].ports[1].name: Duplicate value: \"http\"",
                "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//80\"",
            ],
        ),
        (
            |s| {
                s.host_network = true;
                with(
                    s,
                    ContainerPort {
                        host_port: 81,
                        ..ContainerPort::default()
                    },
                );
            },
            &["spec.containers[0].ports[0].containerPort: Invalid value: 80: must match `hostPort`"],
        ),
    ]);
}

#[test]
fn environment_variables_have_one_source_each() {
    fn from(source: EnvVarSource) -> EnvVar {
        EnvVar {
            name: "A".into(),
            value_from: Some(source),
            ..EnvVar::default()
        }
    }
    fn field(path: &str) -> EnvVar {
        let field = ObjectFieldSelector {
            api_version: "v1".into(),
            field_path: path.into(),
        };
        from(EnvVarSource {
            field_ref: Some(field),
            ..EnvVarSource::default()
        })
    }
    check(&[
        (
            |s| main(s).env.push(EnvVar::default()),
            &["spec.containers[0].env[0].name: Required value"],
        ),
        (
            |s| {
                main(s).env.push(EnvVar {
                    name: "A=B".into(),
                    ..EnvVar::default()
                });
            },
            &["spec.containers[0].env[0].name: Invalid value: \"A=B\""],
        ),
        (
            |s| main(s).env.push(from(EnvVarSource::default())),
            &["spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of"],
        ),
        (
            |s| {
                main(s).env.push(EnvVar {
                    value: "x".into(),
                    ..field("metadata.name")
                });
            },
            &["spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value`"],
        ),
        (
            |s| {
                main(s)
                    .env
                    .extend([field("status.podIP"), field("metadata.labels['a']")]);
            },
            &[],
        ),
        (
            |s| {
                main(s).env.extend([
                    field("spec.volumes"),
                    field("metadata.labels"),
                    field("metadata.name['a']"),
                ]);
            },
            &[
                "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"spec.volumes\"",
                "spec.containers[0].env[1].valueFrom.fieldRef.fieldPath: Unsupported value: \"metadata.labels\"",
                "spec.containers[0].env[2].valueFrom.fieldRef.fieldPath: Unsupported value: \"metadata.name['a']\"",
            ],
        ),
        (
            |s| main(s).env_from.push(EnvFromSource::default()),
            &["spec.containers[0].envFrom[0]: Invalid value: \"\": must specify one of"],
        ),
    ]);
}

#[test]
fn volumes_have_one_source_and_mounts_have_a_volume() {
    fn mount(name: &str, path: &str) -> VolumeMount {
        VolumeMount {
            name: name.into(),
            mount_path: path.into(),
            ..VolumeMount::default()
        }
    }
    fn source(spec: &mut PodSpec) -> &mut VolumeSource {
        spec.volumes[0].volume_source.as_mut().unwrap()
    }
    check(&[
        (|s| main(s).volume_mounts.push(mount("data", "/data")), &[]),
        (
            |s| main(s).volume_mounts.push(mount("other", "/data")),
            &["spec.containers[0].volumeMounts[0].name: Not found: \"other\""],
        ),
        (
            |s| {
                main(s)
                    .volume_mounts
                    .extend([mount("data", ""), mount("data", "/a"), mount("data", "/a")]);
            },
            &[
                "spec.containers[0].volumeMounts[0].mountPath: Required value",
                "spec.containers[0].volumeMounts[2].mountPath: Invalid value: \"/a\": must be unique",
            ],
        ),
        (
            |s| {
                main(s).volume_mounts.push(VolumeMount {
                    sub_path: "../x".into(),
                    ..mount("data", "/a")
                });
            },
            &["spec.containers[0].volumeMounts[0].subPath: Invalid value: \"../x\": must not contain '..'"],
        ),
        (
            |s| s.volumes[0].name = "Data".into(),
            &["spec.volumes[0].name: Invalid value: \"Data\""],
        ),
        (
            |s| s.volumes.push(s.volumes[0].clone()),
            &["spec.volumes[1].name: Duplicate value: \"data\""],
        ),
        (
            |s| source(s).empty_dir = None,
            &["spec.volumes[0]: Required value: must specify a volume type"],
        ),
        (
            |s| {
                source(s).secret = Some(SecretVolumeSource {
                    secret_name: "s".into(),
                    ..Default::default()
                });
            },
            &["spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            |s| {
                let items = vec![KeyToPath {
                    key: "k".into(),
                    path: "/etc".into(),
                    mode: Some(0o1000),
                }];
                let secret = SecretVolumeSource {
                    items,
                    ..Default::default()
                };
                *source(s) = VolumeSource {
                    secret: Some(secret),
                    ..Default::default()
                };
            },
            &[
                "spec.volumes[0].secret.secretName: Required value",
                "spec.volumes[0].secret.items[0].path: Invalid value: \"/etc\": must be a relative path",
                "spec.volumes[0].secret.items[0].mode: Invalid value: 512",
            ],
        ),
        (
            |s| {
                let host_path = HostPathVolumeSource {
                    path: "/a/../b".into(),
                    r#type: Some("Pipe".into()),
                };
                *source(s) = VolumeSource {
                    host_path: Some(host_path),
                    ..Default::default()
                };
            },
            &[
                "spec.volumes[0].hostPath.path: Invalid value",
                "spec.volumes[0].hostPath.type: Unsupported value: \"Pipe\"",
            ],
        ),
    ]);
}

#[test]
fn probes_have_one_handler_and_sound_numbers() {
    fn http(path: &str) -> ProbeHandler {
        let get = HttpGetAction {
            path: path.into(),
            port: Some(int_or_string::int(80)),
            scheme: "HTTP".into(),
            ..HttpGetAction::default()
        };
        ProbeHandler {
            http_get: Some(get),
            ..ProbeHandler::default()
        }
    }
    fn probe(handler: ProbeHandler) -> Probe {
        Probe {
            handler: Some(handler),
            success_threshold: 1,
            ..Probe::default()
        }
    }
    check(&[
        (|s| main(s).liveness_probe = Some(probe(http("/"))), &[]),
        (
            |s| main(s).liveness_probe = Some(probe(ProbeHandler::default())),
            &["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
        ),
        (
            |s| {
                let both = ProbeHandler {
                    tcp_socket: Some(TcpSocketAction::default()),
                    ..http("/")
                };
                main(s).startup_probe = Some(probe(both));
            },
            &[
                "spec.containers[0].startupProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            ],
        ),
        (
            |s| {
                main(s).liveness_probe = Some(Probe {
                    success_threshold: 2,
                    period_seconds: -1,
                    ..probe(http(""))
                });
            },
            &[
                "spec.containers[0].livenessProbe.httpGet.path: Required value",
                "spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1",
                "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            ],
        ),
        (
            |s| {
                main(s).readiness_probe = Some(Probe {
                    success_threshold: 2,
                    ..probe(http("/"))
                });
            },
            &[],
        ),
        (
            |s| s.init_containers[0].readiness_probe = Some(probe(http("/"))),
            &["spec.initContainers[0].readinessProbe: Forbidden"],
        ),
        (
            |s| {
                s.init_containers[0].restart_policy = Some("Always".into());
                s.init_containers[0].readiness_probe = Some(probe(http("/")));
            },
            &[],
        ),
    ]);
}

#[test]
fn the_rest_of_a_pod_has_rules_too() {
    check(&[
        (
            |s| s.dns_policy = "Mine".into(),
            &["spec.dnsPolicy: Unsupported value"],
        ),
        (
            |s| s.dns_policy = "None".into(),
            &["spec.dnsConfig: Required value"],
        ),
        (
            |s| s.active_deadline_seconds = Some(0),
            &["spec.activeDeadlineSeconds: Invalid value: 0"],
        ),
        (|s| s.node_name = "A".into(), &["spec.nodeName: Invalid value"]),
        (|s| s.hostname = "a.b".into(), &["spec.hostname: Invalid value"]),
        (
            |s| drop(s.node_selector.insert("a b".into(), String::new())),
            &["spec.nodeSelector: Invalid value"],
        ),
        (
            |s| {
                drop(
                    s.overhead
                        .insert("cpu".into(), proto::Quantity { string: "x".into() }),
                );
            },
            &["spec.overhead[cpu]"],
        ),
        (
            |s| {
                s.scheduling_gates = vec![PodSchedulingGate { name: "a".into() }];
                s.node_name = "node".into();
            },
            &["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"],
        ),
        (
            |s| {
                s.host_aliases = vec![HostAlias {
                    ip: "300.0.0.1".into(),
                    ..HostAlias::default()
                }];
            },
            &["spec.hostAliases[0].ip: Invalid value"],
        ),
        (
            |s| s.security_context.as_mut().unwrap().run_as_user = Some(-1),
            &["spec.securityContext.runAsUser: Invalid value: -1"],
        ),
    ]);
}

#[test]
fn only_images_deadlines_and_tolerations_of_a_pod_may_change() {
    let toleration = || Toleration {
        key: "a".into(),
        operator: "Exists".into(),
        ..Toleration::default()
    };
    let mut old = pod();
    let spec = old.spec.as_mut().unwrap();
    spec.tolerations = vec![toleration()];
    spec.active_deadline_seconds = Some(100);
    let cases: Vec<(fn(&mut PodSpec), &[&str])> = vec![
        (|_| {}, &[]),
        (|s| main(s).image = "nginx:1.28".into(), &[]),
        (|s| s.active_deadline_seconds = Some(50), &[]),
        (
            |s| s.active_deadline_seconds = Some(150),
            &["spec.activeDeadlineSeconds: Invalid value: 150"],
        ),
        (
            |s| s.active_deadline_seconds = None,
            &["spec.activeDeadlineSeconds: Invalid value: 0"],
        ),
        (
            |s| {
                s.tolerations.push(Toleration {
                    operator: "Exists".into(),
                    ..Toleration::default()
                });
            },
            &[],
        ),
        (|s| s.tolerations.clear(), &["spec.tolerations: Forbidden"]),
        (
            |s| s.node_name = "node-1".into(),
            &["spec: Forbidden: pod updates may not change fields other than"],
        ),
        (
            |s| main(s).args.push("x".into()),
            &["spec: Forbidden: pod updates may not change fields other than"],
        ),
        (
            |s| drop(s.containers.pop()),
            &["spec.containers: Forbidden: pod updates may not add or remove containers"],
        ),
        (
            |s| s.scheduling_gates.push(PodSchedulingGate { name: "a".into() }),
            &["spec.schedulingGates: Forbidden: only deletion is allowed"],
        ),
    ];
    for (change, expected) in cases {
        let mut new = old.clone();
        change(new.spec.as_mut().unwrap());
        let found = faults(|f| new.validate_update(&old, f));
        assert_eq!(found.len(), expected.len(), "{expected:?} but found {found:?}");
        assert!(
            found.iter().zip(expected).all(|(f, e)| f.starts_with(e)),
            "{expected:?} but found {found:?}"
        );
    }
}

#[test]
fn a_pods_status_keeps_its_quality_of_service() {
    let status = |class: &str, phase: &str| Pod {
        status: Some(PodStatus {
            qos_class: class.into(),
            phase: phase.into(),
            ..PodStatus::default()
        }),
        ..Pod::default()
    };
    let old = status("Burstable", "Pending");
    assert_eq!(
        faults(|f| status("Burstable", "Running").validate_status_update(&old, f)),
        [""; 0]
    );
    let found = faults(|f| status("BestEffort", "Dancing").validate_status_update(&old, f));
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn where_a_gated_pod_may_go_can_only_be_narrowed() {
    let requirement = |key: &str| NodeSelectorRequirement {
        key: key.into(),
        operator: "Exists".into(),
        ..NodeSelectorRequirement::default()
    };
    let term = |keys: &[&str]| NodeSelectorTerm {
        match_expressions: keys.iter().map(|key| requirement(key)).collect(),
        ..NodeSelectorTerm::default()
    };
    let with = |gated: bool, terms: &[&[&str]]| {
        let mut pod = pod();
        let spec = pod.spec.as_mut().unwrap();
        if gated {
            spec.scheduling_gates.push(PodSchedulingGate { name: "a".into() });
        }
        if !terms.is_empty() {
            let affinity = spec
                .affinity
                .get_or_insert_default()
                .node_affinity
                .get_or_insert_default();
            let required = &mut affinity.required_during_scheduling_ignored_during_execution;
            required.get_or_insert_default().node_selector_terms =
                terms.iter().map(|keys| term(keys)).collect();
        }
        pod
    };
    type Terms<'a> = &'a [&'a [&'a str]];
    let list = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let cases: [(bool, Terms<'_>, Terms<'_>, &str); 8] = [
        (true, &[], &[&["a"]], ""),
        (true, &[&["a"]], &[&["a", "b"]], ""),
        (
            true,
            &[&["a"]],
            &[&["b"]],
            "[0]: Invalid value: 0: only additions are allowed",
        ),
        (
            true,
            &[&["a", "b"]],
            &[&["a"]],
            "[0]: Invalid value: 0: only additions are allowed",
        ),
        (
            true,
            &[&["a"]],
            &[&["a"], &["b"]],
            ": Invalid value: 2: no additions/deletions",
        ),
        (true, &[&["a"]], &[], ": Invalid value: 0: no additions/deletions"),
        (true, &[&["a"], &["b"]], &[&["a"], &["b", "c"]], ""),
        (false, &[&["a"]], &[&["a", "b"]], "spec: Forbidden"),
    ];
    for (gated, before, after, expected) in cases {
        let (old, new) = (with(gated, before), with(gated, after));
        let found = faults(|f| new.validate_update(&old, f));
        let expected = if expected.starts_with("spec") || expected.is_empty() {
            expected.to_owned()
        } else {
            format!("{list}{expected}")
        };
        let as_expected = match found.as_slice() {
            [] => expected.is_empty(),
            [fault] => !expected.is_empty() && fault.starts_with(&expected),
            _ => false,
        };
        assert!(
            as_expected,
            "{before:?} to {after:?}: expected {expected:?}, found {found:?}"
        );
    }
}

#[test]
fn a_pod_asks_as_a_whole_for_what_its_containers_share_and_no_less_than_they_do() {
    let quantity = |text: &str| proto::Quantity { string: text.into() };
    for (name, whole, expected) in [
        ("cpu", "2", ""),
        ("cpu", "1", ""),
        (
            "cpu",
            "500m",
            "spec.resources.requests[cpu]: Invalid value: \"500m\": must be greater than or equal to aggregate container requests of 1",
        ),
        ("memory", "1Gi", ""),
        (
            "ephemeral-storage",
            "1Gi",
            "spec.resources.requests[ephemeral-storage]: Unsupported value",
        ),
    ] {
        let mut pod = pod();
        let spec = pod.spec.as_mut().unwrap();
        let own = main(spec).resources.get_or_insert_default();
        own.limits.clear();
        own.requests = [("cpu".to_owned(), quantity("1"))].into();
        let requests = &mut spec.resources.get_or_insert_default().requests;
        requests.insert(name.into(), quantity(whole));
        let found = faults(|f| pod.validate(f));
        let as_expected = match found.as_slice() {
            [] => expected.is_empty(),
            [fault] => !expected.is_empty() && fault.starts_with(expected),
            _ => false,
        };
        assert!(as_expected, "{name} {whole}: {found:?}");
    }
}
