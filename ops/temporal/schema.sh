#!/bin/sh
# Creates Temporal's databases, or brings their schemas up to date. A second run changes nothing.
#
# temporal-sql-tool reads the connection from SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD.
set -eu

: "${SQL_PLUGIN:?}" "${SQL_HOST:?}" "${SQL_PORT:?}" "${SQL_USER:?}" "${SQL_PASSWORD:?}"
schemas=/etc/temporal/schema/postgresql/v12

for store in temporal visibility; do
    case "$store" in
        temporal) database=temporal ;;
        visibility) database=temporal_visibility ;;
    esac
    temporal-sql-tool --db "$database" create-database
    # setup-schema writes version 0.0 into an empty database, and leaves a database with a later version as it is.
    temporal-sql-tool --db "$database" setup-schema --version 0.0
    temporal-sql-tool --db "$database" update-schema --schema-dir "$schemas/$store/versioned"
done
echo "Temporal's schemas are up to date."
