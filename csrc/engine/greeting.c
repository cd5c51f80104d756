#include "engine/greeting.h"

#include "engine/chance.h"

#include <errno.h>

void jrc_engine_set_hello(struct jrc_engine *engine, struct jrc_hello *hello)
{
    jrc_hello_unref(engine->hello);
    engine->hello = hello;
}

static uint64_t patience_us(const struct jrc_engine *engine)
{
    return (uint64_t)engine->options.connect_timeout_ms * 1000;
}

/* Put a request of the hello into the output.  False: out of memory. */
static bool say(struct jrc_engine *engine, uint32_t i, uint32_t n)
{
    struct jrc_conn *conn = &engine->conns[i];
    struct jrc_greeting *greeting = &conn->greeting;
    const struct jrc_message *message = &greeting->hello->requests[n].message;
    const struct jrc_framing *framing = engine->shared.framing;
    uint64_t id = greeting->last_id % JRC_HELLO_IDS + 1;
    size_t size = jrc_message_frame_size(message, framing, id);
    char *space = jrc_frames_space(&conn->out, size);

    if (space == NULL)
        return false;
    jrc_message_write_rare(message, framing, id, size, space);
    jrc_frames_added(&conn->out, id, size);
    engine->held_bytes += size;
    greeting->id = greeting->last_id = id;
    greeting->was_due = false;
    jrc_engine_want(engine, i, JRC_WRITE);
    return true;
}

/* ---- hellos -------------------------------------------------------------- */

int32_t jrc_greeting_reason(const struct jrc_engine *engine, uint32_t i)
{
    int32_t reason = engine->conns[i].greeting.failed;

    return reason != 0 ? reason : JSONRPCC_CONNECT_TIMEOUT;
}

void jrc_greeting_begin(struct jrc_engine *engine, uint32_t i)
{
    struct jrc_conn *conn = &engine->conns[i];

    conn->greeting.hello = jrc_hello_ref(engine->hello);
    conn->greeting.next = 0;
    conn->greeting.last_id = 0;
    if (!say(engine, i, 0))
        jrc_greeting_fail(engine, i, ENOMEM);
}

void jrc_greeting_fail(struct jrc_engine *engine, uint32_t i, int32_t reason)
{
    struct jrc_conn *conn = &engine->conns[i];
    struct jrc_greeting *greeting = &conn->greeting;

    if (greeting->failed != 0)
        return;
    greeting->failed = reason;
    if (greeting->why == 0 && reason < 0)
        greeting->why = reason;
    greeting->id = 0;
    conn->deadline_us = JRC_NEVER;
    jrc_engine_want(engine, i, JRC_NEXT_ADDRESS);
}

void jrc_greeting_forget(struct jrc_engine *engine, uint32_t i)
{
    struct jrc_conn *conn = &engine->conns[i];
    struct jrc_greeting *greeting = &conn->greeting;

    if (greeting->hello == NULL)
        return;
    jrc_hello_unref(greeting->hello);
    greeting->hello = NULL;
    greeting->id = 0;
    greeting->failed = 0;
    /* The I/O side may not have come to it. */
    if ((conn->todo & JRC_NEXT_ADDRESS) != 0)
        conn->todo = (conn->todo & ~(uint32_t)JRC_NEXT_ADDRESS) | JRC_WRITE;
}

void jrc_greeting_drop(struct jrc_engine *engine, uint32_t i)
{
    struct jrc_conn *conn = &engine->conns[i];

    jrc_greeting_forget(engine, i);
    engine->held_bytes -= jrc_frames_size(&conn->out);
    jrc_frames_clear(&conn->out);
    jrc_input_clear(&conn->in);
    conn->blocked = false;
}

void jrc_greeting_late(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    /* The response may be here, and we late ourselves: look once more. */
    if (conn->greeting.was_due) {
        jrc_greeting_fail(engine, i, JSONRPCC_HELLO_TIMEOUT);
        return;
    }
    conn->greeting.was_due = true;
    conn->deadline_us = now_us;
}

/* ---- responses ----------------------------------------------------------- */

/* Whether the request that awaits its response has begun to leave. */
static bool has_begun(const struct jrc_conn *conn)
{
    const struct jrc_frames *out = &conn->out;
    size_t begun = jrc_frames_begun(out);

    for (size_t n = begun; n < out->last - out->first; n++)
        if (out->list[out->first + n].id == conn->greeting.id)
            return false;
    return true;
}

bool jrc_greeting_is_alone(const struct jrc_engine *engine, uint32_t i)
{
    const struct jrc_conn *conn = &engine->conns[i];
    const struct jrc_frames *out = &conn->out;
    size_t begun = jrc_frames_begun(out);
    bool is_first = begun > 0 && out->list[out->first].id == conn->greeting.id;

    return conn->greeting.id != 0 && has_begun(conn) && conn->sent.count == 0 &&
           conn->orphans.count == 0 && !conn->orphans.more && begun == is_first;
}

/* Why a response to the request is none that lets the connection be used; or
 * 0. */
static int32_t judge(const struct jrc_greeting *greeting,
                     const struct jrc_response *response)
{
    if (!greeting->hello->requests[greeting->next].refuses)
        return 0;
    if (response->kind == JRC_RESPONSE_INVALID)
        return JSONRPCC_HELLO_INVALID;
    return response->kind == JRC_RESPONSE_RESULT ? 0 : JSONRPCC_HELLO_REFUSED;
}

enum jrc_heard jrc_greeting_answer(struct jrc_engine *engine, uint32_t i,
                                   const struct jrc_response *response)
{
    struct jrc_conn *conn = &engine->conns[i];
    struct jrc_greeting *greeting = &conn->greeting;

    if (greeting->id == 0 || !has_begun(conn) ||
        (response->id != greeting->id &&
         (response->kind != JRC_RESPONSE_REJECTED ||
          !jrc_greeting_is_alone(engine, i))))
        return JRC_HEARD_OTHER;
    greeting->id = 0;
    if (engine->conns[i].state != JRC_SERVER_GREETING)
        return JRC_HEARD; /* of a ping: jrc_greeting_ping() finds that it came
                           */
    int32_t reason = judge(greeting, response);
    if (reason == JSONRPCC_HELLO_REFUSED)
        atomic_store_explicit(&jrc_engine_server(engine, i)->code,
                              response->code, memory_order_relaxed);
    greeting->next++;
    if (reason == 0 && greeting->next == greeting->hello->count)
        return JRC_HEARD_ALL;
    if (reason != 0 || !say(engine, i, greeting->next))
        jrc_greeting_fail(engine, i, reason != 0 ? reason : ENOMEM);
    return JRC_HEARD;
}

bool jrc_greeting_commit(struct jrc_engine *engine, uint32_t i, uint64_t id)
{
    if (id > JRC_HELLO_IDS)
        return false;
    jrc_add(&engine->counters.hellos, 1);
    if (engine->conns[i].state != JRC_SERVER_GREETING)
        jrc_add(&engine->counters.pings, 1);
    return true;
}

/* ---- pings --------------------------------------------------------------- */

/* The interval, give or take a tenth. */
static uint64_t interval_us(struct jrc_engine *engine)
{
    return jrc_chance_between((uint64_t)engine->options.ping_interval_ms * 1000,
                              90, 110, jrc_engine_roll(engine));
}

void jrc_greeting_end(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    if (engine->options.ping_interval_ms == 0)
        return;
    conn->greeting.ping_us = now_us + interval_us(engine);
    jrc_engine_attend(engine, conn->greeting.ping_us);
}

void jrc_greeting_resume(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    if (engine->conns[i].state == JRC_SERVER_GREETING &&
        conn->greeting.failed == 0) {
        conn->deadline_us = now_us + patience_us(engine);
        conn->greeting.was_due = false;
        jrc_engine_attend(engine, conn->deadline_us);
    } else if (conn->greeting.hello != NULL && conn->greeting.ping_us != 0) {
        conn->heard_us = now_us;
        conn->greeting.was_due = false;
        conn->greeting.ping_us =
            now_us + (conn->greeting.id != 0 ? patience_us(engine)
                                             : interval_us(engine));
        jrc_engine_attend(engine, conn->greeting.ping_us);
    }
}

static bool is_busy(const struct jrc_conn *conn)
{
    return conn->sent.count > 0 || !jrc_frames_empty(&conn->out);
}

/* It goes without a response: replace the connection, unless there are calls on
 * it that were sent after it.  They have deadlines of their own.  True: it is
 * to be replaced. */
static bool give_up(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    struct jrc_greeting *greeting = &engine->conns[i].greeting;

    if (engine->conns[i].sent.count > 0) {
        greeting->ping_us = now_us + patience_us(engine);
        return false;
    }
    if (!greeting->was_due) { /* as in jrc_greeting_late() */
        greeting->was_due = true;
        greeting->ping_us = now_us;
        return false;
    }
    greeting->ping_us = now_us + interval_us(engine);
    return true;
}

/* A ping is on its way. */
static bool await(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    if (conn->heard_us <= conn->greeting.said_us)
        return give_up(engine, i, now_us);
    /* Something else came: the server is well, and takes its time. */
    conn->greeting.id = 0;
    conn->orphans.more = true;
    conn->greeting.ping_us = now_us + interval_us(engine);
    return false;
}

/* None is: send one, if the connection is silent for long enough. */
static void send_one(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    uint64_t due_us = conn->heard_us + interval_us(engine);

    if (is_busy(conn))
        due_us = now_us + interval_us(engine);
    conn->greeting.ping_us = due_us;
    if (now_us < due_us)
        return;
    conn->greeting.said_us = now_us;
    conn->greeting.ping_us = now_us + patience_us(engine);
    if (!say(engine, i, 0))
        conn->greeting.ping_us = now_us + interval_us(engine);
}

uint64_t jrc_greeting_due_us(const struct jrc_engine *engine, uint32_t i)
{
    const struct jrc_greeting *greeting = &engine->conns[i].greeting;

    return greeting->ping_us == 0 || greeting->hello == NULL ||
                   engine->closing || engine->reading_us == JRC_NEVER
               ? JRC_NEVER
               : greeting->ping_us;
}

bool jrc_greeting_ping(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    if (now_us < jrc_greeting_due_us(engine, i))
        return false;
    if (engine->conns[i].greeting.id != 0)
        return await(engine, i, now_us);
    send_one(engine, i, now_us);
    return false;
}
