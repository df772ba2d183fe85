# describe, of every kind that is served.
own_namespace
for file in web-app database agent cron config init-and-sidecars placement; do
    kubectl apply -f "examples/$file.yaml" >/dev/null
done
kubectl apply -f examples/team.yaml >/dev/null
kubectl create -f - >/dev/null <<'Y'
apiVersion: v1
kind: PersistentVolume
metadata: {name: describe-disk}
spec:
  capacity: {storage: 5Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: slow
  hostPath: {path: /tmp/disk}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: slow
  resources: {requests: {storage: 5Gi}}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: old}
spec:
  replicas: 0
  selector: {app: old}
  template:
    metadata: {labels: {app: old}}
    spec: {containers: [{name: old, image: old:1}]}
---
apiVersion: v1
kind: PodTemplate
metadata: {name: stencil}
template:
  metadata: {labels: {app: stencil}}
  spec: {containers: [{name: stencil, image: stencil:1}]}
---
apiVersion: apps/v1
kind: ControllerRevision
metadata: {name: first}
revision: 1
data: {spec: {}}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: leader}
spec: {holderIdentity: me, leaseDurationSeconds: 15}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: shop-1, labels: {kubernetes.io/service-name: shop}}
addressType: IPv4
endpoints: [{addresses: ["10.1.2.3"], conditions: {ready: true}}]
ports: [{name: http, port: 8080, protocol: TCP}]
Y
kubectl rollout status deployment/shop --timeout=60s >/dev/null

expect "describe deployment" '^Replicas: +3 desired \| 3 updated \| 3 total \| 3 available' kubectl describe deployment shop
expect "describe deployment shows its events" 'ScalingReplicaSet' kubectl describe deployment shop
expect "describe replicaset" '^Controlled By: +Deployment/shop' kubectl describe replicaset
expect "describe pod" '^Status: +Running' kubectl describe pods -l app.kubernetes.io/name=shop
expect "describe pod shows its events" 'Scheduled|Started' kubectl describe pods -l app.kubernetes.io/name=shop
expect "describe pod shows init containers" 'wait-for-ledger' kubectl describe pod pipeline
expect "describe service" '^Selector: +app.kubernetes.io' kubectl describe service shop
expect "describe horizontalpodautoscaler" '^Min replicas: +3' kubectl describe hpa shop
expect "describe poddisruptionbudget" '^Min available: +2' kubectl describe pdb shop
expect "describe statefulset" '^Pod Management Policy: +OrderedReady|Update Strategy: +RollingUpdate' kubectl describe statefulset ledger
expect "describe daemonset" '^Node-Selector: +kubernetes.io/os=linux' kubectl describe daemonset node-agent
expect "describe job" '^Completions: +4' kubectl describe job migrate
expect "describe cronjob" '^Schedule: +30 2 ' kubectl describe cronjob nightly-backup
expect "describe configmap" 'LOG_LEVEL' kubectl describe configmap app-config
lacks "describe secret keeps it secret" 'hunter2' kubectl describe secret app-secret
expect "describe secret counts bytes" 'password: +7 bytes' kubectl describe secret app-secret
expect "describe serviceaccount" '^Name: +node-agent' kubectl describe serviceaccount node-agent
expect "describe node" '^Allocatable:' kubectl describe node node-0
expect "describe node shows its pods" 'Non-terminated Pods' kubectl describe node node-0
expect "describe namespace with quota and limits" 'Name: +compute' kubectl describe namespace ledger-team
expect "describe resourcequota" '^Name: +compute' kubectl describe quota compute -n ledger-team
expect "describe limitrange" '^Container +memory' kubectl describe limitrange defaults -n ledger-team
expect "describe priorityclass" '^Value: +100000' kubectl describe priorityclass ledger-critical
expect "describe storageclass" '^Provisioner: +csi.example.com' kubectl describe storageclass fast
expect "describe persistentvolume" '^Capacity: +5Gi' kubectl describe pv describe-disk
expect "describe persistentvolumeclaim" '^StorageClass: +slow' kubectl describe pvc claim
expect "describe replicationcontroller" '^Selector: +app=old' kubectl describe rc old
expect "describe podtemplate" 'stencil' kubectl describe podtemplate stencil
expect "describe controllerrevision" '^Revision: +1' kubectl describe controllerrevision first
expect "describe lease" 'Holder Identity: +me' kubectl describe lease leader
expect "describe endpointslice" '^AddressType: +IPv4' kubectl describe endpointslice shop-1
expect "describe event" '^Reason:' kubectl describe events
sed 's/stable.example.com/describe.example.com/; /categories:/d' examples/crd.yaml | kubectl apply -f - >/dev/null
expect "describe customresourcedefinition" 'Kind: +CustomResourceDefinition' kubectl describe crd crontabs.describe.example.com
