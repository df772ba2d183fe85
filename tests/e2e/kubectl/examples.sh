# Every example applies without a warning, and applying it again changes nothing: no "configured", no new version.
own_namespace
mkdir -p "$WORK/examples"
cp examples/*.yaml "$WORK/examples"
# A kind of this topic's own: another topic defines and deletes the example's.
sed -i 's/stable.example.com/examples.example.com/; /categories:/d' "$WORK"/examples/cr*tabs.yaml "$WORK/examples/crd.yaml"

versions() { kubectl get -f "$1" --no-headers -o 'custom-columns=K:.kind,N:.metadata.name,V:.metadata.resourceVersion'; }

# The versions once nothing writes any more: controllers follow up on what was applied.
settled() {
    local before after
    before=$(versions "$1")
    for _ in $(seq 100); do
        after=$(versions "$1")
        [ "$before" = "$after" ] && break
        before=$after
    done
    echo "$after"
}

example() {
    local name=$1 file=$WORK/examples/$1.yaml
    lacks "$name applies without a warning" 'Warning|rror' kubectl apply -f "$file"
    case $name in
    crd) expect "$name is established" 'condition met' kubectl wait --for=condition=Established -f "$file" --timeout=60s ;;
    web-app) expect "$name runs" 'successfully rolled out' kubectl rollout status deployment/shop --timeout=60s ;;
    placement) expect "$name runs" 'successfully rolled out' kubectl rollout status deployment/cache --timeout=60s ;;
    nginx) expect "$name runs" 'successfully rolled out' kubectl rollout status deployment/nginx --timeout=60s ;;
    config | init-and-sidecars) expect "$name runs" 'condition met' kubectl wait --for=condition=Ready pod --timeout=60s -l 'app in (configured,pipeline)' ;;
    esac
    local before
    before=$(settled "$file")
    # kubectl takes a list without keys for changed where the server has filled in its items, as in claim templates; the
    # versions tell the truth.
    lacks "$name applied again changes nothing" ' created$|Warning' kubectl apply -f "$file"
    [ "$name" = database ] || lacks "$name applied again is unchanged" ' configured$' kubectl apply -f "$file"
    equal "$name has no new versions" "$before" versions "$file"
    lacks "$name applied by the server too" 'Warning|rror' kubectl apply --server-side --force-conflicts -f "$file"
    before=$(settled "$file")
    lacks "$name applied by the server again" 'Warning|rror' kubectl apply --server-side -f "$file"
    equal "$name has no new versions from the server either" "$before" versions "$file"
}
for name in nginx web-app database agent crd crontabs cron team init-and-sidecars config placement; do
    example "$name"
done
lacks "a kustomize overlay applies without a warning" 'Warning|rror' bash -c "kubectl kustomize examples/kustomize/production | sed 's/production/kustomized/' | kubectl apply -f -"
lacks "and again without a change" ' (created|configured)$|Warning' bash -c "kubectl kustomize examples/kustomize/production | sed 's/production/kustomized/' | kubectl apply -f -"
