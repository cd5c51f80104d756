/* A callback or another thread that submits without end does not keep others
 * from the sockets, the deadlines and the way out, whichever thread drives the
 * loop.
 *
 * Argument: how long each flood lasts, in milliseconds (150). */
#include "peer_client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* Milliseconds: what a turn under a flood may take on a busy machine and under
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

/* ---- who drives ---------------------------------------------------------- */

enum role { WATCHDOG, POLLER, DISPATCHER, CALLER, ROLES };

static const char *const role_names[] = {"event thread", "poller", "dispatcher",
                                         "caller"};

struct leader {
    enum role role;
    jsonrpcc_client *client;
    jsonrpcc_waiter *waiter;
    atomic_bool over;
    uint64_t slowest_ms; /* step that should have taken some milliseconds */
};

static void step(struct leader *leader)
{
    uint64_t began_ms = now_ms();

    if (leader->role == WATCHDOG) {
        nap();
    } else if (leader->role == POLLER) {
        struct pollfd fd = {.fd = jsonrpcc_poll_fd(leader->waiter),
                            .events = POLLIN};
        jsonrpcc_poll(leader->waiter);
        poll(&fd, 1, 1);
    } else {
        CHECK(jsonrpcc_wait(leader->waiter, 5) == JSONRPCC_EPENDING);
    }
    uint64_t took_ms = now_ms() - began_ms;
    if (took_ms > leader->slowest_ms)
        leader->slowest_ms = took_ms;
}

/* ---- floods -------------------------------------------------------------- */

static jsonrpcc_status submit(struct leader *leader, const char *method,
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
        .arg = leader,
    };

    return jsonrpcc_request(leader->client, &call, id);
}

/* Each notification that was sent is followed by the next. */
static void pump(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct leader *leader = arg;

    (void)token;
    (void)outcome;
    if (!leader->over)
        submit(leader, "log", JSONRPCC_NOTIFICATION, pump, NULL);
}

static void begin_pump(struct leader *leader)
{
    pump(leader, 0, NULL);
}

/* A call that ended is submitted again, and cancelled at once. */
static void cancelled(void *arg, uint64_t token,
                      const jsonrpcc_outcome *outcome)
{
    struct leader *leader = arg;
    uint64_t id;

    (void)token;
    (void)outcome;
    if (!leader->over &&
        submit(leader, "mute", 0, cancelled, &id) == JSONRPCC_OK)
        jsonrpcc_cancel(leader->client, id);
}

static void begin_cancels(struct leader *leader)
{
    for (int i = 0; i < 100; i++)
        cancelled(leader, 0, NULL);
}

/* A call that found no server is tried again at once. */
static void retry(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct leader *leader = arg;

    (void)token;
    if (!leader->over && (outcome == NULL || outcome->status != JSONRPCC_OK))
        submit(leader, "echo", 0, retry, NULL);
}

static void begin_retries(struct leader *leader)
{
    retry(leader, 0, NULL);
}

static void *flooder(void *arg)
{
    struct leader *leader = arg;

    while (!leader->over)
        if (submit(leader, "log", JSONRPCC_NOTIFICATION, NULL, NULL) ==
            JSONRPCC_EFULL)
            jsonrpcc_room(leader->client, 5);
    return NULL;
}

/* An event loop that has something to send whenever it polls. */
static void *poll_flooder(void *arg)
{
    struct leader *leader = arg;

    while (!leader->over) {
        submit(leader, "log", JSONRPCC_NOTIFICATION | JSONRPCC_CORKED, NULL,
               NULL);
        jsonrpcc_poll(leader->waiter);
    }
    return NULL;
}

/* ---- what must go on meanwhile ------------------------------------------- */

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
static void probe(struct leader *leader, const char *method, int32_t timeout_ms,
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
        submitted = jsonrpcc_request(leader->client, &call, NULL);
        if (submitted == JSONRPCC_EFULL)
            step(leader);
    } while (submitted == JSONRPCC_EFULL && now_ms() < until_ms);
    if (!CHECK(submitted == JSONRPCC_OK))
        return;
    while (!probe.ended)
        step(leader);
    if (!CHECK(probe.status == status && probe.elapsed_ms < BOUND_MS))
        printf("  %s: %s after %llu ms, driven by the %s\n", method,
               jsonrpcc_status_text(probe.status),
               (unsigned long long)probe.elapsed_ms, role_names[leader->role]);
}

static struct leader begin(enum role role, const char *where)
{
    struct leader leader = {
        .role = role,
        .client = new_client((jsonrpcc_options){
            .servers = where, .reconnect_ms = 20, .reconnect_max_ms = 20}),
    };

    leader.waiter = jsonrpcc_waiter_new(leader.client, role != CALLER);
    return leader;
}

static void end(struct leader *leader)
{
    if (!CHECK(leader->slowest_ms < BOUND_MS))
        printf("  a step of %llu ms, driven by the %s\n",
               (unsigned long long)leader->slowest_ms,
               role_names[leader->role]);
    /* Closed in the middle of it, or the floods could end by themselves. */
    CHECK(jsonrpcc_client_close(leader->client, BOUND_MS));
    leader->over = true;
}

static void free_leader(struct leader *leader)
{
    jsonrpcc_waiter_free(leader->waiter);
    jsonrpcc_client_free(leader->client);
}

static void watch(struct leader *leader)
{
    uint64_t until_ms = now_ms() + (uint64_t)length_ms;

    do {
        probe(leader, "echo", 5000, 0, JSONRPCC_OK);
        probe(leader, "mute", 20, 0, JSONRPCC_ETIMEDOUT);
    } while (now_ms() < until_ms);
}

static void test_callbacks_that_submit_without_end(enum role role)
{
    void (*const floods[])(struct leader *) = {begin_pump, begin_cancels};

    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        struct leader leader = begin(role, servers);
        probe(&leader, "echo", 5000, JSONRPCC_WAIT_FOR_READY, JSONRPCC_OK);
        floods[i](&leader);
        watch(&leader);
        end(&leader);
        free_leader(&leader);
    }
}

static void test_threads_that_flood(enum role role)
{
    struct leader leader = begin(role, servers);
    pthread_t threads[FLOODERS];

    probe(&leader, "echo", 5000, JSONRPCC_WAIT_FOR_READY, JSONRPCC_OK);
    for (int i = 0; i < FLOODERS; i++)
        pthread_create(&threads[i], NULL, flooder, &leader);
    watch(&leader);
    end(&leader);
    for (int i = 0; i < FLOODERS; i++)
        pthread_join(threads[i], NULL);
    free_leader(&leader);
}

/* The event thread is not needed: some thread drives the loop all the time. */
static void test_a_poller_that_always_has_something_to_send(void)
{
    struct leader leader = begin(WATCHDOG, servers);
    pthread_t thread;

    probe(&leader, "echo", 5000, JSONRPCC_WAIT_FOR_READY, JSONRPCC_OK);
    pthread_create(&thread, NULL, poll_flooder, &leader);
    watch(&leader);
    end(&leader);
    pthread_join(thread, NULL);
    free_leader(&leader);
}

/* And it is noticed when the server comes up. */
static void test_retries_without_a_server(enum role role)
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
    struct leader leader = begin(role, where);
    begin_retries(&leader);
    probe(&leader, "mute", 50, JSONRPCC_WAIT_FOR_READY, JSONRPCC_ETIMEDOUT);
    CHECK(listen(fd, 8) == 0);
    uint64_t until_ms = now_ms() + BOUND_MS;
    while (info.connects == 0 && now_ms() < until_ms) {
        step(&leader);
        jsonrpcc_server_get(leader.client, 0, &info, sizeof info);
    }
    CHECK(info.connects > 0);
    end(&leader);
    free_leader(&leader);
    close(fd);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    length_ms = argc > 1 ? atol(argv[1]) : length_ms;
    alarm(HANGS_S + (unsigned)length_ms / 20);
    begin_peer();
    for (enum role role = WATCHDOG; role < ROLES; role++) {
        test_callbacks_that_submit_without_end(role);
        test_threads_that_flood(role);
        test_retries_without_a_server(role);
    }
    test_a_poller_that_always_has_something_to_send();
    end_peer();
    return check_done();
}
