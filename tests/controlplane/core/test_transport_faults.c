/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory runs out, at each allocation in turn: in the transport while two nodes meet and talk, and
 * in what makes certificates and answers. Connections may end and calls fail; nothing is lost of
 * memory, and afterwards all goes on. The linker puts our allocator in place of the real one, in
 * our code only: OpenSSL 3.5 itself overruns a block when its memory runs out (ASN1_item_i2d).
 */
#include "tests/controlplane/core/transport_rig.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/identity/rollover.h"
#include "tests/allocator.h"

static uint64_t allocations, fail_at; /* this one fails; 0: none */
static bool counting;

bool allocation_fails(void)
{
    return counting && ++allocations == fail_at;
}

static void begin(uint64_t at)
{
    allocations = 0;
    fail_at = at;
    counting = true;
}

/* True when the one that was to fail came. */
static bool end(void)
{
    counting = false;
    return allocations >= fail_at;
}

/* ---- the transport ---- */

static struct rig rig;

static bool is_bulk(const void *bytes, size_t length)
{
    return length && *(const uint8_t *)bytes == 'b';
}

static void set_up(void)
{
    rig_open(&rig, 2);
    for (unsigned id = 1; id <= 2; id++) {
        rig.node[id].options.bulk = is_bulk;
        rig.node[id].options.backoff_max_ms = 10;
        rig.node[id].options.defer_ms = 1;
        rig_start_alone(&rig, id);
    }
}

/* They meet and talk, as far as memory allows. */
static void meet(void)
{
    static char bulk[100000] = "b";

    transport_peer_set(rig.node[1].transport, 2, &rig.node[2].endpoint);
    transport_peer_set(rig.node[2].transport, 1, &rig.node[1].endpoint);
    for (int step = 0; step < 60 && rig.node[2].messages < 3; step++) {
        rig_step(&rig, -1, 0);
        if (step % 10 == 9) {
            rig_send(&rig, 1, 2, "hello", 5);
            rig_send(&rig, 1, 2, bulk, sizeof(bulk));
        }
    }
}

/* A node takes connections, as before. */
static void check_listening(unsigned id)
{
    uint64_t accepted = rig_stats(&rig, id).accepted;
    int fd = rig_dial(&rig, id);

    rig_until(&rig, rig_stats(&rig, id).accepted > accepted);
    close(fd);
}

static void test_transport(void **state)
{
    bool came = true;

    (void)state;
    for (uint64_t at = 1; came; at++) {
        size_t before;

        set_up();
        begin(at);
        meet();
        came = end();
        check_listening(1);
        check_listening(2);
        rig_introduce(&rig, 1, 2);
        rig_until(&rig, rig_stats(&rig, 1).connections == 1 && rig_connected(&rig, 1, 2));
        before = rig.node[2].messages;
        rig_until(&rig, !rig_send(&rig, 1, 2, "hello", 5));
        rig_until(&rig, rig.node[2].messages > before);
        rig_close(&rig);
        assert_true(at < 1000);
    }
    assert_true(allocations > 15);
}

/* ---- identities ---- */

/* A site, a certificate for another node, a rollover, a token, an answer that is read again. */
static int make_all(struct identity **site, struct join_result *result)
{
    struct token_record record;
    char text[TOKEN_TEXT];
    struct rollover rollover = {0};
    struct buffer reply = {0}, bytes = {0};
    EVP_PKEY *key = NULL;
    int error = identity_found(site, 1, rig_now());

    if (!error)
        error = rollover_begin(*site, rig_now(), &rollover);
    if (!error)
        error = rollover_write(&rollover, &bytes);
    rollover_free(&rollover);
    if (!error)
        error = rollover_read(bytes.data, bytes.length, &rollover);
    if (!error)
        error = identity_adopt(*site, rollover.sealed.data, rollover.sealed.length, rollover.trust);
    rollover_free(&rollover);
    buffer_free(&bytes);
    if (!error)
        error = identity_renew(*site, rig_now());
    if (!error)
        error = token_make(*site, rig_now(), 60, false, text, &record);
    if (!error)
        error = certificate_key_make(&key);
    if (!error)
        error = join_reply_grant(*site, 2, key, rig_now(), NULL, 0, &reply);
    if (!error)
        error =
            join_reply_read((uint8_t *)reply.data, reply.length, key, (*site)->name.site, result);
    EVP_PKEY_free(key);
    buffer_free(&reply);
    return error;
}

static void test_identity(void **state)
{
    static struct join_result result;
    bool came = true;

    (void)state;
    for (uint64_t at = 1; came; at++) {
        struct identity *site = NULL;
        int error;

        memset(&result, 0, sizeof(result));
        begin(at);
        error = make_all(&site, &result);
        came = end();
        assert_int_equal(error, came ? CULVERT_ENOMEM : 0);
        assert_true(!error == (result.identity != NULL));
        identity_free(result.identity);
        identity_free(site);
    }
    assert_true(allocations > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transport),
        cmocka_unit_test(test_identity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
