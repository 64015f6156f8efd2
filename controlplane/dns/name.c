/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/dns/name.h"

#include <stdio.h>
#include <string.h>

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

/* Fills the key from the wire form, whose labels start at the offsets given. */
static void fill_key(struct name_buffer *name, const uint8_t *starts, unsigned labels)
{
    uint8_t *to = name->key;

    for (unsigned i = labels; i-- > 0;) {
        const uint8_t *label = name->wire + starts[i];

        for (unsigned k = 1; k <= label[0]; k++) {
            uint8_t byte = lower(label[k]);

            if (byte <= 1) {
                *to++ = 1;
                byte++;
            }
            *to++ = byte;
        }
        *to++ = 0;
    }
    name->name.key_length = (uint16_t)(to - name->key);
}

bool name_from_wire(struct name_buffer *name, const uint8_t *wire, size_t length)
{
    uint8_t starts[128];
    unsigned labels = 0;
    size_t at = 0;

    for (;;) {
        if (at >= length || at >= NAME_WIRE_MAX || wire[at] > 63)
            return false;
        if (!wire[at])
            break;
        starts[labels++] = (uint8_t)at;
        at += wire[at] + 1u;
    }
    memcpy(name->wire, wire, at + 1);
    name->name.wire = name->wire;
    name->name.key = name->key;
    name->name.length = (uint8_t)(at + 1);
    name->name.labels = (uint8_t)labels;
    fill_key(name, starts, labels);
    return true;
}

/* One character of a label, with the escapes of RFC 1035 section 5.1; -1: malformed. */
static int read_escaped(const char **text)
{
    const char *at = *text;
    int value = 0;

    if (*at != '\\') {
        *text = at + 1;
        return (unsigned char)*at;
    }
    at++;
    if (*at < '0' || *at > '9') {
        *text = at + 1;
        return *at ? (unsigned char)*at : -1;
    }
    for (int i = 0; i < 3; i++, at++) {
        if (*at < '0' || *at > '9')
            return -1;
        value = value * 10 + *at - '0';
    }
    *text = at;
    return value <= 255 ? value : -1;
}

bool name_from_text(struct name_buffer *name, const char *text)
{
    uint8_t wire[NAME_WIRE_MAX + 1];
    size_t label = 0, at = 1;

    if (!strcmp(text, "."))
        text++;
    else if (!*text)
        return false;
    while (*text) {
        int byte;

        if (*text == '.') {
            if (at == label + 1)
                return false;
            wire[label] = (uint8_t)(at - label - 1);
            label = at++;
            text++;
            continue;
        }
        byte = read_escaped(&text);
        if (byte < 0 || at - label > 63 || at >= NAME_WIRE_MAX)
            return false;
        wire[at++] = (uint8_t)byte;
    }
    if (at > label + 1) {
        wire[label] = (uint8_t)(at - label - 1);
        label = at;
    }
    if (label >= NAME_WIRE_MAX)
        return false;
    wire[label] = 0;
    return name_from_wire(name, wire, label + 1);
}

const char *name_to_text(const uint8_t *wire, char text[NAME_TEXT_MAX])
{
    size_t at = 0;

    if (!wire[0])
        text[at++] = '.';
    while (wire[0]) {
        for (unsigned i = 1; i <= wire[0]; i++) {
            if (wire[i] <= ' ' || wire[i] >= 127)
                at += (size_t)snprintf(text + at, NAME_TEXT_MAX - at, "\\%03u", wire[i]);
            else if (strchr(".\\\"();@$", wire[i]))
                at += (size_t)snprintf(text + at, NAME_TEXT_MAX - at, "\\%c", wire[i]);
            else
                text[at++] = (char)wire[i];
        }
        text[at++] = '.';
        wire += wire[0] + 1;
    }
    text[at] = '\0';
    return text;
}

int name_compare(const struct name *a, const struct name *b)
{
    size_t length = a->key_length < b->key_length ? a->key_length : b->key_length;
    int order = memcmp(a->key, b->key, length);

    return order ? order : (int)a->key_length - (int)b->key_length;
}

bool name_wire_equal(const uint8_t *a, const uint8_t *b, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (lower(a[i]) != lower(b[i]))
            return false;
    }
    return true;
}

bool name_is_within(const struct name *name, const struct name *above)
{
    return name->key_length >= above->key_length &&
           !memcmp(name->key, above->key, above->key_length);
}

struct name name_suffix(const struct name *name, unsigned labels)
{
    struct name suffix = *name;

    while (suffix.labels > labels) {
        suffix.length = (uint8_t)(suffix.length - suffix.wire[0] - 1);
        suffix.wire += suffix.wire[0] + 1;
        suffix.labels--;
        /* The key's last label goes: its end mark, then back to the one before. */
        suffix.key_length--;
        while (suffix.key_length && suffix.key[suffix.key_length - 1])
            suffix.key_length--;
    }
    return suffix;
}
