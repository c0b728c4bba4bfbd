/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LMDB: a write transaction a message, nothing synced, the database where the run's directory is (a
 * tmpfs).
 */
#include "peer.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[4096];
static MDB_env *environment;
static MDB_dbi database;

static void must(int code, const char *what)
{
	if (code)
		peer_fail("%s: %s", what, mdb_strerror(code));
}

/* In each process anew: what LMDB has open does not survive a fork. */
static void open_database(size_t bytes)
{
	MDB_txn *transaction;

	must(mdb_env_create(&environment), "create");
	must(mdb_env_set_mapsize(environment, bytes), "map size");
	must(mdb_env_open(environment, path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_WRITEMAP, 0600),
	     "open");
	must(mdb_txn_begin(environment, NULL, 0, &transaction), "begin");
	must(mdb_dbi_open(transaction, NULL, MDB_CREATE | MDB_INTEGERKEY, &database),
	     "open the database");
	must(mdb_txn_commit(transaction), "commit");
}

static size_t map_bytes(const struct peer_options *options)
{
	return (16U << 20) + (size_t)512 * options->tenants;
}

static void create(const struct peer_options *options, const uint64_t *ids)
{
	MDB_txn *transaction;

	if (snprintf(path, sizeof(path), "%s/lmdb", options->directory) >= (int)sizeof(path))
		peer_fail("too long: %s", options->directory);
	open_database(map_bytes(options));
	must(mdb_txn_begin(environment, NULL, 0, &transaction), "begin");
	for (unsigned i = 0; i < options->tenants; i++) {
		struct peer_tenant tenant = { .id = ids[i], .limit = options->limit };
		MDB_val key = { sizeof(tenant.id), &tenant.id },
			value = { sizeof(tenant), &tenant };

		must(mdb_put(transaction, database, &key, &value, MDB_NOOVERWRITE), "put");
	}
	must(mdb_txn_commit(transaction), "commit");
	mdb_env_close(environment);
}

static void attach(const struct peer_options *options, unsigned process)
{
	(void)process;
	open_database(map_bytes(options));
}

static int64_t admit(uint64_t id, uint32_t now)
{
	MDB_txn *transaction;
	MDB_val key = { sizeof(id), &id }, value;
	struct peer_tenant tenant;
	int64_t answer = 0;
	int code;

	must(mdb_txn_begin(environment, NULL, 0, &transaction), "begin");
	code = mdb_get(transaction, database, &key, &value);
	if (!code) {
		memcpy(&tenant, value.mv_data, sizeof(tenant));
		answer = peer_tenant_admit(&tenant, now);
	} else if (code != MDB_NOTFOUND) {
		must(code, "get");
	}
	if (answer > 0) {
		value.mv_data = &tenant;
		must(mdb_put(transaction, database, &key, &value, 0), "put");
		must(mdb_txn_commit(transaction), "commit");
	} else {
		mdb_txn_abort(transaction);
	}
	return answer;
}

static unsigned send(const uint64_t *ids, unsigned count, int64_t *answers)
{
	unsigned admitted = 0;

	for (unsigned i = 0; i < count; i++) {
		int64_t answer = admit(ids[i], peer_second());

		admitted += answer > 0;
		if (answers)
			answers[i] = answer;
	}
	return admitted;
}

static uint64_t total(const struct peer_options *options, const uint64_t *ids)
{
	MDB_txn *transaction;
	uint64_t sum = 0;

	open_database(map_bytes(options));
	must(mdb_txn_begin(environment, NULL, MDB_RDONLY, &transaction), "begin");
	for (unsigned i = 0; i < options->tenants; i++) {
		uint64_t id = ids[i];
		MDB_val key = { sizeof(id), &id }, value;
		struct peer_tenant tenant;

		must(mdb_get(transaction, database, &key, &value), "get");
		memcpy(&tenant, value.mv_data, sizeof(tenant));
		sum += tenant.total;
	}
	mdb_txn_abort(transaction);
	mdb_env_close(environment);
	return sum;
}

static void destroy(void)
{
	char lock[sizeof(path) + 8];

	snprintf(lock, sizeof(lock), "%s-lock", path);
	unlink(path);
	unlink(lock);
}

int main(int argc, char **argv)
{
	static const struct peer peer = { "lmdb", 0, create, attach, send, total, destroy };

	return peer_main(argc, argv, &peer);
}
