/* SPDX-License-Identifier: Apache-2.0 */
/* The API (docs/API.md): handlers that parse, call the daemon's parts, and format. */
#ifndef CULVERT_FRONTS_HTTP_API_H
#define CULVERT_FRONTS_HTTP_API_H

#include <yyjson.h>

#include "controlplane/base/buffer.h"
#include "controlplane/fronts/http/server.h"
#include "controlplane/history/history.h"
#include "controlplane/identity/access.h"

struct daemon;
struct cluster;

/* The routes; `app` of the server is the struct daemon. A route's `level` is the enum access_role
 * that it needs, ACCESS_NONE: nobody may. */
const struct http_route *api_routes(size_t *count);

/* ---- api_access.c: who may what (docs/API.md, decision 11) ---- */

/* The gate of http_server_options. */
void api_gate(struct http_exchange *exchange);
/* Its `answered`: notes what the history doesn't note itself. */
void api_answered(struct http_exchange *exchange, int status);
/* What a Unix socket's peer may: `own` is culvertd's user, `member` says that the peer is of the
 * group culvert. */
enum access_role api_local_role(uid_t uid, uid_t own, bool member);
/* Whether a role may use a route. */
bool api_may(enum access_role role, const struct http_route *route);
/* Who asks: for the audit log, as long as the exchange; and as an author. */
struct history_caller api_caller(const struct http_exchange *exchange);
const char *api_author(const struct http_exchange *exchange);

/* ---- shared by the api_*.c files ---- */

/* Answers with what was written, or 503 when memory ran out. Frees the buffer. */
void api_respond(struct http_exchange *exchange, int status, struct buffer *json);
/* The request's JSON object, to yyjson_doc_free(); NULL: it has been answered. */
yyjson_doc *api_read_object(struct http_exchange *exchange);
/* Answers an error of base/error.h. `detail` NULL or "": the error's own text. */
void api_respond_error(struct http_exchange *exchange, int error, const char *detail);
/* Answers with the text of a token that was made; `arg` is the exchange. */
void api_respond_token(void *arg, int status, const char *text);
/* Appends what `culvert node list` shows. */
void api_write_cluster(struct cluster *cluster, struct buffer *json);
/* Opens the cluster anew, as it is on the disk now, and answers with the site and node. */
void api_reopen(struct http_exchange *exchange);

/* Handlers; docs/API.md says what each does. */
void api_head_blob(struct http_exchange *exchange);
void api_begin_blob(struct http_exchange *exchange);
void api_put_blob(struct http_exchange *exchange);
void api_apply(struct http_exchange *exchange);
void api_diff(struct http_exchange *exchange);
void api_rollback(struct http_exchange *exchange);
void api_confirm(struct http_exchange *exchange);
void api_site(struct http_exchange *exchange);
void api_history(struct http_exchange *exchange);
void api_audit(struct http_exchange *exchange);
void api_revision(struct http_exchange *exchange);
void api_revision_diff(struct http_exchange *exchange);
void api_status(struct http_exchange *exchange);
void api_counters(struct http_exchange *exchange);
void api_explain(struct http_exchange *exchange);
void api_nodes(struct http_exchange *exchange);
void api_node_token(struct http_exchange *exchange);
void api_node_join(struct http_exchange *exchange);
void api_node_remove(struct http_exchange *exchange);
void api_node_promote(struct http_exchange *exchange);
void api_node_rotate_ca(struct http_exchange *exchange);
void api_node_recover(struct http_exchange *exchange);
void api_tokens(struct http_exchange *exchange);
void api_token_create(struct http_exchange *exchange);
void api_token_revoke(struct http_exchange *exchange);
void api_backup(struct http_exchange *exchange);
void api_backup_next(struct http_exchange *exchange);
void api_begin_restore(struct http_exchange *exchange);
void api_restore(struct http_exchange *exchange);

#endif
