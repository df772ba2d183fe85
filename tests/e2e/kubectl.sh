#!/usr/bin/env bash
# Runs the real kubectl, unchanged, against a cluster of real processes, and looks at what it prints.
#
#   tests/e2e/kubectl.sh [TOPIC…]     all topics unless some are named; a topic is a file under kubectl/
#
# Needs kubectl on the PATH, and the orrery program: $ORRERY, or target/debug/orrery. Without kubectl it says that it
# skips. Topics run side by side, each in a namespace of its own. Ends with "N passed, M failed".
set -uo pipefail
cd "$(dirname "$0")/../.."

if ! command -v kubectl >/dev/null; then
    echo "skipped: there is no kubectl on the PATH"
    exit 0
fi
ORRERY=$(realpath "${ORRERY:-target/debug/orrery}")
if [ ! -x "$ORRERY" ]; then
    echo "skipped: there is no $ORRERY; \`cargo build --bin orrery\` makes it"
    exit 0
fi
export ORRERY
WORK=$(mktemp -d)
export WORK
# kubectl's cache of discovery must not outlive the cluster, whose port another one may get.
export KUBECACHEDIR=$WORK/cache HOME=$WORK

"$ORRERY" up --data-dir "$WORK/data" --listen 127.0.0.1:0 >"$WORK/up.log" 2>&1 &
up=$!
stop() {
    kill "$up" 2>/dev/null
    wait "$up" 2>/dev/null
    rm -rf "$WORK"
}
trap stop EXIT

export KUBECONFIG=$WORK/data/kubeconfig
# Bounded: a cluster is up within a second.
for _ in $(seq 300); do
    [ -s "$KUBECONFIG" ] && kubectl get --raw=/readyz >/dev/null 2>&1 && break
    if ! kill -0 "$up" 2>/dev/null; then
        echo "orrery up ended:"
        cat "$WORK/up.log"
        exit 1
    fi
    sleep 0.1
done
if ! kubectl wait --for=condition=Ready node --all --timeout=60s >/dev/null; then
    echo "the nodes are not ready; orrery up said:"
    tail -n 50 "$WORK/up.log"
    exit 1
fi

topics=("$@")
if [ ${#topics[@]} = 0 ]; then
    for file in tests/e2e/kubectl/*.sh; do
        topics+=("$(basename "$file" .sh)")
    done
fi
run() {
    topic=$1
    . tests/e2e/lib.sh
    . "tests/e2e/kubectl/$topic.sh"
    summary
}
running=()
for topic in "${topics[@]}"; do
    run "$topic" >"$WORK/$topic.out" 2>&1 &
    running+=($!)
done
wait "${running[@]}"

passed=0
failed=0
for topic in "${topics[@]}"; do
    cat "$WORK/$topic.out"
    if ! read -r ok bad <"$WORK/$topic.count"; then
        echo "FAILED  $topic: it ended before its last check"
        ok=0 bad=1
    fi
    passed=$((passed + ok))
    failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
