/* A client whose callbacks wait for its host, see JSONRPCC_HOST_CALLBACKS:
 * however late the host is, each outcome is delivered once, on the host's
 * thread and nowhere else.  See also test_host_end.c and test_host_chaos.c. */
#include "host_client.h"

/* ---- one thing at a time ------------------------------------------------- */

/* The deadline passes, and the outcome is there, though nobody polls. */
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

/* What piles up for a late host is bounded in bytes, and deadlines still
 * pass. */
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

/* And in number: a call is in flight until its outcome has been delivered. */
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

/* While the host is away, other threads call and wait, and have callbacks if
 * they ask for them; the host itself never waits. */
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

/* No other thread can poll meanwhile, but a callback may. */
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
    if (tally->deferred == 1) /* and again, in the next poll */
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
    CHECK(is_readable(client)); /* for the one deferred again */
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

/* Including past ones, and none to a listener that was replaced. */
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

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(HANGS_S);
    begin_peer();
    test_deadlines_do_not_wait_for_the_host();
    test_a_late_host_stops_the_reading();
    test_a_late_host_finds_the_client_full();
    test_a_poll_makes_room_for_others();
    test_only_the_host_may_not_wait();
    test_a_callback_polls();
    test_deferred_to_the_end_of_a_poll();
    test_events_come_to_the_host();
    peer_stop(&peer);
    return check_done();
}
