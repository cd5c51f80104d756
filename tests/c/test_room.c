/* The wait for room: in order, for the caller's own size, and woken whenever
 * there is enough. */
#include "peer_client.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

/* Milliseconds: a slice of a wait, and what is too long on a busy machine. */
enum { SLICE_MS = 50, LONG_MS = 4000 };

/* The queue is large compared with what the kernel takes at once, some MiB:
 * otherwise it would be empty at times, and everybody would find room. */
enum {
    QUEUED = 16 << 20,
    LARGE = 10 << 20,
    PIECE = 16000, /* of a flood */
    SMALL = 1000,
/* Under TSan, a thread takes a second to submit a large call beside six
 * others. */
#ifdef __SANITIZE_THREAD__
    FLOODERS = 1,
    SNATCHERS = 1
#else
    FLOODERS = 3,
    SNATCHERS = 3
#endif
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A call of about that many bytes. */
static jsonrpcc_status submit(jsonrpcc_client *client, size_t size,
                              uint32_t flags, uint64_t *id)
{
    char *text = malloc(size);
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = "log",
        .method_len = 3,
        .params = text,
        .params_len = size,
        .timeout_ms = 60000,
        .flags = flags | JSONRPCC_WAIT_FOR_READY,
    };

    if (text == NULL)
        exit(1);
    memset(text, 'x', size);
    memcpy(text, "[\"", 2);
    memcpy(text + size - 2, "\"]", 2);
    jsonrpcc_status status = jsonrpcc_request(client, &call, id);
    free(text);
    return status;
}

static jsonrpcc_status notify(jsonrpcc_client *client, size_t size)
{
    return submit(client, size, JSONRPCC_NOTIFICATION, NULL);
}

/* Without a server; unsent notifications would keep the client open. */
static jsonrpcc_status request(jsonrpcc_client *client, size_t size,
                               uint64_t *id)
{
    return submit(client, size, 0, id);
}

/* ---- order --------------------------------------------------------------- */

struct slow {
    jsonrpcc_client *client;
    int listener;
    uint16_t port;
    atomic_bool over;
    atomic_uint small;
    atomic_size_t received;
};

/* Takes one connection, and some 50 MiB/s from it. */
static void *read_slowly(void *arg)
{
    struct slow *slow = arg;
    static char bytes[1 << 16];
    int fd = accept(slow->listener, NULL, NULL);

    ssize_t n = 0;

    while (fd >= 0 && (n = recv(fd, bytes, sizeof bytes, 0)) > 0) {
        atomic_fetch_add(&slow->received, (size_t)n);
        nap();
    }
    close(fd);
    return NULL;
}

static void *flood(void *arg)
{
    struct slow *slow = arg;

    while (!slow->over) {
        jsonrpcc_status status = notify(slow->client, PIECE);
        if (status == JSONRPCC_EFULL)
            jsonrpcc_room(slow->client, SLICE_MS);
        else if (status == JSONRPCC_OK)
            atomic_fetch_add(&slow->small, 1);
    }
    return NULL;
}

/* Takes whatever room there is, and waits for none. */
static void *snatch(void *arg)
{
    struct slow *slow = arg;

    while (!slow->over)
        if (notify(slow->client, PIECE) != JSONRPCC_OK)
            sched_yield();
    return NULL;
}

static void listen_slowly(struct slow *slow)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int room = 1 << 16;

    slow->listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(slow->listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    CHECK(bind(slow->listener, (struct sockaddr *)&address, size) == 0);
    CHECK(getsockname(slow->listener, (struct sockaddr *)&address, &size) == 0);
    CHECK(listen(slow->listener, 4) == 0);
    slow->port = ntohs(address.sin_port);
}

static void test_a_large_one_is_not_passed_over(void)
{
    struct slow slow = {.small = 0};
    pthread_t server, threads[FLOODERS + SNATCHERS];
    char where[40];

    listen_slowly(&slow);
    pthread_create(&server, NULL, read_slowly, &slow);
    snprintf(where, sizeof where, "127.0.0.1:%u", slow.port);
    slow.client = new_client(
        (jsonrpcc_options){.servers = where, .max_queued_bytes = QUEUED});
    for (int i = 0; i < FLOODERS + SNATCHERS; i++)
        pthread_create(&threads[i], NULL, i < FLOODERS ? flood : snatch, &slow);
    jsonrpcc_stats stats = {0};
    for (int n = 0; stats.refused_full < 100 && n < LONG_MS; n++, nap())
        jsonrpcc_client_stats(slow.client, &stats, sizeof stats);
    for (int i = 0; i < 3; i++) {
        /* Not by the time, which depends on how busy the machine is. */
        size_t enough = slow.received + 3 * (size_t)QUEUED;
        jsonrpcc_status status = notify(slow.client, LARGE);
        while (status == JSONRPCC_EFULL && slow.received < enough) {
            jsonrpcc_room(slow.client, SLICE_MS);
            status = notify(slow.client, LARGE);
        }
        if (!CHECK(status == JSONRPCC_OK))
            printf("  %s\n", jsonrpcc_status_text(status));
    }
    /* And others are not shut out for long by one that does not come back. */
    CHECK(notify(slow.client, LARGE) == JSONRPCC_EFULL);
    jsonrpcc_room(slow.client, 1);
    unsigned small = slow.small;
    for (int n = 0; slow.small < small + 1000 && n < 10 * LONG_MS; n++)
        nap();
    CHECK(slow.small >= small + 1000);
    slow.over = true;
    for (int i = 0; i < FLOODERS + SNATCHERS; i++)
        pthread_join(threads[i], NULL);
    CHECK(jsonrpcc_client_close(slow.client, -1));
    jsonrpcc_client_free(slow.client);
    pthread_join(server, NULL);
    close(slow.listener);
}

struct waiting {
    jsonrpcc_client *client;
    atomic_bool refused, accepted;
};

static void *wait_for_room(void *arg)
{
    struct waiting *waiting = arg;
    uint64_t until_ms = now_ms() + LONG_MS;
    jsonrpcc_status status;

    while ((status = request(waiting->client, 5500, NULL)) == JSONRPCC_EFULL &&
           now_ms() < until_ms) {
        waiting->refused = true;
        jsonrpcc_room(waiting->client, SLICE_MS);
    }
    CHECK(status == JSONRPCC_OK);
    waiting->accepted = true;
    return NULL;
}

/* Nobody else takes the room that it waits for, not even at the moment when it
 * is freed.  Everything waits for a server that is not there. */
static void test_the_first_in_line_is_the_next(void)
{
    struct waiting waiting = {
        .client = new_client((jsonrpcc_options){.servers = "127.0.0.1:1",
                                                .max_queued_bytes = 10000})};
    uint64_t ids[9];
    pthread_t thread;
    unsigned passed = 0;

    for (int i = 0; i < 9; i++)
        CHECK(request(waiting.client, SMALL, &ids[i]) == JSONRPCC_OK);
    pthread_create(&thread, NULL, wait_for_room, &waiting);
    while (!waiting.refused)
        nap();
    for (int i = 0; i < 20; i++)
        nap(); /* it is in line by now */
    for (int i = 0; i < 6; i++)
        jsonrpcc_cancel(waiting.client, ids[i]);
    uint64_t until_ms = now_ms() + LONG_MS;
    while (!waiting.accepted && now_ms() < until_ms)
        passed += request(waiting.client, SMALL, NULL) == JSONRPCC_OK &&
                  !waiting.accepted;
    CHECK(passed == 0);
    pthread_join(thread, NULL);
    end_client(waiting.client);
}

/* ---- whose size ---------------------------------------------------------- */

static void *be_refused(void *arg)
{
    CHECK(request(arg, 9000, NULL) == JSONRPCC_EFULL);
    return NULL;
}

/* Everything waits for a server that is not there. */
static void test_a_small_call_waits_only_for_its_own_size(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){
        .servers = "127.0.0.1:1", .max_queued_bytes = 10000});
    pthread_t thread;
    uint64_t id;

    CHECK(request(client, 6000, &id) == JSONRPCC_OK);
    CHECK(request(client, 3500, NULL) == JSONRPCC_OK);
    CHECK(request(client, 1000, NULL) == JSONRPCC_EFULL);
    pthread_create(&thread, NULL, be_refused, client);
    pthread_join(thread, NULL);
    CHECK(!jsonrpcc_room(client, 10));
    jsonrpcc_cancel(client, id);
    CHECK(jsonrpcc_room(client, LONG_MS));
    CHECK(request(client, 1000, NULL) == JSONRPCC_OK);
    end_client(client);
}

/* ---- where the time went ------------------------------------------------- */

static void keep(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    jsonrpcc_outcome *kept = arg;

    (void)token;
    *kept = *outcome;
}

/* A call's time begins when it was refused for the first time. */
static void test_the_wait_for_room_is_part_of_the_time(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){
        .servers = "127.0.0.1:1", .max_queued_bytes = 10000});
    jsonrpcc_outcome outcome = {0};
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_us =
        (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    const jsonrpcc_call call = {
        .size = sizeof call,
        .method = "m",
        .method_len = 1,
        .timeout_ms = 400,
        .flags = JSONRPCC_WAIT_FOR_READY,
        .done = keep,
        .arg = &outcome,
        .since_us = now_us - 300000,
    };
    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
    jsonrpcc_waiter *waiter = jsonrpcc_waiter_new(client, false);
    for (int i = 0; i < 500 && outcome.status == JSONRPCC_OK; i++)
        jsonrpcc_wait(waiter, 10);
    CHECK(outcome.status == JSONRPCC_ETIMEDOUT && outcome.attempts == 0);
    CHECK(outcome.elapsed_us >= 400000 && outcome.elapsed_us < 5000000);
    CHECK(outcome.waited_us == outcome.elapsed_us && outcome.answered_us == 0);
    CHECK(outcome.room_us >= 300000);
    CHECK(outcome.server_us + outcome.room_us == outcome.elapsed_us);
    jsonrpcc_waiter_free(waiter);
    end_client(client);
    CHECK(outcome.elapsed_us < 5000000);
}

/* ---- a queue ------------------------------------------------------------- */

struct queued {
    jsonrpcc_queue *queue;
    atomic_bool over;
};

static void *submit_nonsense(void *arg)
{
    struct queued *queued = arg;

    while (!queued->over) {
        CHECK(jsonrpcc_queue_request(queued->queue, 1, "m", 1, "{]", 2, 0, 0) <
              0);
        for (int i = 0; i < 100; i++)
            sched_yield();
    }
    return NULL;
}

/* A call that is refused was counted for a moment. */
static void test_waiting_callers_are_woken_when_a_call_is_refused(void)
{
    struct queued queued = {.over = false};
    jsonrpcc_client *client =
        new_client((jsonrpcc_options){.max_in_flight = 1});
    pthread_t thread;
    uint64_t most_ms = 0;

    queued.queue = jsonrpcc_queue_new(client, 0);
    pthread_create(&thread, NULL, submit_nonsense, &queued);
    for (int i = 0; i < 100000; i++) {
        uint64_t began_ms = now_ms();
        CHECK(jsonrpcc_queue_room(queued.queue, LONG_MS));
        uint64_t took_ms = now_ms() - began_ms;
        most_ms = took_ms > most_ms ? took_ms : most_ms;
    }
    queued.over = true;
    pthread_join(thread, NULL);
    CHECK(most_ms < LONG_MS / 2);
    jsonrpcc_queue_free(queued.queue);
    end_client(client);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(300);
    begin_peer();
    test_a_large_one_is_not_passed_over();
    test_the_first_in_line_is_the_next();
    test_the_wait_for_room_is_part_of_the_time();
    test_a_small_call_waits_only_for_its_own_size();
    test_waiting_callers_are_woken_when_a_call_is_refused();
    end_peer();
    return check_done();
}
