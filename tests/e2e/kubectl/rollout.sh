# Rolling out, back, and scaling.
own_namespace
kubectl create deployment web --image=nginx:1 --replicas=3 >/dev/null
expect "rollout status waits until it is out" 'successfully rolled out' kubectl rollout status deployment/web --timeout=60s
kubectl annotate deployment web kubernetes.io/change-cause=first >/dev/null
kubectl set image deployment/web nginx=nginx:2 >/dev/null
kubectl annotate --overwrite deployment web kubernetes.io/change-cause=second >/dev/null
expect "rollout status of a change" 'successfully rolled out' kubectl rollout status deployment/web --timeout=60s
expect "rollout history lists revisions" '^2 +second' kubectl rollout history deployment/web
expect "rollout history of one revision shows its template" 'Image:.*nginx:1$' kubectl rollout history deployment/web --revision=1
equal "rollout undo" "deployment.apps/web rolled back" kubectl rollout undo deployment/web
expect "it is back" 'successfully rolled out' kubectl rollout status deployment/web --timeout=60s
equal "as it was" "nginx:1" kubectl get deployment web -o 'jsonpath={.spec.template.spec.containers[0].image}'
equal "rollout undo --to-revision" "deployment.apps/web rolled back" kubectl rollout undo deployment/web --to-revision=2
equal "rollout pause" "deployment.apps/web paused" kubectl rollout pause deployment/web
refuse "a paused rollout is not restarted" "can't restart paused deployment" kubectl rollout restart deployment/web
equal "rollout resume" "deployment.apps/web resumed" kubectl rollout resume deployment/web
equal "rollout restart" "deployment.apps/web restarted" kubectl rollout restart deployment/web
expect "and it is out again" 'successfully rolled out' kubectl rollout status deployment/web --timeout=60s
equal "scale" "deployment.apps/web scaled" kubectl scale deployment/web --replicas=5
refuse "scale with a precondition that does not hold" 'Expected replicas to be 2' kubectl scale deployment/web --current-replicas=2 --replicas=1
expect "wait for a JSON path" 'condition met' kubectl wait deployment/web '--for=jsonpath={.status.readyReplicas}=5' --timeout=60s
expect "wait for a condition" 'condition met' kubectl wait deployment/web --for=condition=Available --timeout=60s
equal "scale to nothing" "deployment.apps/web scaled" kubectl scale deployment/web --replicas=0
expect "wait for deletion" 'condition met|no matching resources' bash -c "kubectl wait pods -l app=web --for=delete --timeout=60s 2>&1 || true; kubectl get pods -l app=web -o name | grep . || echo 'condition met'"
refuse "wait that times out says so" 'timed out waiting for the condition' kubectl wait deployment/web '--for=jsonpath={.spec.replicas}=9' --timeout=1s
