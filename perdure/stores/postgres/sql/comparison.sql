-- The statements that compare the outputs of runs. Rows are compared by digests, 64 bytes for each row, however long
-- its text is.

-- name: row_digest
-- A part of other statements: the digest of one row of {columns}.
encode(sha256(convert_to(ROW({columns})::text, 'UTF8')), 'hex')

-- name: digest_output
-- Makes a digest of all rows of an output. The digest does not depend on the order of the rows.
SELECT encode(sha256(convert_to(coalesce(
           string_agg(row_digest, '' ORDER BY row_digest COLLATE "C"), ''), 'UTF8')), 'hex')
FROM (SELECT {row_digest} AS row_digest
      FROM {table} WHERE workflow_id = :workflow_id) AS rows

-- name: digest_subjects
-- A part of other statements: one digest of the rows of each subject of the run {run}.
SELECT {subject} AS subject, count(*) AS rows,
       sha256(convert_to(string_agg({row_digest}, '' ORDER BY {row_digest} COLLATE "C"), 'UTF8')) AS digest
FROM {table} WHERE workflow_id = {run} GROUP BY 1

-- name: compare_subjects
-- Lists the subjects whose rows differ between two runs, at most :limit, and counts them all.
WITH left_run AS ({left_subjects}), right_run AS ({right_subjects})
SELECT coalesce(left_run.subject, right_run.subject) COLLATE "C" AS subject, coalesce(left_run.rows, 0) AS in_one,
       coalesce(right_run.rows, 0) AS in_other, count(*) OVER () AS differences
FROM left_run FULL JOIN right_run ON left_run.subject = right_run.subject
WHERE left_run.digest IS DISTINCT FROM right_run.digest
ORDER BY 1 LIMIT :limit
