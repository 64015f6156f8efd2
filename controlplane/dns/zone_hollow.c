/* SPDX-License-Identifier: Apache-2.0 */
/* The names above the zones. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/dns/zone.h"
#include "controlplane/dns/zone_key.h"
#include "dataplane/fastpath/dns_layout.h"

static int compare_names(const void *a, const void *b)
{
    return name_compare(&((*(struct name_buffer *const *)a)->name),
                        &((*(struct name_buffer *const *)b)->name));
}

static unsigned shared_labels(const struct name *a, const struct name *b)
{
    unsigned labels = 0;

    for (size_t i = 0; i < a->key_length && i < b->key_length && a->key[i] == b->key[i]; i++)
        labels += !a->key[i];
    return labels;
}

static int emit_above(const struct name *apex, unsigned from, const uint64_t dns_key[2],
                      zone_emit_fn emit, void *arg)
{
    for (unsigned labels = from; labels < apex->labels; labels++) {
        struct name name = name_suffix(apex, labels);
        struct fp_key key = zone_key(&name, FP_DNS_KEY_NODE, dns_key);
        struct fp_dns_node node = {
            .flags = FP_DNS_HOLLOW, .name_length = name.length, .labels = name.labels};
        int error = emit(arg, &key, &node, sizeof(node));

        if (error)
            return error;
    }
    return 0;
}

int zone_hollows_compile(const char *const *apexes, size_t apexes_count, const uint64_t dns_key[2],
                         zone_emit_fn emit, void *arg)
{
    struct name_buffer *names = malloc((apexes_count + 1) * sizeof(*names));
    struct name_buffer **order = malloc((apexes_count + 1) * sizeof(struct name_buffer *));
    const struct name *last = NULL;
    size_t count = 0;
    int error = names && order ? 0 : CULVERT_ENOMEM;

    for (size_t i = 0; i < apexes_count && !error; i++) {
        if (name_from_text(&names[count], apexes[i])) {
            order[count] = &names[count];
            count++;
        }
    }
    if (!error)
        qsort(order, count, sizeof(*order), compare_names);
    for (size_t i = 0; i < count && !error; i++) {
        const struct name *apex = &order[i]->name;

        /* A zone inside another one has that zone's names above it. */
        if (last && name_is_within(apex, last))
            continue;
        error = emit_above(apex, (last ? shared_labels(apex, last) : 0) + 1, dns_key, emit, arg);
        last = apex;
    }
    free(order);
    free(names);
    return error;
}
