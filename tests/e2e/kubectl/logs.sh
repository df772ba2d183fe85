# What simulated containers say, and what cannot be done with them.
own_namespace
kubectl apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: Pod
metadata:
  name: talker
  labels: {app: talker}
  annotations:
    sim.orrery.dev/log.main: "hello from the simulation"
spec:
  containers:
  - {name: main, image: "talker:1"}
  - {name: side, image: "side:1"}
Y
kubectl wait --for=condition=Ready pod/talker --timeout=60s >/dev/null
expect "logs" 'hello from the simulation' kubectl logs talker -c main
expect "logs takes the first container unless told" 'Defaulted container "main"' kubectl logs talker
expect "logs --all-containers" '.' kubectl logs talker --all-containers
lines "logs --tail" 1 kubectl logs talker -c main --tail=1
expect "logs --timestamps" '^[0-9]{4}-[0-9]{2}-[0-9]{2}T' kubectl logs talker -c main --timestamps
expect "logs --since" '.' kubectl logs talker -c main --since=1h
expect "logs -l" 'hello' kubectl logs -l app=talker -c main
expect "logs -f follows" 'hello' bash -c "timeout 3 kubectl logs talker -c main -f || true"
refuse "logs of a container that is none" 'container nobody is not valid' kubectl logs talker -c nobody
refuse "logs --previous of one that never ended" 'previous terminated container .* not found' kubectl logs talker -c main --previous
kubectl create deployment web --image=nginx:1.27 >/dev/null
kubectl rollout status deployment/web --timeout=60s >/dev/null
expect "logs of a deployment" '.' kubectl logs deployment/web
refuse "exec says that nothing real runs" 'simulat|nothing real' kubectl exec talker -c main -- ls
refuse "attach says so too" 'simulat|nothing real' kubectl attach talker -c main
refuse "port-forward too" 'simulat|nothing real' timeout 10 kubectl port-forward pod/talker 18080:80
