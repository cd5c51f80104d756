/* A client whose callbacks wait for its host, see JSONRPCC_HOST_CALLBACKS:
 * however late that is, however many threads submit and cancel, and however it
 * ends, each call is told once, on the host's thread and nowhere else.
 *
 * Arguments: how many random rounds (12), and the first seed (1). */
#include "peer_client.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>

enum { HANGS_S = 300, LATE_MS = 20000 };

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static jsonrpcc_client *new_hosted(jsonrpcc_options options)
{
    options.flags = JSONRPCC_HOST_CALLBACKS;
    options.reconnect_ms = options.reconnect_max_ms = 20;
    return new_client(options);
}

static bool is_readable(jsonrpcc_client *client)
{
    struct pollfd fd = {.fd = jsonrpcc_host_fd(client), .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

/* Poll as an event loop would, until *count is enough or it takes too long. */
static bool poll_until(jsonrpcc_client *client, const unsigned *count,
                       unsigned enough)
{
    struct pollfd fd = {.fd = jsonrpcc_host_fd(client), .events = POLLIN};
    uint64_t until_ms = now_ms() + LATE_MS;

    while (*count < enough && now_ms() < until_ms)
        if (poll(&fd, 1, 100) == 1)
            jsonrpcc_host_poll(client);
    return CHECK(*count == enough);
}

static jsonrpcc_status request(jsonrpcc_client *client, const char *method,
                               int32_t timeout_ms, uint32_t flags,
                               jsonrpcc_done_fn done, void *arg)
{
    const char *text = params();
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = method,
        .method_len = strlen(method),
        .params = text,
        .params_len = strlen(text),
        .timeout_ms = timeout_ms,
        .flags = flags | JSONRPCC_WAIT_FOR_READY,
        .done = done,
        .arg = arg,
        .token = number,
    };

    return jsonrpcc_request(client, &call, NULL);
}

/* ---- one thing at a time ------------------------------------------------- */

struct tally {
    jsonrpcc_client *client;
    pthread_t host;
    unsigned told, right, elsewhere;
    unsigned deferred; /* runs, each of which saw all that was told */
    jsonrpcc_deferred at_end;
    jsonrpcc_status status;
};

static struct tally tally_of(jsonrpcc_client *client)
{
    return (struct tally){.client = client, .host = pthread_self()};
}

static void count(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct tally *tally = arg;

    tally->told++;
    tally->status = outcome->status;
    tally->right +=
        outcome->status == JSONRPCC_OK &&
        (peer_says("echo", token, outcome->json, outcome->json_len) ||
         peer_says("big", token, outcome->json, outcome->json_len));
    tally->elsewhere += !pthread_equal(pthread_self(), tally->host);
    CHECK(jsonrpcc_in_callback(tally->client));
}

/* The deadline passes and the outcome is there, though nobody polls. */
static void test_deadlines_do_not_wait_for_the_host(void)
{
    jsonrpcc_client *client = new_hosted((jsonrpcc_options){0});
    struct tally tally = tally_of(client);
    uint64_t until_ms = now_ms() + LATE_MS;
    jsonrpcc_stats stats = {0};

    CHECK(request(client, "echo", 5000, 0, count, &tally) == JSONRPCC_OK);
    CHECK(request(client, "mute", 20, 0, count, &tally) == JSONRPCC_OK);
    while (stats.timeouts + stats.ok < 2 && now_ms() < until_ms) {
        nap();
        jsonrpcc_client_stats(client, &stats, sizeof stats);
    }
    CHECK(stats.ok == 1 && stats.timeouts == 1 && stats.in_flight == 2);
    CHECK(tally.told == 0);
    struct pollfd fd = {.fd = jsonrpcc_host_fd(client), .events = POLLIN};
    CHECK(poll(&fd, 1, LATE_MS) == 1);
    CHECK(poll_until(client, &tally.told, 2));
    CHECK(tally.right == 1 && tally.status == JSONRPCC_ETIMEDOUT);
    CHECK(tally.elsewhere == 0);
    CHECK(!is_readable(client) && !jsonrpcc_host_poll(client));
    jsonrpcc_client_stats(client, &stats, sizeof stats);
    CHECK(stats.in_flight == 0);
    end_client(client);
}

/* What a late host piles up is bounded in bytes, and deadlines still pass. */
static void test_a_late_host_stops_the_reading(void)
{
    enum { CALLS = 40, BOUND = 2 * PEER_BIG };
    jsonrpcc_client *client =
        new_hosted((jsonrpcc_options){.max_undelivered_bytes = BOUND});
    struct tally tally = tally_of(client);
    uint64_t until_ms = now_ms() + LATE_MS;
    jsonrpcc_stats stats = {0};

    for (int i = 0; i < CALLS; i++)
        CHECK(request(client, "big", 60000, 0, count, &tally) == JSONRPCC_OK);
    while (stats.undelivered_bytes <= BOUND && now_ms() < until_ms) {
        nap();
        jsonrpcc_client_stats(client, &stats, sizeof stats);
    }
    CHECK(request(client, "mute", 50, 0, count, &tally) == JSONRPCC_OK);
    while (stats.timeouts == 0 && now_ms() < until_ms) {
        nap();
        jsonrpcc_client_stats(client, &stats, sizeof stats);
    }
    CHECK(stats.timeouts == 1 && stats.ok < CALLS);
    /* What one turn reads from a socket comes on top. */
    CHECK(stats.undelivered_bytes > BOUND &&
          stats.undelivered_bytes <= 6 * (uint64_t)BOUND);
    CHECK(poll_until(client, &tally.told, CALLS + 1));
    CHECK(tally.right == CALLS && tally.elsewhere == 0);
    jsonrpcc_client_stats(client, &stats, sizeof stats);
    CHECK(stats.undelivered_bytes == 0);
    end_client(client);
}

/* And in number: a call is in flight until it was told. */
static void test_a_late_host_finds_the_client_full(void)
{
    jsonrpcc_client *client =
        new_hosted((jsonrpcc_options){.max_in_flight = 3});
    struct tally tally = tally_of(client);

    for (int i = 0; i < 3; i++)
        CHECK(request(client, "mute", 10, 0, count, &tally) == JSONRPCC_OK);
    struct pollfd fd = {.fd = jsonrpcc_host_fd(client), .events = POLLIN};
    CHECK(poll(&fd, 1, LATE_MS) == 1);
    CHECK(request(client, "echo", 0, 0, count, &tally) == JSONRPCC_EFULL);
    uint64_t before_ms = now_ms();
    CHECK(
        !jsonrpcc_room(client, LATE_MS)); /* the host cannot wait for itself */
    CHECK(now_ms() - before_ms < LATE_MS / 2);
    CHECK(poll_until(client, &tally.told, 3));
    CHECK(request(client, "echo", 0, 0, count, &tally) == JSONRPCC_OK);
    CHECK(poll_until(client, &tally.told, 4));
    end_client(client);
}

static void *wait_for_room(void *arg)
{
    struct tally *tally = arg;
    jsonrpcc_status status;

    while ((status = request(tally->client, "echo", 5000, 0, count, tally)) ==
           JSONRPCC_EFULL)
        CHECK(jsonrpcc_room(tally->client, LATE_MS));
    CHECK(status == JSONRPCC_OK);
    return NULL;
}

static void test_a_poll_makes_room_for_others(void)
{
    jsonrpcc_client *client =
        new_hosted((jsonrpcc_options){.max_in_flight = 2});
    struct tally tally = tally_of(client);
    pthread_t thread;

    for (int i = 0; i < 2; i++)
        CHECK(request(client, "echo", 5000, 0, count, &tally) == JSONRPCC_OK);
    pthread_create(&thread, NULL, wait_for_room, &tally);
    CHECK(poll_until(client, &tally.told, 3));
    pthread_join(thread, NULL);
    CHECK(tally.right == 3 && tally.elsewhere == 0);
    end_client(client);
}

/* ---- who may wait -------------------------------------------------------- */

static void *call_elsewhere(void *arg)
{
    struct tally *tally = arg;
    jsonrpcc_sync *sync = jsonrpcc_sync_new(tally->client);
    jsonrpcc_waiter *waiter = jsonrpcc_waiter_new(tally->client, false);
    jsonrpcc_queue *queue = jsonrpcc_queue_new(tally->client, 0);
    jsonrpcc_completions completions;

    CHECK(!jsonrpcc_in_callback(tally->client));
    CHECK(jsonrpcc_sync_call(sync, "echo", 4, "[0]", 3, 5000,
                             JSONRPCC_WAIT_FOR_READY, -1) == JSONRPCC_OK);
    CHECK(jsonrpcc_wait(waiter, 1) == JSONRPCC_EPENDING);
    CHECK(jsonrpcc_queue_request(queue, 5, "echo", 4, "[0]", 3, 5000,
                                 JSONRPCC_WAIT_FOR_READY) > 0);
    CHECK(jsonrpcc_queue_wait(queue, &completions, LATE_MS) == JSONRPCC_OK);
    CHECK(completions.count == 1 && completions.tokens[0] == 5);
    jsonrpcc_queue_free(queue);
    jsonrpcc_waiter_free(waiter);
    jsonrpcc_sync_free(sync);
    return NULL;
}

struct at_once {
    pthread_t host;
    atomic_bool told;
    bool was_elsewhere;
};

static void at_once(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct at_once *seen = arg;

    CHECK(token == number && outcome->status == JSONRPCC_OK);
    seen->was_elsewhere = !pthread_equal(pthread_self(), seen->host);
    atomic_store(&seen->told, true);
}

/* While the host is away others call and wait, and have callbacks if they say
 * so; the host itself waits nowhere. */
static void test_only_the_host_may_not_wait(void)
{
    jsonrpcc_client *client = new_hosted((jsonrpcc_options){0});
    struct tally tally = tally_of(client);
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    jsonrpcc_waiter *waiter = jsonrpcc_waiter_new(client, false);
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, 0);
    jsonrpcc_completions completions;
    struct at_once seen = {.host = pthread_self()};
    pthread_t thread;

    CHECK(jsonrpcc_queue_new(client, JSONRPCC_QUEUE_EVENTS) == NULL);
    CHECK(jsonrpcc_in_callback(client));
    CHECK(jsonrpcc_sync_call(sync, "echo", 4, "[0]", 3, 0, 0, -1) ==
          JSONRPCC_EDEADLK);
    CHECK(jsonrpcc_wait(waiter, -1) == JSONRPCC_EDEADLK);
    CHECK(jsonrpcc_queue_wait(queue, &completions, -1) == JSONRPCC_EDEADLK);
    CHECK(request(client, "echo", 5000, 0, count, &tally) == JSONRPCC_OK);
    pthread_create(&thread, NULL, call_elsewhere, &tally);
    pthread_join(thread, NULL);
    CHECK(request(client, "echo", 5000, JSONRPCC_ANY_THREAD, at_once, &seen) ==
          JSONRPCC_OK);
    for (int n = 0; n < LATE_MS && !atomic_load(&seen.told); n++)
        nap();
    CHECK(seen.told && seen.was_elsewhere);
    CHECK(tally.told == 0);
    CHECK(poll_until(client, &tally.told, 1));
    jsonrpcc_queue_free(queue);
    jsonrpcc_waiter_free(waiter);
    jsonrpcc_sync_free(sync);
    end_client(client);
}

static void *poll_elsewhere(void *arg)
{
    CHECK(!jsonrpcc_host_poll(arg));
    return NULL;
}

/* Beside a poll there is no other, but inside of it there may be. */
static void poll_again(void *arg, uint64_t token,
                       const jsonrpcc_outcome *outcome)
{
    struct tally *tally = arg;
    pthread_t thread;

    count(arg, token, outcome);
    if (tally->told > 1)
        return;
    pthread_create(&thread, NULL, poll_elsewhere, tally->client);
    pthread_join(thread, NULL);
    CHECK(tally->told == 1);
    CHECK(request(tally->client, "echo", 5000, 0, count, arg) == JSONRPCC_OK);
    CHECK(poll_until(tally->client, &tally->told, 2));
    CHECK(!is_readable(tally->client));
    CHECK(!jsonrpcc_client_close(tally->client, -1)); /* does not wait */
}

static void test_a_callback_polls(void)
{
    jsonrpcc_client *client = new_hosted((jsonrpcc_options){0});
    struct tally tally = tally_of(client);

    CHECK(request(client, "echo", 5000, 0, poll_again, &tally) == JSONRPCC_OK);
    poll_until(client, &tally.told, 2);
    CHECK(tally.right == 2 && tally.elsewhere == 0);
    end_client(client);
}

/* ---- what is deferred, and events ---------------------------------------- */

static void at_end(void *arg)
{
    struct tally *tally = arg;

    CHECK(jsonrpcc_in_callback(tally->client));
    tally->elsewhere += !pthread_equal(pthread_self(), tally->host);
    tally->deferred++;
    CHECK(tally->told == 10);
    if (tally->deferred == 1) /* and once more, in the next poll */
        jsonrpcc_defer(tally->client, &tally->at_end);
}

static void defer_once(void *arg, uint64_t token,
                       const jsonrpcc_outcome *outcome)
{
    struct tally *tally = arg;

    count(arg, token, outcome);
    if (tally->told > 1)
        return;
    tally->at_end.fn = at_end;
    tally->at_end.arg = tally;
    jsonrpcc_defer(tally->client, &tally->at_end);
}

static void test_deferred_to_the_end_of_a_poll(void)
{
    jsonrpcc_client *client = new_hosted((jsonrpcc_options){0});
    struct tally tally = tally_of(client);
    jsonrpcc_stats stats = {0};

    for (int i = 0; i < 10; i++)
        CHECK(request(client, "echo", 5000, 0, defer_once, &tally) ==
              JSONRPCC_OK);
    for (int n = 0; n < LATE_MS && stats.ok < 10; n++, nap())
        jsonrpcc_client_stats(client, &stats, sizeof stats);
    for (int n = 0; n < LATE_MS && tally.told == 0; n++, nap())
        CHECK(jsonrpcc_host_poll(client) == (tally.told > 0));
    CHECK(tally.told == 10 && tally.deferred == 1);
    CHECK(is_readable(client)); /* for what was deferred again */
    CHECK(!jsonrpcc_host_poll(client));
    CHECK(tally.deferred == 2 && tally.elsewhere == 0);
    CHECK(!is_readable(client));
    end_client(client);
}

static void on_event(void *arg, const jsonrpcc_event *event)
{
    struct tally *tally = arg;

    if (event->kind != JSONRPCC_CONNECTED && event->kind != JSONRPCC_LOST)
        return;
    tally->told++;
    tally->elsewhere += !pthread_equal(pthread_self(), tally->host);
}

static void *stop_listening(void *arg)
{
    jsonrpcc_on_event(arg, NULL, NULL);
    return NULL;
}

/* Past ones included, and none to a listener that was replaced. */
static void test_events_come_to_the_host(void)
{
    jsonrpcc_client *client = new_hosted((jsonrpcc_options){0});
    struct tally calls = tally_of(client);
    struct tally first = tally_of(client), second = tally_of(client);
    pthread_t thread;

    CHECK(request(client, "echo", 5000, 0, count, &calls) == JSONRPCC_OK);
    poll_until(client, &calls.told, 1);
    jsonrpcc_on_event(client, on_event, &first);
    CHECK(is_readable(client) && first.told == 0);
    poll_until(client, &first.told, 1);
    jsonrpcc_on_event(client, on_event, &second);
    poll_until(client, &second.told, 1);
    CHECK(request(client, "drop", 5000, 0, count, &calls) == JSONRPCC_OK);
    poll_until(client, &second.told, 3); /* lost, and connected again */
    poll_until(client, &calls.told, 2);
    pthread_create(&thread, NULL, stop_listening, client);
    pthread_join(thread, NULL);
    CHECK(request(client, "drop", 5000, 0, count, &calls) == JSONRPCC_OK);
    poll_until(client, &calls.told, 3);
    CHECK(first.told == 1 && first.elsewhere == 0);
    CHECK(second.told == 3 && second.elsewhere == 0);
    end_client(client);
}

/* ---- the end ------------------------------------------------------------- */

/* Whatever is left, close() on the host's thread tells it. */
static void test_close_by_the_host_tells_the_rest(void)
{
    jsonrpcc_client *client = new_hosted((jsonrpcc_options){0});
    struct tally tally = tally_of(client);

    for (int i = 0; i < 600; i++)
        CHECK(request(client, "mute", 60000, 0, count, &tally) == JSONRPCC_OK);
    CHECK(jsonrpcc_client_close(client, -1));
    CHECK(tally.told == 600 && tally.status == JSONRPCC_ECLOSED);
    CHECK(tally.elsewhere == 0);
    CHECK(jsonrpcc_client_close(client, 0) && !jsonrpcc_host_poll(client));
    jsonrpcc_client_free(client);
}

static void *close_elsewhere(void *arg)
{
    CHECK(!jsonrpcc_client_close(arg, 20)); /* the host has not polled */
    CHECK(jsonrpcc_client_close(arg, LATE_MS));
    return NULL;
}

static void test_close_elsewhere_waits_for_the_host(void)
{
    jsonrpcc_client *client = new_hosted((jsonrpcc_options){0});
    struct tally tally = tally_of(client);
    pthread_t thread;
    jsonrpcc_stats stats = {0};

    for (int i = 0; i < 600; i++)
        CHECK(request(client, "mute", 60000, 0, count, &tally) == JSONRPCC_OK);
    pthread_create(&thread, NULL, close_elsewhere, client);
    for (int n = 0; n < LATE_MS && stats.closed < 600; n++, nap())
        jsonrpcc_client_stats(client, &stats, sizeof stats);
    for (int n = 0; n < 50; n++)
        nap(); /* for its first close to end */
    CHECK(tally.told == 0);
    poll_until(client, &tally.told, 600);
    pthread_join(thread, NULL);
    CHECK(tally.elsewhere == 0);
    jsonrpcc_client_free(client);
}

struct crosswise {
    struct tally tally;
    jsonrpcc_client *other;
    atomic_uint *inside; /* callbacks */
};

static void close_other(void *arg, uint64_t token,
                        const jsonrpcc_outcome *outcome)
{
    struct crosswise *mine = arg;

    count(&mine->tally, token, outcome);
    atomic_fetch_add(mine->inside, 1);
    for (int n = 0; n < LATE_MS && atomic_load(mine->inside) < 2; n++)
        nap();
    CHECK(!jsonrpcc_client_close(mine->other, -1));
    atomic_fetch_add(mine->inside, 1);
    for (int n = 0; n < LATE_MS && atomic_load(mine->inside) < 4; n++)
        nap();
}

static void *poll_crosswise(void *arg)
{
    struct crosswise *mine = arg;

    mine->tally.host = pthread_self();
    poll_until(mine->tally.client, &mine->tally.told, 1);
    return NULL;
}

/* Two hosts are in callbacks that close each other's clients. */
static void test_crosswise(void)
{
    atomic_uint inside = 0;
    struct crosswise both[2] = {
        {tally_of(new_hosted((jsonrpcc_options){0})), NULL, &inside},
        {tally_of(new_hosted((jsonrpcc_options){0})), NULL, &inside},
    };
    pthread_t thread;

    for (int i = 0; i < 2; i++) {
        both[i].other = both[1 - i].tally.client;
        CHECK(request(both[i].tally.client, "echo", 60000, 0, close_other,
                      &both[i]) == JSONRPCC_OK);
    }
    pthread_create(&thread, NULL, poll_crosswise, &both[1]);
    poll_until(both[0].tally.client, &both[0].tally.told, 1);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) {
        CHECK(both[i].tally.elsewhere == 0);
        end_client(both[i].tally.client);
    }
}

static void free_client(void *arg, uint64_t token,
                        const jsonrpcc_outcome *outcome)
{
    struct tally *tally = arg;

    count(arg, token, outcome);
    if (tally->told == 3)
        jsonrpcc_client_free(tally->client);
}

/* No callback is run after free(), be it called between polls or in one. */
static void test_free_ends_the_callbacks(void)
{
    jsonrpcc_client *client = new_hosted((jsonrpcc_options){0});
    struct tally tally = tally_of(client);
    jsonrpcc_stats stats = {0};

    for (int i = 0; i < 20; i++) {
        CHECK(request(client, "big", 60000, 0, count, &tally) == JSONRPCC_OK);
        CHECK(request(client, "mute", 60000, 0, count, &tally) == JSONRPCC_OK);
    }
    for (int n = 0; n < LATE_MS && stats.ok < 10; n++, nap())
        jsonrpcc_client_stats(client, &stats, sizeof stats);
    jsonrpcc_client_free(client);
    CHECK(tally.told == 0);

    client = new_hosted((jsonrpcc_options){0});
    tally = tally_of(client);
    memset(&stats, 0, sizeof stats);
    for (int i = 0; i < 20; i++)
        CHECK(request(client, "echo", 60000, 0, free_client, &tally) ==
              JSONRPCC_OK);
    for (int n = 0; n < LATE_MS && stats.ok < 20; n++, nap())
        jsonrpcc_client_stats(client, &stats, sizeof stats);
    while (tally.told < 3)
        jsonrpcc_host_poll(client);
    CHECK(tally.told == 3);
}

/* ---- fork ---------------------------------------------------------------- */

#ifndef __SANITIZE_THREAD__ /* its runtime does not like threads in children \
                             */

struct fork_run {
    struct tally tally;
    pid_t child; /* of the third callback; 0 there */
};

static void fork_once(void *arg, uint64_t token,
                      const jsonrpcc_outcome *outcome)
{
    struct fork_run *run = arg;

    count(&run->tally, token, outcome);
    if (run->tally.told == 3)
        run->child = fork();
}

/* The child returns from the callback into the poll: nothing more of its
 * parent's runs there, and the client works anew. */
static void test_a_callback_forks(void)
{
    struct fork_run run = {.tally = tally_of(new_hosted((jsonrpcc_options){0})),
                           .child = -1};
    jsonrpcc_client *client = run.tally.client;
    int status = -1;

    for (int i = 0; i < 100; i++)
        CHECK(request(client, "echo", 60000, 0, fork_once, &run) ==
              JSONRPCC_OK);
    int fd = jsonrpcc_host_fd(client);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    for (int n = 0; n < LATE_MS / 100 && run.tally.told < 3; n++)
        if (poll(&ready, 1, 100) == 1)
            jsonrpcc_host_poll(client);
    if (run.child == 0) {
        bool good = run.tally.told == 3 && fcntl(fd, F_GETFD) < 0 &&
                    !jsonrpcc_host_poll(client);
        struct tally tally = tally_of(client);
        number += 1000; /* the peer knows the parent's */
        good = good &&
               request(client, "echo", 5000, 0, count, &tally) == JSONRPCC_OK;
        good = good && poll_until(client, &tally.told, 1) && tally.right == 1 &&
               jsonrpcc_client_close(client, -1) && run.tally.told == 3;
        jsonrpcc_client_free(client);
        check_exit(good && check_failures == 0 ? 0 : 1);
    }
    poll_until(client, &run.tally.told, 100);
    CHECK(waitpid(run.child, &status, 0) == run.child && status == 0);
    CHECK(run.tally.right == 100 && run.tally.elsewhere == 0);
    end_client(client);
}

#endif

/* ---- anything at any time ------------------------------------------------ */

enum { THREADS = 3, CALLS = 1500 };

enum ending { BY_HOST, BY_ANOTHER, BY_CALLBACK, BY_FREE, ENDINGS };

struct entry {
    struct chaos *chaos;
    atomic_uint accepted, told;
    uint64_t id;
};

struct chaos {
    jsonrpcc_client *client;
    pthread_t host;
    atomic_bool over;  /* freed: nothing may be told */
    atomic_uint going; /* threads that submit */
    unsigned told;
    unsigned close_at; /* so many are told: close in the callback */
    struct entry entries[THREADS][CALLS];
};

struct submitter {
    struct chaos *chaos;
    struct entry *entries;
    uint64_t random, number;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct entry *entry = arg;
    struct chaos *chaos = entry->chaos;

    (void)token;
    CHECK(!chaos->over);
    CHECK(pthread_equal(pthread_self(), chaos->host));
    CHECK(atomic_fetch_add(&entry->told, 1) == 0);
    if (outcome->status == JSONRPCC_OK && outcome->json != NULL)
        CHECK(peer_says("echo", token, outcome->json, outcome->json_len) ||
              peer_says("big", token, outcome->json, outcome->json_len) ||
              peer_says("once", token, outcome->json, outcome->json_len));
    if (++chaos->told == chaos->close_at)
        CHECK(!jsonrpcc_client_close(chaos->client, -1));
}

/* Alone, or a few by one lock. */
static void submit(struct submitter *submitter, size_t first, size_t count)
{
    static const char *const methods[] = {"echo", "echo", "refuse",
                                          "mute", "once", "big"};
    struct chaos *chaos = submitter->chaos;
    jsonrpcc_status status = JSONRPCC_OK;
    jsonrpcc_call calls[8];
    char texts[8][40];
    size_t accepted = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t dice = next_random(&submitter->random);
        const char *method = methods[dice % 6];
        uint64_t token = ++submitter->number;
        int len = snprintf(texts[i], sizeof texts[i], "[%llu]",
                           (unsigned long long)token);
        calls[i] = (jsonrpcc_call){
            .size = sizeof calls[i],
            .method = method,
            .method_len = strlen(method),
            .params = texts[i],
            .params_len = (size_t)len,
            .timeout_ms = 1 + (int32_t)(dice >> 8) % 50,
            .flags = (uint32_t)(dice >> 24) &
                     (JSONRPCC_NOTIFICATION | JSONRPCC_IDEMPOTENT |
                      JSONRPCC_WAIT_FOR_READY | JSONRPCC_RESERVE),
            .done = on_done,
            .arg = &submitter->entries[first + i],
            .token = token,
        };
    }
    if (count > 1) {
        accepted = jsonrpcc_request_many(chaos->client, calls, count, &status);
    } else {
        status = jsonrpcc_request(chaos->client, calls,
                                  &submitter->entries[first].id);
        accepted = status == JSONRPCC_OK;
    }
    for (size_t i = 0; i < accepted; i++)
        submitter->entries[first + i].accepted = 1;
    if (status == JSONRPCC_EFULL)
        jsonrpcc_room(chaos->client, 2);
}

static void *submit_all(void *arg)
{
    struct submitter *submitter = arg;

    for (size_t i = 0; i < CALLS;) {
        uint64_t dice = next_random(&submitter->random);
        size_t count = dice % 4 == 0 ? 1 + (dice >> 8) % 8 : 1;
        if (count > CALLS - i)
            count = CALLS - i;
        submit(submitter, i, count);
        if ((dice >> 16) % 5 == 0)
            jsonrpcc_cancel(submitter->chaos->client,
                            submitter->entries[(dice >> 20) % (i + 1)].id);
        i += count;
    }
    submitter->chaos->going--;
    return NULL;
}

static void *close_now(void *arg)
{
    struct chaos *chaos = arg;

    CHECK(jsonrpcc_client_close(chaos->client, LATE_MS));
    return NULL;
}

/* The host's loop: late by nothing, by little, or by much. */
static void run_host(struct chaos *chaos, uint64_t *random)
{
    struct pollfd fd = {.fd = jsonrpcc_host_fd(chaos->client),
                        .events = POLLIN};

    while (chaos->going > 0) {
        for (uint64_t n = next_random(random) % 8; n > 5; n--)
            nap();
        if (poll(&fd, 1, 1) == 1)
            jsonrpcc_host_poll(chaos->client);
    }
}

static void finish(struct chaos *chaos, enum ending ending)
{
    pthread_t thread;

    if (ending == BY_FREE) {
        jsonrpcc_client_free(chaos->client);
        chaos->over = true;
        return;
    }
    if (ending == BY_ANOTHER) {
        pthread_create(&thread, NULL, close_now, chaos);
        uint64_t until_ms = now_ms() + LATE_MS;
        while (!jsonrpcc_client_close(chaos->client, 1) && now_ms() < until_ms)
            continue;
        pthread_join(thread, NULL);
    }
    CHECK(jsonrpcc_client_close(chaos->client, LATE_MS));
    chaos->over = true;
    jsonrpcc_client_free(chaos->client);
}

static void test_chaos(uint64_t seed)
{
    struct chaos *chaos = calloc(1, sizeof *chaos);
    enum ending ending = (enum ending)(seed % ENDINGS);
    struct submitter submitters[THREADS];
    pthread_t threads[THREADS];
    uint64_t random = seed * 0x9e3779b97f4a7c15ULL;

    chaos->client = new_hosted((jsonrpcc_options){
        .max_in_flight = 1 + (uint32_t)next_random(&random) % 200,
        .max_undelivered_bytes = 3 * PEER_BIG,
    });
    chaos->host = pthread_self();
    chaos->close_at = ending == BY_CALLBACK ? 700 : 0;
    chaos->going = THREADS;
    for (size_t i = 0; i < THREADS; i++) {
        for (size_t n = 0; n < CALLS; n++)
            chaos->entries[i][n].chaos = chaos;
        submitters[i] = (struct submitter){chaos, chaos->entries[i],
                                           next_random(&random) | 1, number};
        number += CALLS;
        pthread_create(&threads[i], NULL, submit_all, &submitters[i]);
    }
    run_host(chaos, &random);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    finish(chaos, ending);
    unsigned accepted = 0, lost = 0, surplus = 0;
    for (size_t i = 0; i < THREADS; i++)
        for (size_t n = 0; n < CALLS; n++) {
            const struct entry *entry = &chaos->entries[i][n];
            accepted += entry->accepted;
            lost += entry->accepted > entry->told;
            surplus += entry->told > entry->accepted;
        }
    if (!CHECK(surplus == 0 && accepted > 0) ||
        !CHECK(ending == BY_FREE || lost == 0))
        printf("  seed %llu: %u accepted, %u lost, %u not to be told\n",
               (unsigned long long)seed, accepted, lost, surplus);
    free(chaos);
}

int main(int argc, char **argv)
{
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 12;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(HANGS_S + (unsigned)rounds * 10);
    begin_peer();
    test_deadlines_do_not_wait_for_the_host();
    test_a_late_host_stops_the_reading();
    test_a_late_host_finds_the_client_full();
    test_a_poll_makes_room_for_others();
    test_only_the_host_may_not_wait();
    test_a_callback_polls();
    test_deferred_to_the_end_of_a_poll();
    test_events_come_to_the_host();
    test_close_by_the_host_tells_the_rest();
    test_close_elsewhere_waits_for_the_host();
    test_crosswise();
    test_free_ends_the_callbacks();
#ifndef __SANITIZE_THREAD__
    test_a_callback_forks();
#endif
    for (uint64_t i = 0; i < rounds; i++)
        test_chaos(seed + i);
    peer_stop(&peer);
    return check_done();
}
