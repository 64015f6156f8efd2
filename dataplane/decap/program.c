/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/decap/program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "dataplane/decap/decap.skel.h"

static struct decap_address address_key(const struct address *address)
{
    struct decap_address key;

    memcpy(&key, address->bytes, sizeof(key));
    return key;
}

static int fill_sources(struct decap_bpf *program, const struct options *options)
{
    int map = bpf_map__fd(program->maps.decap_sources);
    uint32_t one = 1;

    for (size_t i = 0; i < options->from_count; i++) {
        const struct options_prefix *from = &options->from[i];
        struct decap_prefix key = {
            .length = from->length + (address_is_v4(&from->address) ? 96 : 0),
        };

        memcpy(key.word, from->address.bytes, sizeof(key.word));
        if (bpf_map_update_elem(map, &key, &one, BPF_ANY))
            return CULVERT_ESYSTEM;
    }
    return 0;
}

int program_open(struct decap_bpf **out, const struct options *options)
{
    struct decap_bpf *program = decap_bpf__open();
    int error = CULVERT_ESYSTEM;

    if (!program)
        return CULVERT_ESYSTEM;
    program->rodata->decap_from_any = options->from_any;
    program->rodata->decap_only_vips = options->vip_count != 0;
    if (decap_bpf__load(program))
        goto fail;
    error = fill_sources(program, options);
    if (!error && options->local_count)
        error = program_set_locals(program, options->local, options->local_count);
    if (error)
        goto fail;
    *out = program;
    return 0;
fail:
    decap_bpf__destroy(program);
    return error;
}

void program_close(struct decap_bpf *program)
{
    decap_bpf__destroy(program);
}

static bool is_listed(const struct address *addresses, size_t count,
                      const struct decap_address *key)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(addresses[i].bytes, key, sizeof(*key)) == 0)
            return true;
    }
    return false;
}

int program_set_locals(struct decap_bpf *program, const struct address *addresses, size_t count)
{
    int map = bpf_map__fd(program->maps.decap_locals);
    struct decap_address key, next, *at = NULL;
    uint32_t one = 1;

    /* A deleted key's successor is asked for before the deletion. */
    for (int left = !bpf_map_get_next_key(map, NULL, &key); left; key = next) {
        at = &key;
        left = !bpf_map_get_next_key(map, at, &next);
        if (!is_listed(addresses, count, at))
            bpf_map_delete_elem(map, at);
    }
    for (size_t i = 0; i < count; i++) {
        key = address_key(&addresses[i]);
        if (bpf_map_update_elem(map, &key, &one, BPF_ANY))
            return CULVERT_ESYSTEM;
    }
    return 0;
}

/* ---- virtual IPs ---- */

int program_add_vip(struct decap_bpf *program, const struct address *vip, uint32_t state)
{
    struct decap_address key = address_key(vip);

    return bpf_map_update_elem(bpf_map__fd(program->maps.decap_vips), &key, &state, BPF_ANY)
               ? CULVERT_ESYSTEM
               : 0;
}

void program_each_vip(int map, program_vip_fn each, void *arg)
{
    struct decap_address key, next;
    int left = !bpf_map_get_next_key(map, NULL, &key);

    for (unsigned i = 0; left && i < DECAP_ADDRESSES_MAX; i++, key = next) {
        struct address vip;
        uint32_t state;

        left = !bpf_map_get_next_key(map, &key, &next);
        if (bpf_map_lookup_elem(map, &key, &state))
            continue;
        memcpy(vip.bytes, &key, sizeof(vip.bytes));
        each(arg, &vip, state);
    }
}

/* ---- a program that another process loaded ---- */

#define MAPS_MAX 16

int program_find_map(uint32_t ifindex, const char *name)
{
    uint32_t ids[MAPS_MAX];
    struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)ids};
    uint32_t length = sizeof(info);
    uint32_t id = attach_find(ifindex);
    int program = id ? bpf_prog_get_fd_by_id(id) : -1;
    int error;

    if (program < 0)
        return CULVERT_ENOTFOUND;
    error = bpf_prog_get_info_by_fd(program, &info, &length);
    close(program);
    if (error || strcmp(info.name, "decap") != 0)
        return CULVERT_ENOTFOUND;
    for (uint32_t i = 0; i < info.nr_map_ids && i < MAPS_MAX; i++) {
        struct bpf_map_info about = {0};
        int map = bpf_map_get_fd_by_id(ids[i]);

        length = sizeof(about);
        if (map < 0)
            continue;
        if (!bpf_map_get_info_by_fd(map, &about, &length) && strcmp(about.name, name) == 0)
            return map;
        close(map);
    }
    return CULVERT_ENOTFOUND;
}

int program_counts(int map, struct decap_count counts[DECAP_RESULT_COUNT])
{
    int cpus = libbpf_num_possible_cpus();
    struct decap_count *each;

    memset(counts, 0, DECAP_RESULT_COUNT * sizeof(*counts));
    if (cpus < 1)
        return CULVERT_ESYSTEM;
    each = calloc((size_t)cpus, sizeof(*each));
    if (!each)
        return CULVERT_ENOMEM;
    for (uint32_t i = 0; i < DECAP_RESULT_COUNT; i++) {
        if (bpf_map_lookup_elem(map, &i, each)) {
            free(each);
            return CULVERT_ESYSTEM;
        }
        for (int cpu = 0; cpu < cpus; cpu++) {
            counts[i].packets += each[cpu].packets;
            counts[i].bytes += each[cpu].bytes;
        }
    }
    free(each);
    return 0;
}

/* ---- pins ---- */

static int pin_path(const struct options *options, char path[PATH_MAX])
{
    int length = snprintf(path, PATH_MAX, "%s/%s", options->pin_dir, options->interface);

    return length > 0 && length < PATH_MAX ? 0 : CULVERT_EINVAL;
}

int program_pin(int link, const struct options *options)
{
    char path[PATH_MAX];

    if (pin_path(options, path))
        return CULVERT_EINVAL;
    if (mkdir(options->pin_dir, 0700) && errno != EEXIST)
        return CULVERT_ESYSTEM;
    return bpf_obj_pin(link, path) ? CULVERT_ESYSTEM : 0;
}

int program_unpin(const struct options *options)
{
    char path[PATH_MAX];
    int link;

    if (pin_path(options, path))
        return CULVERT_EINVAL;
    link = bpf_obj_get(path);
    if (link < 0)
        return errno == ENOENT ? CULVERT_ENOTFOUND : CULVERT_ESYSTEM;
    bpf_link_detach(link); /* fails only when the interface is gone, and the program with it */
    close(link);
    unlink(path);
    rmdir(options->pin_dir); /* when it was the last */
    return 0;
}
