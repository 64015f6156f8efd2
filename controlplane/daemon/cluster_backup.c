/* SPDX-License-Identifier: Apache-2.0 */
/* A dump of the store, read out piece by piece. */
#include "controlplane/base/error.h"
#include "controlplane/core/machine.h"
#include "controlplane/daemon/cluster_internal.h"

#define PIECE_BYTES ((size_t)1 << 20)
#define IDLE_TICKS (60u * 1000 / CLUSTER_TICK_MS)

static const struct machine_ops *ops_of(const struct cluster *cluster)
{
    return kv_store_machine(cluster->store)->ops;
}

void cluster_backup_close(struct cluster *cluster)
{
    if (cluster->backup.dump)
        ops_of(cluster)->dump_close(cluster->backup.dump);
    cluster->backup.dump = NULL;
}

void cluster_backup_tick(struct cluster *cluster)
{
    if (cluster->backup.id && cluster->ticks - cluster->backup.used > IDLE_TICKS) {
        cluster_backup_close(cluster);
        cluster->backup.id = 0;
    }
}

int cluster_backup_begin(struct cluster *cluster, uint64_t *id)
{
    uint64_t index;
    int error;

    cluster_backup_close(cluster);
    error =
        ops_of(cluster)->dump_open(kv_store_machine(cluster->store), &cluster->backup.dump, &index);
    if (error) {
        cluster->backup.dump = NULL;
        return error;
    }
    cluster_env(cluster)->ops->random(cluster_env(cluster), id, sizeof(*id));
    *id |= 1;
    cluster->backup.id = *id;
    cluster->backup.used = cluster->ticks;
    return 0;
}

int cluster_backup_next(struct cluster *cluster, uint64_t id, struct buffer *chunk)
{
    int more;

    if (!id || id != cluster->backup.id)
        return CULVERT_ENOTFOUND;
    cluster->backup.used = cluster->ticks;
    if (!cluster->backup.dump)
        return 0;
    more = ops_of(cluster)->dump_next(cluster->backup.dump, PIECE_BYTES, chunk);
    if (more <= 0)
        cluster_backup_close(cluster);
    return more < 0 ? more : chunk->error;
}
