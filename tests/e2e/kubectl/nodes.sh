# Nodes: cordon, drain, uncordon, taint, and budgets in the way.
own_namespace
# The last node, so that the pods of other topics have somewhere to go.
node=node-9
equal "cordon" "node/$node cordoned" kubectl cordon "$node"
expect "it shows" "$node +Ready,SchedulingDisabled" kubectl get nodes
equal "uncordon" "node/$node uncordoned" kubectl uncordon "$node"
equal "taint" "node/$node tainted" kubectl taint nodes "$node" maintenance=soon:PreferNoSchedule
equal "it is there" "maintenance" kubectl get node "$node" -o 'jsonpath={.spec.taints[0].key}'
equal "untaint" "node/$node untainted" kubectl taint nodes "$node" maintenance-
expect "top of the roles and versions" '^node-0 +Ready' kubectl get nodes -o wide
kubectl apply -f - >/dev/null <<Y
apiVersion: apps/v1
kind: Deployment
metadata: {name: here}
spec:
  replicas: 2
  selector: {matchLabels: {app: here}}
  template:
    metadata: {labels: {app: here}}
    spec:
      nodeSelector: {kubernetes.io/hostname: $node}
      terminationGracePeriodSeconds: 0
      containers: [{name: web, image: nginx:1.27}]
Y
kubectl rollout status deployment/here --timeout=60s >/dev/null
kubectl create pdb here --selector=app=here --min-available=2 >/dev/null
kubectl wait pdb/here '--for=jsonpath={.status.currentHealthy}=2' --timeout=60s >/dev/null
refuse "drain honours a budget" 'Cannot evict pod as it would violate the pod.s disruption budget' kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --force --pod-selector=app=here --timeout=3s
kubectl delete pdb here >/dev/null
expect "drain" "node/$node drained" kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --force --pod-selector=app=here --timeout=60s
expect "its pods wait for a node" 'Pending' kubectl get pods -l app=here
expect "and say why" 'FailedScheduling|didn.t match|unschedulable' kubectl events --types=Warning
equal "uncordon after the drain" "node/$node uncordoned" kubectl uncordon "$node"
expect "they run again" 'successfully rolled out' kubectl rollout status deployment/here --timeout=60s
