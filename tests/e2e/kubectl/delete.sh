# Taking away: every cascade, selectors, force, and what finalizers hold.
own_namespace
make() { kubectl create deployment "$1" --image=nginx:1.27 --replicas=2 >/dev/null && kubectl rollout status "deployment/$1" --timeout=60s >/dev/null; }
make background
equal "delete" 'deployment.apps "background" deleted' kubectl delete deployment background
expect "its pods go with it" 'none' bash -c "kubectl wait pods -l app=background --for=delete --timeout=60s >/dev/null 2>&1; kubectl get pods -l app=background -o name | grep . || echo none"
make foreground
equal "delete --cascade=foreground ends when all is gone" 'deployment.apps "foreground" deleted' kubectl delete deployment foreground --cascade=foreground
equal "and all is gone" "" kubectl get replicasets,pods -l app=foreground -o name
make orphan
equal "delete --cascade=orphan" 'deployment.apps "orphan" deleted' kubectl delete deployment orphan --cascade=orphan
lines "leaves the pods" 2 kubectl get pods -l app=orphan -o name
equal "and their set without an owner" "" kubectl get replicasets -l app=orphan -o 'jsonpath={.items[*].metadata.ownerReferences}'
expect "delete -l" 'deleted' kubectl delete replicasets -l app=orphan
kubectl run stuck --image=nginx:1.27 >/dev/null
kubectl wait --for=condition=Ready pod/stuck --timeout=60s >/dev/null
expect "delete --force --grace-period=0" 'pod "stuck" force deleted' kubectl delete pod stuck --force --grace-period=0
equal "is at once" "" kubectl get pod stuck --ignore-not-found
kubectl create configmap a --from-literal=x=y >/dev/null
kubectl create configmap b --from-literal=x=y >/dev/null
expect "delete --all" 'configmap "b" deleted' kubectl delete configmaps --all
kubectl create configmap held --from-literal=x=y >/dev/null
kubectl patch configmap held --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}' >/dev/null
expect "delete --wait=false of what a finalizer holds" 'configmap "held" deleted' kubectl delete configmap held --wait=false
expect "it is still there, and marked" '.' kubectl get configmap held -o 'jsonpath={.metadata.deletionTimestamp}'
expect "until the finalizer is gone" 'patched' kubectl patch configmap held --type=merge -p '{"metadata":{"finalizers":null}}'
equal "then it is gone" "" kubectl get configmap held --ignore-not-found
refuse "delete of what is not there" 'NotFound' kubectl delete configmap nobody
equal "delete --ignore-not-found" "" kubectl delete configmap nobody --ignore-not-found
expect "delete --dry-run=server" 'server dry run' bash -c "kubectl create configmap kept --from-literal=x=y >/dev/null; kubectl delete configmap kept --dry-run=server"
equal "deletes nothing" "configmap/kept" kubectl get configmap kept -o name
kubectl create namespace delete-whole >/dev/null
kubectl create deployment web --image=nginx:1.27 -n delete-whole >/dev/null
equal "delete namespace ends when it is empty" 'namespace "delete-whole" deleted' kubectl delete namespace delete-whole
