#!/bin/sh
# Write requirements.lock (what the program needs) and requirements-dev.lock (that, and what tests and builds need).
# Both name every package with its hashes, for Python 3.11 to 3.13. `uv` must be on the PATH; versions that are locked
# stay as they are, unless `--upgrade` or `--upgrade-package NAME` is given.
set -eu
cd "$(dirname "$0")/.."

compile() {
    uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-header --python-version 3.11 "$@"
}
compile --group dev --output-file requirements-dev.lock "$@"
# uv keeps the versions of the file that it replaces, so both locks name the same ones.
cp requirements-dev.lock requirements.lock
compile --output-file requirements.lock
