/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A candidate: the text of a site that is being changed, and the revision that it was made of.
 * Functions print their errors and return the exit code.
 */
#ifndef CULVERT_CLI_CANDIDATE_H
#define CULVERT_CLI_CANDIDATE_H

#include "controlplane/cli/command.h"
#include "controlplane/site/edit.h"
#include "controlplane/site/site.h"

/* A zeroed one is empty. All is its own, to candidate_free(). */
struct candidate {
    char *text;
    size_t length;
    char *before;      /* the text when it was the revision's */
    uint64_t revision; /* 0: the site has none yet */
    yyjson_doc *doc;   /* has `files`, */
    yyjson_val *files; /* the digests of zone files that culvertd has; NULL: none */
    char *beside;      /* the file that was loaded: its folder has the zone files; NULL: none was */
    bool loaded;       /* it was, and isn't committed yet: its zone files may be new */
};

void candidate_free(struct candidate *candidate); /* and makes it an empty one */

/* Whether there is something to commit. */
bool candidate_is_changed(const struct candidate *candidate);

/* Makes it the running revision. On an error it stays as it was. */
int candidate_run(struct cli *cli, struct candidate *candidate);
/* Makes its text that of revision `number`; what it was made of stays. */
int candidate_take(struct cli *cli, struct candidate *candidate, uint64_t number);
/* Makes its text a file's. */
int candidate_load(struct candidate *candidate, const char *path);

/* A path as it is typed below another one (`above`, perhaps of no words): `words`, the first of
 * which may be a path with dots. Sets how many are the path, the rest is a value. `copy` (of
 * SITE_PATH_TEXT bytes) has words of it, too. Prints what is wrong. */
struct candidate_path {
    struct site_path path;
    enum site_place place;
    size_t used;
    char copy[SITE_PATH_TEXT];
};
int candidate_path(const struct candidate *candidate, const struct site_path *above,
                   const char *const *words, size_t count, struct candidate_path *out);

/* Sets the value at the path (NULL: nothing behind it was typed) or deletes what is there. */
int candidate_set(struct candidate *candidate, const struct candidate_path *path,
                  const char *value);
int candidate_delete(struct candidate *candidate, const struct candidate_path *path);

/* How a candidate is committed. NULL: not given. */
struct candidate_commit {
    const char *author, *comment, *confirm;
    bool force;   /* also over a revision that came meanwhile */
    bool dry_run; /* only checked */
};
/* Sends it; prints what has changed, or who was quicker. On CLI_OK (`dry_run`: not then) it is made
 * of the new revision. */
int candidate_commit(struct cli *cli, struct candidate *candidate,
                     const struct candidate_commit *commit);
/* Prints how it differs from the running revision. */
int candidate_compare(struct cli *cli, struct candidate *candidate);

#endif
