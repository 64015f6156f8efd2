/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/controlplane/cli/system/made_up.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/bytes.h"
#include "controlplane/base/digest.h"

static char folder[64];

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void path_of(char path[PATH_MAX], const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
}

void made_up_write(const char *name, const void *data, size_t length)
{
    char path[PATH_MAX];
    FILE *file;

    path_of(path, name);
    file = fopen(path, "we");
    must(file && fwrite(data, 1, length, file) == length && !fclose(file));
}

static void write_text(const char *name, const char *text)
{
    made_up_write(name, text, strlen(text));
}

static void write_link(const char *name, const char *target)
{
    char path[PATH_MAX];

    path_of(path, name);
    must(!symlink(target, path));
}

long made_up_size(const char *name)
{
    struct stat status;
    char path[PATH_MAX];

    path_of(path, name);
    return stat(path, &status) ? -1 : (long)status.st_size;
}

/* ---- keys ---- */

static EVP_PKEY *key_of(bool other)
{
    static EVP_PKEY *keys[2];

    if (!keys[other])
        keys[other] = EVP_EC_gen("P-256");
    must(keys[other] != NULL);
    return keys[other];
}

static void write_certificate(const char *name)
{
    X509 *certificate = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long length;

    must(certificate && bio && X509_set_pubkey(certificate, key_of(false)));
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 60);
    must(X509_sign(certificate, key_of(false), EVP_sha256()) &&
         PEM_write_bio_X509(bio, certificate));
    length = BIO_get_mem_data(bio, &text);
    made_up_write(name, text, (size_t)length);
    BIO_free(bio);
    X509_free(certificate);
}

/* ---- the appliance ---- */

static void write_partition(unsigned number, const char *label)
{
    char name[80], text[160];

    snprintf(name, sizeof(name), "sys/devices/vda/vda%u/uevent", number);
    snprintf(text, sizeof(text), "DEVTYPE=partition\nPARTNAME=%s\n", label);
    write_text(name, text);
    snprintf(name, sizeof(name), "sys/class/block/vda%u", number);
    snprintf(text, sizeof(text), "../../devices/vda/vda%u", number);
    write_link(name, text);
    snprintf(name, sizeof(name), "dev/vda%u", number);
    write_text(name, "");
    snprintf(text, sizeof(text), "%s/%s", folder, name);
    must(!truncate(text, SLOT_BYTES));
}

const char *made_up_appliance(void)
{
    static const char *const labels[] = {"esp", "root-a", "hash-a", "root-b", "hash-b"};
    struct buffer data = {0};
    char path[PATH_MAX];

    snprintf(folder, sizeof(folder), "/tmp/culvert-system-XXXXXX");
    must(mkdtemp(folder) != NULL);
    write_text("usr/lib/os-release", "ID=debian\nIMAGE_ID=culvert\nIMAGE_VERSION=\"1.0\"\n");
    write_certificate("usr/share/culvert/update.crt");
    for (unsigned i = 0; i < 5; i++)
        write_partition(i + 1, labels[i]);
    write_text("sys/devices/vda/uevent", "DEVTYPE=disk\n");
    write_text("sys/devices/virtual/dm-0/dm/name", "root\n");
    write_link("sys/devices/virtual/dm-0/slaves/vda2", "../../../vda/vda2");
    write_link("sys/class/block/dm-0", "../../devices/virtual/dm-0");
    path_of(path, "sys/firmware/efi/efivars/");
    made_up_kernel(HASH_A, &data);
    made_up_write("efi/EFI/Linux/culvert-1.0.efi", data.data, data.length);
    buffer_clear(&data);
    made_up_tree(HASH_A, &data);
    made_up_write("dev/vda3", data.data, data.length);
    buffer_free(&data);
    return folder;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

void made_up_remove(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int not_hidden(const struct dirent *item)
{
    return *item->d_name != '.';
}

const char *made_up_entries(void)
{
    static char text[512];
    struct dirent **items;
    char path[PATH_MAX];
    int count;

    path_of(path, "efi/EFI/Linux/");
    count = scandir(path, &items, not_hidden, alphasort);
    must(count >= 0);
    *text = 0;
    for (int i = 0; i < count; i++) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
                 items[i]->d_name);
        free(items[i]);
    }
    free(items);
    return text;
}

/* ---- what an update has ---- */

/* A stub, the PE header with an optional header of 16 bytes, one section before .cmdline. */
void made_up_kernel(const char *root_hash, struct buffer *out)
{
    char cmdline[128];
    size_t length = (size_t)snprintf(cmdline, sizeof(cmdline), "roothash=%s ro quiet", root_hash);

    buffer_text(out, "MZ");
    memset(buffer_room(out, 0x3c - 2), 0, 0x3c - 2);
    bytes_put_number(out, 0x40, 4);
    buffer_add(out, "PE\0\0\x64\x86", 6);
    bytes_put_number(out, 2, 2);
    memset(buffer_room(out, 12), 0, 12);
    bytes_put_number(out, 16, 4);
    memset(buffer_room(out, 16), 0, 16);
    for (unsigned i = 0; i < 2; i++) {
        buffer_add(out, i ? ".cmdline" : ".text\0\0\0", 8);
        bytes_put_number(out, length, 4);
        bytes_put_number(out, 0, 4);
        bytes_put_number(out, length, 4);
        bytes_put_number(out, 0x40 + 24 + 16 + 80, 4);
        memset(buffer_room(out, 16), 0, 16);
    }
    buffer_add(out, cmdline, length);
    must(!out->error);
}

void made_up_tree(const char *root_hash, struct buffer *out)
{
    buffer_add(out, "verity\0\0\1\0\0\0\1\0\0\0", 16);
    for (unsigned i = 0; i < 16; i++) {
        unsigned byte;

        must(sscanf(root_hash + 2 * i, "%2x", &byte) == 1);
        buffer_char(out, (char)byte);
    }
    memset(buffer_room(out, 1000), 7, 1000);
    must(!out->error);
}

void made_up_fill_b(const char *entry, const char *root_hash)
{
    struct buffer data = {0};
    char name[128];

    snprintf(name, sizeof(name), "efi/EFI/Linux/%s", entry);
    made_up_kernel(root_hash, &data);
    made_up_write(name, data.data, data.length);
    buffer_clear(&data);
    made_up_tree(root_hash, &data);
    made_up_write("dev/vda5", data.data, data.length);
    buffer_free(&data);
}

/* ---- the archive ---- */

static void add_member(struct buffer *out, const char *name, const void *data, size_t length)
{
    char header[512] = "";
    unsigned sum = 0;

    snprintf(header, 100, "%s", name);
    snprintf(header + 100, 8, "%07o", 0644);
    snprintf(header + 124, 12, "%011zo", length);
    memset(header + 148, ' ', 8);
    header[156] = '0';
    memcpy(header + 257, "ustar\00000", 8);
    for (unsigned i = 0; i < 512; i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum);
    buffer_add(out, header, 512);
    buffer_add(out, data, length);
    length = (512 - length % 512) % 512;
    memset(buffer_room(out, length), 0, length);
}

static void add_part(struct buffer *manifest, const char *name, const struct buffer *part)
{
    char digest[DIGEST_TEXT];

    must(!digest_text(part->data, part->length, digest));
    buffer_format(manifest, ",\"%s\":{\"size\":%zu,\"sha256\":\"%s\"}", name, part->length, digest);
}

static void add_signature(struct buffer *out, const struct buffer *manifest, bool other)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t signature[512];
    size_t length = sizeof(signature);

    must(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key_of(other)) == 1);
    must(EVP_DigestSign(context, signature, &length, (const uint8_t *)manifest->data,
                        manifest->length) == 1);
    EVP_MD_CTX_free(context);
    add_member(out, "manifest.sig", signature, length);
}

static void write_manifest(const struct made_up_update *update, const struct buffer parts[3],
                           struct buffer *manifest)
{
    buffer_format(
        manifest, "{\"format\":%u,\"product\":\"%s\",\"version\":\"%s\",\"root_hash\":\"%s\"",
        update->format ? update->format : 1, update->product ? update->product : "culvert",
        update->version, update->root_hash);
    if (update->flavour)
        buffer_format(manifest, ",\"flavour\":\"%s\"", update->flavour);
    add_part(manifest, "kernel", &parts[0]);
    add_part(manifest, "root", &parts[1]);
    add_part(manifest, "hash", &parts[2]);
    buffer_char(manifest, '}');
}

void made_up_pack(const struct made_up_update *update, struct buffer *out)
{
    static const char *const names[] = {"kernel", "root", "hash"};
    struct buffer parts[3] = {0}, manifest = {0};
    size_t root = update->root_bytes ? update->root_bytes : 3000;

    made_up_kernel(update->root_hash, &parts[0]);
    memset(buffer_room(&parts[1], root), 'r', root);
    made_up_tree(update->tree_hash ? update->tree_hash : update->root_hash, &parts[2]);
    write_manifest(update, parts, &manifest);
    if (update->changed_manifest) {
        struct buffer other = {0};

        buffer_format(&other, "%.*s ", (int)manifest.length, manifest.data);
        add_member(out, "manifest.json", other.data, other.length);
        buffer_free(&other);
    } else {
        add_member(out, "manifest.json", manifest.data, manifest.length);
    }
    if (!update->is_unsigned)
        add_signature(out, &manifest, update->other_key);
    if (update->wrong_digest)
        parts[1].data[100] ^= 1;
    if (update->short_kernel)
        parts[0].length--;
    for (unsigned i = 0; i < 3; i++) {
        add_member(out, names[i], parts[i].data, parts[i].length);
        buffer_free(&parts[i]);
    }
    memset(buffer_room(out, 1024), 0, 1024);
    buffer_free(&manifest);
    must(!out->error);
}
