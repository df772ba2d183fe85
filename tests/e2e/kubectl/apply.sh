# Declaring: apply in its forms, diff, replace, edit, patch.
own_namespace
manifest=$WORK/apply.yaml
cat >"$manifest" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1.27
        ports: [{containerPort: 80}]
Y
equal "apply creates" "deployment.apps/web created" kubectl apply -f "$manifest"
equal "apply again changes nothing" "deployment.apps/web unchanged" kubectl apply -f "$manifest"
equal "diff of nothing says nothing" "" kubectl diff -f "$manifest"
sed 's/nginx:1.27/nginx:1.28/' "$manifest" >"$WORK/changed.yaml"
refuse "diff shows what apply would change, and exits with 1" '^\+ +(- )?image: nginx:1.28' kubectl diff -f "$WORK/changed.yaml"
expect "apply --dry-run=server stores nothing" 'configured \(server dry run\)' kubectl apply --dry-run=server -f "$WORK/changed.yaml"
equal "nothing was stored" "nginx:1.27" kubectl get deployment web -o 'jsonpath={.spec.template.spec.containers[0].image}'
expect "apply --dry-run=client" 'dry run' kubectl apply --dry-run=client -f "$WORK/changed.yaml"
equal "apply changes" "deployment.apps/web configured" kubectl apply -f "$WORK/changed.yaml"
expect "apply keeps what was applied last" 'nginx:1.28' kubectl apply view-last-applied deployment/web
sed 's/replicas: 2/replicas: x/' "$manifest" >"$WORK/wrong.yaml"
refuse "a wrong type is refused with its path" 'spec.replicas' kubectl apply -f "$WORK/wrong.yaml"
sed 's/replicas: 2/replicsa: 2/' "$manifest" >"$WORK/typo.yaml"
refuse "an unknown field is refused" 'unknown field "spec.replicsa"' kubectl apply -f "$WORK/typo.yaml"
sed 's/image: nginx:1.27/image: ""/' "$manifest" | sed 's/name: web$/name: fresh/' >"$WORK/invalid.yaml"
refuse "an invalid object is refused with every fault" 'spec.template.spec.containers\[0\].image: Required value' kubectl apply -f "$WORK/invalid.yaml"

expect "apply --server-side over client-side apply migrates" 'serverside-applied' kubectl apply --server-side -f "$WORK/changed.yaml"
expect "another manager conflicts" 'conflict with "kubectl"' bash -c "sed 's/replicas: 2/replicas: 5/' '$WORK/changed.yaml' | kubectl apply --server-side --field-manager=other -f - 2>&1 || true"
expect "--force-conflicts takes over" 'serverside-applied' bash -c "sed 's/replicas: 2/replicas: 5/' '$WORK/changed.yaml' | kubectl apply --server-side --field-manager=other --force-conflicts -f -"
equal "and its value holds" "5" kubectl get deployment web -o 'jsonpath={.spec.replicas}'
expect "apply --server-side creates too" 'configmap/ssa serverside-applied' bash -c "kubectl create configmap ssa --from-literal=a=b --dry-run=client -o yaml | kubectl apply --server-side -f -"
expect "apply --prune deletes what is no longer there" 'configmap/gone pruned' bash -c "
  kubectl create configmap kept --from-literal=a=b --dry-run=client -o yaml | kubectl label --local -f - set=prune -o yaml >'$WORK/kept.yaml'
  kubectl create configmap gone --from-literal=a=b --dry-run=client -o yaml | kubectl label --local -f - set=prune -o yaml >'$WORK/gone.yaml'
  kubectl apply -f '$WORK/kept.yaml' -f '$WORK/gone.yaml' >/dev/null
  kubectl apply -f '$WORK/kept.yaml' --prune -l set=prune --prune-allowlist=core/v1/ConfigMap"
expect "apply -k builds and applies an overlay" 'deployment.apps/prod-greeter created' kubectl apply -k examples/kustomize/production
expect "get -k finds it again" 'prod-greeter' kubectl get -k examples/kustomize/production
expect "delete -k takes it away" 'deleted' kubectl delete -k examples/kustomize/production --ignore-not-found

kubectl create configmap settings --from-literal=level=info >/dev/null
expect "replace" 'configmap/settings replaced' bash -c "kubectl get configmap settings -o yaml | sed 's/level: info/level: debug/' | kubectl replace -f -"
refuse "replace of an old version conflicts" 'the object has been modified' bash -c "kubectl get configmap settings -o yaml >'$WORK/old.yaml'; kubectl label configmap settings a=b >/dev/null; kubectl replace -f '$WORK/old.yaml'"
expect "replace --force makes it anew" 'configmap/settings replaced' bash -c "kubectl get configmap settings -o yaml | kubectl replace --force -f -"
printf '#!/bin/sh\nsed -i "s/level: debug/level: trace/" "$1"\n' >"$WORK/editor"
chmod +x "$WORK/editor"
expect "edit with an editor" 'configmap/settings edited' env "EDITOR=$WORK/editor" kubectl edit configmap settings
equal "and it is stored" "trace" kubectl get configmap settings -o 'jsonpath={.data.level}'
expect "edit that changes nothing" 'no changes made' env EDITOR=true kubectl edit configmap settings
expect "patch --type=merge" 'configmap/settings patched' kubectl patch configmap settings --type=merge -p '{"data":{"level":"warn","more":"x"}}'
expect "patch --type=json" 'configmap/settings patched' kubectl patch configmap settings --type=json -p '[{"op":"remove","path":"/data/more"}]'
equal "both did what they say" '{"level":"warn"}' kubectl get configmap settings -o 'jsonpath={.data}'
expect "patch that changes nothing" 'patched \(no change\)' kubectl patch configmap settings --type=merge -p '{"data":{"level":"warn"}}'
expect "patch (strategic) merges containers by name" 'deployment.apps/web patched' kubectl patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"side:1"}]}}}}'
equal "the other container is still there" "side web" bash -c "kubectl get deployment web -o 'jsonpath={.spec.template.spec.containers[*].name}' | tr ' ' '\n' | sort | xargs"
expect "patch of a subresource" 'scale.autoscaling/web patched' kubectl patch deployment web --subresource=scale --type=merge -p '{"spec":{"replicas":1}}'
expect "label" 'configmap/settings labeled' kubectl label configmap settings tier=back
refuse "label does not overwrite by accident" "already has a value" kubectl label configmap settings tier=front
expect "label --overwrite" 'configmap/settings labeled' kubectl label --overwrite configmap settings tier=front
expect "label removes" 'configmap/settings unlabeled' kubectl label configmap settings tier-
expect "annotate" 'configmap/settings annotated' kubectl annotate configmap settings 'note=by hand'
equal "and it is there" "by hand" kubectl get configmap settings -o 'jsonpath={.metadata.annotations.note}'
expect "annotate removes" 'configmap/settings annotated' kubectl annotate configmap settings note-
