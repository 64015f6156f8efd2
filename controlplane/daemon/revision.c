/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/daemon/revision.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"

static int read_uploads(struct revision_source *out)
{
    yyjson_val *files = yyjson_obj_get(yyjson_doc_get_root(out->state), "files"), *key, *value;
    size_t i, count = yyjson_obj_size(files);

    out->uploads = calloc(count + 1, sizeof(*out->uploads));
    if (!out->uploads)
        return CULVERT_ENOMEM;
    yyjson_obj_foreach (files, i, count, key, value) {
        const char *digest = yyjson_get_str(value);

        if (!digest)
            return CULVERT_ECORRUPT;
        out->uploads[i] = (struct site_upload){yyjson_get_str(key), digest};
    }
    out->source.uploads = out->uploads;
    out->source.upload_count = yyjson_obj_size(files);
    return 0;
}

int revision_source_read(struct revision_source *out, struct history_view *view, uint64_t number)
{
    int error = history_view_get(view, number, &out->revision);

    if (error) {
        out->revision = NULL;
        return error;
    }
    out->source.name = "the stored site";
    out->source.text = out->revision->site;
    out->source.length = strlen(out->revision->site);
    out->source.canonical = true;
    out->state = yyjson_read(out->revision->state, strlen(out->revision->state), 0);
    error = out->state ? read_uploads(out) : CULVERT_ECORRUPT;
    if (error)
        revision_source_free(out);
    return error;
}

void revision_source_free(struct revision_source *source)
{
    free(source->uploads);
    yyjson_doc_free(source->state);
    history_revision_free(source->revision);
    memset(source, 0, sizeof(*source));
}
