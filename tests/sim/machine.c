/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state machine of a few registers. Like RocksDB without its write-ahead log it is durable only
 * up to the last flush: a crash takes it back there. Each command that is applied is compared with
 * what other nodes, or earlier lives, have applied at its index.
 */
#include "controlplane/core/machine.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "tests/sim/sim.h"

#define WORDS (2 + SIM_KEYS) /* of a dump */

struct sim_machine {
    struct machine machine;
    struct sim *sim;
    struct env *env;
    unsigned slot, group;
    struct sim_state state, *disk;
    struct sim_state flushing;
    void (*flushed)(void *arg, int status);
    void *flushed_arg;
    struct env_timer timer;
    uint64_t loading[WORDS];
    uint64_t load_index;
    size_t loaded; /* bytes */
    bool load, busy;
};

struct machine_dump {
    uint64_t words[WORDS];
    size_t at; /* bytes */
};

static struct sim_machine *of(struct machine *machine)
{
    return (struct sim_machine *)machine;
}

static uint64_t durable(struct machine *machine)
{
    return of(machine)->disk->index;
}

static uint64_t applied(struct machine *machine)
{
    return of(machine)->state.index;
}

uint64_t sim_command_apply(const struct sim_command *command, uint64_t before)
{
    switch (command->kind) {
    case SIM_PUT:
        return command->value;
    case SIM_CAS:
        return before == command->expected ? command->value : before;
    case SIM_APPEND:
        return before * 31 + command->value;
    default:
        return before;
    }
}

/* What was applied first at an index is what must be applied there ever after. */
static void compare(struct sim_machine *self, uint64_t index, uint64_t command)
{
    struct sim *sim = self->sim;
    uint64_t *command_at = sim->command_at[self->group], *state_at = sim->state_at[self->group];

    if (index >= SIM_INDEXES)
        return;
    if (!command_at[index]) {
        command_at[index] = command;
        state_at[index] = self->state.digest;
    }
    if (command_at[index] != command)
        sim_finding(sim,
                    "group %u: node %u applied another command at index %lu than was applied "
                    "there before",
                    self->group, (unsigned)sim->slot[self->slot].id, (unsigned long)index);
    else if (state_at[index] != self->state.digest)
        sim_finding(sim, "group %u: node %u has another state at index %lu", self->group,
                    (unsigned)sim->slot[self->slot].id, (unsigned long)index);
}

static int apply(struct machine *machine, uint64_t index, const void *bytes, size_t length,
                 struct buffer *result)
{
    struct sim_machine *self = of(machine);
    struct sim_command command;
    uint64_t before;

    if (index <= self->state.index || length != sizeof(command)) {
        sim_finding(self->sim, "group %u: index %lu applied after %lu", self->group,
                    (unsigned long)index, (unsigned long)self->state.index);
        return 0;
    }
    memcpy(&command, bytes, sizeof(command));
    command.key %= SIM_KEYS;
    self->sim->now += self->sim->apply_ns;
    before = self->state.values[command.key];
    self->state.values[command.key] = sim_command_apply(&command, before);
    self->state.digest = sim_hash(self->state.digest, bytes, length);
    self->state.index = index;
    if (result)
        buffer_add(result, &before, sizeof(before));
    compare(self, index, sim_hash(0xcbf29ce484222325u, bytes, length));
    return 0;
}

static void flush_done(void *arg)
{
    struct sim_machine *self = arg;

    *self->disk = self->flushing;
    self->busy = false;
    self->flushed(self->flushed_arg, 0);
}

static void flush(struct machine *machine, void (*done)(void *arg, int status), void *arg)
{
    struct sim_machine *self = of(machine);

    if (self->busy)
        sim_finding(self->sim, "group %u: two flushes at a time", self->group);
    self->busy = true;
    self->flushing = self->state;
    self->flushed = done;
    self->flushed_arg = arg;
    self->timer = (struct env_timer){.fn = flush_done, .arg = self};
    self->env->ops->timer_set(
        self->env, &self->timer,
        self->sim->now +
            sim_random_below(&self->sim->random, (self->sim->seed % 2 ? 50 : 1) * SIM_MS));
}

static int dump_open(struct machine *machine, struct machine_dump **out, uint64_t *index)
{
    struct machine_dump *dump = calloc(1, sizeof(*dump));
    const struct sim_state *state = &of(machine)->state;

    if (!dump)
        return CULVERT_ENOMEM;
    dump->words[0] = state->index;
    dump->words[1] = state->digest;
    memcpy(&dump->words[2], state->values, sizeof(state->values));
    *index = state->index;
    *out = dump;
    return 0;
}

static int dump_next(struct machine_dump *dump, size_t bound, struct buffer *chunk)
{
    size_t left = sizeof(dump->words) - dump->at;
    size_t take = left < bound ? left : bound;

    buffer_add(chunk, (uint8_t *)dump->words + dump->at, take);
    dump->at += take;
    return dump->at < sizeof(dump->words);
}

static void dump_close(struct machine_dump *dump)
{
    free(dump);
}

static int load_begin(struct machine *machine, uint64_t index)
{
    struct sim_machine *self = of(machine);

    if (self->load)
        sim_finding(self->sim, "group %u: two loads at a time", self->group);
    self->load = true;
    self->load_index = index;
    self->loaded = 0;
    return 0;
}

static int load_chunk(struct machine *machine, const void *chunk, size_t length)
{
    struct sim_machine *self = of(machine);

    if (!self->load || length > sizeof(self->loading) - self->loaded)
        return CULVERT_EPROTO;
    memcpy((uint8_t *)self->loading + self->loaded, chunk, length);
    self->loaded += length;
    return 0;
}

static int load_commit(struct machine *machine)
{
    struct sim_machine *self = of(machine);

    self->load = false;
    if (self->loaded != sizeof(self->loading) || self->loading[0] != self->load_index ||
        self->load_index <= self->state.index) {
        sim_finding(self->sim, "group %u: a snapshot of index %lu, %zu bytes, over %lu",
                    self->group, (unsigned long)self->load_index, self->loaded,
                    (unsigned long)self->state.index);
        return CULVERT_EPROTO;
    }
    self->state.index = self->loading[0];
    self->state.digest = self->loading[1];
    memcpy(self->state.values, &self->loading[2], sizeof(self->state.values));
    *self->disk = self->state;
    self->sim->counts[SIM_LOADS]++;
    if (self->load_index < SIM_INDEXES && self->sim->command_at[self->group][self->load_index] &&
        self->sim->state_at[self->group][self->load_index] != self->state.digest)
        sim_finding(self->sim, "group %u: node %u loaded another state of index %lu", self->group,
                    (unsigned)self->sim->slot[self->slot].id, (unsigned long)self->load_index);
    sim_trace(self->sim, (int)self->slot, "group %u: snapshot of index %lu loaded", self->group,
              (unsigned long)self->load_index);
    return 0;
}

static void load_abort(struct machine *machine)
{
    of(machine)->load = false;
}

static const struct machine_ops ops = {
    .durable = durable,
    .applied = applied,
    .apply = apply,
    .flush = flush,
    .dump_open = dump_open,
    .dump_next = dump_next,
    .dump_close = dump_close,
    .load_begin = load_begin,
    .load_chunk = load_chunk,
    .load_commit = load_commit,
    .load_abort = load_abort,
};

struct machine *sim_machine_new(struct sim *sim, unsigned slot, unsigned group, struct env *env,
                                struct sim_state *disk)
{
    struct sim_machine *machine = calloc(1, sizeof(*machine));

    if (!machine)
        abort();
    machine->machine.ops = &ops;
    machine->sim = sim;
    machine->env = env;
    machine->slot = slot;
    machine->group = group;
    machine->disk = disk;
    machine->state = *disk;
    return &machine->machine;
}

void sim_machine_free(struct machine *machine)
{
    if (!machine)
        return;
    of(machine)->env->ops->timer_stop(of(machine)->env, &of(machine)->timer);
    if (of(machine)->busy)
        of(machine)->flushed(of(machine)->flushed_arg, CULVERT_EIO);
    free(of(machine));
}

uint64_t sim_machine_get(struct machine *machine, unsigned key)
{
    return of(machine)->state.values[key];
}
