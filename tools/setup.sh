#!/bin/sh
# Install the packages of requirements-dev.lock and this checkout itself into .venv, so that .venv/bin/perdure runs it.
# Does nothing when they are installed. The stamp is a copy of the lock and is written last: without it, or with another
# lock, or with the checkout moved to another folder, the set-up runs again.
set -eu
cd "$(dirname "$0")/.."

lock=requirements-dev.lock
stamp=.venv/installed.lock
python=.venv/bin/python

if cmp -s "$lock" "$stamp" && "$python" -c '' 2>/dev/null && .venv/bin/perdure --version >/dev/null 2>&1; then
    exit 0
fi

usable= without_venv=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || continue
    if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
        usable=$candidate
        break
    fi
    without_venv=${without_venv:-$candidate}
done
if [ -z "$usable" ] && [ -n "$without_venv" ]; then
    echo "$without_venv lacks its venv module. Install it (on Debian and Ubuntu: apt install python3-venv)." >&2
    exit 1
elif [ -z "$usable" ]; then
    echo "None of ${PYTHON:-python3, python3.13, python3.12, python3.11} is Python 3.11, 3.12 or 3.13, which Perdure" \
        "needs (wordllama has no wheel for newer ones). Name another one with PYTHON=/path/to/python." >&2
    exit 1
fi

echo "Setting up .venv with $("$usable" --version). This happens once and takes a minute or two." >&2
if [ ! -f "$stamp" ] || ! "$python" -c '' 2>/dev/null; then
    rm -rf .venv
    "$usable" -m venv .venv
fi
rm -f "$stamp"
"$python" -m pip install -qq --disable-pip-version-check --require-hashes --requirement "$lock"
# The build backend comes from the lock too, so nothing unlocked is downloaded.
"$python" -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
cp "$lock" "$stamp.unfinished"
mv "$stamp.unfinished" "$stamp"
