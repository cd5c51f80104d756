/* The engine, driven by hand: what stays in an output until its last byte has
 * been sent, or nobody needs it any more. */
#include "rig_check.h"

/* ---- 8: the last byte is the commit point -------------------------------- */

static void test_not_sent_until_the_last_byte(void)
{
    rig_start(&rig, "a:1");
    uint64_t id = rig_call(&rig, 1, 0, 1000);
    CHECK((rig_todo(&rig, 0) & JRC_WRITE) != 0);
    jrc_engine_cancel(&rig.engine, id, rig.now_us);
    IS(1, ECANCELLED, NOT_SENT);
    CHECK(rig_output(&rig, 0) == 0); /* and never is */

    id = rig_call(&rig, 2, 0, 1000);
    size_t size = rig_output(&rig, 0);
    CHECK(rig_send(&rig, 0, size - 1) == size - 1);
    jrc_engine_cancel(&rig.engine, id, rig.now_us);
    IS(2, ECANCELLED, UNKNOWN); /* it has begun, and will be whole */
    CHECK(rig_send(&rig, 0, ALL) == 1);
    CHECK(rig.engine.conns[0].sends == 1);

    id = rig_call(&rig, 3, 0, 1000);
    rig_send(&rig, 0, ALL);
    CHECK(rig.engine.conns[0].in_flight == 1);
    jrc_engine_cancel(&rig.engine, id, rig.now_us);
    IS(3, ECANCELLED, UNKNOWN);
    CHECK(rig.engine.conns[0].in_flight == 0);
    jrc_engine_cancel(&rig.engine, id, rig.now_us); /* once only */
    CHECK(rig.outcome_count == 3);
    finish();
}

/* Once one byte of a frame has been sent, the rest must follow. */
static void test_a_frame_has_begun_with_its_first_byte(void)
{
    rig_start(&rig, "a:1");
    uint64_t id = rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, 1);
    jrc_engine_cancel(&rig.engine, id, rig.now_us);
    IS(1, ECANCELLED, UNKNOWN);
    CHECK(rig_send(&rig, 0, ALL) == FRAME - 1);
    finish();
}

static void test_notification_ends_with_its_last_byte(void)
{
    rig_start(&rig, "a:1");
    rig_call(&rig, 1, JSONRPCC_NOTIFICATION, 1000);
    size_t size = rig_output(&rig, 0);
    rig_send(&rig, 0, size - 1);
    CHECK(rig.outcome_count == 0);
    rig_send(&rig, 0, 1);
    IS(1, OK, UNKNOWN);
    CHECK(rig_outcome(&rig, 1)->attempts == 1);
    finish();
}

/* ---- servers that do not read -------------------------------------------- */

static void test_a_blocked_server_is_passed_over(void)
{
    rig_start(&rig, "a:1 b:1");
    rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, 3); /* and no more */
    for (uint64_t token = 2; token < 12; token++)
        rig_call(&rig, token, 0, 1000);
    CHECK(rig_output(&rig, 1) == 10 * FRAME);
    rig_send(&rig, 0, ALL); /* it reads again */
    rig_send(&rig, 1, ALL);
    for (uint64_t token = 12; token < 22; token++)
        rig_call(&rig, token, 0, 1000);
    CHECK(rig_output(&rig, 0) == 5 * FRAME);
    finish();
}

/* With all blocked they take turns. */
static void test_all_blocked(void)
{
    rig_start(&rig, "a:1 b:1 c:1");
    for (uint64_t token = 1; token <= 3; token++)
        rig_call(&rig, token, 0, 1000);
    for (uint32_t i = 0; i < 3; i++)
        rig_send(&rig, i, 3);
    for (uint64_t token = 4; token <= 12; token++) {
        rig_call(&rig, token, 0, 1000);
        for (uint32_t i = 0; i < 3; i++)
            CHECK(rig_output(&rig, i) == (1 + (token - i - 1) / 3) * FRAME - 3);
    }
    finish();
}

/* The frame that blocked it may have ended without being sent. */
static void test_blocked_ends_when_nothing_is_left_to_send(void)
{
    rig_start(&rig, "a:1 b:1");
    uint64_t id = rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, 0); /* the socket is full */
    jrc_engine_cancel(&rig.engine, id, rig.now_us);
    CHECK(rig_output(&rig, 0) == 0); /* writable again: nothing to write */
    for (uint64_t token = 2; token < 12; token++)
        rig_call(&rig, token, 0, 1000);
    CHECK(rig_output(&rig, 0) == 5 * FRAME);
    finish();
}

/* ---- 12: memory of the outputs ------------------------------------------- */

/* Frames of calls that have ended do not count against max_queued_bytes for
 * long, even if they are three large ones. */
static void test_dead_frames_are_dropped(void)
{
    rig_start_down(&rig, "a:1", -1);
    for (uint64_t token = 1; token <= 3; token++)
        rig_call(&rig, token, 0, 1000);
    rig_wait(&rig, S);
    CHECK(rig.outcome_count == 3 && rig.engine.held_bytes == 0);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    for (uint64_t token = 4; token <= 6; token++)
        rig_call(&rig, token, 0, 1000);
    rig_send(&rig, 0, 0); /* and it never reads */
    rig_call(&rig, 7, 0, 5000);
    CHECK(rig.engine.held_bytes == 4 * FRAME);
    rig_wait(&rig, S);
    CHECK(rig.outcome_count == 6 && rig.engine.held_bytes == FRAME);
    finish();
}

/* Calls that go to one server after the other use the same memory. */
static void test_outputs_lend_their_memory(void)
{
    const char *bytes = NULL;

    rig_start(&rig, "a:1 b:2 c:3");
    for (uint32_t i = 0; i < 6; i++) {
        rig_call(&rig, i, 0, 1000);
        struct jrc_frames *out = &rig.engine.conns[i % 3].out;
        CHECK(!jrc_frames_empty(out));
        CHECK(bytes == NULL || out->bytes == bytes);
        bytes = out->bytes;
        rig_send(&rig, i % 3, 1000);
        CHECK(out->bytes == NULL);
    }
    /* An output that still has something to send keeps its memory. */
    rig_call(&rig, 6, 0, 1000);
    rig_call(&rig, 7, 0, 1000);
    CHECK(rig.engine.conns[0].out.bytes == bytes);
    CHECK(rig.engine.conns[1].out.bytes != bytes);
    CHECK(rig_send(&rig, 0, 5) == 5);
    CHECK(rig.engine.conns[0].out.bytes == bytes);
    rig_stop(&rig);
}

static void test_the_queue_and_the_only_output_change_memory(void)
{
    const char *memory = NULL;

    rig_start(&rig, "a:1");
    for (uint64_t token = 0; token < 6; token++) {
        rig_call(&rig, token, 0, 1000);
        CHECK(token == 0 || rig.pending.bytes != NULL);
        CHECK(token < 2 || rig.engine.conns[0].out.bytes == memory);
        memory = rig.pending.bytes;
        rig_send(&rig, 0, 1000);
    }
    rig_stop(&rig);
}

int main(void)
{
    test_not_sent_until_the_last_byte();
    test_a_frame_has_begun_with_its_first_byte();
    test_notification_ends_with_its_last_byte();
    test_a_blocked_server_is_passed_over();
    test_all_blocked();
    test_blocked_ends_when_nothing_is_left_to_send();
    test_dead_frames_are_dropped();
    test_outputs_lend_their_memory();
    test_the_queue_and_the_only_output_change_memory();
    return check_done();
}
