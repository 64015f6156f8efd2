/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert system VERB`: the system of the appliance itself, its two slots and its data. */
#include "controlplane/cli/system.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/cli/process.h"
#include "controlplane/cli/show.h"

#define PUBLISHED "/run/culvert/system.json"

/* ---- what the verbs share ---- */

int system_open(const struct cli *cli, struct appliance *appliance)
{
    char why[SYSTEM_WHY];

    if (cli->server.server) {
        cli_error("system is about the machine that it runs on, not about %s", cli->server.server);
        return CLI_USAGE;
    }
    if (appliance_open(appliance, "", why)) {
        cli_error("%s", why);
        return CLI_FAILED;
    }
    if (geteuid() != 0) {
        cli_error("root is needed for the system of an appliance");
        return CLI_FAILED;
    }
    return CLI_OK;
}

int system_restart(void)
{
    /* `systemctl reboot` would first ask logind, by a bus: the appliance has neither. */
    const char *const argv[] = {"systemctl",     "start",
                                "--no-block",    "--job-mode=replace-irreversibly",
                                "reboot.target", NULL};

    if (!process_run(argv))
        return CLI_OK;
    cli_error("the restart failed: try `reboot`");
    return CLI_FAILED;
}

/* ---- status ---- */

static const char *state_word(const struct entry *entry)
{
    static const char *const words[] = {[ENTRY_IS_GOOD] = "good",
                                        [ENTRY_IS_NEW] = "new",
                                        [ENTRY_IS_ON_TRIAL] = "trial",
                                        [ENTRY_IS_BAD] = "bad",
                                        [ENTRY_IS_ASIDE] = "aside"};

    return entry ? words[entry_state(entry)] : "none";
}

static void report_slot(unsigned slot, const char *version, const struct entry *entry,
                        struct buffer *json)
{
    buffer_format(json, "{\"slot\":\"%c\",\"version\":", appliance_slot_letter(slot));
    buffer_json_text(json, version);
    buffer_format(json, ",\"state\":\"%s\",\"tries_left\":", state_word(entry));
    if (entry && entry->left != ENTRY_GOOD)
        buffer_format(json, "%d,\"tries_done\":%d}", entry->left, entry->done);
    else
        buffer_text(json, "null,\"tries_done\":null}");
}

static void report_alarm(const struct appliance *appliance, const struct entry *other,
                         struct buffer *json)
{
    if (!other || entry_state(other) != ENTRY_IS_BAD) {
        buffer_text(json, "null");
        return;
    }
    buffer_format(json,
                  "\"the update to %s did not come healthy in %d tries: %s runs again; "
                  "`journalctl -u culvert-trial` has the reason if it got so far\"",
                  other->version, other->done, appliance->version);
}

/* Of lost clusters fsck.fat makes files. */
void system_check_efi(void)
{
    static const char *const check[] = {"systemctl", "start", "culvert-efi-check", NULL};
    static const char *const remove[] = {"sh", "-c", "rm -f /efi/FSCK[0-9]*.REC", NULL};

    process_run(check);
    process_run(remove);
}

int system_report(const struct appliance *appliance, struct buffer *json, char why[SYSTEM_WHY])
{
    struct entry entries[ENTRIES_MAX];
    const struct entry *other;
    unsigned count;
    int error = appliance_entries(appliance, entries, &count, why);

    if (error)
        return error;
    other = appliance_other_entry(appliance, entries, count);
    buffer_text(json, "{\"running\":");
    report_slot(appliance->running, appliance->version,
                appliance_own_entry(appliance, entries, count), json);
    buffer_text(json, ",\"other\":");
    report_slot(appliance_other(appliance), other ? other->version : NULL, other, json);
    buffer_text(json, ",\"alarm\":");
    report_alarm(appliance, other, json);
    buffer_char(json, '}');
    return 0;
}

void system_publish(const struct appliance *appliance)
{
    struct buffer json = {0};
    char why[SYSTEM_WHY];

    if (!system_report(appliance, &json, why) && !json.error)
        file_write(AT_FDCWD, PUBLISHED, json.data, json.length);
    buffer_free(&json);
}

static void show_slot(yyjson_val *slot, const char *role, struct buffer *out)
{
    const char *state = cli_text(slot, "state"), *version = cli_text(slot, "version");
    unsigned long long left = cli_number(slot, "tries_left"), done = cli_number(slot, "tries_done");

    buffer_format(out, "slot %s, %s: ", cli_text(slot, "slot"), role);
    if (!strcmp(state, "none") && !*version) {
        buffer_text(out, "empty\n");
        return;
    }
    buffer_text(out, version);
    if (!strcmp(state, "good"))
        buffer_text(out, ", good");
    else if (!strcmp(state, "new"))
        buffer_format(out, ", new: %llu tries from the next start on", left);
    else if (!strcmp(state, "trial"))
        buffer_format(out, ", on trial: try %llu of %llu", done, done + left);
    else if (!strcmp(state, "bad"))
        buffer_format(out, ", bad: did not come healthy in %llu tries", done);
    else if (!strcmp(state, "aside"))
        buffer_text(out, ", set aside by a rollback");
    else
        buffer_text(out, ", WITHOUT A BOOT ENTRY");
    buffer_char(out, '\n');
}

static int run_status(struct cli *cli)
{
    struct buffer json = {0}, out = {0};
    struct appliance appliance;
    char why[SYSTEM_WHY];
    yyjson_doc *doc;
    yyjson_val *root;
    int code = system_open(cli, &appliance);

    if (code)
        return code;
    if (system_report(&appliance, &json, why)) {
        cli_error("%s", why);
        buffer_free(&json);
        return CLI_FAILED;
    }
    doc = json.error ? NULL : yyjson_read(json.data, json.length, 0);
    buffer_free(&json);
    root = yyjson_doc_get_root(doc);
    if (doc && !cli_print_json(cli, doc)) {
        show_slot(yyjson_obj_get(root, "running"), "runs", &out);
        show_slot(yyjson_obj_get(root, "other"), "the other", &out);
        if (*cli_text(root, "alarm"))
            buffer_format(&out, "%s\n", cli_text(root, "alarm"));
    }
    code = doc ? CLI_OK : CLI_FAILED;
    yyjson_doc_free(doc);
    return cli_print(&out) ? CLI_FAILED : code;
}

/* ---- rollback ---- */

static int run_rollback(struct cli *cli)
{
    char version[SYSTEM_VERSION], why[SYSTEM_WHY];
    struct appliance appliance;
    int code = system_open(cli, &appliance);

    if (code)
        return code;
    code = system_may_leave(cli);
    if (code)
        return code;
    system_check_efi();
    if (appliance_switch(&appliance, version, why)) {
        cli_error("%s", why);
        return CLI_FAILED;
    }
    system_publish(&appliance);
    if (cli->json)
        printf("{\"version\":\"%s\"}\n", version);
    else
        printf("%s starts from slot %c now\n", version,
               appliance_slot_letter(appliance_other(&appliance)));
    fflush(stdout);
    return system_restart();
}

/* ---- factory-reset ---- */

static bool confirmed(struct cli *cli)
{
    char line[16];

    if (cli_option(cli, "yes"))
        return true;
    if (!isatty(STDIN_FILENO)) {
        cli_error("this erases the site, its history and keys, and what is below /root: if it is "
                  "to be so, add --yes");
        return false;
    }
    fputs("This erases the site, its history and keys, and what is below /root, and restarts. "
          "Type yes: ",
          stdout);
    fflush(stdout);
    return fgets(line, sizeof(line), stdin) && !strcmp(line, "yes\n");
}

static int run_factory_reset(struct cli *cli)
{
    struct appliance appliance;
    char why[SYSTEM_WHY];
    int code = system_open(cli, &appliance);

    if (code)
        return code;
    if (!confirmed(cli))
        return CLI_USAGE;
    code = system_may_leave(cli);
    if (code)
        return code;
    if (appliance_request_reset(&appliance, why)) {
        cli_error("%s", why);
        return CLI_FAILED;
    }
    return system_restart();
}

/* ---- console-password ---- */

static int run_console_password(struct cli *cli)
{
    const char *const argv[] = {"/usr/lib/culvert/console-password",
                                cli_option(cli, "remove") ? "remove" : "set", NULL};
    struct appliance appliance;
    int code = system_open(cli, &appliance);

    if (code)
        return code;
    return process_run(argv) ? CLI_FAILED : CLI_OK;
}

const struct cli_verb cli_system_verbs[] = {
    {"status", "", 0, run_status},
    {"update", "FILE|URL", 1, system_update},
    {"rollback", "", 0, run_rollback},
    {"factory-reset", "", 0, run_factory_reset},
    {"console-password", "", 0, run_console_password},
    {"trial", "", 0, system_trial},
    {NULL, NULL, 0, NULL},
};

int command_system(struct cli *cli)
{
    return cli_run_verb(cli, cli_system_verbs);
}
