package postgres

// The statements. Their texts are constant, so that the driver prepares each of them once per
// connection. They use only what the documentations of PostgreSQL 12 and CockroachDB 22 have in
// common.
const (
	getStatement    = `SELECT value` + ofKey
	hasStatement    = `SELECT 1` + ofKey
	removeStatement = `DELETE` + ofKey + ` RETURNING 1`

	ofKey = ` FROM viakv_items
WHERE generation = (SELECT generation FROM viakv_generation WHERE singleton) AND key = $1`

	// getManyStatement names each key by its place in the batch, where it may stand twice.
	getManyStatement = `SELECT i, value FROM unnest($1::BYTEA[]) WITH ORDINALITY AS batch (k, i) JOIN viakv_items ON key = k
WHERE generation = (SELECT generation FROM viakv_generation WHERE singleton)`

	setStatement = `INSERT INTO viakv_items (generation, key, value)
SELECT generation, $1, $2 FROM viakv_generation WHERE singleton
` + overwriting

	// setManyStatement locks the rows in the order of their keys. So batches that overlap wait for
	// each other, and do not lock each other out.
	setManyStatement = `INSERT INTO viakv_items (generation, key, value)
SELECT generation, k, v FROM viakv_generation, unnest($1::BYTEA[], $2::BYTEA[]) AS batch (k, v) WHERE singleton ORDER BY k
` + overwriting

	overwriting = `ON CONFLICT (generation, key) DO UPDATE SET value = excluded.value`

	clearStatement = `UPDATE viakv_generation SET generation = generation + 1 WHERE singleton RETURNING generation`

	generationStatement = `SELECT generation FROM viakv_generation WHERE singleton`

	pageStatement     = `SELECT key, value` + ofPage
	keysPageStatement = `SELECT key` + ofPage

	// ofPage selects no row when the generation has moved on. A page with rows is therefore known
	// to be current. The scanner asks for the generation only after an empty page.
	ofPage = ` FROM viakv_items
WHERE generation = $1 AND key >= $2 AND key < $3
  AND $1 = (SELECT generation FROM viakv_generation WHERE singleton)
ORDER BY key LIMIT $4`

	probeStatement = `SELECT
  (SELECT generation FROM viakv_generation WHERE singleton),
  (SELECT max(version) FROM viakv_migrations),
  current_setting('transaction_read_only') = 'on',
  ` + mayServe

	sealStatement = `SELECT generation, cursor_key FROM viakv_generation WHERE singleton`

	// claimStatement makes a lease that depends on the database's clock alone.
	claimStatement = `UPDATE viakv_collector SET holder = $1, until = now() + INTERVAL '30 seconds'
WHERE singleton AND (holder = $1 OR until < now())`

	releaseStatement = `UPDATE viakv_collector SET until = now() WHERE singleton AND holder = $1`

	// collectStatement resumes behind the last row deleted. Otherwise each batch would pass the
	// dead entries of the index again.
	collectStatement = `DELETE FROM viakv_items WHERE (generation, key) IN (
  SELECT generation, key FROM viakv_items
  WHERE generation < $1 AND (generation, key) > ($2, $3)
  ORDER BY generation, key LIMIT $4)
RETURNING generation, key`

	privilegeStatement = `SELECT ` + mayServe

	// mayServe tells whether the user has all rights that requests need. The server answers it with
	// the error undefinedTable when one of the tables is gone.
	mayServe = `has_table_privilege('viakv_items', 'SELECT') AND has_table_privilege('viakv_items', 'INSERT')
  AND has_table_privilege('viakv_items', 'UPDATE') AND has_table_privilege('viakv_items', 'DELETE')
  AND has_table_privilege('viakv_generation', 'SELECT') AND has_table_privilege('viakv_generation', 'UPDATE')
  AND has_table_privilege('viakv_collector', 'SELECT') AND has_table_privilege('viakv_collector', 'UPDATE')`
)
