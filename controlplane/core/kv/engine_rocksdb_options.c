/* SPDX-License-Identifier: Apache-2.0 */
/* How RocksDB is set up: small in memory, and giving space back by itself. */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/engine_rocksdb.h"

#define BLOCK_BYTES ((size_t)8 << 10)
#define FILTER_BITS 10       /* a key: one look-up in a hundred reads a block in vain */
#define MEMTABLE_FILTER 0.02 /* of the memtable, for a filter of its own */
#define DELETE_WINDOW 4096   /* keys in a row... */
#define DELETE_TRIGGER 2048  /* ...of which so many deletions make a file be compacted */
#define STALE_SECONDS 86400u /* a file is compacted anew when older */
#define FILE_BYTES ((uint64_t)32 << 20)
#define OPEN_FILES 256
#define LEVELS 7 /* RocksDB's own number */

static void table_options(struct rocks_engine *engine)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();

    rocksdb_block_based_options_set_block_cache(table, engine->cache);
    rocksdb_block_based_options_set_block_size(table, BLOCK_BYTES);
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom(FILTER_BITS));
    rocksdb_block_based_options_set_format_version(table, 5);
    rocksdb_options_set_block_based_table_factory(engine->options, table);
    rocksdb_block_based_options_destroy(table);
}

int rocks_options_make(struct rocks_engine *engine, const struct kv_rocksdb_options *options)
{
    /* What memtables become is soon merged into what is below: no time for it. */
    static const int compressions[LEVELS] = {
        rocksdb_no_compression,  rocksdb_lz4_compression, rocksdb_lz4_compression,
        rocksdb_lz4_compression, rocksdb_lz4_compression, rocksdb_lz4_compression,
        rocksdb_lz4_compression,
    };
    size_t cache = options && options->cache ? options->cache : KV_ROCKSDB_CACHE;
    size_t memtable = options && options->memtable ? options->memtable : KV_ROCKSDB_MEMTABLE;
    rocksdb_options_t *set = rocksdb_options_create();

    engine->options = set;
    engine->cache = rocksdb_cache_create_lru(cache);
    engine->read = rocksdb_readoptions_create();
    engine->write = rocksdb_writeoptions_create();
    engine->flush = rocksdb_flushoptions_create();
    engine->writes = rocksdb_writebatch_create();
    if (!set || !engine->cache || !engine->read || !engine->write || !engine->flush ||
        !engine->writes)
        return CULVERT_ENOMEM;
    rocksdb_set_perf_level(rocksdb_disable); /* this thread's comparisons are not counted */
    rocksdb_writeoptions_disable_WAL(engine->write, 1);
    rocksdb_flushoptions_set_wait(engine->flush, 1);
    rocksdb_options_set_create_if_missing(set, 1);
    rocksdb_options_set_paranoid_checks(set, 1);
    rocksdb_options_set_write_buffer_size(set, memtable);
    rocksdb_options_set_max_write_buffer_number(set, 3);
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(set, MEMTABLE_FILTER);
    rocksdb_options_set_memtable_whole_key_filtering(set, 1);
    rocksdb_options_set_max_background_jobs(set, 2);
    rocksdb_options_set_max_open_files(set, OPEN_FILES);
    rocksdb_options_set_compression_per_level(set, compressions, LEVELS);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(set, 1);
    rocksdb_options_set_target_file_size_base(set, FILE_BYTES);
    rocksdb_options_set_periodic_compaction_seconds(set, STALE_SECONDS);
    rocksdb_options_add_compact_on_deletion_collector_factory(set, DELETE_WINDOW, DELETE_TRIGGER);
    rocksdb_options_set_keep_log_file_num(set, 2);
    rocksdb_options_set_max_log_file_size(set, (size_t)1 << 20);
    rocksdb_options_set_info_log_level(set, 2); /* warnings */
    rocksdb_options_set_stats_dump_period_sec(set, 0);
    rocksdb_options_set_stats_persist_period_sec(set, 0);
    table_options(engine);
    return 0;
}

void rocks_options_free(struct rocks_engine *engine)
{
    if (engine->writes)
        rocksdb_writebatch_destroy(engine->writes);
    if (engine->flush)
        rocksdb_flushoptions_destroy(engine->flush);
    if (engine->write)
        rocksdb_writeoptions_destroy(engine->write);
    if (engine->read)
        rocksdb_readoptions_destroy(engine->read);
    if (engine->cache)
        rocksdb_cache_destroy(engine->cache);
    if (engine->options)
        rocksdb_options_destroy(engine->options);
}
