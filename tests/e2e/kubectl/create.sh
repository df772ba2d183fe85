# Making things without a manifest: create, run, expose, autoscale, set.
own_namespace
equal "create deployment" "deployment.apps/web created" kubectl create deployment web --image=nginx:1.27 --port=80 --replicas=2
refuse "create of what is there" 'already exists' kubectl create deployment web --image=nginx:1.27
equal "create job" "job.batch/once created" kubectl create job once --image=busybox -- date
equal "create cronjob" "cronjob.batch/often created" kubectl create cronjob often --image=busybox '--schedule=*/5 * * * *' -- date
equal "create job --from a cronjob" "job.batch/now created" kubectl create job now --from=cronjob/often
equal "create configmap from literals and files" "configmap/settings created" kubectl create configmap settings --from-literal=a=b --from-file=examples/README.md
equal "create secret generic" "secret/password created" kubectl create secret generic password --from-literal=password=x
equal "create secret docker-registry" "secret/registry created" kubectl create secret docker-registry registry --docker-server=r.example.com --docker-username=u --docker-password=p
equal "create namespace" "namespace/create-other created" kubectl create namespace create-other
equal "create serviceaccount" "serviceaccount/robot created" kubectl create serviceaccount robot
equal "create quota" "resourcequota/small created" kubectl create quota small --hard=pods=100,requests.cpu=50
equal "create poddisruptionbudget" "poddisruptionbudget.policy/web created" kubectl create pdb web --selector=app=web --min-available=1
equal "create priorityclass" "priorityclass.scheduling.k8s.io/create-high created" kubectl create priorityclass create-high --value=1000 --description=high
equal "create service clusterip" "service/inner created" kubectl create service clusterip inner --tcp=80:8080
equal "create -f" "configmap/from-file created" bash -c "kubectl create configmap from-file --from-literal=x=y --dry-run=client -o yaml | kubectl create -f -"
expect "create --dry-run=server -o yaml shows what would be" 'uid:' kubectl create deployment ghost --image=g --dry-run=server -o yaml
refuse "and stores nothing" 'not found' kubectl get deployment ghost
refuse "a name that is none is refused" 'RFC 1123' kubectl create configmap Not_A_Name
equal "run makes a pod" "pod/lonely created" kubectl run lonely --image=nginx:1.27 --labels=app=lonely --port=80
expect "wait until it is ready" 'pod/lonely condition met' kubectl wait --for=condition=Ready pod/lonely --timeout=60s
equal "expose makes a service of a deployment" "service/web exposed" kubectl expose deployment web --port=80 --target-port=80
equal "with its selector" '{"app":"web"}' kubectl get service web -o 'jsonpath={.spec.selector}'
equal "expose a pod" "service/lonely exposed" kubectl expose pod lonely --port=80 --name=lonely
equal "autoscale" "horizontalpodautoscaler.autoscaling/web autoscaled" kubectl autoscale deployment web --min=2 --max=5 --cpu-percent=80
expect "the autoscaler is as asked" 'Deployment/web .*80% +2 +5' kubectl get hpa web
expect "autoscaling/v1 shows the same object" '"targetCPUUtilizationPercentage":80' kubectl get --raw /apis/autoscaling/v1/namespaces/create/horizontalpodautoscalers/web
equal "set image" "deployment.apps/web image updated" kubectl set image deployment/web nginx=nginx:1.28
equal "set env" "deployment.apps/web env updated" kubectl set env deployment/web LEVEL=debug
expect "set env --list" 'LEVEL=debug' kubectl set env deployment/web --list
expect "set env from a config map" 'env updated' kubectl set env deployment/web --from=configmap/from-file
equal "set resources" "deployment.apps/web resource requirements updated" kubectl set resources deployment web --requests=cpu=10m,memory=16Mi
equal "set serviceaccount" "deployment.apps/web serviceaccount updated" kubectl set serviceaccount deployment web robot
expect "set selector of a service" 'selector updated' kubectl set selector service inner app=web
