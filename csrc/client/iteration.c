#include "client/iteration.h"

#include "client/consumer.h"
#include "client/leadership.h"
#include "client/line.h"
#include "client/listener.h"
#include "engine/changes.h"
#include "engine/greeting.h"
#include "engine/names.h"
#include "io/clock.h"

#include <stdlib.h>
#include <time.h>

enum {
    LINGER_US = 1000000, /* for unsent notifications at close */
    SHORT_SLEEP_US = 8,  /* a leader that is woken this soon, */
    SHORT_SLEEPS = 3,    /* and this many times in a row */
    PAUSE_US = 50        /* pauses for this long */
};

/* Apart, so that telling an outcome takes no memory for a time. */
__attribute__((noinline)) static void note_time(struct jrc_turn *turn,
                                                uint64_t now_us)
{
    turn->told_us = now_us;
    turn->tick = jrc_tick();
}

void jrc_turn_outcome(void *arg, const struct jrc_call *call,
                      const jsonrpcc_outcome *outcome)
{
    struct jrc_core *core = arg;

    if (call->done == NULL)
        return;
    /* Outcomes that were received together have the same time. */
    uint64_t now_us = call->start_us + outcome->elapsed_us;
    if (core->turn.told_us != now_us)
        note_time(&core->turn, now_us);
    atomic_store_explicit(&core->turn.telling, core->leadership.thread,
                          memory_order_relaxed);
    call->done(call->arg, call->token, outcome);
    jrc_stay_in_parent(core);
    atomic_store_explicit(&core->turn.telling, 0, memory_order_relaxed);
}

uint64_t jrc_turn_time(const struct jrc_core *core)
{
    const struct jrc_turn *turn = &core->turn;

    /* Only this thread itself can have stored its own name. */
    if (pthread_equal(
            atomic_load_explicit(&turn->telling, memory_order_relaxed),
            pthread_self()) &&
        jrc_tick() == turn->tick)
        return turn->told_us;
    return jrc_now_us();
}

/* Whatever these defer in turn is left to the next turn. */
static void run_deferred(struct jrc_core *core)
{
    jsonrpcc_deferred *deferred = core->turn.deferred;

    core->turn.deferred = NULL;
    core->turn.deferred_last = &core->turn.deferred;
    while (deferred != NULL) {
        jsonrpcc_deferred *next = deferred->next;
        deferred->fn(deferred->arg);
        jrc_stay_in_parent(core);
        deferred = next;
    }
}

/* What one turn took from the submission queue. */
struct intake {
    uint64_t cancels[32];
    size_t cancel_count;
    struct jrc_server_list *servers; /* or NULL */
    struct jrc_hello *hello;
    bool has_hello;
    bool replay;
    bool closing;
};

/* Under the lock: take what other threads left. */
static void take_in(struct jrc_core *core, struct intake *intake)
{
    struct jrc_frames empty = core->turn.taken;

    core->leadership.turns++;
    core->turn.taken = core->submission.pending;
    core->submission.pending = empty;
    /* They count as held on their way to the engine, too; give_back() corrects
     * it. */
    core->submission.held_bytes += jrc_frames_size(&core->turn.taken);
    intake->cancel_count = 0;
    while (intake->cancel_count < 32) {
        uint64_t id = jrc_calls_cancelled(&core->submission.calls);
        if (id == 0)
            break;
        intake->cancels[intake->cancel_count++] = id;
    }
    intake->servers = core->submission.servers;
    core->submission.servers = NULL;
    core->turn.list_changes = core->submission.list_changes;
    intake->hello = core->submission.hello;
    intake->has_hello = core->submission.has_hello;
    core->submission.hello = NULL;
    core->submission.has_hello = false;
    intake->closing = core->life.closing;
    intake->replay = core->listener.wants_replay;
}

/* Under the lock: make the slots and bytes of ended calls available again. */
static void give_back(struct jrc_core *core)
{
    jrc_calls_reclaim(&core->submission.calls);
    core->submission.held_bytes =
        core->engine.held_bytes + core->submission.calls.kept_bytes;
    if (core->submission.line.first != NULL)
        jrc_line_move(core);
}

bool jrc_has_work(const struct jrc_core *core)
{
    return !jrc_frames_empty(&core->submission.pending) ||
           core->submission.calls.cancels != JRC_NO_CALL ||
           core->submission.servers != NULL || core->submission.has_hello ||
           core->listener.wants_replay || core->turn.deferred != NULL ||
           (core->life.closing && !core->turn.close_begun);
}

bool jrc_has_ended(const struct jrc_core *core)
{
    return core->turn.close_begun && jrc_engine_finished(&core->engine);
}

/* See whether there are new certificates, and report what became of them. */
static void check_certificates(struct jrc_core *core, uint64_t now_us)
{
    int32_t reason;

    if (jrc_tls_context_check(core->tls_context, now_us, &reason))
        jrc_engine_emit(&core->engine, JSONRPCC_CERTIFICATES, UINT32_MAX,
                        reason, now_us);
}

/* Pass it all to the engine, and do what the engine asks for. */
static void work(struct jrc_core *core, const struct intake *intake)
{
    uint64_t now_us = core->turn.now_us = jrc_now_us();

    if (intake->has_hello)
        jrc_engine_set_hello(&core->engine, intake->hello);
    if (intake->servers != NULL) {
        jrc_engine_set_servers(&core->engine, intake->servers, now_us);
        free(intake->servers);
    }
    if (!jrc_frames_empty(&core->turn.taken))
        jrc_engine_submit(&core->engine, &core->turn.taken, now_us);
    for (size_t i = 0; i < intake->cancel_count; i++)
        jrc_engine_cancel(&core->engine, intake->cancels[i], now_us);
    if (intake->closing && !core->turn.close_begun) {
        core->turn.close_begun = true;
        jrc_engine_close(&core->engine, now_us, LINGER_US);
    }
    jrc_engine_tick(&core->engine, now_us);
    if (core->tls_context != NULL)
        check_certificates(core, now_us);
    core->turn.reading = jrc_consumer_keeps_up(core);
    jrc_engine_set_reading(&core->engine, core->turn.reading, now_us);
    jrc_loop_set_reading(core->loop,
                         core->turn.reading); /* may lose connections */
    jrc_loop_act(core->loop, now_us);
}

/* Before the events that tell of them. */
static void publish_entries(struct jrc_core *core)
{
    uint64_t version = core->engine.discovery.version;
    uint64_t changes = core->turn.list_changes;

    if (jrc_changes_await_room(&core->engine))
        changes--; /* the last one has no room yet */
    if (core->entries.version == version &&
        core->entries.list_changes == changes)
        return;
    pthread_mutex_lock(&core->lock);
    jrc_entries_copy(&core->entries, &core->engine.discovery);
    if (core->entries.version == version)
        core->entries.list_changes = changes;
    pthread_mutex_unlock(&core->lock);
}

static void emit(struct jrc_core *core, bool replay)
{
    publish_entries(core);
    jrc_listener_emit(core, replay);
    run_deferred(core);
}

/* Calls are submitted one after another, and no thread waits for a single
 * one. */
static bool is_coalescing(const struct jrc_core *core)
{
    return core->leadership.short_sleeps >= SHORT_SLEEPS &&
           core->leadership.leader != JRC_CALLER &&
           jrc_leader_wanted(core) != JRC_CALLER;
}

/* Waking a sleeper costs the submitter more than its call.  So while calls are
 * submitted one after another, sleep for a fixed time, during which no wake-up
 * is needed, and then take all that have gathered. */
static void coalesce_pause(struct jrc_core *core)
{
    struct timespec time = {.tv_nsec = PAUSE_US * 1000};

    nanosleep(&time, NULL);
    pthread_mutex_lock(&core->lock);
    if (!jrc_has_work(core))
        core->leadership.short_sleeps = 0;
    pthread_mutex_unlock(&core->lock);
    jrc_loop_poll(core->loop, 0);
}

static uint64_t sooner(uint64_t one_us, uint64_t other_us)
{
    return one_us < other_us ? one_us : other_us;
}

uint64_t jrc_next_turn_us(const struct jrc_core *core)
{
    if (!core->turn.reading && jrc_consumer_has_caught_up(core))
        return 0;
    uint64_t next_us = jrc_engine_next_us(&core->engine);
    return core->tls_context == NULL
               ? next_us
               : sooner(next_us, jrc_tls_context_next_us(core->tls_context));
}

/* Sleep until something happens, and measure how soon another thread wakes us.
 * For a caller that does not matter, see is_coalescing(). */
static void sleep_until(struct jrc_core *core, uint64_t until_us)
{
    bool counts = core->leadership.leader != JRC_CALLER;
    uint64_t next_us = jrc_next_turn_us(core);
    uint64_t slept_us = counts ? jrc_now_us() : 0;
    bool woken = jrc_loop_poll(core->loop, sooner(next_us, until_us));

    if (counts && woken && jrc_now_us() - slept_us < SHORT_SLEEP_US)
        core->leadership.short_sleeps++;
    else
        core->leadership.short_sleeps = 0;
}

/* Leaves the lock locked.  First free, then emit: a program that sees an
 * outcome finds its slot free. */
static void tell(struct jrc_core *core, bool replay)
{
    if (core->submission.calls.ended != JRC_NO_CALL) {
        pthread_mutex_lock(&core->lock);
        give_back(core);
        pthread_mutex_unlock(&core->lock);
    }
    emit(core, replay);
    pthread_mutex_lock(&core->lock);
    give_back(core);
}

/* Under the lock, which is released meanwhile: take what has been submitted so
 * far, and no more. */
static void drain(struct jrc_core *core)
{
    struct intake intake;

    take_in(core, &intake);
    pthread_mutex_unlock(&core->lock);
    work(core, &intake);
    tell(core, intake.replay);
}

/* Under the lock, which is released meanwhile: poll, and wait if there is
 * nothing else to do. */
static void await_events(struct jrc_core *core, uint64_t until_us)
{
    bool busy = jrc_has_work(core);

    core->leadership.short_sleeps += busy;
    bool pauses = is_coalescing(core) && core->turn.now_us < until_us;
    if (!busy && !pauses)
        jrc_loop_set_asleep(core->loop);
    pthread_mutex_unlock(&core->lock);
    if (pauses)
        coalesce_pause(core);
    else if (busy)
        jrc_loop_poll(core->loop, 0);
    else
        sleep_until(core, until_us);
    tell(core, false);
}

/* Under the lock.  False: may_stay returned false. */
static bool turn(struct jrc_core *core,
                 bool (*may_stay)(const struct jrc_core *core, const void *arg),
                 const void *arg, uint64_t until_us)
{
    give_back(core);
    if (!may_stay(core, arg) && !jrc_has_work(core))
        return false;
    drain(core);
    if (!may_stay(core, arg))
        return false;
    await_events(core, until_us);
    return true;
}

/* Under the lock, which is released meanwhile: see what has happened while no
 * thread watched.  A connection that has ended must not get a call. */
static void look(struct jrc_core *core)
{
    core->leadership.unwatched = false;
    pthread_mutex_unlock(&core->lock);
    jrc_loop_poll(core->loop, core->leadership.left_us); /* only look */
    pthread_mutex_lock(&core->lock);
}

/* Callbacks run deep inside libevent and the engine.  In a child that a
 * callback forked, those would continue with the parent's other messages, and
 * with descriptors that are closed here or reused by now.  So we leave by a
 * jump over them, and use nothing of theirs again. */
bool jrc_take_turns(struct jrc_core *core,
                    bool (*may_stay)(const struct jrc_core *core,
                                     const void *arg),
                    const void *arg, uint64_t until_us)
{
    jmp_buf way_out;

    if (setjmp(way_out) != 0)
        return false;
    core->turn.way_out = &way_out;
    if (core->leadership.unwatched)
        look(core);
    /* If until_us passes during a turn, there is one more turn, which does not
     * wait. */
    while (turn(core, may_stay, arg, until_us) && core->turn.now_us < until_us)
        continue;
    return true;
}

bool jrc_take_turn(struct jrc_core *core, bool polls)
{
    jmp_buf way_out;

    if (setjmp(way_out) != 0)
        return false;
    core->turn.way_out = &way_out;
    core->leadership.unwatched = false;
    if (polls) {
        pthread_mutex_unlock(&core->lock);
        jrc_loop_poll(core->loop, 0);
        tell(core, false);
    }
    drain(core);
    return true;
}

bool jrc_report_rest(struct jrc_core *core)
{
    jmp_buf way_out;

    if (setjmp(way_out) != 0)
        return false;
    core->turn.way_out = &way_out;
    while (jrc_listener_lacks(&core->listener)) {
        pthread_mutex_unlock(&core->lock);
        emit(core, true);
        pthread_mutex_lock(&core->lock);
    }
    return true;
}
