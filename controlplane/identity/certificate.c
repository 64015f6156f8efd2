/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/identity/certificate.h"

#include <inttypes.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/units.h"

#define URI_SCHEME "culvert://"
#define URI_TEXT 80 /* bytes: the scheme, the site, '/', the node */
#define SERIAL_BYTES 16

int site_id_make(char site[SITE_ID_TEXT])
{
    uint8_t bytes[SITE_ID_BYTES];

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return CULVERT_ESYSTEM;
    for (size_t i = 0; i < SITE_ID_BYTES; i++)
        snprintf(site + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

bool site_id_valid(const char *site)
{
    return strlen(site) == SITE_ID_TEXT - 1 && strspn(site, "0123456789abcdef") == SITE_ID_TEXT - 1;
}

int certificate_key_make(EVP_PKEY **out)
{
    *out = EVP_EC_gen("P-256");
    return *out ? 0 : CULVERT_ENOMEM;
}

bool certificate_key_valid(const EVP_PKEY *key)
{
    char group[32];
    size_t length;

    return EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_group_name(key, group, sizeof(group), &length) == 1 &&
           !strcmp(group, "prime256v1");
}

static bool set_serial(X509 *certificate)
{
    uint8_t bytes[SERIAL_BYTES];
    BIGNUM *number;
    bool set;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and of one length */
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return set;
}

static bool add_extension(X509 *certificate, const X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    bool added;

    X509V3_set_ctx(&context, (X509 *)issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    added = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static bool add_extensions(X509 *certificate, const struct certificate_spec *spec)
{
    const X509 *issuer = spec->issuer ? spec->issuer : certificate;
    char uri[URI_TEXT + 8];

    if (!add_extension(certificate, issuer, NID_subject_key_identifier, "hash") ||
        !add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always"))
        return false;
    if (!spec->name)
        return add_extension(certificate, issuer, NID_basic_constraints,
                             "critical,CA:TRUE,pathlen:0") &&
               add_extension(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    snprintf(uri, sizeof(uri), "URI:" URI_SCHEME "%s/%" PRIu64, spec->name->site, spec->name->node);
    return add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
           add_extension(certificate, issuer, NID_subject_alt_name, uri);
}

static bool fill(X509 *certificate, const struct certificate_spec *spec)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    const X509_NAME *issuer = spec->issuer ? X509_get_subject_name(spec->issuer) : subject;

    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC,
                                      (const unsigned char *)spec->common_name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(certificate, issuer) == 1 &&
           ASN1_TIME_set(X509_getm_notBefore(certificate), spec->from) &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), spec->until) &&
           X509_set_pubkey(certificate, spec->key) == 1 && add_extensions(certificate, spec);
}

int certificate_make(const struct certificate_spec *spec, X509 **out)
{
    X509 *certificate;

    if (spec->name && (!site_id_valid(spec->name->site) || !spec->name->node))
        return CULVERT_EINVAL;
    certificate = X509_new();
    if (!certificate)
        return CULVERT_ENOMEM;
    if (!fill(certificate, spec) || !X509_sign(certificate, spec->issuer_key, EVP_sha256())) {
        X509_free(certificate);
        return CULVERT_ENOMEM;
    }
    *out = certificate;
    return 0;
}

/* culvert://SITE/NODE, and nothing else. */
static int parse_uri(const char *text, size_t length, struct node_name *out)
{
    const size_t start = strlen(URI_SCHEME), slash = start + SITE_ID_TEXT - 1;
    char uri[URI_TEXT];

    if (length >= sizeof(uri) || length <= slash + 1 || memchr(text, 0, length))
        return CULVERT_EPROTO;
    memcpy(uri, text, length);
    uri[length] = 0;
    if (strncmp(uri, URI_SCHEME, start) != 0 || uri[slash] != '/')
        return CULVERT_EPROTO;
    memcpy(out->site, uri + start, SITE_ID_TEXT - 1);
    out->site[SITE_ID_TEXT - 1] = 0;
    if (!site_id_valid(out->site) || uri[slash + 1] == '0' ||
        units_parse_number(uri + slash + 1, &out->node) || !out->node)
        return CULVERT_EPROTO;
    return 0;
}

int certificate_name(const X509 *certificate, struct node_name *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int error = CULVERT_EPROTO;

    if (names && sk_GENERAL_NAME_num(names) == 1) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);

        if (name->type == GEN_URI)
            error = parse_uri((const char *)ASN1_STRING_get0_data(name->d.ia5),
                              (size_t)ASN1_STRING_length(name->d.ia5), out);
    }
    GENERAL_NAMES_free(names);
    return error;
}

int certificate_fingerprint(const X509 *certificate, uint8_t out[CERTIFICATE_FINGERPRINT])
{
    unsigned length = 0;

    if (X509_digest(certificate, EVP_sha256(), out, &length) != 1 ||
        length != CERTIFICATE_FINGERPRINT)
        return CULVERT_ENOMEM;
    return 0;
}

static int read_time(const ASN1_TIME *time, int64_t *out)
{
    struct tm parts;

    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return CULVERT_EPROTO;
    *out = timegm(&parts);
    return 0;
}

int certificate_times(const X509 *certificate, int64_t *from, int64_t *until)
{
    int error = read_time(X509_get0_notBefore(certificate), from);

    return error ? error : read_time(X509_get0_notAfter(certificate), until);
}

int certificate_request_write(EVP_PKEY *key, struct buffer *out)
{
    X509_REQ *request = X509_REQ_new();
    uint8_t *der = NULL;
    int length = -1;

    if (request && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
        X509_REQ_set_pubkey(request, key) == 1 && X509_REQ_sign(request, key, EVP_sha256()))
        length = i2d_X509_REQ(request, &der);
    if (length > 0)
        buffer_add(out, der, (size_t)length);
    OPENSSL_free(der);
    X509_REQ_free(request);
    return length > 0 ? out->error : CULVERT_ENOMEM;
}

int certificate_request_read(const uint8_t *der, size_t length, EVP_PKEY **key)
{
    const uint8_t *at = der;
    X509_REQ *request;
    EVP_PKEY *inside;
    int error = CULVERT_EPROTO;

    if (!length || length > CERTIFICATE_DER_MAX)
        return CULVERT_EPROTO;
    request = d2i_X509_REQ(NULL, &at, (long)length);
    inside = request ? X509_REQ_get0_pubkey(request) : NULL;
    if (inside && at == der + length && certificate_key_valid(inside) &&
        X509_REQ_verify(request, inside) == 1 && EVP_PKEY_up_ref(inside) == 1) {
        *key = inside;
        error = 0;
    }
    X509_REQ_free(request);
    return error;
}
