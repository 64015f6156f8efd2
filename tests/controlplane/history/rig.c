/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/controlplane/history/rig.h"

#include <stdio.h>
#include <sys/mman.h>

#include "controlplane/base/error.h"
#include "controlplane/core/node.h"

#define REGION_BYTES ((size_t)32 << 20)
#define LONG_MS 20000u

/* ---- what the simulator's parts ask of its cluster ---- */

int sim_slot_of(const struct sim *sim, uint64_t id)
{
    return id >= 1 && id <= PEERS ? (int)id - 1 : -1;
}

void sim_check_leaders(struct sim *sim, unsigned i)
{
}

void sim_wrote(struct sim *sim, unsigned slot)
{
}

/* ---- nodes ---- */

static void node_failed(void *arg, int error, const char *problem)
{
    fail_msg("a node failed: %s", problem);
}

static void history_changed(void *arg)
{
    ((struct peer *)arg)->changed++;
}

static void open_tables(struct peer *peer)
{
    struct tables_options options = {.size = REGION_BYTES};

    peer->region =
        mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(peer->region != MAP_FAILED);
    options.base = peer->region;
    assert_int_equal(tables_open(&peer->tables, &options), 0);
    assert_int_equal(site_engine_new(&peer->engine, peer->tables), 0);
    peer->revision = 0;
}

static void open_peer(struct rig *rig, struct peer *peer)
{
    struct sim_slot *slot = &rig->sim.slot[peer->place];
    struct node_options node = {
        .id = slot->id, .address = slot->address, .failed = node_failed, .wal.segment = 32u << 20};
    struct kv_service_options service = {.site = 7};
    struct history_options history = rig->options;
    struct group_options options = {0};
    struct group_member members[PEERS];
    struct kv_engine *engine;

    for (unsigned i = 0; i < PEERS; i++)
        members[i] = (struct group_member){
            .id = rig->sim.slot[i].id, .role = GROUP_VOTER, .address = rig->sim.slot[i].address};
    slot->env = sim_env_new(&rig->sim, peer->place);
    assert_int_equal(kv_memory_open(&engine, &peer->disk), 0);
    assert_int_equal(kv_store_open(&peer->store, engine, slot->env), 0);
    assert_int_equal(node_open(&slot->node, slot->env, &node, NULL), 0);
    assert_int_equal(node_group_open(slot->node, 0, kv_store_machine(peer->store), &options,
                                     members, PEERS, &peer->group),
                     0);
    assert_int_equal(kv_service_open(&peer->service, slot->env, peer->group, peer->store, &service),
                     0);
    history.env = slot->env;
    history.service = peer->service;
    history.node = slot->address;
    history.changed = history_changed;
    history.arg = peer;
    assert_int_equal(history_open(&peer->history, &history), 0);
    open_tables(peer);
}

static void close_peer(struct rig *rig, struct peer *peer)
{
    struct sim_slot *slot = &rig->sim.slot[peer->place];

    site_engine_free(peer->engine);
    tables_close(peer->tables);
    munmap(peer->region, REGION_BYTES);
    history_close(peer->history);
    node_close(slot->node);
    kv_service_close(peer->service);
    kv_store_close(peer->store);
    sim_env_kill(slot->env);
    rig->sim.graves[rig->sim.graves_count++] = slot->env;
    slot->env = NULL;
}

void rig_open(struct rig *rig, const struct history_options *options)
{
    memset(rig, 0, sizeof(*rig));
    rig->options = *options;
    rig->sim.random.state = 1;
    rig->sim.slots = PEERS;
    rig->sim.delay_min = SIM_MS / 10;
    rig->sim.delay_max = SIM_MS;
    for (unsigned i = 0; i < PEERS; i++) {
        struct sim_slot *slot = &rig->sim.slot[i];

        slot->sim = &rig->sim;
        slot->id = i + 1;
        snprintf(slot->address, sizeof(slot->address), "n%u", i + 1);
        slot->disk = sim_disk_new();
        assert_non_null(slot->disk);
        rig->peer[i].place = i;
    }
    for (unsigned i = 0; i < PEERS; i++)
        open_peer(rig, &rig->peer[i]);
}

void rig_close(struct rig *rig)
{
    rig_pass(rig, 500); /* what the logs still do */
    for (unsigned i = 0; i < PEERS; i++)
        close_peer(rig, &rig->peer[i]);
    while (sim_next(&rig->sim))
        continue;
    sim_queue_free(&rig->sim);
    for (unsigned i = 0; i < PEERS; i++) {
        kv_memory_disk_free(&rig->peer[i].disk);
        sim_disk_free(rig->sim.slot[i].disk);
    }
    for (unsigned i = 0; i < rig->sim.graves_count; i++)
        sim_env_free(rig->sim.graves[i]);
}

void rig_restart(struct rig *rig, unsigned place)
{
    close_peer(rig, &rig->peer[place]);
    open_peer(rig, &rig->peer[place]);
}

void rig_cut(struct rig *rig, unsigned place, bool cut)
{
    for (unsigned i = 0; i < PEERS; i++)
        rig->sim.link[i][place].cut = rig->sim.link[place][i].cut = cut;
}

static bool is_cut(const struct rig *rig, unsigned place)
{
    return rig->sim.link[place][place].cut;
}

/* ---- time ---- */

void rig_wait(struct rig *rig, const bool *done)
{
    uint64_t until = rig->sim.now + LONG_MS * SIM_MS;

    while (!*done && rig->sim.now < until)
        assert_true(sim_next(&rig->sim));
    assert_true(*done);
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

void rig_pass(struct rig *rig, unsigned ms)
{
    bool over = false;

    sim_at(&rig->sim, rig->sim.now + ms * SIM_MS, set_flag, &over);
    rig_wait(rig, &over);
}

struct peer *rig_leader(struct rig *rig)
{
    for (unsigned n = 0; n < LONG_MS / 50; n++) {
        for (unsigned i = 0; i < PEERS; i++)
            if (!is_cut(rig, i) && history_leads(rig->peer[i].history))
                return &rig->peer[i];
        rig_pass(rig, 50);
    }
    fail_msg("nobody leads");
    return NULL;
}

static bool is_level(struct rig *rig)
{
    uint64_t latest = history_latest(rig_leader(rig)->history);

    for (unsigned i = 0; i < PEERS; i++)
        if (!is_cut(rig, i) && history_latest(rig->peer[i].history) != latest)
            return false;
    return true;
}

void rig_level(struct rig *rig)
{
    rig_pass(rig, 300); /* a heartbeat tells what is committed */
    for (unsigned n = 0; n < 100 && !is_level(rig); n++)
        rig_pass(rig, 50);
    assert_true(is_level(rig));
}

int64_t rig_wall(struct rig *rig)
{
    struct env *env = rig->sim.slot[0].env;

    return env->ops->wall_ms(env);
}

/* ---- changes ---- */

static void on_appended(struct history_append *append, int status)
{
    struct edit *edit = append->arg;

    edit->done = true;
    edit->status = status;
}

bool edit_prepare(struct rig *rig, struct edit *edit, struct peer *peer, const char *text,
                  const struct site_upload *upload)
{
    struct site_source source = {.name = "site.yaml",
                                 .text = text,
                                 .length = strlen(text),
                                 .uploads = upload,
                                 .upload_count = upload != NULL};
    struct history_append *append = &edit->append;
    struct site_errors errors = {0};
    bool whole;

    *edit = (struct edit){.peer = peer};
    peer_follow(rig, peer);
    assert_int_equal(history_view_open(&edit->view, peer->history), 0);
    assert_int_equal(history_view_latest(edit->view, &append->base), 0);
    assert_int_equal(site_prepare(peer->engine, &source, history_view_blobs(edit->view),
                                  rig_wall(rig), &edit->plan, &errors),
                     0);
    if (!site_plan_changed(edit->plan)) {
        site_abort(peer->engine, edit->plan);
        history_view_close(edit->view);
        return false;
    }
    append->revision = site_plan_revision(edit->plan);
    assert_int_equal(history_wants_whole(edit->view, append->base, append->revision, &whole), 0);
    if (whole)
        assert_int_equal(site_plan_whole(edit->plan), 0);
    append->revision->time_ms = rig_wall(rig);
    append->revision->author = "ann";
    append->revision->comment = "why";
    append->blobs = site_plan_blobs(edit->plan, &append->blob_count);
    append->what = "apply";
    append->done = on_appended;
    append->arg = edit;
    assert_int_equal(history_append_prepare(append, edit->view), 0);
    return true;
}

void edit_start(struct edit *edit)
{
    assert_int_equal(history_append_start(edit->peer->history, &edit->append), 0);
}

int edit_finish(struct rig *rig, struct edit *edit)
{
    struct peer *peer = edit->peer;
    struct site_changes changes;

    rig_wait(rig, &edit->done);
    if (edit->status) {
        site_abort(peer->engine, edit->plan);
    } else {
        peer->revision = edit->append.revision->number;
        site_commit(peer->engine, edit->plan, ++peer->generation, &changes);
    }
    history_append_free(&edit->append);
    history_view_close(edit->view);
    return edit->status;
}

void rig_apply(struct rig *rig, struct peer *peer, const char *text)
{
    struct edit edit;

    rig_level(rig);
    assert_true(edit_prepare(rig, &edit, peer, text, NULL));
    edit_start(&edit);
    assert_int_equal(edit_finish(rig, &edit), 0);
}

struct waiting {
    bool done;
    int status;
};

static void on_done(void *arg, int status)
{
    *(struct waiting *)arg = (struct waiting){true, status};
}

int rig_put(struct rig *rig, struct peer *peer, const void *data, size_t length,
            char digest[DIGEST_TEXT])
{
    struct site_blob blob = {.data = data, .length = length};
    struct waiting waiting = {0};

    assert_int_equal(digest_text(data, length, blob.digest), 0);
    memcpy(digest, blob.digest, DIGEST_TEXT);
    assert_int_equal(history_blob_put(peer->history, &blob, rig_wall(rig), on_done, &waiting), 0);
    rig_wait(rig, &waiting.done);
    return waiting.status;
}

uint8_t *rig_random(struct rig *rig, size_t length)
{
    uint8_t *data = malloc(length);

    assert_non_null(data);
    for (size_t i = 0; i < length; i++)
        data[i] = (uint8_t)sim_random(&rig->sim.random);
    return data;
}

void rig_check_blob(struct rig *rig, unsigned place, const char *digest, const void *data,
                    size_t length)
{
    struct history_view *view;
    struct site_blobs *blobs;
    const void *got;
    size_t got_length;

    assert_int_equal(history_view_open(&view, rig->peer[place].history), 0);
    blobs = history_view_blobs(view);
    assert_int_equal(history_view_has(view, digest), 0);
    assert_int_equal(blobs->get(blobs, digest, &got, &got_length), 0);
    assert_int_equal(got_length, length);
    assert_memory_equal(got, data, length);
    blobs->release(blobs, got, got_length);
    history_view_close(view);
}

/* By its patch, if that is of what the peer has, as culvertd does. */
static void take_over(struct rig *rig, struct peer *peer, struct history_view *view,
                      uint64_t latest)
{
    struct site_revision *revision;
    struct site_errors errors = {0};
    struct site_changes changes;
    struct site_plan *plan;
    bool next = peer->revision && latest == peer->revision + 1;

    if (next)
        assert_int_equal(history_view_patch(view, latest, &revision), 0);
    else
        assert_int_equal(history_view_get(view, latest, &revision), 0);
    assert_int_equal(
        site_adopt(peer->engine, revision, history_view_blobs(view), rig_wall(rig), &plan, &errors),
        0);
    site_commit(peer->engine, plan, ++peer->generation, &changes);
    history_revision_free(revision);
    peer->revision = latest;
    peer->patched += next;
}

void peer_follow(struct rig *rig, struct peer *peer)
{
    struct history_view *view;
    uint64_t latest;

    assert_int_equal(history_view_open(&view, peer->history), 0);
    assert_int_equal(history_view_latest(view, &latest), 0);
    if (latest != peer->revision)
        take_over(rig, peer, view, latest);
    history_view_close(view);
}

struct comparison {
    struct tables *other;
    size_t count;
};

static int compare_each(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct comparison *comparison = arg;
    size_t other_length;
    const void *other = tables_get(comparison->other, key, &other_length);

    assert_non_null(other);
    assert_int_equal(other_length, length);
    assert_memory_equal(other, body, length);
    comparison->count++;
    return 0;
}

void rig_check_equal(struct rig *rig)
{
    for (unsigned i = 0; i < PEERS; i++) {
        struct comparison comparison = {.other = rig->peer[(i + 1) % PEERS].tables};
        struct tables_usage usage;

        tables_usage(comparison.other, &usage);
        assert_int_equal(tables_each(rig->peer[i].tables, FP_KIND_COUNT, compare_each, &comparison),
                         0);
        assert_int_equal(comparison.count, usage.entries);
    }
}
