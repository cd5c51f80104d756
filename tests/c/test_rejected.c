/* An error with id null: the server could not read a request, so it cannot say
 * which.  It is a sign of life; a call gets it only if nothing else can be
 * meant. */
#include "rig_check.h"

#include <string.h>

static const char parse_error[] =
    "{\"jsonrpc\":\"2.0\",\"id\":null,"
    "\"error\":{\"code\":-32700,\"message\":\"Parse error\"}}";

static void reject(void)
{
    rig_reply(&rig, 0, "%s", parse_error);
}

/* Whether no call got it, and it was counted. */
static bool is_ignored(uint64_t count)
{
    reject();
    return rig.engine.counters.rejected == count;
}

static void test_the_only_call_gets_it(void)
{
    rig_start(&rig, "a:1");
    for (uint64_t token = 1; token < 8; token++) {
        rig_call(&rig, token, 0, 1000);
        rig_send(&rig, 0, ALL);
        reject();
        IS(token, EREMOTE, ANSWERED);
        CHECK(strstr(rig_outcome(&rig, token)->json, "Parse error") != NULL);
    }
    CHECK(is_ignored(1)); /* there is no other */
    finish();
}

/* A server need not wait for the end of a request that it cannot read. */
static void test_a_call_that_was_sent_in_part_gets_it(void)
{
    rig_start(&rig, "a:1");
    rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, 7);
    reject();
    IS(1, EREMOTE, ANSWERED);
    finish();
}

static void test_one_of_several_is_not_chosen(void)
{
    rig_start(&rig, "a:1");
    rig_call(&rig, 1, 0, 1000);
    rig_call(&rig, 2, 0, 1000);
    rig_send(&rig, 0, FRAME + 7); /* one is sent, one has begun */
    CHECK(is_ignored(1));
    rig_send(&rig, 0, ALL);
    CHECK(is_ignored(2));
    CHECK(rig.outcome_count == 0);
    rig_reply(&rig, 0, "{\"id\":1024,\"result\":0}");
    reject(); /* now only the other can be meant */
    IS(2, EREMOTE, ANSWERED);
    finish();
}

/* A notification may be what it could not read, for as long as the connection
 * lives. */
static void test_a_notification_may_be_meant(void)
{
    rig_start(&rig, "a:1");
    rig_call(&rig, 1, JSONRPCC_NOTIFICATION, 1000);
    rig_send(&rig, 0, 7);
    CHECK(is_ignored(1)); /* not even the notification itself gets it */
    rig_send(&rig, 0, ALL);
    rig_call(&rig, 2, 0, 1000);
    rig_send(&rig, 0, ALL);
    CHECK(is_ignored(2) && rig_outcome(&rig, 2) == NULL);
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    jrc_servers_attempt(&rig.servers, 0, rig.now_us);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    rig_call(&rig, 3, 0, 1000);
    rig_send(&rig, 0, ALL);
    reject();
    IS(3, EREMOTE, ANSWERED);
    finish();
}

/* A call that nobody waits for any more may be meant, until it is answered
 * late. */
static void test_an_abandoned_call_may_be_meant(void)
{
    for (int cancels = 0; cancels < 2; cancels++) {
        rig_start(&rig, "a:1");
        uint64_t id = rig_call(&rig, 1, 0, 10);
        rig_send(&rig, 0, ALL);
        if (cancels)
            jrc_engine_cancel(&rig.engine, id, rig.now_us);
        rig_wait(&rig, 10000);
        rig_call(&rig, 2, 0, 1000);
        rig_send(&rig, 0, ALL);
        CHECK(is_ignored(1) && rig_outcome(&rig, 2) == NULL);
        /* The answer to another call settles nothing; the answer to that one
         * does. */
        rig_reply(&rig, 0, "{\"id\":7,\"result\":0}");
        CHECK(is_ignored(2) && rig_outcome(&rig, 2) == NULL);
        rig_reply(&rig, 0, "{\"id\":%llu,\"result\":0}",
                  (unsigned long long)id);
        reject();
        IS(2, EREMOTE, ANSWERED);
        finish();
    }
}

/* More than can be remembered: from then on, nothing is certain. */
static void test_many_abandoned_calls(void)
{
    enum { MANY = 20 };
    uint64_t ids[MANY];

    rig_start(&rig, "a:1");
    for (uint64_t n = 0; n < MANY; n++)
        ids[n] = rig_call(&rig, n + 1, 0, 10);
    rig_send(&rig, 0, ALL);
    rig_wait(&rig, 10000);
    for (uint64_t n = 0; n < MANY; n++)
        rig_reply(&rig, 0, "{\"id\":%llu,\"result\":0}",
                  (unsigned long long)ids[n]);
    rig_call(&rig, 50, 0, 1000);
    rig_send(&rig, 0, ALL);
    CHECK(is_ignored(1) && rig_outcome(&rig, 50) == NULL);
    finish();
}

/* A frame whose call ended while it was being sent may be meant, too. */
static void test_a_frame_without_a_call_may_be_meant(void)
{
    rig_start(&rig, "a:1");
    rig_call(&rig, 1, 0, 10);
    rig_send(&rig, 0, 7);
    rig_wait(&rig, 10000);
    CHECK(is_ignored(1));
    rig_send(&rig, 0, ALL);
    rig_call(&rig, 2, 0, 1000);
    rig_send(&rig, 0, ALL);
    CHECK(is_ignored(2) && rig_outcome(&rig, 2) == NULL);
    finish();
}

static void test_it_is_a_sign_of_life(void)
{
    rig_start(&rig, "a:1,2 b:1,1");
    for (uint64_t token = 1; token <= 20; token++) {
        rig_call(&rig, token, 0, 10);
        rig_send(&rig, 0, ALL);
        rig_wait(&rig, 10000);
        reject();
    }
    CHECK(rig.servers.list[0].state == JRC_SERVER_UP);
    /* Reported once in a while, and counted each time. */
    CHECK(rig_events(&rig, JSONRPCC_REJECTED, 0) == 1);
    CHECK(rig.engine.counters.rejected == 20);
    rig_wait(&rig, 10 * S);
    reject();
    CHECK(rig_events(&rig, JSONRPCC_REJECTED, 0) == 2);
    finish();
}

/* Only that: other texts without an id of ours are ignored, as ever. */
static void test_what_is_not_meant(void)
{
    static const char *const texts[] = {
        "{\"id\":null,\"result\":1}", "{\"id\":\"x\",\"error\":{}}",
        "{\"id\":null,\"error\":null}", "{\"error\":{\"code\":1}}",
        "{\"jsonrpc\":\"9\",\"id\":null,\"error\":{}}"};

    rig_start(&rig, "a:1");
    rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, ALL);
    for (size_t n = 0; n < sizeof texts / sizeof texts[0]; n++)
        rig_reply(&rig, 0, "%s", texts[n]);
    CHECK(rig.outcome_count == 0 && rig.engine.counters.rejected == 0);
    finish();
}

int main(void)
{
    test_the_only_call_gets_it();
    test_a_call_that_was_sent_in_part_gets_it();
    test_one_of_several_is_not_chosen();
    test_a_notification_may_be_meant();
    test_an_abandoned_call_may_be_meant();
    test_many_abandoned_calls();
    test_a_frame_without_a_call_may_be_meant();
    test_it_is_a_sign_of_life();
    test_what_is_not_meant();
    return check_done();
}
