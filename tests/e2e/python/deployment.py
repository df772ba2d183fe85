"""The official Python client, unchanged: makes a Deployment, watches its Pods, scales, reads a log, deletes.

Usage: deployment.py URL, where URL is that of the apiserver. Ends with status 0 when all went as it should.
"""

import sys

from kubernetes import client, watch
from kubernetes.client.rest import ApiException

NAMESPACE = "default"
NAME = "python-web"
SELECTOR = f"app={NAME}"
# Only a broken cluster needs so long.
PATIENCE_SECONDS = 60


def deployment(replicas):
    labels = {"app": NAME}
    container = client.V1Container(
        name="web",
        image="nginx:1.27",
        ports=[client.V1ContainerPort(container_port=80)],
        resources=client.V1ResourceRequirements(requests={"cpu": "10m", "memory": "16Mi"}),
    )
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels),
        spec=client.V1PodSpec(containers=[container], termination_grace_period_seconds=0),
    )
    return client.V1Deployment(
        metadata=client.V1ObjectMeta(name=NAME),
        spec=client.V1DeploymentSpec(
            replicas=replicas,
            selector=client.V1LabelSelector(match_labels=labels),
            template=template,
        ),
    )


def is_ready(pod):
    conditions = pod.status.conditions or []
    return any(c.type == "Ready" and c.status == "True" for c in conditions)


def watch_until(core, holds):
    """Follows the Deployment's Pods until `holds` is true of those there are; returns them."""
    pods = {}
    listed = core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR)
    for pod in listed.items:
        pods[pod.metadata.name] = pod
    if holds(pods):
        return pods
    events = watch.Watch().stream(
        core.list_namespaced_pod,
        NAMESPACE,
        label_selector=SELECTOR,
        resource_version=listed.metadata.resource_version,
        timeout_seconds=PATIENCE_SECONDS,
    )
    for event in events:
        pod = event["object"]
        if event["type"] == "DELETED":
            pods.pop(pod.metadata.name, None)
        else:
            pods[pod.metadata.name] = pod
        if holds(pods):
            return pods
    raise AssertionError(f"the watch ended; the pods are {sorted(pods)}")


def main(url):
    configuration = client.Configuration(host=url)
    api = client.ApiClient(configuration)
    apps, core = client.AppsV1Api(api), client.CoreV1Api(api)

    version = client.VersionApi(api).get_code()
    assert int(version.minor.rstrip("+")) >= 33, version

    created = apps.create_namespaced_deployment(NAMESPACE, deployment(2))
    assert created.metadata.uid and created.spec.replicas == 2
    pods = watch_until(core, lambda pods: len(pods) == 2 and all(map(is_ready, pods.values())))
    pod = next(iter(pods.values()))
    assert pod.spec.node_name and pod.status.pod_ip
    assert core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE)

    core.delete_namespaced_pod(pod.metadata.name, NAMESPACE)
    watch_until(
        core,
        lambda pods: pod.metadata.name not in pods and len(pods) == 2 and all(map(is_ready, pods.values())),
    )

    apps.patch_namespaced_deployment_scale(NAME, NAMESPACE, {"spec": {"replicas": 4}})
    watch_until(core, lambda pods: len(pods) == 4 and all(map(is_ready, pods.values())))

    try:
        apps.create_namespaced_deployment(NAMESPACE, deployment(1))
        raise AssertionError("the same name twice")
    except ApiException as error:
        assert error.status == 409, error

    apps.delete_namespaced_deployment(NAME, NAMESPACE, propagation_policy="Foreground")
    watch_until(core, lambda pods: not pods)
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main(sys.argv[1])
