# Kinds of one's own.
own_namespace
# A category of this topic's own: "all" must not fail for the others when the kind goes.
sed 's/categories: \["all"\]/categories: ["tabs"]/' examples/crd.yaml | kubectl apply -f - >/dev/null
expect "a new kind is established" 'condition met' kubectl wait --for=condition=Established crd/crontabs.stable.example.com --timeout=60s
expect "it is in discovery" '^crontabs +ct +stable.example.com/v1 +true +CronTab' kubectl api-resources --api-group=stable.example.com
expect "objects of it are applied" 'crontab.stable.example.com/report created' kubectl apply -f examples/crontabs.yaml
expect "applying again changes nothing" 'crontab.stable.example.com/report unchanged' kubectl apply -f examples/crontabs.yaml
expect "its columns are shown" '^NAME +SPEC +REPLICAS +AGE$' kubectl get crontabs
expect "defaults are filled in" 'sweep +0 3 \* \* 0 +1' kubectl get ct
expect "describe" 'Cron Spec' kubectl describe crontab report
refuse "an object that breaks the schema is refused" 'spec.replicas: Invalid value' kubectl patch crontab report --type=merge -p '{"spec":{"replicas":11}}'
refuse "a rule is kept" 'replicas must not exceed maxReplicas \(1\)' kubectl patch crontab report --type=merge -p '{"spec":{"maxReplicas":1}}'
refuse "an unknown field is refused" 'unknown field "spec.colour"' bash -c "sed 's/  timeout: 30s/  colour: red/' examples/crontabs.yaml | kubectl apply -f -"
equal "scale through its subresource" "crontab.stable.example.com/report scaled" kubectl scale crontab report --replicas=4
equal "and it is there" "4" kubectl get crontab report -o 'jsonpath={.spec.replicas}'
expect "the status subresource" 'patched' kubectl patch crontab report --subresource=status --type=merge -p '{"status":{"replicas":4,"conditions":[{"type":"Ready","status":"True"}]}}'
expect "conditions can be waited for" 'condition met' kubectl wait crontab/report --for=condition=Ready --timeout=10s
lines "a selectable field selects" 1 kubectl get crontabs --no-headers --field-selector=spec.image=registry.example.com/report:1.2
expect "server-side apply" 'serverside-applied' kubectl apply --server-side --force-conflicts -f examples/crontabs.yaml
expect "explain" 'cronSpec.*<string>.*-required-' kubectl explain crontab.spec
expect "a category is a name for its kinds" 'crontab.stable.example.com/report' kubectl get tabs -o name
expect "deleting the kind deletes its objects" 'deleted' kubectl delete crd crontabs.stable.example.com
refuse "and then there is no such kind" "doesn't have a resource type|could not find the requested resource" kubectl get crontabs
