/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/fronts/etcd/status.h"

#include "controlplane/base/error.h"

static const struct {
    enum etcd_code code;
    const char *text;
} statuses[] = {
#define X(name, number, words) [ETCD_##name] = {ETCD_CODE_##number, words},
    ETCD_STATUSES(X)
#undef X
};

enum etcd_code etcd_status_code(enum etcd_status status)
{
    return statuses[status].code;
}

const char *etcd_status_text(enum etcd_status status)
{
    return statuses[status].text;
}

enum etcd_status etcd_status_of(int error)
{
    static const struct {
        int error;
        enum etcd_status status;
    } table[] = {
        {CULVERT_OK, ETCD_OK},
        {CULVERT_ENOMEM, ETCD_NO_MEMORY},
        {CULVERT_EINVAL, ETCD_EMPTY_KEY},
        {CULVERT_EFULL, ETCD_TOO_MANY_REQUESTS},
        {CULVERT_ENOTFOUND, ETCD_KEY_NOT_FOUND},
        {CULVERT_EEXIST, ETCD_LEASE_EXISTS},
        {CULVERT_EACCES, ETCD_PERMISSION_DENIED},
        {CULVERT_ECORRUPT, ETCD_CORRUPT},
        {CULVERT_ETIMEOUT, ETCD_TIMEOUT},
        {CULVERT_ECOMPACTED, ETCD_COMPACTED},
        {CULVERT_EFUTURE, ETCD_FUTURE_REVISION},
        {CULVERT_ETOOMANY, ETCD_TOO_MANY_OPS},
        {CULVERT_ETOOLARGE, ETCD_REQUEST_TOO_LARGE},
        {CULVERT_EMANYKEYS, ETCD_MANY_KEYS},
        {CULVERT_EANSWER, ETCD_ANSWER_TOO_LARGE},
        {CULVERT_ENOLEASE, ETCD_LEASE_NOT_FOUND},
        {CULVERT_EQUOTA, ETCD_NO_SPACE},
        {CULVERT_EDUPLICATE, ETCD_DUPLICATE_KEY},
        {CULVERT_ETTL, ETCD_LEASE_TTL_TOO_LARGE},
        {CULVERT_ENOTLEADER, ETCD_NO_LEADER},
        {CULVERT_EUNKNOWN, ETCD_TIMEOUT},
    };

    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].error == error)
            return table[i].status;
    return ETCD_INTERNAL;
}
