/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <ldns/ldns.h> /* defines its own bool unless there is one */

#include "controlplane/base/error.h"
#include "controlplane/base/units.h"
#include "controlplane/cli/command.h"
#include "controlplane/cli/flow.h"
#include "controlplane/cli/show.h"
#include "controlplane/cli/table.h"
#include "dataplane/fastpath/build.h"

#define FRAME_MAX 1514u
#define QUERY_MAX 300u

/* ---- the packet ---- */

/* The first address that DNS is served at, for a query without --to. */
static int find_listener(struct cli *cli, struct flow_end *to)
{
    yyjson_doc *doc;
    yyjson_val *list;
    const char *text;
    int code = cli_call(cli, "GET", "/v1/site?path=dns.listen&stale=true", NULL, 0, &doc);

    if (code)
        return code;
    list = yyjson_obj_get(yyjson_doc_get_root(doc), "value");
    text = yyjson_get_str(yyjson_is_arr(list) ? yyjson_arr_get_first(list) : list);
    if (!text || units_parse_address(text, &to->address)) {
        cli_error("the site serves DNS nowhere: name an address with --to");
        code = CLI_FAILED;
    }
    yyjson_doc_free(doc);
    return code;
}

static int read_ends(struct cli *cli, struct flow_end *from, struct flow_end *to)
{
    const char *from_text = cli_option(cli, "from"), *to_text = cli_option(cli, "to");
    const char *problem = NULL;

    if (!from_text || (!to_text && !cli_option(cli, "query"))) {
        cli_error("usage: culvert explain --from ADDRESS[:PORT] --to ADDRESS:PORT[/tcp|udp|icmp], "
                  "or --from ADDRESS --query NAME TYPE");
        return CLI_USAGE;
    }
    problem = flow_end_parse(from_text, from);
    if (problem) {
        cli_error("--from %s: %s", from_text, problem);
        return CLI_USAGE;
    }
    if (!to_text)
        return find_listener(cli, to);
    problem = flow_end_parse(to_text, to);
    if (problem)
        cli_error("--to %s: %s", to_text, problem);
    return problem ? CLI_USAGE : CLI_OK;
}

/* A DNS query in wire format (RFC 1035 section 4.1), with EDNS. */
static int build_query(struct cli *cli, uint8_t *out, size_t *length)
{
    const char *name = cli_option(cli, "query"), *type_text = cli_option_second(cli, "query");
    static const uint8_t header[12] = {0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1};
    static const uint8_t edns[11] = {0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0}; /* 1232 bytes */
    ldns_rr_type type = ldns_get_rr_type_by_name(type_text);
    ldns_rdf *wire = NULL;
    size_t name_length;

    if (!type || ldns_str2rdf_dname(&wire, name) != LDNS_STATUS_OK) {
        cli_error("--query takes a domain name and a type such as A or AAAA, not `%s` `%s`", name,
                  type_text);
        return CLI_USAGE;
    }
    name_length = ldns_rdf_size(wire);
    memcpy(out, header, sizeof(header));
    memcpy(out + 12, ldns_rdf_data(wire), name_length);
    ldns_rdf_deep_free(wire);
    out += 12 + name_length;
    *out++ = (uint8_t)(type >> 8);
    *out++ = (uint8_t)type;
    *out++ = 0;
    *out++ = 1; /* IN */
    memcpy(out, edns, sizeof(edns));
    *length = 12 + name_length + 4 + sizeof(edns);
    return CLI_OK;
}

static int fill_spec(struct cli *cli, struct fp_build_spec *spec, uint8_t query[QUERY_MAX])
{
    struct flow_end from = {.protocol = FLOW_ANY}, to = {.protocol = FLOW_ANY};
    bool is_query = cli_option(cli, "query");
    int code = read_ends(cli, &from, &to);

    if (code)
        return code;
    if (address_is_v4(&from.address) != address_is_v4(&to.address)) {
        cli_error("--from and --to must both be IPv4 or both IPv6");
        return CLI_USAGE;
    }
    if (to.protocol == FLOW_ANY)
        to.protocol = is_query ? FLOW_UDP : to.has_port ? FLOW_TCP : FLOW_ICMP;
    if (to.protocol != FLOW_ICMP && !to.has_port && !is_query) {
        cli_error("--to needs a port: ADDRESS:PORT/tcp");
        return CLI_USAGE;
    }
    spec->family = address_is_v4(&from.address) ? 4 : 6;
    memcpy(spec->source, from.address.bytes, 16);
    memcpy(spec->destination, to.address.bytes, 16);
    spec->sport = from.has_port ? from.port : 40000;
    spec->dport = to.has_port ? to.port : 53;
    if (to.protocol == FLOW_ICMP) {
        spec->protocol = spec->family == 4 ? FP_IP_ICMP : FP_IP_ICMPV6;
        spec->type = spec->family == 4 ? 8 : 128; /* echo request */
        spec->rest = 1 << 16 | 1;
    } else {
        spec->protocol = to.protocol == FLOW_TCP ? FP_IP_TCP : FP_IP_UDP;
        spec->tcp_flags = cli_option(cli, "syn") ? 0x02 : 0x10; /* SYN, else ACK */
    }
    if (!is_query)
        return CLI_OK;
    spec->payload = query;
    return build_query(cli, query, &spec->payload_bytes);
}

/* ---- what comes of it ---- */

static void show_step(yyjson_val *step, struct buffer *out)
{
    const char *stage = cli_text(step, "stage");

    if (!strcmp(stage, "verdict"))
        return; /* the last line has it */
    buffer_text(out, "  ");
    show_clean(stage, out);
    buffer_format(out, "%*s", strlen(stage) < 9 ? (int)(10 - strlen(stage)) : 1, "");
    show_clean(cli_text(step, "text"), out);
    buffer_char(out, '\n');
}

static void show_explained(struct cli *cli, yyjson_val *root, struct buffer *out)
{
    yyjson_val *step;
    const char *leaves = cli_text(root, "leaves"), *verdict = cli_text(root, "verdict");
    bool dropped = !strcmp(verdict, "drop") || !strcmp(verdict, "DROP");
    size_t i, count;

    yyjson_arr_foreach (yyjson_obj_get(root, "steps"), i, count, step)
        show_step(step, out);
    if (cli->color)
        buffer_text(out, dropped ? COLOR_RED : COLOR_GREEN);
    show_clean(verdict, out);
    buffer_text(out, cli->color ? COLOR_NONE : "");
    buffer_text(out, ": ");
    show_clean(cli_text(root, "reason"), out);
    buffer_text(out, " (");
    show_clean(cli_text(root, "text"), out);
    buffer_text(out, ")\n");
    if (!*leaves)
        return;
    buffer_text(out, "leaves: ");
    show_clean(leaves, out);
    buffer_char(out, '\n');
}

static void write_request(struct cli *cli, const uint8_t *frame, size_t length, struct buffer *body)
{
    const char *interface = cli_option(cli, "interface");

    buffer_text(body, "{\"frame\":\"");
    for (size_t i = 0; i < length; i++)
        buffer_format(body, "%02x", frame[i]);
    buffer_char(body, '"');
    if (interface) {
        buffer_text(body, ",\"interface\":");
        buffer_json_text(body, interface);
    }
    buffer_char(body, '}');
}

int command_explain(struct cli *cli)
{
    struct fp_build_spec spec = {0};
    uint8_t query[QUERY_MAX], frame[FRAME_MAX];
    struct buffer body = {0}, out = {0};
    yyjson_doc *doc;
    int code = fill_spec(cli, &spec, query);

    if (code)
        return code;
    write_request(cli, frame, fp_build_frame(frame, sizeof(frame), &spec), &body);
    code = body.error ? CLI_FAILED
                      : cli_call(cli, "POST", "/v1/explain", body.data, body.length, &doc);
    buffer_free(&body);
    if (code)
        return code;
    if (!cli_print_json(cli, doc))
        show_explained(cli, yyjson_doc_get_root(doc), &out);
    yyjson_doc_free(doc);
    return cli_print(&out);
}
