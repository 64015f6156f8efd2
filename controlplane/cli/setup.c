/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert setup`: questions that lead from a fresh appliance to its first site, or into one. */
#include "controlplane/cli/setup.h"
#include "controlplane/cli/process.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/candidate.h"
#include "controlplane/cli/nic.h"

#define ANSWER SETUP_ANSWER
#define MARK "/usr/lib/culvert/console" /* only the appliance has it */

struct setup {
    struct cli *cli;
    struct nic_list *nics;
    struct candidate candidate;
    struct setup_network network;
    struct machine *told; /* name, time servers, an SSH key */
    bool appliance;
};

/* ---- questions ---- */

/* Reads an answer; an empty one is `initial`. False: the input ended. */
static bool ask(const char *question, const char *initial, char answer[ANSWER])
{
    char *end;

    printf("%s%s%s%s: ", question, *initial ? " [" : "", initial, *initial ? "]" : "");
    fflush(stdout);
    if (!fgets(answer, ANSWER, stdin)) {
        printf("\n");
        return false;
    }
    memmove(answer, answer + strspn(answer, " \t"), strlen(answer + strspn(answer, " \t")) + 1);
    end = answer + strlen(answer);
    while (end > answer && strchr(" \t\r\n", end[-1]))
        *--end = 0;
    if (!*answer)
        snprintf(answer, ANSWER, "%s", initial);
    return true;
}

static bool ask_yes(const char *question)
{
    char answer[ANSWER];

    return ask(question, "no", answer) && (*answer == 'y' || *answer == 'Y');
}

/* Asks until the check is content; an empty answer is none. */
static bool ask_checked(const char *question, const char *initial,
                        const char *(*check)(const char *text), char answer[ANSWER])
{
    const char *wrong;

    do {
        if (!ask(question, initial, answer))
            return false;
        wrong = *answer ? check(answer) : NULL;
        if (wrong)
            printf("  %s\n", wrong);
    } while (wrong);
    return true;
}

/* Asks until the machine takes the answer; an empty one is none. */
static bool ask_told(struct setup *setup, const char *question, const char *initial,
                     const char *(*take)(struct machine *told, const char *text))
{
    char answer[ANSWER];
    const char *wrong;

    do {
        if (!ask(question, initial, answer))
            return false;
        wrong = *answer ? take(setup->told, answer) : NULL;
        if (wrong)
            printf("  %s\n", wrong);
    } while (wrong);
    return true;
}

/* ---- the site ---- */

/* Sets a value of the candidate; the words of its path end with a NULL. False: an error was
 * printed. */
static bool put(struct setup *setup, const char *value, ...)
{
    const char *words[SITE_PATH_WORDS];
    const struct site_path top = {0};
    struct candidate_path path;
    size_t count = 0;
    va_list args;

    va_start(args, value);
    while (count < SITE_PATH_WORDS && (words[count] = va_arg(args, const char *)))
        count++;
    va_end(args);
    return !candidate_path(&setup->candidate, &top, words, count, &path) &&
           !candidate_set(&setup->candidate, &path, value);
}

static bool ask_name(struct setup *setup)
{
    char answer[ANSWER];

    do
        if (!ask("The site's name", "site", answer))
            return false;
    while (!put(setup, answer, "site", NULL));
    return true;
}

static const char *first_name(const struct nic *nic)
{
    return nic->interface_count ? nic->interfaces[0] : NULL;
}

/* The interface of a NIC that was named so, by itself or by its PCI address; NULL: it has none. */
static const char *interface_of(const struct nic *nic, const char *name)
{
    for (size_t i = 0; i < nic->interface_count; i++)
        if (!strcmp(nic->interfaces[i], name))
            return nic->interfaces[i];
    return first_name(nic);
}

/* Adds an interface to the site. */
static bool serve(struct setup *setup, const char *typed, const char *driver)
{
    const struct nic *nic = nic_find(setup->nics, typed);
    const char *name = nic ? interface_of(nic, typed) : NULL;

    if (!name) {
        printf("  there is no NIC %s with an interface\n", typed);
        return false;
    }
    if (!strcmp(driver, "dpdk") && !*nic->address) {
        printf("  %s is no PCI device: DPDK can't have it\n", name);
        return false;
    }
    if (!put(setup, driver, "interfaces", name, "driver", NULL))
        return false;
    if (strcmp(driver, "dpdk") != 0)
        return true;
    printf("  DPDK has %s after `culvert nic attach %s`\n", name, name);
    return put(setup, nic->address, "interfaces", name, "device", NULL);
}

/* NICs beside the management one; it alone when there is no other. */
static void propose(const struct setup *setup, char names[ANSWER])
{
    size_t length = 0;

    names[0] = 0;
    for (size_t i = 0; i < setup->nics->count; i++) {
        const char *name = first_name(&setup->nics->items[i]);

        if (!name || !strcmp(name, setup->network.name) || length + strlen(name) + 2 > ANSWER)
            continue;
        length +=
            (size_t)snprintf(names + length, ANSWER - length, "%s%s", length ? " " : "", name);
    }
    if (!length)
        snprintf(names, ANSWER, "%s", setup->network.name);
}

static bool ask_serving(struct setup *setup)
{
    char names[ANSWER], proposed[ANSWER], driver[ANSWER], *save = NULL;

    propose(setup, proposed);
    if (!ask("NICs that serve, parted by blanks (- : none yet)", proposed, names))
        return false;
    for (char *name = strtok_r(names, " ,", &save); name; name = strtok_r(NULL, " ,", &save)) {
        char question[ANSWER + 32];

        if (!strcmp(name, "-"))
            continue;
        snprintf(question, sizeof(question), "The driver of %s, xdp or dpdk", name);
        if (!ask(question, "xdp", driver))
            return false;
        if (!serve(setup, name, driver))
            printf("  %s is left out; `set interfaces` adds it later\n", name);
    }
    return true;
}

static bool ask_dns(struct setup *setup)
{
    char answer[ANSWER], value[ANSWER + 8];

    do {
        if (!ask_checked("The address that answers DNS (empty: none yet)", "", setup_check_address,
                         answer))
            return false;
        snprintf(value, sizeof(value), "[\"%s\"]", answer);
    } while (*answer && !put(setup, value, "dns", "listen", NULL));
    return true;
}

/* ---- the machine ---- */

static void show_addresses(void)
{
    struct ifaddrs *list, *at;

    if (getifaddrs(&list))
        return;
    for (at = list; at; at = at->ifa_next) {
        int family = at->ifa_addr ? at->ifa_addr->sa_family : AF_UNSPEC;
        const void *address = family == AF_INET
                                  ? (void *)&((struct sockaddr_in *)at->ifa_addr)->sin_addr
                                  : (void *)&((struct sockaddr_in6 *)at->ifa_addr)->sin6_addr;
        char text[INET6_ADDRSTRLEN];

        if ((family == AF_INET || family == AF_INET6) && strcmp(at->ifa_name, "lo") != 0 &&
            inet_ntop(family, address, text, sizeof(text)))
            printf("%s has %s\n", at->ifa_name, text);
    }
    freeifaddrs(list);
}

static bool ask_static(struct setup *setup)
{
    char answer[ANSWER];

    do
        if (!ask_checked("Its address, with /LENGTH", "", setup_check_host, answer))
            return false;
    while (!*answer);
    snprintf(setup->network.address, sizeof(setup->network.address), "%s", answer);
    if (!ask_checked("The gateway (empty: none)", "", setup_check_address, answer))
        return false;
    snprintf(setup->network.gateway, sizeof(setup->network.gateway), "%s", answer);
    if (!ask_checked("The name server (empty: none)", "", setup_check_address, answer))
        return false;
    snprintf(setup->network.name_server, sizeof(setup->network.name_server), "%s", answer);
    return true;
}

static void host_name(char name[MACHINE_HOSTNAME])
{
    if (gethostname(name, MACHINE_HOSTNAME))
        name[0] = 0;
    name[MACHINE_HOSTNAME - 1] = 0;
}

static const char *take_time_servers(struct machine *told, const char *text)
{
    char words[ANSWER], *save = NULL;
    const char *wrong = NULL;

    buffer_clear(&told->time_servers);
    snprintf(words, sizeof(words), "%s", text);
    for (char *word = strtok_r(words, " ,", &save); word && !wrong;
         word = strtok_r(NULL, " ,", &save))
        wrong = machine_add_time_server(told, word);
    return wrong;
}

static bool ask_identity(struct setup *setup)
{
    char name[MACHINE_HOSTNAME];

    host_name(name);
    return ask_told(setup, "This node's name", name, machine_set_hostname) &&
           ask_told(setup, "Time servers, parted by blanks (empty: what DHCP says, or Debian's)",
                    "", take_time_servers) &&
           ask_told(setup, "An SSH key that may log in (empty: none)", "", machine_add_key);
}

static bool ask_management(struct setup *setup)
{
    char answer[ANSWER], first[IF_NAMESIZE] = "";
    const struct nic *nic;

    for (size_t i = 0; i < setup->nics->count && !*first; i++)
        if (first_name(&setup->nics->items[i]))
            snprintf(first, sizeof(first), "%s", first_name(&setup->nics->items[i]));
    if (!*first) {
        printf("(no NIC has an interface: plug one in, then `setup` again, or go on without)\n");
        return !setup->appliance || ask_identity(setup);
    }
    do {
        if (!ask("The NIC that you manage it by", first, answer))
            return false;
        nic = nic_find(setup->nics, answer);
        if (!nic || !first_name(nic))
            printf("  there is no such interface: see the list above\n");
    } while (!nic || !first_name(nic));
    snprintf(setup->network.name, sizeof(setup->network.name), "%s", interface_of(nic, answer));
    if (!setup->appliance) {
        printf("(this is no appliance: its addresses stay as they are)\n");
        return true;
    }
    do
        if (!ask("Its address: dhcp or static", "dhcp", answer))
            return false;
    while (strcmp(answer, "dhcp") != 0 && strcmp(answer, "static") != 0);
    setup->network.is_static = !strcmp(answer, "static");
    if (setup->network.is_static && !ask_static(setup))
        return false;
    return ask_identity(setup);
}

/* Writes what was told; `path`: of what could not be written. */
static int write_machine(const struct setup *setup, struct buffer *path)
{
    struct buffer *key = &setup->told->keys;
    int error = 0;

    if (key->length) {
        key->data[strcspn(key->data, "\n")] = 0;
        error = setup_key_write("", key->data, path);
        buffer_clear(key); /* it is the operator's, not a seed's */
    }
    if (!error && *setup->network.name)
        error = setup_network_write("", &setup->network, path);
    return error ? error : setup_told_write("", setup->told, path);
}

/* culvertd takes the host's name when it starts. */
static void put_in_force(const char *wanted, bool key)
{
    static const char *const start_ssh[] = {"systemctl", "start", "ssh", NULL};
    /* networkctl needs a D-Bus. */
    static const char *const restart[] = {
        "systemctl", "restart", "culvert-firstboot", "systemd-networkd", "systemd-timesyncd", NULL};
    static const char *const restart_culvertd[] = {"systemctl", "restart", "culvertd", NULL};
    char before[MACHINE_HOSTNAME], after[MACHINE_HOSTNAME];

    host_name(before);
    process_run(restart);
    if (key)
        process_run(start_ssh);
    host_name(after);
    if (strcmp(before, after) != 0)
        process_run(restart_culvertd);
    if (*wanted && strcmp(wanted, after) != 0)
        printf("(it is named %s still: a credential or the kernel's command line says so)\n",
               after);
}

static int finish_machine(struct setup *setup)
{
    bool key = setup->told->keys.length;
    struct buffer path = {0};
    int error;

    if (!setup->appliance)
        return CLI_OK;
    error = write_machine(setup, &path);
    if (error)
        cli_error("%s: %s", path.data ? path.data : "", culvert_strerror(error));
    else
        put_in_force(setup->told->hostname, key);
    buffer_free(&path);
    return error ? CLI_FAILED : CLI_OK;
}

/* ---- all of it ---- */

static int join(struct setup *setup)
{
    char token[ANSWER], address[ANSWER], problem[256];
    char *words[] = {(char *)"node", (char *)"join", token, address};
    struct cli cli;

    if (!ask("The token (`culvert node token` on a node of the site makes one)", "", token) ||
        !ask("The address of that node, with its port (10.0.0.1:7480)", "", address))
        return CLI_FAILED;
    if (cli_parse(&cli, 4, words, problem, sizeof(problem))) {
        cli_error("%s", problem);
        return CLI_USAGE;
    }
    setup->cli->command = cli.command;
    memcpy(setup->cli->arguments, cli.arguments, sizeof(cli.arguments));
    setup->cli->argument_count = cli.argument_count;
    return cli.command->run(setup->cli);
}

static int apply(struct setup *setup)
{
    struct candidate_commit commit = {.comment = "culvert setup"};
    int code;

    printf("\n%s\n", setup->candidate.text);
    if (*setup->told->hostname)
        printf("this node is named %s\n", setup->told->hostname);
    if (setup->network.is_static)
        printf("%s gets %s\n", setup->network.name, setup->network.address);
    if (!ask_yes("Make this the site?")) {
        printf("nothing was changed\n");
        return CLI_FAILED;
    }
    code = candidate_commit(setup->cli, &setup->candidate, &commit);
    return code ? code : finish_machine(setup);
}

static int run(struct setup *setup)
{
    bool answered;

    if (ask_yes("Join a site that is there already?")) {
        if (!ask_management(setup))
            return CLI_FAILED;
        /* Its address first: the site is reached by it. */
        return finish_machine(setup) ? CLI_FAILED : join(setup);
    }
    answered = ask_name(setup) && ask_management(setup) && ask_serving(setup) && ask_dns(setup);
    return answered ? apply(setup) : CLI_FAILED;
}

static int begin(struct setup *setup)
{
    struct nic_host host;
    struct buffer out = {0};
    int code = candidate_run(setup->cli, &setup->candidate);

    if (code)
        return code;
    if (setup->candidate.revision) {
        cli_error("there is a site already, of revision %llu: `configure` in `culvert shell` "
                  "changes it",
                  (unsigned long long)setup->candidate.revision);
        return CLI_FAILED;
    }
    nic_host_init(&host);
    if (nic_scan(&host, setup->nics)) {
        cli_error("the network devices can't be read from /sys");
        return CLI_FAILED;
    }
    nic_show(setup->nics, setup->cli->color, &out);
    code = cli_print(&out);
    show_addresses();
    return code;
}

int command_setup(struct cli *cli)
{
    struct setup setup = {.cli = cli, .appliance = !geteuid() && !access(MARK, X_OK)};
    int code;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        cli_error("setup asks questions on a terminal: elsewhere use `culvert apply FILE`");
        return CLI_USAGE;
    }
    setup.nics = calloc(1, sizeof(*setup.nics));
    setup.told = calloc(1, sizeof(*setup.told));
    if (!setup.nics || !setup.told) {
        cli_error("%s", culvert_strerror(CULVERT_ENOMEM));
        code = CLI_FAILED;
    } else {
        code = begin(&setup);
    }
    if (!code)
        code = run(&setup);
    if (setup.told)
        machine_free(setup.told);
    free(setup.told);
    free(setup.nics);
    candidate_free(&setup.candidate);
    return code;
}
