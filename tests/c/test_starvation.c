/* Whoever submits without end, a callback or another thread, keeps nobody from
 * the sockets, the deadlines and the way out, whoever drives the loop.
 *
 * Argument: how long each flood lasts, in milliseconds (150). */
#include "peer_client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* Milliseconds: what a turn under a flood may cost on a busy machine and under
 * a sanitizer, and when it hangs. */
enum { BOUND_MS = 2000, HANGS_S = 300 };

enum { FLOODERS = 3 };

static long length_ms = 150;

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- who drives ----------------------------------------------------------
 */

enum rank { EVENT_THREAD, POLLER, DISPATCHER, CALLER, RANKS };

static const char *const rank_names[] = {"event thread", "poller", "dispatcher",
                                         "caller"};

struct driver {
    enum rank rank;
    jsonrpcc_client *client;
    jsonrpcc_waiter *waiter;
    atomic_bool over;
    uint64_t slowest_ms; /* step that should have taken some milliseconds */
};

static void step(struct driver *driver)
{
    uint64_t began_ms = now_ms();

    if (driver->rank == EVENT_THREAD) {
        nap();
    } else if (driver->rank == POLLER) {
        struct pollfd fd = {.fd = jsonrpcc_poll_fd(driver->waiter),
                            .events = POLLIN};
        jsonrpcc_poll(driver->waiter);
        poll(&fd, 1, 1);
    } else {
        CHECK(jsonrpcc_wait(driver->waiter, 5) == JSONRPCC_EPENDING);
    }
    uint64_t took_ms = now_ms() - began_ms;
    if (took_ms > driver->slowest_ms)
        driver->slowest_ms = took_ms;
}

/* ---- floods --------------------------------------------------------------
 */

static jsonrpcc_status submit(struct driver *driver, const char *method,
                              uint32_t flags, jsonrpcc_done_fn done,
                              uint64_t *id)
{
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = method,
        .method_len = strlen(method),
        .params = "[0]",
        .params_len = 3,
        .timeout_ms = 10000,
        .flags = flags,
        .done = done,
        .arg = driver,
    };

    return jsonrpcc_request(driver->client, &call, id);
}

/* A notification that was sent is followed by the next. */
static void pump(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct driver *driver = arg;

    (void)token;
    (void)outcome;
    if (!driver->over)
        submit(driver, "log", JSONRPCC_NOTIFICATION, pump, NULL);
}

static void begin_pump(struct driver *driver)
{
    pump(driver, 0, NULL);
}

/* A call that ended is submitted again, and cancelled at once. */
static void cancelled(void *arg, uint64_t token,
                      const jsonrpcc_outcome *outcome)
{
    struct driver *driver = arg;
    uint64_t id;

    (void)token;
    (void)outcome;
    if (!driver->over &&
        submit(driver, "mute", 0, cancelled, &id) == JSONRPCC_OK)
        jsonrpcc_cancel(driver->client, id);
}

static void begin_cancels(struct driver *driver)
{
    for (int i = 0; i < 100; i++)
        cancelled(driver, 0, NULL);
}

/* A call that found no server is tried again at once. */
static void retry(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct driver *driver = arg;

    (void)token;
    if (!driver->over && (outcome == NULL || outcome->status != JSONRPCC_OK))
        submit(driver, "echo", 0, retry, NULL);
}

static void begin_retries(struct driver *driver)
{
    retry(driver, 0, NULL);
}

static void *flooder(void *arg)
{
    struct driver *driver = arg;

    while (!driver->over)
        if (submit(driver, "log", JSONRPCC_NOTIFICATION, NULL, NULL) ==
            JSONRPCC_EFULL)
            jsonrpcc_room(driver->client, 5);
    return NULL;
}

/* An event loop that has something to send whenever it polls. */
static void *poll_flooder(void *arg)
{
    struct driver *driver = arg;

    while (!driver->over) {
        submit(driver, "log", JSONRPCC_NOTIFICATION | JSONRPCC_CORKED, NULL,
               NULL);
        jsonrpcc_poll(driver->waiter);
    }
    return NULL;
}

/* ---- what must go on meanwhile -------------------------------------------
 */

struct probe {
    atomic_bool ended;
    jsonrpcc_status status;
    uint64_t elapsed_ms;
};

static void on_probe(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct probe *probe = arg;

    (void)token;
    probe->status = outcome->status;
    probe->elapsed_ms = outcome->elapsed_us / 1000;
    probe->ended = true;
}

/* A call beside the flood.  It may find the client full for a moment. */
static void probe(struct driver *driver, const char *method, int32_t timeout_ms,
                  uint32_t flags, jsonrpcc_status status)
{
    struct probe probe = {.ended = false};
    uint64_t until_ms = now_ms() + BOUND_MS;
    jsonrpcc_status submitted;
    const char *text = params();
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = method,
        .method_len = strlen(method),
        .params = text,
        .params_len = strlen(text),
        .timeout_ms = timeout_ms,
        .flags = flags | JSONRPCC_RESERVE,
        .done = on_probe,
        .arg = &probe,
    };

    do {
        submitted = jsonrpcc_request(driver->client, &call, NULL);
        if (submitted == JSONRPCC_EFULL)
            step(driver);
    } while (submitted == JSONRPCC_EFULL && now_ms() < until_ms);
    if (!CHECK(submitted == JSONRPCC_OK))
        return;
    while (!probe.ended)
        step(driver);
    if (!CHECK(probe.status == status && probe.elapsed_ms < BOUND_MS))
        printf("  %s: %s after %llu ms, driven by the %s\n", method,
               jsonrpcc_status_text(probe.status),
               (unsigned long long)probe.elapsed_ms, rank_names[driver->rank]);
}

static struct driver begin(enum rank rank, const char *where)
{
    struct driver driver = {
        .rank = rank,
        .client = new_client((jsonrpcc_options){
            .servers = where, .reconnect_ms = 20, .reconnect_max_ms = 20}),
    };

    driver.waiter = jsonrpcc_waiter_new(driver.client, rank != CALLER);
    return driver;
}

static void end(struct driver *driver)
{
    if (!CHECK(driver->slowest_ms < BOUND_MS))
        printf("  a step of %llu ms, driven by the %s\n",
               (unsigned long long)driver->slowest_ms,
               rank_names[driver->rank]);
    /* Closed in the midst of it, or what floods could end by itself. */
    CHECK(jsonrpcc_client_close(driver->client, BOUND_MS));
    driver->over = true;
}

static void free_driver(struct driver *driver)
{
    jsonrpcc_waiter_free(driver->waiter);
    jsonrpcc_client_free(driver->client);
}

static void watch(struct driver *driver)
{
    uint64_t until_ms = now_ms() + (uint64_t)length_ms;

    do {
        probe(driver, "echo", 5000, 0, JSONRPCC_OK);
        probe(driver, "mute", 20, 0, JSONRPCC_ETIMEDOUT);
    } while (now_ms() < until_ms);
}

static void test_callbacks_that_submit_without_end(enum rank rank)
{
    void (*const floods[])(struct driver *) = {begin_pump, begin_cancels};

    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        struct driver driver = begin(rank, servers);
        probe(&driver, "echo", 5000, JSONRPCC_WAIT_FOR_READY, JSONRPCC_OK);
        floods[i](&driver);
        watch(&driver);
        end(&driver);
        free_driver(&driver);
    }
}

static void test_threads_that_flood(enum rank rank)
{
    struct driver driver = begin(rank, servers);
    pthread_t threads[FLOODERS];

    probe(&driver, "echo", 5000, JSONRPCC_WAIT_FOR_READY, JSONRPCC_OK);
    for (int i = 0; i < FLOODERS; i++)
        pthread_create(&threads[i], NULL, flooder, &driver);
    watch(&driver);
    end(&driver);
    for (int i = 0; i < FLOODERS; i++)
        pthread_join(threads[i], NULL);
    free_driver(&driver);
}

/* The event thread has no need to come: somebody drives all the time. */
static void test_a_poller_that_always_has_something_to_send(void)
{
    struct driver driver = begin(EVENT_THREAD, servers);
    pthread_t thread;

    probe(&driver, "echo", 5000, JSONRPCC_WAIT_FOR_READY, JSONRPCC_OK);
    pthread_create(&thread, NULL, poll_flooder, &driver);
    watch(&driver);
    end(&driver);
    pthread_join(thread, NULL);
    free_driver(&driver);
}

/* And it is noticed when the server comes up. */
static void test_retries_without_a_server(enum rank rank)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char where[40];
    jsonrpcc_server_info info = {0};

    CHECK(bind(fd, (struct sockaddr *)&address, size) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    snprintf(where, sizeof where, "127.0.0.1:%u", ntohs(address.sin_port));
    struct driver driver = begin(rank, where);
    begin_retries(&driver);
    probe(&driver, "mute", 50, JSONRPCC_WAIT_FOR_READY, JSONRPCC_ETIMEDOUT);
    CHECK(listen(fd, 8) == 0);
    uint64_t until_ms = now_ms() + BOUND_MS;
    while (info.connects == 0 && now_ms() < until_ms) {
        step(&driver);
        jsonrpcc_server_get(driver.client, 0, &info, sizeof info);
    }
    CHECK(info.connects > 0);
    end(&driver);
    free_driver(&driver);
    close(fd);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    length_ms = argc > 1 ? atol(argv[1]) : length_ms;
    alarm(HANGS_S + (unsigned)length_ms / 20);
    begin_peer();
    for (enum rank rank = EVENT_THREAD; rank < RANKS; rank++) {
        test_callbacks_that_submit_without_end(rank);
        test_threads_that_flood(rank);
        test_retries_without_a_server(rank);
    }
    test_a_poller_that_always_has_something_to_send();
    peer_stop(&peer);
    return check_done();
}
