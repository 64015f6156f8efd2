/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/error.h"

const char *culvert_strerror(int error)
{
    switch (error) {
    case CULVERT_OK:
        return "no error";
#define X(name, number, text)                                                                      \
    case CULVERT_##name:                                                                           \
        return text;
        CULVERT_ERRORS(X)
#undef X
    default:
        return "unknown error";
    }
}
