# Reading: every form of output, selectors, sorting, paging, watching.
own_namespace
kubectl create deployment web --image=nginx:1.27 --replicas=3 >/dev/null
kubectl rollout status deployment/web --timeout=60s >/dev/null
kubectl create configmap settings --from-literal=level=info --from-literal=colour=red >/dev/null
kubectl label configmap settings tier=back >/dev/null

expect "get shows the columns of pods" '^NAME +READY +STATUS +RESTARTS +AGE$' kubectl get pods
lines "get lists every pod" 4 kubectl get pods
lines "get without headers" 3 kubectl get pods --no-headers
expect "get -o wide adds the pod's node and address" 'IP +NODE +NOMINATED NODE +READINESS GATES$' kubectl get pods -o wide
expect "get -o wide of a deployment adds containers, images and selector" 'web +3/3 +3 +3 +[0-9]+s +nginx +nginx:1.27 +app=web$' kubectl get deployment web -o wide
expect "get -o yaml is the object" '^kind: Deployment$' kubectl get deployment web -o yaml
expect "get -o json is the object" '"kind": "ConfigMap"' kubectl get configmap settings -o json
equal "get -o jsonpath finds a field" "info" kubectl get configmap settings -o 'jsonpath={.data.level}'
equal "get -o jsonpath ranges over a list" "nginx:1.27 nginx:1.27 nginx:1.27" kubectl get pods -o 'jsonpath={.items[*].spec.containers[0].image}'
equal "get -o go-template" "web" kubectl get deployment web -o 'go-template={{.metadata.name}}'
equal "get -o name" "deployment.apps/web" kubectl get deployment -o name
equal "get -o custom-columns" $'NAME   REPLICAS\nweb    3' kubectl get deployment -o 'custom-columns=NAME:.metadata.name,REPLICAS:.spec.replicas'
lines "get -l selects by label" 4 kubectl get pods -l app=web
expect "get -l with a set" 'settings' kubectl get configmaps -l 'tier in (back,front),!canary'
expect "get -l that nothing matches" 'No resources found' kubectl get pods -l app=other
expect "get --show-labels" 'tier=back' kubectl get configmaps --show-labels
expect "get -L shows a label as a column" '^NAME +DATA +AGE +TIER$' kubectl get configmaps -L tier
lines "get --field-selector on the phase" 3 kubectl get pods --no-headers --field-selector=status.phase=Running
expect "get --field-selector on the name" 'settings' kubectl get configmaps --field-selector=metadata.name=settings
refuse "an unknown field selector is refused" 'field label not supported|not a known field selector|field_selector' kubectl get pods --field-selector=spec.nothing=1
equal "get --sort-by sorts" $'kube-system\nget\ndefault' bash -c "kubectl get namespaces -o name --sort-by=.metadata.name | sed 's|namespace/||' | grep -E '^(default|get|kube-system)$' | sort -r"
lines "get --chunk-size pages, and shows all" 3 kubectl get pods --chunk-size=1 --no-headers
expect "get all shows what belongs to the category" '^deployment.apps/web' kubectl get all
expect "get of several kinds" '^configmap/settings' kubectl get deployments,configmaps
expect "get -A shows namespaces" '^NAMESPACE +NAME' kubectl get deployments -A
expect "get by short name" 'web' kubectl get deploy
expect "get by kind, version and group" 'web' kubectl get deployments.v1.apps
refuse "what is not there is not found" 'Error from server \(NotFound\): pods "nobody" not found' kubectl get pod nobody
equal "get --ignore-not-found says nothing" "" kubectl get pod nobody --ignore-not-found
refuse "an unknown kind is said to be unknown" "the server doesn't have a resource type \"ponies\"" kubectl get ponies
expect "get -w follows" 'settings' timeout 20 bash -c "kubectl get configmap settings -w --request-timeout=2s || true"
expect "get --watch-only prints changes" 'late' bash -c "kubectl get configmaps --watch-only --request-timeout=4s & sleep 1; kubectl create configmap late --from-literal=a=b >/dev/null; wait; true"
expect "get --output-watch-events names them" 'ADDED +.*settings' bash -c "kubectl get configmap settings -w --output-watch-events --request-timeout=2s || true"
expect "get --raw gives the API's own answer" '"kind":"PodList"' kubectl get --raw "/api/v1/namespaces/get/pods"
expect "get --show-managed-fields shows who owns what" 'manager: kubectl' kubectl get deployment web -o yaml --show-managed-fields
lacks "managed fields are hidden otherwise" 'managedFields' kubectl get deployment web -o yaml
expect "get --server-print=false prints by itself" 'web' kubectl get deployment web --server-print=false
expect "get of a subresource" 'web +3 +3' kubectl get deployment web --subresource=scale
