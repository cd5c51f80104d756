/* The sweep of deadlines: correct at any moment, and no more expensive after a
 * burst of calls. */
#include "check.h"
#include "engine/call_table.h"

#include <stdlib.h>
#include <time.h>

enum { BURST = 1 << 18, FEW = 100, SWEEPS = 2000, CALLS = 20000 };

static uint64_t random_state = 88172645463325252ULL;

static uint32_t roll(uint32_t sides)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 32) % sides);
}

static struct jrc_call *submit(struct jrc_calls *calls, uint64_t start_us,
                               int32_t timeout_ms)
{
    struct jrc_call *call = jrc_calls_new(calls);

    if (call == NULL)
        abort();
    call->start_us = start_us;
    call->timeout_ms = timeout_ms;
    call->copy = NULL;
    jrc_calls_watch(calls, call);
    return call;
}

/* Take all that are due; returns how many. */
static unsigned sweep(struct jrc_calls *calls, uint64_t now_us)
{
    struct jrc_call *call;
    uint32_t at = 0;
    unsigned count = 0;

    while ((call = jrc_calls_expired(calls, now_us, &at)) != NULL) {
        jrc_calls_take(calls, call);
        count++;
    }
    jrc_calls_reclaim(calls);
    return count;
}

/* Compared with a plain look at all of them, whatever ends and moves
 * meanwhile. */
static void test_any_order(void)
{
    static struct jrc_call *live[CALLS];
    static uint64_t deadlines[CALLS];
    struct jrc_calls calls;
    size_t count = 0;
    uint64_t now_us = 1;

    CHECK(jrc_calls_init(&calls, CALLS));
    for (int round = 0; round < 300; round++) {
        for (uint32_t n = roll(roll(20) == 0 ? 5000 : 50);
             n > 0 && count < CALLS; n--) {
            int32_t timeout_ms = 1 + (int32_t)roll(400);
            live[count] = submit(&calls, now_us, timeout_ms);
            deadlines[count++] = now_us + (uint64_t)timeout_ms * 1000;
        }
        for (uint32_t n = roll(30); n > 0 && count > 0; n--) {
            uint32_t i = roll((uint32_t)count);
            if (roll(3) == 0) {
                deadlines[i] = now_us + roll(1000000);
                jrc_calls_set_deadline(&calls, live[i], deadlines[i]);
                continue;
            }
            jrc_calls_take(&calls, live[i]);
            live[i] = live[--count];
            deadlines[i] = deadlines[count];
        }
        now_us += roll(20000);
        size_t due = 0, kept = 0;
        uint64_t soonest_us = UINT64_MAX;
        for (size_t i = 0; i < count; i++) {
            if (deadlines[i] <= now_us) {
                due++;
                continue;
            }
            soonest_us = deadlines[i] < soonest_us ? deadlines[i] : soonest_us;
            live[kept] = live[i];
            deadlines[kept++] = deadlines[i];
        }
        count = kept;
        CHECK(due == 0 || calls.soonest_us <= now_us);
        CHECK(calls.soonest_us <= soonest_us);
        CHECK(sweep(&calls, now_us) == due);
        if (due > 0)
            CHECK(calls.soonest_us <= soonest_us && calls.soonest_us > now_us);
    }
    sweep(&calls, UINT64_MAX - 1);
    jrc_calls_clear(&calls);
}

static double cpu(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The seconds that one timeout among few calls costs, at best. */
static double cost(struct jrc_calls *calls, uint64_t *now_us)
{
    double best = 1e9;

    for (int n = 0; n < 7; n++) {
        double began = cpu();
        for (int k = 0; k < SWEEPS; k++) {
            submit(calls, *now_us, FEW);
            *now_us += 1000;
            sweep(calls, *now_us);
        }
        double took = (cpu() - began) / SWEEPS;
        best = took < best ? took : best;
    }
    return best;
}

static void test_a_burst_is_forgotten(void)
{
    struct jrc_calls calls;
    uint64_t now_us = 1;

    CHECK(jrc_calls_init(&calls, BURST));
    double fresh = cost(&calls, &now_us);
    for (int n = 0; n < BURST - FEW; n++)
        submit(&calls, now_us, 1 + (int32_t)roll(50));
    now_us += 1000000;
    CHECK(sweep(&calls, now_us) > BURST - 2 * FEW);
    CHECK(calls.soonest_us == UINT64_MAX);
    double after = cost(&calls, &now_us);
    printf("a timeout: %.2f us, after a burst of %d calls %.2f us\n",
           fresh * 1e6, BURST, after * 1e6);
    /* Looking at all slots would take 100 times as long, in any build. */
    CHECK(after < 8 * fresh + 1e-6);
    sweep(&calls, UINT64_MAX - 1);
    jrc_calls_clear(&calls);
}

int main(void)
{
    test_any_order();
    test_a_burst_is_forgotten();
    return check_done();
}
