/* SPDX-License-Identifier: Apache-2.0 */
/* Explain: a data plane says what it would do with a frame; here its steps get words. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/fronts/http/api.h"
#include "controlplane/fronts/http/explain_text.h"

#define FRAME_MAX 9216u
#define FRAME_MIN 14u

/* ---- the request ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hexadecimal to bytes; the number of them, 0: not a frame. */
static size_t decode_frame(yyjson_val *value, uint8_t *frame, size_t most)
{
    const char *text = yyjson_get_str(value);
    size_t length = yyjson_get_len(value);

    if (!text || length % 2 || length > 2 * most || length < 2 * FRAME_MIN)
        return 0;
    for (size_t i = 0; i < length; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);

        if (high < 0 || low < 0)
            return 0;
        frame[i / 2] = (uint8_t)(high << 4 | low);
    }
    return length / 2;
}

struct find_interface {
    const char *name;
    const char *plane; /* the data plane that has it */
    uint32_t ifindex;  /* found; 0: no */
};

static void find_interface(void *arg, const struct plane_info *info)
{
    struct find_interface *find = arg;
    yyjson_doc *state;
    yyjson_val *item;
    size_t i, count;

    if (!info->connected || !info->state || find->ifindex)
        return;
    state = yyjson_read(info->state, strlen(info->state), 0);
    yyjson_arr_foreach (yyjson_obj_get(yyjson_doc_get_root(state), "interfaces"), i, count, item) {
        const char *name = yyjson_get_str(yyjson_obj_get(item, "name"));

        if (!name || strcmp(name, find->name) != 0)
            continue;
        find->plane = info->name;
        find->ifindex = (uint32_t)yyjson_get_uint(yyjson_obj_get(item, "ifindex"));
    }
    yyjson_doc_free(state);
}

/* ---- the answer ---- */

static void add_texts(struct daemon *daemon, yyjson_mut_doc *doc)
{
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *step;
    struct buffer text = {0};
    size_t i, count;

    yyjson_mut_arr_foreach(yyjson_mut_obj_get(root, "steps"), i, count, step)
    {
        const char *what = yyjson_mut_get_str(yyjson_mut_obj_get(step, "what"));
        uint64_t a = yyjson_mut_get_uint(yyjson_mut_obj_get(step, "a"));
        uint64_t b = yyjson_mut_get_uint(yyjson_mut_obj_get(step, "b"));

        buffer_clear(&text);
        explain_step(daemon, what ? what : "", a, b, &text);
        yyjson_mut_obj_add_strcpy(doc, step, "text", text.data ? text.data : "");
    }
    buffer_free(&text);
}

static void add_leaves(yyjson_mut_doc *doc, yyjson_val *answer)
{
    static uint8_t frame[2 * FRAME_MAX];
    const char *verdict = yyjson_get_str(yyjson_obj_get(answer, "verdict"));
    const char *reason = yyjson_get_str(yyjson_obj_get(answer, "reason"));
    size_t length = decode_frame(yyjson_obj_get(answer, "frame"), frame, sizeof(frame));
    struct buffer text = {0};

    if (!length || !verdict || (strcmp(verdict, "tx") && strcmp(verdict, "forward")))
        return;
    explain_leaves(frame, length, reason ? reason : "", &text);
    yyjson_mut_obj_add_strcpy(doc, yyjson_mut_doc_get_root(doc), "leaves",
                              text.data ? text.data : "");
    buffer_free(&text);
}

static void explained(void *arg, int error, const char *json, size_t length)
{
    struct http_exchange *exchange = arg;
    yyjson_doc *answer = error ? NULL : yyjson_read(json, length, 0);
    yyjson_mut_doc *doc = answer ? yyjson_doc_mut_copy(answer, NULL) : NULL;
    struct buffer reply = {0};
    char *text = NULL;

    if (doc) {
        add_texts(exchange->app, doc);
        add_leaves(doc, yyjson_doc_get_root(answer));
        text = yyjson_mut_write(doc, 0, NULL);
    }
    yyjson_mut_doc_free(doc);
    yyjson_doc_free(answer);
    if (text) {
        buffer_text(&reply, text);
        api_respond(exchange, 200, &reply);
    } else {
        api_respond_error(exchange, error == CULVERT_ETIMEOUT ? error : CULVERT_EBUSY,
                          error ? "the data plane did not answer"
                                : "the data plane's answer can't be read");
    }
    free(text);
}

/* ---- the question ---- */

static bool only_dpdk(const struct site_counts *counts)
{
    return counts->dpdk_interfaces && counts->dpdk_interfaces == counts->interfaces;
}

static void ask_explain(struct http_exchange *exchange, yyjson_val *root)
{
    struct daemon *daemon = exchange->app;
    static uint8_t frame[FRAME_MAX];
    struct find_interface find = {.name = yyjson_get_str(yyjson_obj_get(root, "interface"))};
    size_t length = decode_frame(yyjson_obj_get(root, "frame"), frame, sizeof(frame));
    int error;

    if (!length) {
        http_respond_error(exchange, 400, "`frame` must be an Ethernet frame in hexadecimal", NULL);
        return;
    }
    if (find.name)
        planes_each(daemon->planes, find_interface, &find);
    if (find.name && !find.ifindex) {
        http_respond_error(exchange, 404, "no data plane has an interface of that name",
                           "see `culvert status`");
        return;
    }
    error = planes_ask_explain(daemon->planes, find.plane, find.ifindex, frame, length, explained,
                               exchange);
    if (error == CULVERT_ENOTFOUND)
        http_respond_error(exchange, 503, "no data plane is connected",
                           only_dpdk(&daemon->counts) ? "start culvert-dpdk" : "start culvert-xdp");
    else if (error)
        api_respond_error(exchange, error, "too many ask the data plane at once");
}

void api_explain(struct http_exchange *exchange)
{
    const struct http_request *request = exchange->request;
    yyjson_doc *doc = request->body ? yyjson_read(request->body, request->body_length, 0) : NULL;

    if (doc)
        ask_explain(exchange, yyjson_doc_get_root(doc));
    else
        http_respond_error(exchange, 400, "the body is not JSON", NULL);
    yyjson_doc_free(doc);
}
