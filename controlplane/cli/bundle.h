/* SPDX-License-Identifier: Apache-2.0 */
/* A site file and the zone files that it names, on their way to culvertd. */
#ifndef CULVERT_CLI_BUNDLE_H
#define CULVERT_CLI_BUNDLE_H

#include "controlplane/base/digest.h"
#include "controlplane/cli/command.h"

/* `name`, `text` and `length` are set by bundle_read(), or by whoever has the text from elsewhere;
 * all but the strings of the first three lines is the bundle's, to bundle_free(). */
struct bundle {
    const char *name;   /* of the site file, for errors */
    const char *beside; /* the file in whose folder zone files are; NULL: the current folder */
    yyjson_val *known;  /* names of files that culvertd has, and their digests; or NULL */
    char *text;
    size_t length;
    char **files; /* names as written in the site file */
    size_t file_count;
    char (*digests)[DIGEST_TEXT]; /* "" for a file that can't be read */
    const char **problems;        /* why it can't; NULL: it can, or that was told */
    bool missing;                 /* some can't */
};

/* What is asked for, and how; NULL: not given. */
struct bundle_request {
    const char *target; /* of the API */
    const char *author, *comment, *confirm;
    const char *if_revision; /* a number */
    bool dry_run;
};

/* Reads the site file ("-": standard input) into a zeroed bundle. The exit code, errors printed. */
int bundle_read(const char *path, struct bundle *bundle);
void bundle_free(struct bundle *bundle);

/* Brings the zone files and posts all. Returns the exit code, errors printed, and on CLI_OK the
 * answer, to yyjson_doc_free(). Once for each bundle. */
int bundle_post(struct cli *cli, struct bundle *bundle, const struct bundle_request *request,
                yyjson_doc **doc);

#endif
