/* SPDX-License-Identifier: Apache-2.0 */
#include <regex.h>
#include <stdbool.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/support.h"

#define REMOVED "(removed)"
#define VALUE "[\"']?[[:space:]]*[:=][[:space:]]*[\"']?"

/* What the first group matches stays, the rest goes. Case doesn't count. */
static const char *const secrets[] = {
    "(culvert(-api)?1\\.)[A-Za-z0-9._-]+",
    "(systemd\\.set_credential[a-z_]*=[^:[:space:]]*:)[^[:space:]]*",
    "(\"systemd\\.set_credential[a-z_]*=[^:\"]*:)[^\"]*",
    "(io\\.systemd\\.credential[a-z.]*:[^=[:space:]]*=)[^[:space:]]*",
    "((password|passwd|passphrase|secret|token|psk)" VALUE ")[^]\"'[:space:],}]+",
    "(key" VALUE ")[0-9a-f]{32}",
    "(://[^/@:[:space:]]*:)[^/@[:space:]]+@",
};
#define SECRETS (sizeof(secrets) / sizeof(secrets[0]))

/* Replaces all that one expression finds in a line. */
static void clean_line(const regex_t *secret, const char *line, struct buffer *out)
{
    regmatch_t match[2];

    while (!regexec(secret, line, 2, match, 0)) {
        buffer_add(out, line, (size_t)match[1].rm_eo);
        if (match[0].rm_eo > match[1].rm_eo)
            buffer_text(out, REMOVED);
        line += match[0].rm_eo;
    }
    buffer_text(out, line);
}

struct cleaner {
    regex_t secrets[SECRETS];
    struct buffer line, next;
    bool in_key; /* between the lines of a private key */
};

static void clean_all(struct cleaner *cleaner, const char *line, size_t length, struct buffer *out)
{
    buffer_clear(&cleaner->line);
    buffer_add(&cleaner->line, line, length);
    for (size_t i = 0; i < cleaner->line.length; i++)
        if (!cleaner->line.data[i])
            cleaner->line.data[i] = '?';
    if (cleaner->in_key) {
        cleaner->in_key = !memmem(line, length, "-----END", 8);
        return;
    }
    if (memmem(line, length, "PRIVATE KEY-----", 16)) {
        cleaner->in_key = !memmem(line, length, "-----END", 8);
        buffer_text(out, REMOVED "\n");
        return;
    }
    for (size_t i = 0; i < SECRETS && cleaner->line.length; i++) {
        struct buffer before = cleaner->line;

        buffer_clear(&cleaner->next);
        clean_line(&cleaner->secrets[i], before.data, &cleaner->next);
        cleaner->line = cleaner->next;
        cleaner->next = before;
    }
    buffer_add(out, cleaner->line.data, cleaner->line.length);
    buffer_char(out, '\n');
    if (cleaner->line.error || cleaner->next.error)
        out->error = CULVERT_ENOMEM;
}

int support_clean(const char *text, size_t length, struct buffer *out)
{
    struct cleaner cleaner = {.in_key = false};
    size_t compiled = 0;

    while (compiled < SECRETS &&
           !regcomp(&cleaner.secrets[compiled], secrets[compiled], REG_EXTENDED | REG_ICASE))
        compiled++;
    if (compiled < SECRETS)
        out->error = CULVERT_ENOMEM;
    while (length && !out->error) {
        const char *end = memchr(text, '\n', length);
        size_t line = end ? (size_t)(end - text) : length;

        clean_all(&cleaner, text, line, out);
        line += end ? 1 : 0;
        text += line;
        length -= line;
    }
    while (compiled)
        regfree(&cleaner.secrets[--compiled]);
    buffer_free(&cleaner.line);
    buffer_free(&cleaner.next);
    return out->error;
}
