/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/xdp/program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "culvert.skel.h"
#include "dataplane/fastpath/env.h"
#include "dataplane/plane/arguments.h"
#include "dataplane/xdp/pins.h"

#define PAGE ((size_t)4096) /* of the arena: x86-64 */

static int map_info(int fd, struct bpf_map_info *info)
{
    uint32_t length = sizeof(*info);

    memset(info, 0, sizeof(*info));
    return bpf_map_get_info_by_fd(fd, info, &length);
}

/* Maps the whole arena where program and processes agree it is. */
static void *map_arena(int fd, size_t size)
{
    void *base = mmap((void *)(uintptr_t)FP_ARENA_BASE, size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);

    return base == MAP_FAILED ? NULL : base;
}

/* The pinned arena, mapped, when its layout and size fit. Returns its descriptor or -1, and its
 * id (0: nothing is pinned). */
static int open_pinned(struct program *program, const char *pin_dir, size_t memory)
{
    char path[PINS_PATH_BYTES];
    const struct fp_root *root;
    struct bpf_map_info info;
    int fd;

    pins_path(pin_dir, "arena", path);
    fd = bpf_obj_get(path);
    if (fd < 0)
        return -1;
    if (map_info(fd, &info)) {
        close(fd);
        return -1;
    }
    program->arena_id = info.id;
    program->size = (size_t)info.max_entries * PAGE;
    if (info.type == BPF_MAP_TYPE_ARENA && info.map_extra == FP_ARENA_BASE &&
        (!memory || memory == program->size)) {
        program->base = map_arena(fd, program->size);
        root = program->base;
        if (root && (root->magic == 0 ||
                     (root->magic == FP_REGION_MAGIC && root->layout == FP_REGION_LAYOUT)))
            return fd;
    }
    if (program->base)
        munmap(program->base, program->size);
    program->base = NULL;
    close(fd);
    return -1;
}

/* The skeleton gives the object's bytes; maps and programs are found by name. */
static int open_object(struct program *program)
{
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "culvert");
    size_t length;
    const void *bytes = culvert__elf_bytes(&length);

    program->object = bpf_object__open_mem(bytes, length, &options);
    if (program->object)
        program->map = bpf_object__find_map_by_name(program->object, "arena");
    if (program->map)
        return 0;
    log_error("can't open the XDP program: %s", strerror(errno));
    return CULVERT_ESYSTEM;
}

static int load_object(struct program *program, int pinned)
{
    int error = open_object(program);

    if (error)
        return error;
    if (bpf_map__set_max_entries(program->map, (uint32_t)(program->size / PAGE)) ||
        (pinned >= 0 && bpf_map__reuse_fd(program->map, pinned))) {
        log_error("can't set up the arena of %zu MiB: %s", program->size >> 20, strerror(errno));
        return CULVERT_ESYSTEM;
    }
    if (bpf_object__load(program->object)) {
        log_error("the kernel refuses the XDP program: %s (--log-level debug shows its words)",
                  strerror(errno));
        return CULVERT_ESYSTEM;
    }
    program->fd = bpf_program__fd(bpf_object__find_program_by_name(program->object, "culvert_xdp"));
    program->ports = bpf_object__find_map_fd_by_name(program->object, "ports");
    return 0;
}

int program_load(struct program *program, const char *pin_dir, size_t memory, bool anew)
{
    size_t mapped = 0;
    int pinned;
    int error;

    memset(program, 0, sizeof(*program));
    program->fd = -1;
    pinned = open_pinned(program, pin_dir, memory);
    if (pinned >= 0 && anew) {
        munmap(program->base, program->size);
        program->base = NULL;
        close(pinned);
        pinned = -1;
    }
    program->arena = pinned >= 0         ? PROGRAM_ARENA_REUSED
                     : program->arena_id ? PROGRAM_ARENA_BESIDE
                                         : PROGRAM_ARENA_NEW;
    if (pinned < 0)
        program->size = memory ? memory : MEMORY_DEFAULT;
    error = load_object(program, pinned);
    if (pinned >= 0)
        close(pinned);
    if (!error && !program->base) { /* libbpf maps an arena that it makes */
        program->base = bpf_map__initial_value(program->map, &mapped);
        if (!program->base) {
            log_error("the arena could not be mapped");
            error = CULVERT_ESYSTEM;
        }
    }
    if (error)
        program_unload(program);
    return error;
}

void program_unload(struct program *program)
{
    if (program->arena == PROGRAM_ARENA_REUSED && program->base)
        munmap(program->base, program->size);
    bpf_object__close(program->object); /* unmaps an arena that it made */
    program->object = NULL;
    program->map = NULL;
    program->base = NULL;
    program->fd = -1;
}

bool program_is_current(const struct program *program, const char *pin_dir)
{
    char path[PINS_PATH_BYTES];
    struct bpf_map_info info = {0};
    int fd;

    pins_path(pin_dir, "arena", path);
    fd = bpf_obj_get(path);
    if (fd >= 0) {
        if (map_info(fd, &info))
            info.id = 0;
        close(fd);
    }
    return info.id == program->arena_id;
}

int program_pin(struct program *program, const char *pin_dir)
{
    char path[PINS_PATH_BYTES];

    if (program->arena == PROGRAM_ARENA_REUSED)
        return 0;
    pins_path(pin_dir, "arena_next", path);
    unlink(path); /* left by one that died before its arena was filled */
    if (program->arena == PROGRAM_ARENA_NEW)
        pins_path(pin_dir, "arena", path);
    if (bpf_map__pin(program->map, path)) {
        log_error("can't pin %s: %s", path, strerror(errno));
        return CULVERT_ESYSTEM;
    }
    return 0;
}

int program_promote(struct program *program, const char *pin_dir)
{
    char next[PINS_PATH_BYTES];
    char path[PINS_PATH_BYTES];

    if (program->arena != PROGRAM_ARENA_BESIDE)
        return 0;
    pins_path(pin_dir, "arena_next", next);
    pins_path(pin_dir, "arena", path);
    if (rename(next, path)) {
        log_error("can't rename %s to %s: %s", next, path, strerror(errno));
        return CULVERT_ESYSTEM;
    }
    program->arena = PROGRAM_ARENA_NEW;
    return 0;
}
