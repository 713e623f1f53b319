#!/bin/sh
# Creates the namespace with its retention and registers Perdure's search attributes. Running it again sets the
# retention and adds what is missing. The server is in TEMPORAL_ADDRESS, which the temporal program reads itself.
set -eu

: "${TEMPORAL_ADDRESS:?}" "${TEMPORAL_NAMESPACE:?}" "${RETENTION:?}"
tries=${WAIT_SECONDS:-60}

# "try until it works": $1 says what is being waited for, the rest is the command.
wait_for() {
    what=$1
    shift
    try=1
    until "$@" >/dev/null 2>&1; do
        if [ "$try" -ge "$tries" ]; then
            echo "Gave up waiting for $what. The last try said:" >&2
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
# The server's services learn of a new namespace one after the other.
wait_for "the namespace $TEMPORAL_NAMESPACE" temporal operator search-attribute list

# One that exists already is left as it is; one that exists with another type is an error, and ends this script.
# One a command: of several in one command the server was seen to keep only some, and to say that it added all.
temporal operator search-attribute create --type Int --name DocumentsTotal
temporal operator search-attribute create --type Int --name DocumentsProcessed
temporal operator search-attribute create --type Int --name DocumentsFailed
temporal operator search-attribute create --type Double --name QualityScore
temporal operator search-attribute create --type Keyword --name PipelineStatus

# A run that sets an attribute before the server knows it would be refused: wait until all can be asked for.
wait_for "the search attributes" temporal workflow list --limit 1 --query \
    'DocumentsTotal >= 0 AND DocumentsProcessed >= 0 AND DocumentsFailed >= 0 AND QualityScore >= 0.0 AND PipelineStatus = "x"'
echo "Namespace $TEMPORAL_NAMESPACE keeps ended runs for $RETENTION and knows Perdure's search attributes."
