/* Descriptors run out: the process goes on, gets the reason, and leaks none. */
#define _GNU_SOURCE

#include "check.h"
#include "jsonrpcc.h"
#include "peer_client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ENOUGH = 12, HOLE = 40, FAR = 300 };

/* Instead of libc's, for libevent, too: after that many calls there is no
 * descriptor left, as if another thread had taken the last one. */
static unsigned pipes_left = UINT_MAX;
static unsigned refused_pipes;

static bool is_refused(void)
{
    if (pipes_left == UINT_MAX)
        return false;
    if (pipes_left > 0) {
        pipes_left--;
        return false;
    }
    refused_pipes++;
    errno = EMFILE;
    return true;
}

#define SEEN __attribute__((visibility("default")))

SEEN int pipe2(int ends[2], int flags)
{
    return is_refused() ? -1 : (int)syscall(SYS_pipe2, ends, flags);
}

SEEN int pipe(int ends[2])
{
    return is_refused() ? -1 : (int)syscall(SYS_pipe2, ends, 0);
}

SEEN int socketpair(int domain, int type, int protocol, int ends[2])
{
    return is_refused()
               ? -1
               : (int)syscall(SYS_socketpair, domain, type, protocol, ends);
}

static unsigned count_fds(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Leave that many descriptors; taken[0..count) are to be closed again. */
static int take(int *taken, int most, int left)
{
    struct rlimit limit;
    int count = 0;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 128;
    setrlimit(RLIMIT_NOFILE, &limit);
    while (count < most && (taken[count] = dup(0)) >= 0)
        count++;
    for (; left > 0 && count > 0; left--)
        close(taken[--count]);
    return count;
}

static void give_back(const int *taken, int count)
{
    struct rlimit limit;

    for (int i = 0; i < count; i++)
        close(taken[i]);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 1024 ? limit.rlim_max : 1024;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static jsonrpcc_status try_new(jsonrpcc_client **client, char *why, size_t size)
{
    jsonrpcc_options options = {.size = sizeof options, .servers = servers};

    *client = NULL;
    return jsonrpcc_client_new(&options, client, why, size);
}

static bool call_works(jsonrpcc_client *client)
{
    const char *text = params();
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    jsonrpcc_status status = jsonrpcc_sync_call(
        sync, "echo", 4, text, strlen(text), 5000, JSONRPCC_WAIT_FOR_READY, -1);

    jsonrpcc_sync_free(sync);
    return status == JSONRPCC_OK;
}

/* Threads, and the peer's ends of connections, take a moment to disappear. */
static void await_fds(unsigned count)
{
    for (int n = 0; n < 5000 && (peer.open > 0 || count_fds() > count); n++)
        nap();
    CHECK(count_fds() <= count);
}

static void test_a_client_with_few_descriptors(void)
{
    char why[100];
    bool refused = false, made = false;

    await_fds(1024);
    unsigned before = count_fds();

    for (int left = 0; left < ENOUGH; left++) {
        int taken[128];
        jsonrpcc_client *client;
        jsonrpcc_queue *queue = NULL;
        int count = take(taken, 128, left);
        jsonrpcc_status status = try_new(&client, why, sizeof why);
        if (status == JSONRPCC_OK) {
            errno = 0;
            queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_FD);
            CHECK(queue != NULL || errno == EMFILE);
            made = true;
        } else {
            CHECK((int)status == JSONRPCC_SYSTEM + EMFILE);
            CHECK(strcmp(why, strerror(EMFILE)) == 0);
            CHECK(client == NULL);
            refused = true;
        }
        CHECK(!refused || !made || status == JSONRPCC_OK);
        give_back(taken, count);
        if (client != NULL) {
            CHECK(call_works(client));
            jsonrpcc_queue_free(queue);
            end_client(client);
        }
        await_fds(before);
    }
    CHECK(refused && made);
}

/* A child opens its client again, at its first call. */
__attribute__((unused)) static void test_a_child_with_few_descriptors(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});

    CHECK(call_works(client));
    for (int left = 0; left < ENOUGH; left++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            int taken[128];
            uint64_t id;
            unsigned before = count_fds();
            int count = take(taken, 128, left);
            jsonrpcc_call call = {
                .size = sizeof call, .method = "echo", .method_len = 4};
            jsonrpcc_status first = jsonrpcc_request(client, &call, &id);
            bool good =
                first == JSONRPCC_OK || (int)first == JSONRPCC_SYSTEM + EMFILE;
            give_back(taken, count);
            if (first != JSONRPCC_OK)
                good = good && count_fds() == before;
            check_exit(good && call_works(client) ? 0 : 1);
        }
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    end_client(client);
}

void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

/* A descriptor that is available when checked is gone when libevent needs it,
 * which would end the process. */
static void test_a_descriptor_that_another_thread_takes(void)
{
    for (unsigned left = 0; left < 2; left++) {
        char why[100];
        jsonrpcc_client *client;
        pipes_left = left;
        refused_pipes = 0;
        /* The price: libevent leaks what it has allocated by then. */
        if (__lsan_disable != NULL)
            __lsan_disable();
        jsonrpcc_status status = try_new(&client, why, sizeof why);
        if (__lsan_enable != NULL)
            __lsan_enable();
        pipes_left = UINT_MAX;
        CHECK(refused_pipes > left); /* libevent has other ways */
        CHECK((int)status == JSONRPCC_SYSTEM + EMFILE && client == NULL);
    }
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    CHECK(call_works(client));
    end_client(client);
}

/* Or a child of many clients would have less room for its own. */
static void test_a_child_keeps_no_descriptor(void)
{
    enum { CLIENTS = 5 };
    jsonrpcc_client *clients[CLIENTS];
    int status = -1;

    await_fds(1024);
    unsigned before = count_fds();
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = new_client((jsonrpcc_options){
            .servers = "127.0.0.1:1",
            .flags = i % 2 == 0 ? 0 : JSONRPCC_HOST_CALLBACKS});
    pid_t pid = fork();
    if (pid == 0)
        check_exit(count_fds() == before ? 0 : 1);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    for (int i = 0; i < CLIENTS; i++)
        end_client(clients[i]);
}

/* Whatever their numbers: an event loop gets a descriptor to poll, and a forked
 * child closes its copy. */
static void test_the_poll_descriptor_is_found(void)
{
    int many[FAR];

    for (int i = 0; i < FAR; i++)
        many[i] = dup(0);
    for (int holes = 0; holes < 8; holes++) {
        for (int i = 0; i < holes; i++)
            close(many[HOLE + i]);
        jsonrpcc_client *client = new_client((jsonrpcc_options){0});
        jsonrpcc_waiter *waiter = jsonrpcc_waiter_new(client, true);
        int fd = jsonrpcc_poll_fd(waiter);
        CHECK(fd >= 0);
        int status = -1;
        pid_t pid = fork();
        if (pid == 0)
            check_exit(fcntl(fd, F_GETFD) < 0 && errno == EBADF ? 0 : 1);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        CHECK(call_works(client));
        CHECK(jsonrpcc_client_close(client, 5000));
        jsonrpcc_waiter_free(waiter);
        jsonrpcc_client_free(client);
        for (int i = 0; i < holes; i++)
            many[HOLE + i] = dup(0);
    }
    for (int i = 0; i < FAR; i++)
        close(many[i]);
}

int main(void)
{
    begin_peer();
    give_back(NULL, 0);
    test_the_poll_descriptor_is_found();
    test_a_child_keeps_no_descriptor();
    test_a_client_with_few_descriptors();
#ifndef __SANITIZE_THREAD__ /* its runtime does not like threads in children \
                             */
    test_a_child_with_few_descriptors();
#endif
    test_a_descriptor_that_another_thread_takes();
    end_peer();
    return check_done();
}
