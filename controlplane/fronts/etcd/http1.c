/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/internal.h"

struct etcd_http1 { int x; };
int etcd_http1_new(struct etcd_connection *connection)
{
    return CULVERT_EPROTO;
}
void etcd_http1_free(struct etcd_http1 *http1)
{
}
int etcd_http1_input(struct etcd_connection *connection, const uint8_t *data, size_t length)
{
    return CULVERT_EPROTO;
}
int etcd_http1_output(struct etcd_connection *connection, struct buffer *to, size_t bound)
{
    return 0;
}
bool etcd_http1_done(const struct etcd_connection *connection)
{
    return true;
}
