/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dpdk/ways.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_hash_crc.h>
#include <rte_ring.h>
#include <rte_seqlock.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "dataplane/kernel/routes.h"

#define WAYS_LOG2 14
#define WAYS (1u << WAYS_LOG2) /* one a place: a later client takes an earlier one's */
#define OWN_MAX 1024           /* addresses of this machine */
#define QUESTIONS 1023
#define QUESTIONS_A_TURN 64 /* about a millisecond of netlink */
#define AGE_MS 1000

struct way {
    rte_seqcount_t count;
    bool local; /* an address of this machine, or no route: the kernel's, unchanged */
    uint32_t generation;
    uint64_t until; /* TSC */
    fp_u8 address[16];
    struct fp_nexthop hop;
};

struct question {
    fp_u8 address[16];
};

struct ways {
    struct way *way;
    uint32_t generation; /* atomic; of what counts */
    struct rtnl *rtnl;
    const struct devices *devices;
    struct rte_ring *questions; /* from workers to the loop: places + 1 that hold the address */
    struct question *asked;     /* [WAYS]: what a place's question is about */
    bool *waiting;              /* [WAYS], atomic: the question is in the ring */
    uv_async_t wake;
    bool entered;
    bool own_stale;
    uint32_t own_count; /* atomic */
    fp_u8 own[OWN_MAX][16];
};

static uint32_t place_of(const fp_u8 address[16])
{
    return rte_hash_crc(address, 16, 0) & (WAYS - 1);
}

/* ---- the workers' side ---- */

static void ask(struct ways *ways, uint32_t place, const fp_u8 address[16])
{
    bool free = false;

    if (!__atomic_compare_exchange_n(&ways->waiting[place], &free, true, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return;
    memcpy(ways->asked[place].address, address, 16);
    if (rte_ring_mp_enqueue(ways->questions, (void *)(uintptr_t)(place + 1)))
        __atomic_store_n(&ways->waiting[place], false, __ATOMIC_RELEASE);
    else
        uv_async_send(&ways->wake);
}

static bool is_own(const struct ways *ways, const fp_u8 address[16])
{
    uint32_t count = __atomic_load_n(&ways->own_count, __ATOMIC_ACQUIRE);

    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(ways->own[i], address, 16) == 0)
            return true;
    }
    return false;
}

int ways_find(void *arg, const fp_u8 address[16], struct fp_nexthop *out)
{
    struct ways *ways = arg;
    uint32_t place = place_of(address), count;
    const struct way *way = &ways->way[place];
    bool local, known;

    do {
        count = rte_seqcount_read_begin(&way->count);
        known = way->generation == __atomic_load_n(&ways->generation, __ATOMIC_ACQUIRE) &&
                way->until > rte_rdtsc() && memcmp(way->address, address, 16) == 0;
        local = way->local;
        *out = way->hop;
    } while (rte_seqcount_read_retry(&way->count, count));
    if (known)
        return !local;
    ask(ways, place, address);
    out->ifindex = 0;
    return !is_own(ways, address);
}

/* ---- the loop's side ---- */

static int take_own(void *arg, const struct nlmsghdr *message)
{
    const struct rtattr *at[IFA_LOCAL + 1];
    struct ways *ways = arg;
    const struct rtattr *address;

    if (message->nlmsg_type != RTM_NEWADDR || ways->own_count == OWN_MAX ||
        !rtnl_attributes(message, sizeof(struct ifaddrmsg), at, IFA_LOCAL))
        return 0;
    address = at[IFA_LOCAL] ? at[IFA_LOCAL] : at[IFA_ADDRESS];
    if (address && rtnl_address(address, ways->own[ways->own_count]))
        __atomic_store_n(&ways->own_count, ways->own_count + 1, __ATOMIC_RELEASE);
    return 0;
}

/* A worker that looks meanwhile finds fewer: its packet is then rewritten for a client that is
 * this machine, once, and its sender repeats it. */
static void read_own(struct ways *ways)
{
    struct ifaddrmsg body = {.ifa_family = AF_UNSPEC};
    struct rtnl_request request;

    ways->own_stale = false;
    __atomic_store_n(&ways->own_count, 0, __ATOMIC_RELEASE);
    rtnl_begin(&request, RTM_GETADDR, NLM_F_DUMP, &body, sizeof(body));
    if (rtnl_talk(ways->rtnl, &request, take_own, ways))
        log_warn("this machine's addresses can't be read: %s", ways->rtnl->text);
    if (ways->own_count == OWN_MAX)
        log_warn("more than %d addresses on this machine: the rest is asked for one by one",
                 OWN_MAX);
}

static void answer(struct ways *ways, uint32_t place)
{
    uint32_t generation = __atomic_load_n(&ways->generation, __ATOMIC_ACQUIRE);
    struct way *way = &ways->way[place];
    struct fp_nexthop hop = {0};
    fp_u8 address[16];
    bool local;

    memcpy(address, ways->asked[place].address, 16);
    __atomic_store_n(&ways->waiting[place], false, __ATOMIC_RELEASE);
    local = way_find(ways->rtnl, ways->devices, address, &hop) != 0;
    rte_seqcount_write_begin(&way->count);
    memcpy(way->address, address, 16);
    way->generation = generation;
    way->until = rte_rdtsc() + rte_get_tsc_hz() / 1000 * AGE_MS;
    way->local = local;
    way->hop = hop;
    rte_seqcount_write_end(&way->count);
}

static void on_wake(uv_async_t *wake)
{
    struct ways *ways = wake->data;
    void *one;

    if (ways->own_stale)
        read_own(ways);
    for (unsigned i = 0; i < QUESTIONS_A_TURN; i++) {
        if (rte_ring_sc_dequeue(ways->questions, &one))
            return;
        answer(ways, (uint32_t)(uintptr_t)one - 1);
    }
    uv_async_send(wake); /* the rest in the next turn */
}

void ways_forget(struct ways *ways)
{
    __atomic_store_n(&ways->generation, ways->generation + 1, __ATOMIC_RELEASE);
    ways->own_stale = true;
    if (ways->entered)
        uv_async_send(&ways->wake);
}

/* ---- life ---- */

int ways_new(struct ways **out, struct rtnl *rtnl, const struct devices *devices)
{
    struct ways *ways = calloc(1, sizeof(*ways));

    *out = NULL;
    if (!ways)
        return CULVERT_ENOMEM;
    ways->rtnl = rtnl;
    ways->devices = devices;
    ways->generation = 1; /* of no way yet */
    ways->way = calloc(WAYS, sizeof(*ways->way));
    ways->asked = calloc(WAYS, sizeof(*ways->asked));
    ways->waiting = calloc(WAYS, sizeof(*ways->waiting));
    ways->questions = rte_ring_create("ways", QUESTIONS + 1, (int)rte_socket_id(), RING_F_SC_DEQ);
    if (!ways->way || !ways->asked || !ways->waiting || !ways->questions) {
        ways_free(ways);
        return CULVERT_ENOMEM;
    }
    read_own(ways);
    *out = ways;
    return 0;
}

void ways_free(struct ways *ways)
{
    if (!ways)
        return;
    rte_ring_free(ways->questions);
    free(ways->waiting);
    free(ways->asked);
    free(ways->way);
    free(ways);
}

int ways_enter(struct ways *ways, uv_loop_t *loop)
{
    if (uv_async_init(loop, &ways->wake, on_wake))
        return CULVERT_ESYSTEM;
    ways->wake.data = ways;
    ways->entered = true;
    return 0;
}

void ways_leave(struct ways *ways)
{
    if (ways->entered)
        uv_close((uv_handle_t *)&ways->wake, NULL);
    ways->entered = false;
}
