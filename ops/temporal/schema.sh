#!/bin/sh
# Creates Temporal's databases, or brings their schemas up to date. Running it again changes nothing.
#
# The connection is in SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD, which temporal-sql-tool reads itself.
set -eu

: "${SQL_PLUGIN:?}" "${SQL_HOST:?}" "${SQL_PORT:?}" "${SQL_USER:?}" "${SQL_PASSWORD:?}"
schemas=/etc/temporal/schema/postgresql/v12

for store in temporal visibility; do
    case "$store" in
        temporal) database=temporal ;;
        visibility) database=temporal_visibility ;;
    esac
    temporal-sql-tool --db "$database" create-database
    # Writes version 0.0 into an empty database only; one with a later version is left as it is.
    temporal-sql-tool --db "$database" setup-schema --version 0.0
    temporal-sql-tool --db "$database" update-schema --schema-dir "$schemas/$store/versioned"
done
echo "Temporal's schemas are up to date."
