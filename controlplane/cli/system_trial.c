/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `culvert system trial`: what culvert-trial.service runs at each start. A system on trial that
 * comes healthy in time keeps its place; one that doesn't restarts the machine, so that it is tried
 * again or the other one comes back. A system that is not on trial is never restarted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/base/clock.h"
#include "controlplane/base/units.h"
#include "controlplane/cli/process.h"
#include "controlplane/cli/system.h"

#define WITHIN_MS (5 * 60 * 1000u)
#define STEADY 10 /* checks in a row, a second apart, that must find it healthy */

/* ---- health ---- */

/* The answer to GET `target`, NULL when there is none. Says nothing: it is asked again. */
static yyjson_doc *ask(struct cli *cli, const char *target)
{
    struct answer answer;
    yyjson_doc *doc;

    if (client_call(&cli->client, "GET", target, NULL, 0, &answer))
        return NULL;
    doc = answer.status == 200 ? yyjson_read(answer.body, answer.length, 0) : NULL;
    free(answer.body);
    return doc;
}

static bool plane_is_connected(yyjson_val *status, const char *name)
{
    yyjson_val *plane;
    size_t i, count;

    yyjson_arr_foreach (yyjson_obj_get(status, "planes"), i, count, plane)
        if (!strcmp(cli_text(plane, "name"), name) &&
            yyjson_get_bool(yyjson_obj_get(plane, "connected")))
            return true;
    return false;
}

/* Whether an interface of the site is DPDK's. */
static bool wants_dpdk(struct cli *cli)
{
    yyjson_doc *doc = ask(cli, "/v1/site?path=interfaces&stale=true");
    yyjson_val *object = yyjson_obj_get(yyjson_doc_get_root(doc), "value"), *key, *value;
    bool wanted = false;
    size_t i, count;

    yyjson_obj_foreach (object, i, count, key, value)
        wanted = wanted || !strcmp(cli_text(value, "driver"), "dpdk");
    yyjson_doc_free(doc);
    return wanted;
}

/* A unit without which nobody would reach the appliance; NULL: none has failed. */
static const char *failed_unit(void)
{
    static const char *const units[] = {"systemd-networkd.service", "ssh.service"};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        const char *const argv[] = {"systemctl", "is-failed", "--quiet", units[i], NULL};

        if (!process_run(argv))
            return units[i];
    }
    return NULL;
}

/* What is wrong now; NULL: it is healthy. Other nodes' trouble is not this system's fault: neither
 * a quorum nor a peer is asked for. */
static const char *problem(struct cli *cli)
{
    yyjson_doc *doc = ask(cli, "/v1/status");
    yyjson_val *status = yyjson_doc_get_root(doc);
    const char *what = NULL;

    if (!doc)
        what = "culvertd doesn't answer";
    else if (!plane_is_connected(status, "xdp"))
        what = "culvert-xdp is not connected to culvertd";
    else if (!plane_is_connected(status, "dpdk") && wants_dpdk(cli))
        what = "culvert-dpdk is not connected to culvertd";
    yyjson_doc_free(doc);
    return what ? what : failed_unit();
}

/* Waits until it has been healthy for some time: NULL, or what was wrong at the end. */
static const char *wait_healthy(struct cli *cli, uint64_t within_ms)
{
    const struct timespec second = {.tv_sec = 1};
    uint64_t deadline = clock_ms() + within_ms;
    unsigned steady = 0;

    for (;;) {
        const char *what = problem(cli);

        steady = what ? 0 : steady + 1;
        if (steady == STEADY)
            return NULL;
        if (clock_ms() >= deadline)
            return what ? what : "it was not healthy for long enough";
        nanosleep(&second, NULL);
    }
}

/* ---- the trial ---- */

/* The running system's entry, when that is on trial. */
static bool find_trial(const struct appliance *appliance, struct entry *own, bool *can_return)
{
    struct entry entries[ENTRIES_MAX];
    const struct entry *found, *other;
    char why[SYSTEM_WHY];
    unsigned count;

    if (appliance_entries(appliance, entries, &count, why)) {
        cli_error("%s", why);
        return false;
    }
    found = appliance_own_entry(appliance, entries, count);
    other = appliance_other_entry(appliance, entries, count);
    *can_return = other && (entry_state(other) == ENTRY_IS_GOOD || other->left > 0);
    if (!found || (entry_state(found) != ENTRY_IS_ON_TRIAL && entry_state(found) != ENTRY_IS_BAD))
        return false;
    *own = *found;
    return true;
}

static int keep(const struct appliance *appliance)
{
    char why[SYSTEM_WHY];
    struct entry own;
    bool can_return;

    system_check_efi();
    /* It may have been rolled back meanwhile. */
    if (find_trial(appliance, &own, &can_return) &&
        appliance_rename_entry(appliance, &own, ENTRY_GOOD, 0, why)) {
        cli_error("%s", why);
        return CLI_FAILED;
    }
    printf("culvert: %s came healthy and stays\n", appliance->version);
    system_publish(appliance);
    return CLI_OK;
}

static int give_up(const struct appliance *appliance, const struct entry *own, bool can_return,
                   const char *what)
{
    printf("culvert: %s did not come healthy: %s\n", appliance->version, what);
    if (own->left)
        printf("culvert: restarting, %d more %s\n", own->left, own->left == 1 ? "try" : "tries");
    else if (can_return)
        printf("culvert: restarting into the other slot\n");
    else
        printf("culvert: there is nothing to go back to\n");
    fflush(stdout);
    if (own->left || can_return)
        system_restart();
    return CLI_FAILED;
}

/* What the operator at the console should know of an earlier trial. */
static void tell(const struct appliance *appliance)
{
    struct buffer json = {0};
    char why[SYSTEM_WHY];
    yyjson_doc *doc = NULL;

    if (!system_report(appliance, &json, why) && !json.error)
        doc = yyjson_read(json.data, json.length, 0);
    if (*cli_text(yyjson_doc_get_root(doc), "alarm"))
        printf("culvert: %s\n", cli_text(yyjson_doc_get_root(doc), "alarm"));
    yyjson_doc_free(doc);
    buffer_free(&json);
}

int system_trial(struct cli *cli)
{
    const char *within = cli_option(cli, "within"), *what;
    uint64_t within_ms = WITHIN_MS;
    struct appliance appliance;
    struct entry own;
    bool can_return;
    int code;

    if (within && units_parse_time(within, &within_ms)) {
        cli_error("--within takes a time such as 30s or 5m, not `%s`", within);
        return CLI_USAGE;
    }
    code = system_open(cli, &appliance);
    if (code)
        return code;
    system_publish(&appliance);
    if (!find_trial(&appliance, &own, &can_return)) {
        tell(&appliance);
        return CLI_OK;
    }
    what = wait_healthy(cli, within_ms);
    return what ? give_up(&appliance, &own, can_return, what) : keep(&appliance);
}
