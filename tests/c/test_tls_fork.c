/* fork() and exit() with TLS connections in use: a child sends nothing on its
 * parent's connections, neither data nor close_notify, and takes over no
 * session; the parent loses nothing; and exit() ends, whatever other threads
 * do.
 *
 * Argument: how many forks (24). */
#include "check.h"
#include "jsonrpcc.h"
#include "peer.h"
#include "tls_front.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { PATIENCE_MS = 20000, USERS = 2 };

static struct peer peer;
static struct tls_front front;
static char servers[40];
static jsonrpcc_tls tls = {.size = sizeof tls};
static atomic_bool stop;
static atomic_uint done, failed;
static jsonrpcc_client *at_the_end; /* for what exit() runs */

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static jsonrpcc_client *new_client(void)
{
    const jsonrpcc_options options = {.size = sizeof options,
                                      .servers = servers,
                                      .timeout_ms = PATIENCE_MS,
                                      .tls = &tls};
    jsonrpcc_client *client = NULL;
    char why[200] = "";

    if (!CHECK(jsonrpcc_client_new(&options, &client, why, sizeof why) ==
               JSONRPCC_OK)) {
        printf("%s\n", why);
        exit(1);
    }
    return client;
}

static jsonrpcc_status call(jsonrpcc_client *client)
{
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    jsonrpcc_status status = JSONRPCC_ECLOSED;

    if (sync != NULL)
        status = jsonrpcc_sync_call(sync, "echo", 4, "[1]", 3, 0, 0, -1);
    jsonrpcc_sync_free(sync);
    return status;
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    (void)arg;
    (void)token;
    done++;
    failed += outcome->status != JSONRPCC_OK;
}

static void submit(jsonrpcc_client *client)
{
    const jsonrpcc_call one = {
        .size = sizeof one,
        .method = "echo",
        .method_len = 4,
        .params = "[0]",
        .params_len = 3,
        .done = on_done,
    };
    uint64_t id;

    jsonrpcc_request(client, &one, &id);
}

static void *use(void *arg)
{
    for (unsigned n = 1; !stop; n++) {
        submit(arg);
        if (n % 20 == 0)
            nap();
    }
    return NULL;
}

/* ---- fork() ---- */

static unsigned await_open(unsigned open)
{
    for (int n = 0; n < PATIENCE_MS && front.open != open; n++)
        nap();
    return front.open;
}

enum deed { NOTHING, EXITS, CLOSES, CALLS, DEEDS };

_Noreturn static void be_a_child(jsonrpcc_client *client, enum deed deed)
{
    unsigned before = check_failures;

    alarm(PATIENCE_MS / 1000);
    switch (deed) {
    case EXITS: /* with all that libraries do then */
        exit(0);
    case CALLS:
        CHECK(call(client) == JSONRPCC_OK);
        CHECK(jsonrpcc_client_close(client, PATIENCE_MS));
        jsonrpcc_client_free(client);
        break;
    case CLOSES:
        CHECK(jsonrpcc_client_close(client, PATIENCE_MS));
        jsonrpcc_client_free(client);
        break;
    default:
        break;
    }
    fflush(stdout);
    check_exit(check_failures > before);
}

static void fork_once(jsonrpcc_client *client, unsigned round)
{
    enum deed deed = (enum deed)(round % DEEDS);
    unsigned goodbyes = front.goodbyes;
    int status = 0;

    nanosleep(&(struct timespec){.tv_nsec = round % 13 * 10000}, NULL);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        be_a_child(client, deed);
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        printf("fork %u: status %d\n", round, status);
    CHECK(await_open(1) == 1);
    /* Of its own connection only. */
    CHECK(front.goodbyes == goodbyes + (deed == CALLS));
}

static void test_forks(unsigned forks)
{
    jsonrpcc_client *client = new_client();
    pthread_t users[USERS];
    jsonrpcc_server_info info = {0};

    CHECK(call(client) == JSONRPCC_OK);
    for (int i = 0; i < USERS; i++)
        pthread_create(&users[i], NULL, use, client);
    for (unsigned round = 0; round < forks; round++)
        fork_once(client, round);
    stop = true;
    for (int i = 0; i < USERS; i++)
        pthread_join(users[i], NULL);
    CHECK(call(client) == JSONRPCC_OK);
    CHECK(jsonrpcc_server_get(client, 0, &info, sizeof info));
    CHECK(info.connects == 1 && info.losses == 0);
    CHECK(front.broken == 0 && front.resumed == 0);
    CHECK(front.established == 1 + (forks + 0U) / DEEDS);
    unsigned goodbyes = front.goodbyes;
    CHECK(jsonrpcc_client_close(client, PATIENCE_MS));
    jsonrpcc_client_free(client);
    CHECK(await_open(0) == 0 && front.goodbyes == goodbyes + 1);
    CHECK(done > 100 && failed == 0);
}

/* ---- exit() ---- */

/* Runs after ours, since it was registered earlier: OpenSSL must not be used
 * there. */
static void use_it_late(void)
{
    if (at_the_end != NULL && call(at_the_end) == JSONRPCC_OK)
        _exit(3);
    if (at_the_end != NULL && !jsonrpcc_client_close(at_the_end, 1000))
        _exit(4);
}

_Noreturn static void exit_with_open_connections(bool late)
{
    pthread_t user;

    alarm(PATIENCE_MS / 1000);
    jsonrpcc_client *client = new_client();
    if (call(client) != JSONRPCC_OK ||
        pthread_create(&user, NULL, use, client) != 0)
        _exit(5);
    for (int n = 0; n < 5; n++)
        nap();
    at_the_end = late ? client : NULL;
    exit(0);
}

static void test_exits(unsigned exits)
{
    for (unsigned n = 0; n < exits; n++) {
        int status = 0;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            exit_with_open_connections(n % 2 == 1);
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0))
            printf("exit %u: status %d\n", n, status);
    }
    CHECK(await_open(0) == 0 && front.broken == 0);
}

int main(int argc, char **argv)
{
    unsigned forks = argc > 1 ? (unsigned)atoi(argv[1]) : 24;

    if (!check_may_fork())
        return 0;
    atexit(use_it_late);
    struct identity ca = certificate_make(
        &(struct certificate){.name = "ca", .is_ca = true}, NULL);
    struct identity own = certificate_make(
        &(struct certificate){.name = "own", .hosts = "IP:127.0.0.1"}, &ca);
    tls.ca = certificate_path("ca", "pem");
    peer_start(&peer, NULL);
    tls_front_start(&front, peer.port, &own, NULL);
    snprintf(servers, sizeof servers, "127.0.0.1:%u", front.port);
    test_forks(forks / DEEDS * DEEDS);
    stop = false;
    test_exits(forks / 2);
    tls_front_stop(&front);
    peer_stop(&peer);
    identity_free(&ca);
    identity_free(&own);
    certificates_remove();
    return check_done();
}
