/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/plane/explain.h"

#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "dataplane/fastpath/env.h"
#include "dataplane/fastpath/fastpath.h"
#include "dataplane/kernel/routes.h"
#include "dataplane/plane/clock.h"

#define HEAD_ROOM 256u /* XDP_PACKET_HEADROOM */
#define TAIL_ROOM 4096u
#define STEPS_MAX 256u

struct steps {
    yyjson_mut_doc *doc;
    yyjson_mut_val *list;
    size_t count;
};

struct kernel_way {
    struct rtnl *rtnl;
    const struct devices *devices;
};

static void take_step(void *arg, const char *stage, const char *what, fp_u64 a, fp_u64 b)
{
    struct steps *steps = arg;
    yyjson_mut_val *step;

    if (steps->count++ >= STEPS_MAX)
        return;
    step = yyjson_mut_arr_add_obj(steps->doc, steps->list);
    yyjson_mut_obj_add_str(steps->doc, step, "stage", stage);
    yyjson_mut_obj_add_str(steps->doc, step, "what", what);
    yyjson_mut_obj_add_uint(steps->doc, step, "a", a);
    yyjson_mut_obj_add_uint(steps->doc, step, "b", b);
}

static int find_way(void *arg, const fp_u8 address[16], struct fp_nexthop *out)
{
    const struct kernel_way *way = arg;

    return way_find(way->rtnl, way->devices, address, out) == 0;
}

static const char *reason_label(unsigned reason, const char **text)
{
    switch (reason) {
#define X(name, number, verdict, label, words)                                                     \
    case number:                                                                                   \
        *text = words;                                                                             \
        return label;
        FP_REASONS(X)
#undef X
    default:
        *text = "unknown reason";
        return "unknown";
    }
}

static const char *verdict_name(unsigned verdict)
{
    static const char *const names[] = {"pass", "tx", "forward", "drop"};

    return verdict < sizeof(names) / sizeof(names[0]) ? names[verdict] : "unknown";
}

static void add_frame(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct fp_packet *packet)
{
    static const char digits[] = "0123456789abcdef";
    size_t length = (size_t)(packet->end - packet->data);
    char *hex = malloc(length * 2 + 1);

    if (!hex)
        return;
    for (size_t i = 0; i < length; i++) {
        hex[i * 2] = digits[packet->data[i] >> 4];
        hex[i * 2 + 1] = digits[packet->data[i] & 15];
    }
    hex[length * 2] = '\0';
    yyjson_mut_obj_add_strcpy(doc, root, "frame", hex);
    free(hex);
}

/* Runs the frame that lies in `buffer` behind the head room. */
static char *explain_in(uint8_t *buffer, size_t length, uint32_t ifindex, struct tables *tables,
                        struct kernel_way *way)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct fp_root *region = tables_base(tables);
    struct steps steps = {.doc = doc};
    struct fp_packet packet = {
        .data = buffer + HEAD_ROOM,
        .end = buffer + HEAD_ROOM + length,
        .ifindex = ifindex,
        .head = buffer,
        .limit = buffer + HEAD_ROOM + length + TAIL_ROOM,
    };
    struct fp_env env = {
        .base = region,
        .generation = __atomic_load_n(&region->generation, __ATOMIC_ACQUIRE),
        .now = plane_now(),
        .dry = 1,
        .trace = take_step,
        .trace_arg = &steps,
        .route = find_way,
        .route_arg = way,
    };
    struct fp_result result;
    yyjson_mut_val *root;
    const char *text;
    char *json;

    if (!doc)
        return NULL;
    root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    steps.list = yyjson_mut_arr(doc);
    result = fp_process(&env, &packet);
    yyjson_mut_obj_add_str(doc, root, "verdict", verdict_name(result.verdict));
    yyjson_mut_obj_add_str(doc, root, "reason", reason_label(result.reason, &text));
    yyjson_mut_obj_add_str(doc, root, "text", text);
    yyjson_mut_obj_add_val(doc, root, "steps", steps.list);
    if (result.verdict == FP_VERDICT_FORWARD)
        yyjson_mut_obj_add_uint(doc, root, "ifindex", result.ifindex);
    if (result.verdict != FP_VERDICT_DROP)
        add_frame(doc, root, &packet);
    json = yyjson_mut_write(doc, 0, NULL);
    yyjson_mut_doc_free(doc);
    return json;
}

char *explain_frame(struct tables *tables, struct rtnl *rtnl, const struct devices *devices,
                    uint32_t ifindex, const void *frame, size_t length)
{
    struct kernel_way way = {.rtnl = rtnl, .devices = devices};
    uint8_t *buffer;
    char *json;

    if (length < 14 || length > EXPLAIN_FRAME_MAX)
        return strdup("{\"error\": \"a frame has 14 to 9216 bytes\"}");
    buffer = calloc(1, HEAD_ROOM + length + TAIL_ROOM);
    if (!buffer)
        return NULL;
    memcpy(buffer + HEAD_ROOM, frame, length);
    json = explain_in(buffer, length, ifindex, tables, &way);
    free(buffer);
    return json;
}
