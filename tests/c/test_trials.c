/* What the engine does with a server that is in doubt: trials that are
 * cancelled or long, no blame while we do not read, and new attempts. */
#include "rig_check.h"

enum { CAP = 10 * S };

/* ---- trials without an end ---- */

/* It is abandoned after one cap; its connection is replaced and used again. */
static void test_a_trial_of_an_hour_ends_after_a_cap(void)
{
    rig_start(&rig, "a:1,1 b:1,2");
    make_suspect(1);
    CHECK(goes_to(1, 1, 3600000));
    rig_wait(&rig, CAP);
    CHECK(state(1) == JRC_SERVER_CONNECTING);
    IS(1, ECONNLOST, UNKNOWN);
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    CHECK(goes_to(0, 2, 1000)); /* the other server has its turn */
    rig_wait(&rig, CAP);
    uint64_t id = rig_call(&rig, 3, 0, 1000);
    CHECK(rig_send(&rig, 1, ALL) == FRAME);
    answer(1, id);
    CHECK(state(1) == JRC_SERVER_UP);
    finish();
}

static void test_a_cancelled_trial_is_followed_by_another(void)
{
    rig_start(&rig, "a:1,1 b:1,2");
    make_suspect(1);
    uint64_t id = rig_call(&rig, 1, 0, 3600000);
    CHECK(rig_send(&rig, 1, ALL) == FRAME);
    rig_wait(&rig, S);
    jrc_engine_cancel(&rig.engine, id, rig.now_us);
    IS(1, ECANCELLED, UNKNOWN);
    rig_wait(&rig, CAP - S);
    CHECK(state(1) == JRC_SERVER_CONNECTING); /* it is being replaced */
    rig_wait(&rig, S - 1);
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    CHECK(goes_to(0, 2, 1000));
    rig_wait(&rig, 1);
    CHECK(goes_to(1, 3, 1000));
    finish();
}

/* A caller that makes one call after another, and cancels each, still gives
 * other servers their turn. */
static void test_cancelled_trials_do_not_follow_one_another(void)
{
    unsigned tried = 0;

    rig_start(&rig, "a:1,1 b:1,2");
    make_suspect(1);
    for (uint64_t token = 1; token <= 100; token++) {
        uint64_t id = rig_call(&rig, token, 0, 5000);
        tried += rig_send(&rig, 1, ALL) > 0;
        rig_send(&rig, 0, ALL);
        rig_wait(&rig, S / 5);
        jrc_engine_cancel(&rig.engine, id, rig.now_us);
        if (state(1) == JRC_SERVER_CONNECTING)
            jrc_engine_opened(&rig.engine, 1, rig.now_us);
    }
    CHECK(tried >= 2 && tried <= 3); /* in 20 s */
    finish();
}

/* The server may be busy with a call that was sent earlier.  So the connection
 * is kept, and trials end at their own deadlines. */
static void test_trials_beside_a_slow_call(void)
{
    rig_start(&rig, "a:1,1 b:1,2");
    rig_call(&rig, 1, 0, 100000);
    rig_send(&rig, 1, ALL);
    make_suspect(1);
    for (unsigned n = 0; n < 2; n++) {
        uint64_t token = 2 + 10 * n;
        CHECK(goes_to(1, token, 30000));
        rig_wait(&rig, 2ULL * CAP - 1);
        CHECK(goes_to(0, token + 1, 1000));
        rig_wait(&rig, 1);
        CHECK(goes_to(1, token + 2, 1000)); /* a second: the first is long */
        rig_wait(&rig, CAP);                /* the first one ends */
        IS(token, ETIMEDOUT, UNKNOWN);
        rig_wait(&rig, CAP - 1);
        CHECK(goes_to(0, token + 3, 1000));
        rig_wait(&rig, 1);
    }
    CHECK(rig_outcome(&rig, 1) == NULL && rig.engine.conns[1].losses == 0);
    finish();
}

/* ---- our own silence ---- */

/* While we do not read, no server is blamed, not even later for calls made in
 * that time. */
static void test_no_blame_while_we_do_not_read(void)
{
    rig_start(&rig, "a:1");
    jrc_engine_set_reading(&rig.engine, false, rig.now_us);
    for (uint64_t token = 1; token <= 20; token++)
        rig_call(&rig, token, 0, token <= 10 ? 1000 : 3000);
    rig_send(&rig, 0, ALL);
    rig_wait(&rig, S);
    IS(1, ETIMEDOUT, UNKNOWN); /* its deadline holds */
    CHECK(state(0) == JRC_SERVER_UP && rig.engine.conns[0].timeouts == 10);
    jrc_engine_set_reading(&rig.engine, true, rig.now_us);
    rig_wait(&rig, 2ULL * S);
    IS(20, ETIMEDOUT, UNKNOWN);
    CHECK(state(0) == JRC_SERVER_UP);
    make_suspect(0); /* from now on, its silence counts */
    finish();
}

static void test_no_renewal_while_we_do_not_read(void)
{
    rig_start(&rig, "a:1");
    make_suspect(0);
    rig_call(&rig, 1, 0, 60000);
    rig_send(&rig, 0, ALL);
    jrc_engine_set_reading(&rig.engine, false, rig.now_us);
    rig_wait(&rig, 3ULL * CAP);
    CHECK(state(0) == JRC_SERVER_SUSPECT && rig_outcome(&rig, 1) == NULL);
    CHECK(jrc_engine_next_us(&rig.engine) > rig.now_us);
    jrc_engine_set_reading(&rig.engine, true, rig.now_us);
    rig_wait(&rig, CAP - 1);
    CHECK(state(0) == JRC_SERVER_SUSPECT && rig_outcome(&rig, 1) == NULL);
    rig_wait(&rig, 1);
    CHECK(state(0) == JRC_SERVER_CONNECTING);
    finish();
}

/* ---- the way back ---- */

/* A call that finds all servers down fails or waits; they are tried soon. */
static void test_calls_ask_for_an_attempt(void)
{
    for (int waits = 0; waits < 2; waits++) {
        rig_start_down(&rig, "a:1 b:1,0", -1);
        for (uint32_t i = 0; i < 2; i++) {
            for (int n = 0; n < 20; n++) {
                jrc_servers_down(&rig.servers, i, rig.now_us, UINT32_MAX);
                jrc_servers_attempt(&rig.servers, i, rig.now_us);
            }
            jrc_engine_lost(&rig.engine, i, 111, rig.now_us);
            rig.servers.list[i].next_us = rig.now_us + CAP;
        }
        rig_wait(&rig, 0);
        rig_todo(&rig, 0);
        for (int round = 0; round < 4; round++) {
            if (waits == 0 || round == 0)
                rig_call(&rig, 1, waits ? JSONRPCC_WAIT_FOR_READY : 0, 60000);
            CHECK(jrc_engine_next_us(&rig.engine) <= rig.now_us + 2 * S);
            rig_wait(&rig, 2 * S);
            CHECK(state(0) == JRC_SERVER_CONNECTING);
            CHECK(state(1) == JRC_SERVER_CONNECTING);
            for (uint32_t i = 0; i < 2; i++) {
                jrc_engine_lost(&rig.engine, i, 111, rig.now_us);
                if (rig.servers.list[i].next_us > rig.now_us + 2 * S)
                    rig.servers.list[i].next_us = rig.now_us + CAP;
            }
        }
        finish();
    }
}

int main(void)
{
    test_a_trial_of_an_hour_ends_after_a_cap();
    test_a_cancelled_trial_is_followed_by_another();
    test_cancelled_trials_do_not_follow_one_another();
    test_trials_beside_a_slow_call();
    test_no_blame_while_we_do_not_read();
    test_no_renewal_while_we_do_not_read();
    test_calls_ask_for_an_attempt();
    return check_done();
}
