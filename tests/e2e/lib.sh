# What the topics under kubectl/ are written with. Sourced, never run.
#
# Every check is one line: what it shows, what is expected, and the command. The command's output (both streams) is
# compared, and shown when it is not as expected. Nothing sleeps: what takes time is waited for with kubectl itself.

passed=0
failed=0

# Bound on one command; only a broken server needs so long.
readonly PATIENCE=60

_run() {
    if [ "$(type -t "$1")" = function ]; then
        output=$("$@" 2>&1 </dev/null)
    else
        output=$(timeout "$PATIENCE" "$@" 2>&1 </dev/null)
    fi
    code=$?
}

_pass() {
    passed=$((passed + 1))
    echo "ok      $topic: $1"
}

_fail() {
    failed=$((failed + 1))
    echo "FAILED  $topic: $1"
    echo "        command:  ${*:3}"
    echo "        expected: $2"
    echo "        exit $code, output:"
    sed 's/^/        | /' <<<"$output" | head -n 40
}

# expect WHAT PATTERN COMMAND…: the command succeeds, and a line of its output matches the extended regular expression.
expect() {
    local what=$1 pattern=$2
    shift 2
    _run "$@"
    if [ "$code" = 0 ] && grep -Eq -- "$pattern" <<<"$output"; then
        _pass "$what"
    else
        _fail "$what" "a line like $pattern" "$@"
    fi
}

# equal WHAT TEXT COMMAND…: the command succeeds and says exactly this.
equal() {
    local what=$1 text=$2
    shift 2
    _run "$@"
    if [ "$code" = 0 ] && [ "$output" = "$text" ]; then
        _pass "$what"
    else
        _fail "$what" "exactly '$text'" "$@"
    fi
}

# refuse WHAT PATTERN COMMAND…: the command fails, and says why.
refuse() {
    local what=$1 pattern=$2
    shift 2
    _run "$@"
    if [ "$code" != 0 ] && grep -Eq -- "$pattern" <<<"$output"; then
        _pass "$what"
    else
        _fail "$what" "a failure with a line like $pattern" "$@"
    fi
}

# lacks WHAT PATTERN COMMAND…: the command succeeds, and no line of its output matches.
lacks() {
    local what=$1 pattern=$2
    shift 2
    _run "$@"
    if [ "$code" = 0 ] && ! grep -Eq -- "$pattern" <<<"$output"; then
        _pass "$what"
    else
        _fail "$what" "no line like $pattern" "$@"
    fi
}

# lines WHAT COUNT COMMAND…: the command succeeds and prints so many lines.
lines() {
    local what=$1 count=$2
    shift 2
    _run "$@"
    if [ "$code" = 0 ] && [ "$(grep -c . <<<"$output")" = "$count" ]; then
        _pass "$what"
    else
        _fail "$what" "$count lines" "$@"
    fi
}

# A namespace of the topic's own becomes the default one, so that topics can run side by side.
own_namespace() {
    local config=$WORK/$topic.kubeconfig
    cp "$KUBECONFIG" "$config"
    export KUBECONFIG=$config
    kubectl create namespace "$topic" >/dev/null && kubectl config set-context --current --namespace="$topic" >/dev/null
}

# Ends a topic.
summary() {
    echo "$passed $failed" >"$WORK/$topic.count"
}
