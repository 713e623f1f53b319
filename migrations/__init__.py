"""The numbered migrations of the database, as `.sql` files that an installed program finds too.

This package holds no code and imports nothing. Start reading in `0001_documents.sql`; `schema.sql` shows the result.
`perdure.stores.postgres.migrations` applies the files.
"""
