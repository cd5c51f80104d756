/* fork() at any moment, while other threads make, use and close clients: a
 * child has no descriptor of its parent's, its own calls work or are refused,
 * it cannot harm what it inherited, and nothing hangs there.
 *
 * Argument: how many forks (60). */
#include "check.h"
#include "jsonrpcc.h"
#include "peer_client.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { PATIENCE_MS = 20000 };

static atomic_bool stop;
static atomic_uint made;
static unsigned peers; /* descriptors of the peer that look like ours */
static jsonrpcc_client *_Atomic closing; /* by another thread */

static jsonrpcc_status call(jsonrpcc_client *client)
{
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    jsonrpcc_status status = JSONRPCC_ECLOSED;

    if (CHECK(sync != NULL))
        status = jsonrpcc_sync_call(sync, "echo", 4, "[1]", 3, 0, 0, -1);
    jsonrpcc_sync_free(sync);
    return status;
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    atomic_int *status = arg;

    (void)token;
    if (status != NULL)
        *status = (int)outcome->status;
}

static uint64_t submit(jsonrpcc_client *client, const char *method,
                       atomic_int *status)
{
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = method,
        .method_len = strlen(method),
        .params = "[0]",
        .params_len = 3,
        .done = on_done,
        .arg = status,
    };
    uint64_t id = 0;

    jsonrpcc_request(client, &call, &id);
    return id;
}

/* Clients from creation to their end, one after the other. */
static void *churn(void *arg)
{
    (void)arg;
    while (!stop) {
        jsonrpcc_client *client = new_client((jsonrpcc_options){0});
        for (int i = 0; i < 20; i++)
            submit(client, "echo", NULL);
        if (++made % 2 == 0)
            CHECK(call(client) == JSONRPCC_OK);
        end_client(client);
    }
    return NULL;
}

static void *use(void *arg)
{
    uint64_t n = 0;

    while (!stop) {
        submit(arg, "echo", NULL);
        if (++n % 50 == 0)
            nap();
    }
    return NULL;
}

static void *close_it(void *arg)
{
    CHECK(jsonrpcc_client_close(arg, PATIENCE_MS));
    return NULL;
}

/* Sockets of the parent's clients, its timers, eventfds and epolls.  The pipe
 * that libevent has for signals is nowhere else, and idle. */
static unsigned open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    unsigned count = 0;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char link[64] = "";
        struct sockaddr_in to;
        socklen_t size = sizeof to;
        int fd = atoi(entry->d_name);
        if (readlinkat(dirfd(directory), entry->d_name, link, sizeof link - 1) <
            0)
            continue;
        bool ours =
            strncmp(link, "anon_inode:", 11) == 0 ||
            (getpeername(fd, (struct sockaddr *)&to, &size) == 0 &&
             to.sin_family == AF_INET && ntohs(to.sin_port) == peer.port);
        count += ours;
    }
    if (directory != NULL)
        closedir(directory);
    return count;
}

_Noreturn static void end_child(jsonrpcc_client *client, uint64_t inherited)
{
    unsigned before = check_failures;
    atomic_int status = -1;
    jsonrpcc_client *other = closing;

    alarm(PATIENCE_MS / 1000);
    CHECK(open_descriptors() == peers);
    CHECK(jsonrpcc_client_is_foreign(client));
    uint64_t id = submit(client, "mute", &status);
    CHECK(id > inherited && !jsonrpcc_client_is_foreign(client));
    jsonrpcc_cancel(client, inherited);
    CHECK(call(client) == JSONRPCC_OK && status == -1);
    jsonrpcc_cancel(client, id);
    for (int n = 0; n < PATIENCE_MS && status == -1; n++)
        nap();
    CHECK(status == JSONRPCC_ECANCELLED);
    if (other != NULL) { /* as it was at the fork */
        jsonrpcc_status used = call(other);
        CHECK(used == JSONRPCC_OK || used == JSONRPCC_ECLOSED);
        CHECK(jsonrpcc_client_close(other, PATIENCE_MS));
        CHECK(call(other) == JSONRPCC_ECLOSED);
    }
    CHECK(jsonrpcc_client_close(client, PATIENCE_MS));
    fflush(stdout);
    check_exit(check_failures > before);
}

static void fork_once(jsonrpcc_client *client, unsigned round)
{
    pthread_t closer;
    jsonrpcc_client *other = new_client((jsonrpcc_options){0});
    uint64_t pending = submit(client, "mute", NULL);
    int status = 0;

    if (round % 2 == 0)
        CHECK(call(other) == JSONRPCC_OK);
    closing = other;
    pthread_create(&closer, NULL, close_it, other);
    nanosleep(&(struct timespec){.tv_nsec = round % 13 * 10000}, NULL);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        end_child(client, pending);
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        printf("fork %u: status %d\n", round, status);
    pthread_join(closer, NULL);
    closing = NULL;
    jsonrpcc_client_free(other);
    jsonrpcc_cancel(client, pending);
}

/* The peer, which is also listed in a file that is watched. */
static jsonrpcc_client *new_client_of_a_file(void)
{
    static char path[] = "/tmp/jrc-fork-XXXXXX";
    char text[100];

    int fd = mkstemp(path);
    snprintf(text, sizeof text, "%s file:%s", servers, path);
    CHECK(dprintf(fd, "%s\n", servers) > 0 && close(fd) == 0);
    jsonrpcc_client *client = new_client(
        (jsonrpcc_options){.servers = text, .timeout_ms = PATIENCE_MS});
    CHECK(call(client) == JSONRPCC_OK);
    CHECK(unlink(path) == 0); /* its promise holds */
    return client;
}

int main(int argc, char **argv)
{
    unsigned forks = argc > 1 ? (unsigned)atoi(argv[1]) : 60;
    pthread_t threads[3];

    if (!check_may_fork())
        return 0;
    begin_peer();
    peers = open_descriptors();
    jsonrpcc_client *client = new_client_of_a_file();
    pthread_create(&threads[0], NULL, use, client);
    for (int i = 1; i < 3; i++)
        pthread_create(&threads[i], NULL, churn, NULL);
    for (unsigned round = 0; round < forks; round++)
        fork_once(client, round);
    stop = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK(made > 0);
    CHECK(call(client) == JSONRPCC_OK); /* the parent did not notice */
    end_client(client);
    end_peer();
    return check_done();
}
