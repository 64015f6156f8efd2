/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/identity/rollover.h"

#include <stdlib.h>

#include "controlplane/base/bytes.h"
#include "controlplane/base/error.h"

#define RECORD_VERSION 1

void rollover_free(struct rollover *rollover)
{
    buffer_free(&rollover->sealed);
    buffer_free(&rollover->next);
    certificates_free(rollover->trust);
    *rollover = (struct rollover){0};
}

static X509 *newest(const struct rollover *rollover)
{
    return sk_X509_value(rollover->trust, sk_X509_num(rollover->trust) - 1);
}

/* Adds one that is not there yet. */
static int trust_add(STACK_OF(X509) * trust, X509 *more)
{
    if (certificates_have(trust, more))
        return 0;
    if (sk_X509_num(trust) >= CERTIFICATE_LIST_MAX)
        return CULVERT_EFULL;
    return X509_add_cert(trust, more, X509_ADD_FLAG_UP_REF) == 1 ? 0 : CULVERT_ENOMEM;
}

int rollover_begin(const struct identity *identity, int64_t now, struct rollover *out)
{
    struct authority *authority;
    int error = authority_make(&authority, identity->name.site, now);

    *out = (struct rollover){.step = ROLLOVER_SPREAD};
    if (error)
        return error;
    memcpy(out->site, identity->name.site, sizeof(out->site));
    out->trust = certificates_copy(identity->trust);
    error = out->trust ? trust_add(out->trust, authority_certificate(authority)) : CULVERT_ENOMEM;
    if (!error)
        error = authority_seal(authority, out->site, identity->site_key, &out->next);
    authority_free(authority);
    buffer_add(&out->sealed, identity->sealed.data, identity->sealed.length);
    return error ? error : out->sealed.error;
}

void rollover_advance(struct rollover *rollover)
{
    if (rollover->step == ROLLOVER_SPREAD) {
        buffer_free(&rollover->sealed);
        rollover->sealed = rollover->next;
        rollover->next = (struct buffer){0};
        rollover->step = ROLLOVER_RENEW;
    } else if (rollover->step == ROLLOVER_RENEW) {
        while (sk_X509_num(rollover->trust) > 1)
            X509_free(sk_X509_shift(rollover->trust));
        rollover->step = ROLLOVER_DONE;
    }
}

int rollover_fingerprint(const struct rollover *rollover, uint8_t out[CERTIFICATE_FINGERPRINT])
{
    return certificate_fingerprint(newest(rollover), out);
}

/* ---- as bytes ---- */

int rollover_write(const struct rollover *rollover, struct buffer *out)
{
    bytes_put_number(out, RECORD_VERSION, 1);
    bytes_put_text(out, rollover->site);
    bytes_put_number(out, rollover->step, 1);
    bytes_put_number(out, rollover->forced, 1);
    bytes_put_counted(out, rollover->sealed.data, rollover->sealed.length);
    bytes_put_counted(out, rollover->next.data, rollover->next.length);
    return certificates_encode(rollover->trust, out);
}

static void take_sealed(struct bytes *bytes, struct buffer *out)
{
    struct bytes sealed = bytes_take_counted(bytes, AUTHORITY_SEALED_MAX);

    if (sealed.left)
        buffer_add(out, sealed.at, sealed.left);
}

int rollover_read(const void *data, size_t length, struct rollover *out)
{
    struct bytes bytes = {.at = data, .left = length};
    uint64_t version = bytes_take_number(&bytes, 1), step, forced;
    int error;

    *out = (struct rollover){0};
    bytes_take_text(&bytes, out->site, sizeof(out->site));
    step = bytes_take_number(&bytes, 1);
    forced = bytes_take_number(&bytes, 1);
    take_sealed(&bytes, &out->sealed);
    take_sealed(&bytes, &out->next);
    if (bytes.bad || version != RECORD_VERSION || !site_id_valid(out->site) ||
        step > ROLLOVER_RENEW || forced > 1)
        return CULVERT_ECORRUPT;
    if (out->sealed.error || out->next.error)
        return CULVERT_ENOMEM;
    out->step = (enum rollover_step)step;
    out->forced = forced;
    error = certificates_decode(&bytes, &out->trust);
    if (!error && bytes.left)
        error = CULVERT_EPROTO;
    if (!error && (!out->sealed.length || !out->next.length != (step != ROLLOVER_SPREAD)))
        error = CULVERT_EPROTO;
    return error == CULVERT_EPROTO ? CULVERT_ECORRUPT : error;
}

/* ---- following ---- */

static bool same_trust(const STACK_OF(X509) * x, const STACK_OF(X509) * y)
{
    bool same = sk_X509_num(x) == sk_X509_num(y);

    for (int i = 0; same && i < sk_X509_num(x); i++)
        same = certificates_have(y, sk_X509_value(x, i));
    return same;
}

int rollover_look(const struct rollover *rollover, const struct identity *identity,
                  enum rollover_state *state)
{
    const X509 *issuer = identity_issuer(identity);
    struct authority *authority;
    int error = authority_unseal(&authority, identity->name.site, identity->site_key,
                                 rollover->sealed.data, rollover->sealed.length);

    if (error)
        return error;
    if (!certificates_have(rollover->trust, authority_certificate(authority)))
        error = CULVERT_ECORRUPT;
    else if (X509_cmp(issuer, authority_certificate(authority)) != 0)
        *state = ROLLOVER_REPLACED;
    else if (!same_trust(rollover->trust, identity->trust) ||
             rollover->sealed.length != identity->sealed.length ||
             memcmp(rollover->sealed.data, identity->sealed.data, identity->sealed.length) != 0)
        *state = ROLLOVER_ADOPT;
    else
        *state = ROLLOVER_FOLLOWS;
    authority_free(authority);
    return error;
}

/* The CA of the own certificate is believed until there is another one. */
static int adopt_beside(const struct rollover *rollover, struct identity *identity, int folder)
{
    STACK_OF(X509) *trust = certificates_copy(rollover->trust);
    int error = trust ? trust_add(trust, identity_issuer(identity)) : CULVERT_ENOMEM;

    if (!error)
        error = identity_adopt(identity, rollover->sealed.data, rollover->sealed.length, trust);
    certificates_free(trust);
    return error ? error : identity_save(identity, folder);
}

int rollover_follow(const struct rollover *rollover, struct identity *identity, int folder,
                    int64_t now)
{
    enum rollover_state state;
    int error = rollover_look(rollover, identity, &state);

    if (!error && state == ROLLOVER_REPLACED) {
        error = adopt_beside(rollover, identity, folder);
        if (!error)
            error = identity_renew(identity, now);
        if (!error)
            error = identity_save(identity, folder);
    }
    if (!error)
        error = identity_adopt(identity, rollover->sealed.data, rollover->sealed.length,
                               rollover->trust);
    return error ? error : identity_save(identity, folder);
}
