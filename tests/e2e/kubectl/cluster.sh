# What the server says of itself, and of its kinds.
own_namespace
expect "cluster-info" 'Kubernetes control plane.* is running at .*http://127.0.0.1' kubectl cluster-info
expect "version" 'Server Version: v1\.3[3-9]' kubectl version
expect "api-versions" '^apps/v1$' kubectl api-versions
expect "api-resources" '^deployments +deploy +apps/v1 +true +Deployment' kubectl api-resources
expect "api-resources -o wide shows verbs and categories" 'deployments .*create,delete,deletecollection,get,list,patch,update,watch +all' kubectl api-resources -o wide
expect "api-resources of a group" '^cronjobs' kubectl api-resources --api-group=batch
expect "api-resources of those in no namespace" '^nodes' kubectl api-resources --namespaced=false
expect "explain" '^KIND: +Deployment' kubectl explain deployment
expect "explain has words for a field" 'DESCRIPTION' kubectl explain pod.spec.containers.image
expect "explain --recursive" 'terminationMessagePath' kubectl explain pods --recursive
expect "explain of a nested field" 'FIELD: rollingUpdate' kubectl explain deployment.spec.strategy.rollingUpdate
refuse "explain of what is not there" 'does not exist' kubectl explain pod.spec.nothing
equal "auth can-i" "yes" kubectl auth can-i create pods
expect "auth whoami" 'Username' kubectl auth whoami
expect "auth can-i --list" '\*' kubectl auth can-i --list
equal "get --raw /healthz" "ok" kubectl get --raw /healthz
expect "get --raw /readyz?verbose" 'readyz check passed' kubectl get --raw '/readyz?verbose'
expect "get --raw /version" '"gitVersion"' kubectl get --raw /version
expect "get --raw /apis" 'APIGroupList' kubectl get --raw /apis
expect "get --raw /openapi/v2" '"swagger"' kubectl get --raw /openapi/v2
expect "get --raw /openapi/v3" 'serverRelativeURL' kubectl get --raw /openapi/v3
expect "get --raw /metrics" 'process_resident_memory_bytes|# TYPE' kubectl get --raw /metrics
refuse "a path that is none" 'NotFound|could not find' kubectl get --raw /apis/nothing.example.com/v1
kubectl create deployment web --image=nginx:1.27 >/dev/null
kubectl rollout status deployment/web --timeout=60s >/dev/null
expect "events" 'ScalingReplicaSet' kubectl events
expect "events --for" 'ScalingReplicaSet' kubectl events --for deployment/web
expect "get events" 'deployment/web' kubectl get events --field-selector involvedObject.kind=Deployment
expect "get events --sort-by" 'Scaled' kubectl get events --sort-by=.lastTimestamp
