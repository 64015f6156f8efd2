/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks, and whether they may: a token if one is shown, else the user at the other end of the
 * Unix socket. A token is looked up when this node has all that was acknowledged, so that one which
 * was revoked anywhere is refused everywhere; without a leader what this node has decides, and for
 * reading only.
 */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/fronts/http/api.h"

#define GROUP "culvert"
#define TOKEN_USER "token:"

_Static_assert(HTTP_USER_MAX >= sizeof(TOKEN_USER) + ACCESS_NAME, "a token's name fits");

enum access_role api_local_role(uid_t uid, uid_t own, bool member)
{
    if (uid == (uid_t)-1)
        return ACCESS_NONE;
    if (uid == 0 || uid == own)
        return ACCESS_ADMIN;
    return member ? ACCESS_OPERATOR : ACCESS_NONE;
}

bool api_may(enum access_role role, const struct http_route *route)
{
    return route->level != ACCESS_NONE && role >= route->level;
}

struct history_caller api_caller(const struct http_exchange *exchange)
{
    return (struct history_caller){.user = exchange->user,
                                   .role = access_role_name((enum access_role)exchange->level),
                                   .from = *exchange->from ? exchange->from : "local"};
}

const char *api_author(const struct http_exchange *exchange)
{
    size_t prefix = sizeof(TOKEN_USER) - 1;

    return exchange->user + (strncmp(exchange->user, TOKEN_USER, prefix) ? 0 : prefix);
}

void api_answered(struct http_exchange *exchange, int status)
{
    struct daemon *daemon = exchange->app;
    char outcome[32];
    struct history_audit audit = {.time_ms = daemon_clock_ms(),
                                  .author = api_author(exchange),
                                  .comment = exchange->note,
                                  .caller = api_caller(exchange),
                                  .outcome = outcome};

    if (!exchange->route || !exchange->route->audit || !daemon->history)
        return;
    audit.what = exchange->route->audit;
    snprintf(outcome, sizeof(outcome), status / 100 == 2 ? "done" : "status %d", status);
    history_note(daemon->history, &audit);
}

/* ---- the end of it ---- */

/* No right is shown. Guessing is slow. */
static void refuse_unknown(struct http_exchange *exchange, const char *message, const char *hint)
{
    daemon_refused(exchange->app, "", "", exchange->from, message);
    http_refuse_late(exchange, 401, message, hint);
}

/* The right that is shown is too little. */
static void refuse_role(struct http_exchange *exchange, enum access_role role)
{
    const struct http_route *route = exchange->route;
    const char *needed = access_role_name((enum access_role)route->level);
    char message[HTTP_USER_MAX + 80], what[HTTP_PARAM_MAX + 40];

    snprintf(message, sizeof(message), "%s is %s%s and may not do this: role %s is needed",
             exchange->user, role == ACCESS_NONE ? "nobody here" : "of role ",
             role == ACCESS_NONE ? "" : access_role_name(role), needed);
    snprintf(what, sizeof(what), "%s %s: role %s is needed", http_method_text(route->method),
             route->pattern, needed);
    daemon_refused(exchange->app, exchange->user, access_role_name(role), exchange->from, what);
    http_respond_error(exchange, 403, message,
                       role == ACCESS_NONE
                           ? "run as root or as a member of the group culvert, or show a token"
                           : "show another token, or ask who may");
}

/* It is known who asks. */
static void decide(struct http_exchange *exchange, enum access_role role)
{
    exchange->level = role;
    if (exchange->route ? api_may(role, exchange->route) : role != ACCESS_NONE)
        http_admit(exchange);
    else if (exchange->route)
        refuse_role(exchange, role);
    else
        http_respond_error(exchange, 403, "no permission", NULL);
}

/* ---- Unix sockets ---- */

/* The user's name, looked up when it is another one than the last time. */
static void name_user(uid_t uid, char name[HTTP_USER_MAX])
{
    static char last[HTTP_USER_MAX];
    static uid_t last_uid = (uid_t)-1;
    struct passwd entry, *found = NULL;
    char buffer[2048];

    if (uid != last_uid) {
        if (!getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) && found)
            snprintf(last, sizeof(last), "%s", found->pw_name);
        else
            snprintf(last, sizeof(last), "uid %u", (unsigned)uid);
        last_uid = uid;
    }
    memcpy(name, last, sizeof(last));
}

static bool is_member(const struct http_exchange *exchange)
{
    struct group entry, *found = NULL;
    char buffer[8192];

    return !getgrnam_r(GROUP, &entry, buffer, sizeof(buffer), &found) && found &&
           http_peer_in_group(exchange, found->gr_gid);
}

static void admit_local(struct http_exchange *exchange)
{
    uid_t uid = exchange->uid, own = geteuid();

    name_user(uid, exchange->user);
    decide(exchange, api_local_role(uid, own, uid != 0 && uid != own && is_member(exchange)));
}

/* ---- tokens ---- */

struct check {
    struct http_exchange *exchange;
    struct access_token token;
};

/* Whether what this node has is good enough without a leader. */
static bool may_be_stale(const struct http_exchange *exchange)
{
    return !exchange->route || exchange->route->level == ACCESS_READER;
}

static void on_current(void *arg, int status)
{
    struct check *check = arg;
    struct http_exchange *exchange = check->exchange;
    const struct daemon *daemon = exchange->app;
    struct access_record record;
    int error = CULVERT_EBUSY;

    if (daemon->cluster && (!status || may_be_stale(exchange))) {
        error = cluster_access_find(daemon->cluster, check->token.id, &record);
        if (!error)
            error = access_verify(&record, &check->token, time(NULL));
    }
    OPENSSL_cleanse(check, sizeof(*check));
    free(check);
    if (!error || error == CULVERT_ETIMEOUT)
        snprintf(exchange->user, sizeof(exchange->user), TOKEN_USER "%s", record.name);
    if (!error)
        decide(exchange, record.role);
    else if (error == CULVERT_ETIMEOUT)
        refuse_unknown(exchange, "the token has expired", "`culvert token create` makes another");
    else if (error == CULVERT_ENOTFOUND || error == CULVERT_EACCES)
        refuse_unknown(exchange, "the token is not valid: it was revoked, or is of another site",
                       "`culvert token list`, by an admin, shows those that are");
    else
        http_respond_error(exchange, 503, "the token can't be checked: no node leads the site",
                           "are most of its voters up? As root on a node no token is needed");
}

/* The token behind "Bearer", RFC 6750 section 2.1. NULL: none. */
static const char *bearer(const char *authorization)
{
    static const char scheme[] = "Bearer ";
    size_t length = sizeof(scheme) - 1;

    if (strncasecmp(authorization, scheme, length) != 0)
        return NULL;
    return authorization + length + strspn(authorization + length, " ");
}

static void check_token(struct http_exchange *exchange, const char *text)
{
    const struct daemon *daemon = exchange->app;
    struct check *check = text ? calloc(1, sizeof(*check)) : NULL;
    struct kv_status status = {0};
    int error;

    if (text && !check) {
        http_respond_error(exchange, 503, "out of memory", NULL);
        return;
    }
    if (!text || access_parse(text, &check->token)) {
        free(check);
        refuse_unknown(exchange, "that is not an access token, or not a whole one",
                       "\"Authorization: Bearer TOKEN\" with what `culvert token create` printed");
        return;
    }
    check->exchange = exchange;
    if (daemon->cluster)
        kv_service_status(cluster_service(daemon->cluster), &status);
    error = status.leader ? kv_service_barrier(cluster_service(daemon->cluster), on_current, check)
                          : CULVERT_ENOTLEADER;
    if (error)
        on_current(check, error);
}

void api_gate(struct http_exchange *exchange)
{
    const char *authorization = exchange->request->authorization;

    if (*authorization)
        check_token(exchange, bearer(authorization));
    else if (*exchange->from)
        refuse_unknown(exchange, "a token is needed", "`culvert token create`, by an admin");
    else
        admit_local(exchange);
}
