#!/usr/bin/env bash
# Runs the Python client's program against the apiserver at $1, in a virtual environment of its own under target/.
# Says that it skips where there is no python3, or no way to install the client.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v python3 >/dev/null; then
    echo "skipped: there is no python3 on the PATH"
    exit 0
fi
venv=${CARGO_TARGET_DIR:-../../../target}/python-client
if ! "$venv/bin/python" -c 'import kubernetes' 2>/dev/null; then
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt; }; then
        echo "skipped: the Python client could not be installed (see above)"
        exit 0
    fi
fi
exec "$venv/bin/python" deployment.py "$1"
