#!/bin/sh
# Creates the namespace with its retention and registers Perdure's search attributes. A second run sets the retention
# and adds the attributes that are missing. The program `temporal` reads the server's address from TEMPORAL_ADDRESS.
set -eu

: "${TEMPORAL_ADDRESS:?}" "${TEMPORAL_NAMESPACE:?}" "${RETENTION:?}"
tries=${WAIT_SECONDS:-60}

# Repeats a command until it succeeds. $1 describes what the script waits for; the other arguments are the command.
wait_for() {
    what=$1
    shift
    try=1
    until "$@" >/dev/null 2>&1; do
        if [ "$try" -ge "$tries" ]; then
            echo "Gave up waiting for $what. The output of the last attempt:" >&2
            "$@" >&2
            exit 1
        fi
        try=$((try + 1))
        sleep 1
    done
}

wait_for "the Temporal server at $TEMPORAL_ADDRESS" temporal operator cluster health

if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
else
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION" \
        --description "Perdure: durable document processing"
fi
# The services of the server read a new namespace one after the other.
wait_for "the namespace $TEMPORAL_NAMESPACE" temporal operator search-attribute list

# The command leaves an existing attribute as it is. An existing attribute of another type is an error and ends the
# script. Each command adds one attribute: given several, the server kept only some and reported all as added.
temporal operator search-attribute create --type Int --name DocumentsTotal
temporal operator search-attribute create --type Int --name DocumentsProcessed
temporal operator search-attribute create --type Int --name DocumentsFailed
temporal operator search-attribute create --type Double --name QualityScore
temporal operator search-attribute create --type Keyword --name PipelineStatus

# The server refuses a run that sets an unknown attribute, so wait until a query may name all attributes.
wait_for "the search attributes" temporal workflow list --limit 1 --query \
    'DocumentsTotal >= 0 AND DocumentsProcessed >= 0 AND DocumentsFailed >= 0 AND QualityScore >= 0.0 AND PipelineStatus = "x"'
echo "Namespace $TEMPORAL_NAMESPACE keeps ended runs for $RETENTION and knows Perdure's search attributes."
