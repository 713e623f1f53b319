#!/bin/sh
# Make .venv hold what requirements.lock names; does nothing when it does already.
# A copy of the lock, put there last, says that the set-up came to its end: anything else is set up anew.
set -eu
cd "$(dirname "$0")/.."

lock=requirements.lock
stamp=.venv/installed.lock
python=.venv/bin/python

if cmp -s "$lock" "$stamp" && "$python" -c '' 2>/dev/null; then
    exit 0
fi

found= without_venv=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || continue
    if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
        found=$candidate
        break
    fi
    without_venv=${without_venv:-$candidate}
done
if [ -z "$found" ] && [ -n "$without_venv" ]; then
    echo "$without_venv lacks its venv module; install it (on Debian and Ubuntu: apt install python3-venv)." >&2
    exit 1
elif [ -z "$found" ]; then
    echo "Python 3.11, 3.12 or 3.13 is needed (wordllama has no wheel for newer ones), and none of" \
        "${PYTHON:-python3, python3.13, python3.12, python3.11} is that; PYTHON=/path/to/python names another." >&2
    exit 1
fi

echo "Setting up .venv with $("$found" --version); this is done once and takes a minute or two." >&2
if [ ! -f "$stamp" ] || ! "$python" -c '' 2>/dev/null; then
    rm -rf .venv
    "$found" -m venv .venv
fi
rm -f "$stamp"
"$python" -m pip install -qq --disable-pip-version-check --require-hashes --requirement "$lock"
cp "$lock" "$stamp.unfinished"
mv "$stamp.unfinished" "$stamp"
