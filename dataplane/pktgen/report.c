/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/report.h"

#include <stdlib.h>
#include <string.h>

#define LINES_PER_HEAD 20

/* RFC 1035, RFC 2136, RFC 6895. */
static const char *const rcode_names[16] = {
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",  "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
    "NXRRSET", "NOTAUTH", "NOTZONE",  "DSOTYPENI", "RCODE12", "RCODE13", "RCODE14",  "RCODE15",
};

static const char *const kind_names[] = {
#define X(name, number, text) text,
    PKTGEN_KINDS(X)
#undef X
};

static const char *const reply_names[] = {
#define X(name, number, text) text,
    PKTGEN_REPLIES(X)
#undef X
};

#define ull(value) ((unsigned long long)(value))

static uint64_t difference(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* ---- percentiles ---- */

/* The middle of a bucket, in nanoseconds. */
static double bucket_middle(unsigned bucket)
{
    unsigned octave = bucket >> PKTGEN_BUCKET_SHIFT;
    unsigned part = bucket & ((1u << PKTGEN_BUCKET_SHIFT) - 1);

    if (!octave)
        return bucket;
    return ((double)(1u << PKTGEN_BUCKET_SHIFT | part) + 0.5) * (double)(1ull << (octave - 1));
}

double report_percentile(const struct pktgen_counters *counters, double part)
{
    double wanted = part * (double)counters->rtt_count;
    uint64_t below = 0;

    for (unsigned i = 0; i < PKTGEN_BUCKETS; i++) {
        below += counters->rtt[i];
        if (below && (double)below >= wanted) {
            double middle = bucket_middle(i);

            if (middle < (double)counters->rtt_min)
                return (double)counters->rtt_min;
            return middle > (double)counters->rtt_max ? (double)counters->rtt_max : middle;
        }
    }
    return 0;
}

/* ---- text ---- */

/* What came back, by kind, as "NOERROR 5, RST 7". */
static void write_kinds(const struct pktgen_counters *counters, struct buffer *out)
{
    for (unsigned i = 0; i < 16; i++) {
        if (counters->rcode[i])
            buffer_format(out, "%s%s %llu", out->length ? ", " : "", rcode_names[i],
                          ull(counters->rcode[i]));
    }
    for (unsigned i = PKTGEN_REPLY_DNS + 1; i < PKTGEN_REPLY_COUNT; i++) {
        if (counters->reply[i])
            buffer_format(out, "%s%s %llu", out->length ? ", " : "", reply_names[i],
                          ull(counters->reply[i]));
    }
}

static void subtract(struct pktgen_counters *a, const struct pktgen_counters *b)
{
    uint64_t low = a->rtt_min, high = a->rtt_max;
    fp_u64 *to = (fp_u64 *)a;
    const fp_u64 *from = (const fp_u64 *)b;

    for (size_t i = 0; i < sizeof(*a) / sizeof(*to); i++)
        to[i] = difference(to[i], from[i]);
    a->rtt_min = low; /* of the whole run: bounds for the percentiles */
    a->rtt_max = high;
}

void report_line(struct report *report, const struct engine_sums *now, FILE *out)
{
    double seconds = (double)difference(now->time, report->last.time) / 1e9;
    struct pktgen_counters since = now->counters;
    struct buffer kinds = {0};
    uint64_t sent = difference(now->sent, report->last.sent);

    if (seconds <= 0)
        return;
    subtract(&since, &report->last.counters);
    if (report->lines++ % LINES_PER_HEAD == 0)
        fprintf(out, "%8s %12s %12s %12s %9s %9s %9s  %s\n", "seconds", "sent/s", "received/s",
                "lost", "p50 us", "p99 us", "max us", "replies");
    write_kinds(&since, &kinds);
    fprintf(out, "%8.1f %12.0f %12.0f %12llu %9.1f %9.1f %9.1f  %s\n",
            (double)difference(now->time, engine_start_time(report->engine)) / 1e9,
            (double)sent / seconds, (double)since.received / seconds,
            ull(difference(now->sent, now->counters.received)),
            report_percentile(&since, 0.5) / 1000, report_percentile(&since, 0.99) / 1000,
            (double)now->counters.rtt_max / 1000, kinds.data ? kinds.data : "");
    fflush(out);
    buffer_free(&kinds);
    report->last = *now;
}

static void write_backends(struct report *report, FILE *out)
{
    struct engine_backend *backends = calloc(PKTGEN_BACKENDS_MAX, sizeof(*backends));
    size_t count = backends ? engine_backends(report->engine, backends, PKTGEN_BACKENDS_MAX) : 0;

    for (size_t i = 0; i < count; i++) {
        struct address address;
        char text[UNITS_TEXT];

        memcpy(address.bytes, &backends[i].key.a, 16);
        units_write_address(&address, text);
        fprintf(out, "  %s to %s: %llu packets\n",
                backends[i].key.forwarded ? "forwarded" : "encapsulated", text,
                ull(backends[i].sums.packets));
    }
    free(backends);
}

void report_text(struct report *report, const struct engine_sums *sums, double seconds, FILE *out)
{
    const struct pktgen_counters *counters = &sums->counters;
    struct buffer kinds = {0};
    double least = seconds > 0 ? seconds : 1;
    uint64_t missed;

    write_kinds(counters, &kinds);
    fprintf(out, "\n%.1f seconds", seconds);
    if (!report->options->count_only)
        fprintf(out, ", sent %llu (%.0f/s)", ull(sums->sent), (double)sums->sent / least);
    fprintf(out, ", received %llu (%.0f/s)", ull(counters->received),
            (double)counters->received / least);
    if (!report->options->count_only)
        fprintf(out, ", lost %llu", ull(difference(sums->sent, counters->received)));
    fprintf(out, "\n  %s\n", kinds.data ? kinds.data : "nothing came back");
    buffer_free(&kinds);
    if (counters->refused)
        fprintf(out,
                "  not sent: %llu frames that the interface refused (full, down; on veth the "
                "peer needs an XDP program or GRO)\n",
                ull(counters->refused));
    if (engine_missed(report->engine, &missed) && missed)
        fprintf(out, "  missed: %llu frames that came faster than they were taken\n", ull(missed));
    if (counters->rtt_count)
        fprintf(out, "  round trip: min %.1f, p50 %.1f, p99 %.1f, max %.1f us (%llu timed)\n",
                (double)counters->rtt_min / 1000, report_percentile(counters, 0.5) / 1000,
                report_percentile(counters, 0.99) / 1000, (double)counters->rtt_max / 1000,
                ull(counters->rtt_count));
    write_backends(report, out);
}

/* ---- JSON ---- */

static void json_number(struct buffer *out, const char *name, uint64_t value)
{
    buffer_format(out, "\"%s\": %llu", name, ull(value));
}

/* The entries of an array that aren't 0, by name or by number. */
static void json_array(struct buffer *out, const char *name, const fp_u64 *values, unsigned count,
                       const char *const *names)
{
    const char *comma = "";

    buffer_format(out, "\"%s\": {", name);
    for (unsigned i = 0; i < count; i++) {
        char number[16];

        if (!values[i])
            continue;
        snprintf(number, sizeof(number), "%u", i);
        buffer_text(out, comma);
        json_number(out, names ? names[i] : number, values[i]);
        comma = ", ";
    }
    buffer_text(out, "}");
}

static void json_backends(struct report *report, struct buffer *out, unsigned forwarded)
{
    struct engine_backend *backends = calloc(PKTGEN_BACKENDS_MAX, sizeof(*backends));
    size_t count = backends ? engine_backends(report->engine, backends, PKTGEN_BACKENDS_MAX) : 0;
    const char *comma = "";

    buffer_format(out, "\"%s\": {", forwarded ? "forwarded" : "encapsulated");
    for (size_t i = 0; i < count; i++) {
        struct address address;
        char text[UNITS_TEXT];

        if (backends[i].key.forwarded != forwarded)
            continue;
        memcpy(address.bytes, &backends[i].key.a, 16);
        units_write_address(&address, text);
        buffer_format(out, "%s\"%s\": {\"packets\": %llu, \"bytes\": %llu}", comma, text,
                      ull(backends[i].sums.packets), ull(backends[i].sums.bytes));
        comma = ", ";
    }
    buffer_text(out, "}");
    free(backends);
}

static void json_replies(struct report *report, const struct pktgen_counters *counters,
                         struct buffer *out)
{
    buffer_text(out, "\"replies\": {");
    json_array(out, "dns", counters->rcode, 16, rcode_names);
    for (unsigned i = PKTGEN_REPLY_DNS + 1; i < PKTGEN_REPLY_COUNT; i++) {
        if (i == PKTGEN_REPLY_ENCAPSULATED || i == PKTGEN_REPLY_FORWARDED ||
            i == PKTGEN_REPLY_ICMP || i == PKTGEN_REPLY_ICMPV6)
            continue;
        buffer_text(out, ", ");
        json_number(out, reply_names[i], counters->reply[i]);
    }
    buffer_text(out, ", ");
    json_array(out, "icmp", counters->icmp, 256, NULL);
    buffer_text(out, ", ");
    json_array(out, "icmpv6", counters->icmpv6, 256, NULL);
    for (unsigned forwarded = 0; forwarded < 2; forwarded++) {
        buffer_text(out, ", ");
        json_backends(report, out, forwarded);
    }
    buffer_text(out, "}");
}

static void json_rtt(const struct pktgen_counters *counters, struct buffer *out)
{
    double mean = 0;

    if (counters->rtt_count)
        mean = (double)counters->rtt_sum / (double)counters->rtt_count;
    buffer_format(out,
                  "\"rtt_us\": {\"samples\": %llu, \"min\": %.3f, \"mean\": %.3f, "
                  "\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"p999\": %.3f, \"max\": %.3f}",
                  ull(counters->rtt_count), (double)counters->rtt_min / 1000, mean / 1000,
                  report_percentile(counters, 0.5) / 1000, report_percentile(counters, 0.9) / 1000,
                  report_percentile(counters, 0.99) / 1000,
                  report_percentile(counters, 0.999) / 1000, (double)counters->rtt_max / 1000);
}

void report_json(struct report *report, const struct engine_sums *sums, double seconds,
                 struct buffer *out)
{
    const struct pktgen_counters *counters = &sums->counters;
    double least = seconds > 0 ? seconds : 1;
    uint64_t missed;

    buffer_text(out, "{\"interface\": ");
    buffer_json_text(out, report->options->device ? report->options->device
                                                  : report->options->interface);
    buffer_text(out, ", \"profile\": ");
    buffer_json_text(out, report->options->profile);
    buffer_format(out, ", \"mode\": \"%s\", \"seconds\": %.6f, ", engine_mode(report->engine),
                  seconds);
    json_number(out, "sent", sums->sent);
    buffer_text(out, ", ");
    json_number(out, "received", counters->received);
    buffer_text(out, ", ");
    json_number(out, "lost",
                report->options->count_only ? 0 : difference(sums->sent, counters->received));
    buffer_text(out, ", ");
    if (engine_hears_refused(report->engine))
        json_number(out, "not_sent", counters->refused);
    else
        buffer_text(out, "\"not_sent\": null");
    buffer_text(out, ", ");
    if (engine_missed(report->engine, &missed))
        json_number(out, "missed", missed);
    else
        buffer_text(out, "\"missed\": null");
    buffer_text(out, ", ");
    json_number(out, "passed", counters->passed);
    buffer_format(out, ", \"sent_pps\": %.1f, \"received_pps\": %.1f, ", (double)sums->sent / least,
                  (double)counters->received / least);
    json_array(out, "sent_by", sums->made, PKTGEN_KIND_COUNT, kind_names);
    buffer_text(out, ", ");
    json_replies(report, counters, out);
    buffer_text(out, ", ");
    json_rtt(counters, out);
    buffer_text(out, "}\n");
}
