/* The table of calls: ids, ownership, deadlines, lists. */
#include "fault_here.h"

#include "check.h"
#include "engine/call_table.h"

#include <stdlib.h>
#include <string.h>

static struct jrc_call *submit(struct jrc_calls *calls, uint64_t start_us,
                               int32_t timeout_ms)
{
    struct jrc_call *call = jrc_calls_new(calls);

    if (call == NULL)
        return NULL;
    call->start_us = start_us;
    call->timeout_ms = timeout_ms;
    jrc_calls_watch(calls, call);
    return call;
}

static void end(struct jrc_calls *calls, struct jrc_call *call)
{
    jrc_calls_take(calls, call);
    jrc_calls_reclaim(calls);
}

static void test_capacity(void)
{
    static const uint32_t sizes[][2] = {
        {0, 16}, {1, 16}, {16, 16}, {17, 32}, {1000, 1024}};
    struct jrc_calls calls;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CHECK(jrc_calls_init(&calls, sizes[i][0]));
        CHECK(calls.capacity == sizes[i][1]);
        jrc_calls_clear(&calls);
    }
}

static void test_no_memory_for_a_table(void)
{
    struct jrc_calls calls;

    for (unsigned n = 1; n < 6 && fault_has_memory(); n++) {
        fault_arm(FAULT_MEMORY, n, false);
        bool made = jrc_calls_init(&calls, 100);
        fault_disarm();
        CHECK(made == (n == 5));
        jrc_calls_clear(&calls);
    }
}

/* Ids are never repeated, in whatever order slots are freed. */
static void test_ids_are_never_reused(void)
{
    enum { USES = 20000 };
    static unsigned char seen[USES * 4];
    struct jrc_calls calls;
    struct jrc_call *live[16];
    unsigned state = 1;

    jrc_calls_init(&calls, 16);
    for (int i = 0; i < 16; i++)
        live[i] = submit(&calls, 0, 1);
    CHECK(submit(&calls, 0, 1) == NULL);
    for (int n = 0; n < USES; n++) {
        state = state * 1103515245 + 12345;
        unsigned i = state >> 16 & 15;
        uint64_t id = live[i]->id;
        if (!CHECK(id > 0 && id < sizeof seen && !seen[id]))
            break;
        seen[id] = 1;
        CHECK(jrc_calls_find(&calls, id) == live[i]);
        end(&calls, live[i]);
        CHECK(jrc_calls_find(&calls, id) == NULL);
        live[i] = submit(&calls, 0, 1);
    }
    CHECK(calls.live == 16);
    CHECK(jrc_calls_find(&calls, 0) == NULL);
    CHECK(jrc_calls_find(&calls, UINT64_MAX) == NULL);
    jrc_calls_clear(&calls);
}

static void test_ids_stay_below_2_to_53(void)
{
    struct jrc_calls calls;

    jrc_calls_init(&calls, 16);
    struct jrc_call *call = submit(&calls, 0, 1);
    end(&calls, call);
    call->id = (1ULL << 53) - 16; /* the last of its slot */
    call = submit(&calls, 0, 1);
    CHECK(call->id > 0 && call->id < (1ULL << 53));
    CHECK((call->id & 15) == jrc_calls_index(&calls, call));
    end(&calls, call);
    struct jrc_calls other; /* of a child's */
    jrc_calls_init(&other, 16);
    call->id = (1ULL << 53) - 16;
    jrc_calls_begin_after(&other, &calls);
    CHECK(jrc_calls_new(&other)->id < (1ULL << 53));
    jrc_calls_clear(&other);
    jrc_calls_clear(&calls);
}

/* However many calls its parent and grandparent have made, in any slots. */
static void test_a_child_uses_no_id_of_its_parent(void)
{
    struct jrc_calls tables[4];

    for (unsigned generation = 0; generation < 4; generation++) {
        struct jrc_calls *calls = &tables[generation];
        uint64_t least = UINT64_MAX;
        jrc_calls_init(calls, 16);
        if (generation > 0)
            jrc_calls_begin_after(calls, calls - 1);
        for (unsigned n = 0; n < 70000; n++) {
            struct jrc_call *call = submit(calls, 0, 1);
            least = call->id < least ? call->id : least;
            if (n > generation) /* some stay */
                end(calls, call);
        }
        for (unsigned before = 0; before < generation; before++)
            for (uint32_t i = 0; i < tables[before].used; i++)
                CHECK(tables[before].slots[i].id < least);
    }
    for (unsigned generation = 0; generation < 4; generation++)
        jrc_calls_clear(&tables[generation]);
}

static void test_full_table(void)
{
    struct jrc_calls calls;

    jrc_calls_init(&calls, 16);
    for (int i = 0; i < 16; i++)
        CHECK(jrc_calls_new(&calls) != NULL);
    CHECK(jrc_calls_new(&calls) == NULL && calls.live == 16);
    jrc_calls_undo(&calls, &calls.slots[7]);
    CHECK(calls.live == 15);
    CHECK(jrc_calls_new(&calls) == &calls.slots[7]);
    CHECK(jrc_calls_new(&calls) == NULL);
    jrc_calls_clear(&calls);
}

/* Whatever call had its slot before. */
static void test_a_new_call_is_on_no_server(void)
{
    struct jrc_calls calls;

    jrc_calls_init(&calls, 16);
    struct jrc_call *first = submit(&calls, 0, 1);
    CHECK(first->conn == -1 && first->sends == 0);
    first->conn = 3;
    first->sends = 1;
    end(&calls, first);
    struct jrc_call *next = submit(&calls, 0, 1);
    CHECK(next == first && next->conn == -1 && next->sends == 0);
    jrc_calls_clear(&calls);
}

/* A slot is free only when its end has been handed back. */
static void test_reclaim(void)
{
    struct jrc_calls calls;
    struct jrc_call *all[16];

    jrc_calls_init(&calls, 16);
    jrc_calls_reclaim(&calls);
    for (int i = 0; i < 16; i++)
        all[i] = submit(&calls, 0, 1);
    for (int i = 3; i < 9; i++)
        jrc_calls_take(&calls, all[i]);
    CHECK(jrc_calls_new(&calls) == NULL && calls.live == 16);
    jrc_calls_reclaim(&calls);
    CHECK(calls.live == 10);
    for (int i = 3; i < 9; i++)
        CHECK(jrc_calls_new(&calls) != NULL);
    CHECK(jrc_calls_new(&calls) == NULL);
    jrc_calls_clear(&calls);
}

/* A slot that is held is not reused until it is given back, wherever it stands
 * among others that end. */
static void test_held_slots(void)
{
    struct jrc_calls calls;

    for (unsigned held = 0; held < 8; held++) {
        struct jrc_call *call[3];
        CHECK(jrc_calls_init(&calls, 3));
        for (int i = 0; i < 3; i++)
            call[i] = submit(&calls, 0, 1000);
        for (unsigned i = 0; i < 3; i++) {
            jrc_calls_take(&calls, call[i]);
            if ((held >> i & 1) != 0)
                jrc_calls_hold(&calls, call[i]);
        }
        jrc_calls_reclaim(&calls);
        unsigned count = (held & 1) + (held >> 1 & 1) + (held >> 2);
        CHECK(calls.live == count);
        for (uint32_t i = count; i < calls.capacity; i++) {
            struct jrc_call *new = submit(&calls, 0, 1000);
            for (unsigned k = 0; k < 3; k++)
                CHECK(new != NULL && (new != call[k] || (held >> k & 1) == 0));
        }
        CHECK(jrc_calls_new(&calls) == NULL);
        for (unsigned i = 0; i < 3; i++)
            if ((held >> i & 1) != 0) {
                CHECK(call[i]->next == JRC_NO_CALL);
                jrc_calls_undo(&calls, call[i]);
                CHECK(jrc_calls_new(&calls) == call[i]);
            }
        CHECK(calls.live == calls.capacity);
        jrc_calls_clear(&calls);
    }
}

static void test_cancel_chain(void)
{
    struct jrc_calls calls;
    uint64_t ids[4];
    unsigned sum = 0;

    jrc_calls_init(&calls, 16);
    CHECK(jrc_calls_cancelled(&calls) == 0);
    for (int i = 0; i < 4; i++)
        ids[i] = submit(&calls, 0, 1)->id;
    jrc_calls_cancel(&calls, 0); /* never given */
    jrc_calls_cancel(&calls, ids[3] + 1);
    jrc_calls_cancel(&calls, ids[3] + 16);
    jrc_calls_cancel(&calls, UINT64_MAX);
    CHECK(jrc_calls_cancelled(&calls) == 0);
    for (int i = 0; i < 4; i++)
        jrc_calls_cancel(&calls, ids[i]);
    jrc_calls_cancel(&calls, ids[2]); /* twice counts once */
    for (int i = 0; i < 4; i++) {
        uint64_t id = jrc_calls_cancelled(&calls);
        for (unsigned k = 0; k < 4; k++)
            sum += id == ids[k] ? 1u << k : 0;
    }
    CHECK(sum == 15 && jrc_calls_cancelled(&calls) == 0);

    /* In the chain for an id that has ended, and then cancelled again. */
    jrc_calls_cancel(&calls, ids[1]);
    end(&calls, jrc_calls_find(&calls, ids[1]));
    struct jrc_call *next = submit(&calls, 0, 1);
    CHECK((next->id & 15) == (ids[1] & 15));
    jrc_calls_cancel(&calls, next->id);
    CHECK(jrc_calls_cancelled(&calls) == next->id);
    CHECK(jrc_calls_cancelled(&calls) == 0);
    jrc_calls_cancel(&calls, ids[1]); /* ended long ago */
    CHECK(jrc_calls_cancelled(&calls) == 0);
    jrc_calls_clear(&calls);
}

static void test_expiry_sweep(void)
{
    struct jrc_calls calls;
    uint32_t at = 0;
    unsigned found = 0;

    jrc_calls_init(&calls, 64);
    CHECK(calls.soonest_us == UINT64_MAX);
    for (int i = 0; i < 40; i++)
        submit(&calls, 1000, 40 - i);
    CHECK(calls.soonest_us == 1000 + 1000);
    CHECK(jrc_calls_expired(&calls, 1999, &at) == NULL);
    CHECK(calls.soonest_us == 2000);
    at = 0;
    struct jrc_call *call;
    while ((call = jrc_calls_expired(&calls, 11000, &at)) != NULL) {
        CHECK(calls.deadlines[jrc_calls_index(&calls, call)] <= 11000);
        jrc_calls_take(&calls, call);
        found++;
    }
    CHECK(found == 10 && calls.soonest_us == 12000);
    /* Calls that ended in another way are not found. */
    jrc_calls_take(&calls, &calls.slots[0]);
    at = found = 0;
    while ((call = jrc_calls_expired(&calls, UINT64_MAX - 1, &at)) != NULL) {
        jrc_calls_take(&calls, call);
        found++;
    }
    CHECK(found == 29 && calls.soonest_us == UINT64_MAX);
    jrc_calls_reclaim(&calls);
    CHECK(calls.live == 0);
    jrc_calls_clear(&calls);
}

/* Calls leave the submit queue in another order than they got slots. */
static void test_watch_in_any_order(void)
{
    struct jrc_calls calls;
    struct jrc_call *a, *b;
    uint32_t at = 0;

    jrc_calls_init(&calls, 16);
    a = jrc_calls_new(&calls);
    b = jrc_calls_new(&calls);
    a->start_us = b->start_us = 0;
    a->timeout_ms = b->timeout_ms = 1;
    jrc_calls_watch(&calls, b);
    CHECK(jrc_calls_expired(&calls, 1000, &at) == b);
    CHECK(jrc_calls_find(&calls, a->id) == NULL);
    jrc_calls_watch(&calls, a);
    CHECK(jrc_calls_find(&calls, a->id) == a);
    at = 0;
    CHECK(jrc_calls_expired(&calls, 1000, &at) == a);
    CHECK(jrc_calls_expired(&calls, 1000, &at) == b);
    jrc_calls_clear(&calls);
}

static void test_lists(void)
{
    struct jrc_calls calls;
    struct jrc_call_list list = {0};
    static const int orders[][4] = {
        {0, 1, 2, 3}, {3, 2, 1, 0}, {1, 2, 0, 3}, {2, 0, 3, 1}};

    jrc_calls_init(&calls, 16);
    for (int i = 0; i < 4; i++)
        submit(&calls, 0, 1);
    for (size_t k = 0; k < 4; k++) {
        for (int i = 0; i < 4; i++)
            jrc_call_list_append(&calls, &list, &calls.slots[i]);
        CHECK(list.count == 4 && list.first == 0 && list.last == 3);
        for (int i = 0; i < 4; i++) {
            jrc_call_list_remove(&calls, &list, &calls.slots[orders[k][i]]);
            uint32_t n = 0;
            for (uint32_t j = list.first; n < list.count; n++) {
                if (n + 1 == list.count)
                    CHECK(j == list.last);
                j = calls.slots[j].next;
            }
        }
        CHECK(list.count == 0);
    }
    jrc_calls_clear(&calls);
}

/* The copy of an idempotent call is freed with it, or with the table. */
static void test_copies_are_freed(void)
{
    struct jrc_calls calls;

    jrc_calls_init(&calls, 16);
    struct jrc_call *a = submit(&calls, 0, 1);
    struct jrc_call *b = submit(&calls, 0, 1);
    a->copy = malloc(8);
    b->copy = malloc(8);
    end(&calls, a);
    CHECK(a->copy == NULL);
    jrc_calls_clear(&calls);
}

/* LSan sees whether the first slot's copy is forgotten. */
static void test_the_first_copy_is_freed(void)
{
    struct jrc_calls calls;

    CHECK(jrc_calls_init(&calls, 16));
    jrc_calls_new(&calls)->copy = malloc(8);
    jrc_calls_clear(&calls);
}

/* 0 is never an id, even before the first call. */
static void test_id_0_cancels_nothing(void)
{
    struct jrc_calls calls;

    CHECK(jrc_calls_init(&calls, 16));
    jrc_calls_cancel(&calls, 0);
    CHECK(calls.cancels == JRC_NO_CALL);
    jrc_calls_cancel(&calls, 16);
    CHECK(calls.cancels == JRC_NO_CALL);
    jrc_calls_clear(&calls);
}

int main(void)
{
    test_capacity();
    test_no_memory_for_a_table();
    test_ids_are_never_reused();
    test_ids_stay_below_2_to_53();
    test_a_child_uses_no_id_of_its_parent();
    test_full_table();
    test_a_new_call_is_on_no_server();
    test_reclaim();
    test_held_slots();
    test_cancel_chain();
    test_expiry_sweep();
    test_watch_in_any_order();
    test_lists();
    test_copies_are_freed();
    test_the_first_copy_is_freed();
    test_id_0_cancels_nothing();
    return check_done();
}
