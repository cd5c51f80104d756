/* Connected sockets that the program gives to a client, as "fd:7". */
#include "fault_here.h"

#include "check.h"
#include "jsonrpcc.h"
#include "peer_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { PATIENCE_MS = 10000 };

static char given[40];

static const char *entry(int fd)
{
    snprintf(given, sizeof given, "fd:%d", fd);
    return given;
}

static void pair(int fds[2])
{
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
}

static int connect_to_peer(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(peer.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static jsonrpcc_status refused(const char *text, const char *rule)
{
    jsonrpcc_options options = {.size = sizeof options, .servers = text};
    jsonrpcc_client *client = NULL;
    char why[200];
    jsonrpcc_status status =
        jsonrpcc_client_new(&options, &client, why, sizeof why);

    if (!CHECK(strstr(why, rule) != NULL))
        printf("  %s\n", why);
    CHECK(client == NULL);
    return status;
}

/* Whether the other end of a pair has seen the end. */
static bool has_ended(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char byte;

    return poll(&poll_fd, 1, PATIENCE_MS) == 1 && recv(fd, &byte, 1, 0) <= 0;
}

/* Act as the server: read one request, and answer it. */
static void answer(int fd)
{
    char buf[300];
    ssize_t n = recv(fd, buf, sizeof buf - 1, 0);
    const char *id;

    if (!CHECK(n > 0))
        return;
    buf[n] = '\0';
    id = strstr(buf, "\"id\":");
    if (!CHECK(id != NULL))
        return;
    char payload[100], frame[120];
    int len = snprintf(payload, sizeof payload,
                       "{\"jsonrpc\":\"2.0\",\"result\":7,\"id\":%llu}",
                       strtoull(id + 5, NULL, 10));
    int size = snprintf(frame, sizeof frame, "%d:%s,", len, payload);
    CHECK(send(fd, frame, (size_t)size, MSG_NOSIGNAL) == size);
}

static jsonrpcc_status call_here(jsonrpcc_client *client, int server)
{
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    jsonrpcc_status status =
        jsonrpcc_sync_call(sync, "x", 1, NULL, 0, PATIENCE_MS, 0, 0);

    if (status == JSONRPCC_EPENDING) {
        answer(server);
        status = jsonrpcc_sync_wait(sync, -1);
    }
    jsonrpcc_sync_free(sync);
    return status;
}

static jsonrpcc_status call(jsonrpcc_client *client, int32_t timeout_ms,
                            uint32_t flags, int32_t *reason)
{
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    const char *text = params();
    jsonrpcc_status status = jsonrpcc_sync_call(
        sync, "echo", 4, text, strlen(text), timeout_ms, flags, -1);

    if (reason != NULL && jsonrpcc_sync_outcome(sync) != NULL)
        *reason = jsonrpcc_sync_outcome(sync)->reason;
    jsonrpcc_sync_free(sync);
    return status;
}

static jsonrpcc_server_info info_of(jsonrpcc_client *client)
{
    jsonrpcc_server_info info = {0};

    CHECK(jsonrpcc_server_get(client, 0, &info, sizeof info));
    return info;
}

static void await_state(jsonrpcc_client *client, jsonrpcc_server_state state)
{
    for (int ms = 0; ms < PATIENCE_MS && info_of(client).state != state; ms++)
        nap();
    CHECK(info_of(client).state == state);
}

static void test_a_descriptor_may_be_closed_or_kept(void)
{
    for (int keep = 0; keep < 2; keep++) {
        int fd = connect_to_peer();
        jsonrpcc_client *client =
            new_client((jsonrpcc_options){.servers = entry(fd)});
        if (!keep)
            close(fd);
        for (int i = 0; i < 3; i++)
            CHECK(call(client, 0, 0, NULL) == JSONRPCC_OK);
        CHECK(strcmp(info_of(client).host, given) == 0);
        CHECK(info_of(client).port == 0);
        CHECK(peer.open == 1);
        end_client(client);
        for (int ms = 0; ms < PATIENCE_MS && peer.open > 0; ms++)
            nap();
        CHECK(peer.open == 0);
        if (keep)
            close(fd);
    }
}

static void test_there_is_one_connection(void)
{
    int fds[2];
    int32_t reason = 0;

    pair(fds);
    jsonrpcc_client *client =
        new_client((jsonrpcc_options){.servers = entry(fds[0]),
                                      .reconnect_ms = 1,
                                      .reconnect_max_ms = 1,
                                      .connections = 3});
    close(fds[0]);
    CHECK(call_here(client, fds[1]) == JSONRPCC_OK);
    close(fds[1]);
    await_state(client, JSONRPCC_SERVER_DOWN);
    CHECK(info_of(client).reason == JSONRPCC_PEER_CLOSED);
    /* Even a caller that would wait for it is refused at once. */
    CHECK(call(client, PATIENCE_MS, JSONRPCC_WAIT_FOR_READY, &reason) ==
          JSONRPCC_EFAILURE);
    CHECK(reason == JSONRPCC_PEER_CLOSED);
    CHECK(call(client, PATIENCE_MS, 0, NULL) == JSONRPCC_EFAILURE);
    CHECK(info_of(client).attempts_failed == 0);
    CHECK(info_of(client).connects == 1);
    end_client(client);
}

static bool are_up(jsonrpcc_client *client, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        jsonrpcc_server_info info = {0};
        jsonrpcc_server_get(client, i, &info, sizeof info);
        if (info.state != JSONRPCC_SERVER_UP)
            return false;
    }
    return true;
}

static void test_each_server_has_its_socket(void)
{
    int fds[4][2];
    char text[100] = "";

    for (int i = 0; i < 4; i++) {
        pair(fds[i]);
        snprintf(text + strlen(text), sizeof text - strlen(text), " fd:%d",
                 fds[i][0]);
    }
    jsonrpcc_client *client = new_client((jsonrpcc_options){.servers = text});
    for (int ms = 0; ms < PATIENCE_MS && !are_up(client, 4); ms++)
        nap();
    for (int i = 0; i < 4; i++)
        CHECK(call_here(client, fds[i][1]) == JSONRPCC_OK); /* in turn */
    end_client(client);
    for (int i = 0; i < 4; i++) {
        close(fds[i][0]);
        CHECK(has_ended(fds[i][1]));
        close(fds[i][1]);
    }
}

static void test_a_descriptor_number_that_is_used_again(void)
{
    int fds[2], others[2];
    char list[80], why[100];

    pair(fds);
    pair(others);
    jsonrpcc_client *client =
        new_client((jsonrpcc_options){.servers = entry(fds[0])});
    CHECK(dup2(others[0], fds[0]) == fds[0]);
    snprintf(list, sizeof list, "%s %s", given, servers);
    CHECK(jsonrpcc_servers_set(client, list, why, sizeof why) == JSONRPCC_OK);
    CHECK(jsonrpcc_servers_set(client, given, why, sizeof why) == JSONRPCC_OK);
    CHECK(call_here(client, fds[1]) == JSONRPCC_OK);
    /* A socket that was removed from the list does not come back, and no other
     * can join it. */
    CHECK(jsonrpcc_servers_set(client, servers, NULL, 0) == JSONRPCC_OK);
    CHECK(has_ended(fds[1]));
    await_state(client, JSONRPCC_SERVER_GONE);
    CHECK(jsonrpcc_servers_set(client, given, NULL, 0) == JSONRPCC_OK);
    for (int ms = 0; ms < PATIENCE_MS && info_of(client).attempts_failed == 0;
         ms++)
        nap();
    await_state(client, JSONRPCC_SERVER_DOWN);
    CHECK(info_of(client).reason == JSONRPCC_SOCKET_SPENT);
    CHECK(info_of(client).attempts_failed == 1);
    snprintf(list, sizeof list, "%s %s", servers, entry(others[1]));
    CHECK(jsonrpcc_servers_set(client, list, why, sizeof why) ==
          JSONRPCC_EINVAL);
    CHECK(strstr(why, "a socket is given when the client is created") != NULL);
    end_client(client);
    close(fds[0]);
    close(fds[1]);
    close(others[0]);
    close(others[1]);
}

/* A suspect's connection is not renewed: there can be no other one. */
static void test_a_suspect(void)
{
    int fds[2];
    char buf[4000];

    pair(fds);
    jsonrpcc_client *client = new_client((jsonrpcc_options){
        .servers = entry(fds[0]), .reconnect_ms = 1, .reconnect_max_ms = 20});
    close(fds[0]);
    for (int i = 0; i < 9; i++)
        CHECK(call(client, 10, 0, NULL) == JSONRPCC_ETIMEDOUT);
    CHECK(info_of(client).state == JSONRPCC_SERVER_SUSPECT);
    CHECK(info_of(client).losses == 0);
    CHECK(recv(fds[1], buf, sizeof buf, 0) > 0);
    CHECK(call_here(client, fds[1]) == JSONRPCC_OK);
    await_state(client, JSONRPCC_SERVER_UP);
    end_client(client);
    CHECK(has_ended(fds[1]));
    close(fds[1]);
}

static void test_what_is_not_a_connected_stream_socket(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fds[2];

    CHECK(pipe(fds) == 0);
    CHECK(refused(entry(fds[0]), "a pipe is none") == JSONRPCC_EINVAL);
    close(fds[0]);
    close(fds[1]);
    CHECK(refused(given, "an open descriptor is expected") == JSONRPCC_EINVAL);
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0);
    CHECK(refused(entry(fds[0]), "a stream socket") == JSONRPCC_EINVAL);
    close(fds[0]);
    close(fds[1]);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(refused(entry(fds[0]), "a connected socket") == JSONRPCC_EINVAL);
    CHECK(bind(fds[0], (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(fds[0], 1) == 0);
    CHECK(refused(given, "a connected socket") == JSONRPCC_EINVAL);
    close(fds[0]);
}

/* Sockets taken before the fault was found are not kept. */
static void test_nothing_is_left_of_a_refusal(void)
{
    int fds[2];
    char text[80];

    pair(fds);
    snprintf(text, sizeof text, "fd:%d fd:999999", fds[0]);
    CHECK(refused(text, "fd:999999: an open descriptor") == JSONRPCC_EINVAL);
    close(fds[0]);
    CHECK(has_ended(fds[1]));
    close(fds[1]);
}

/* The first descriptor that a client opens is the duplicate. */
static void test_no_descriptors_are_left(void)
{
    struct rlimit before, now;
    int fds[2], last = -1;

    pair(fds);
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    now = (struct rlimit){100, before.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &now) == 0);
    for (int fd; (fd = dup(fds[1])) >= 0;)
        last = fd;
    CHECK(refused(entry(fds[0]), "Too many open files") ==
          (jsonrpcc_status)(JSONRPCC_SYSTEM + EMFILE));
    for (int fd = last; fd > fds[1]; fd--)
        close(fd);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    close(fds[0]);
    close(fds[1]);
}

/* However far it gets, no duplicate is left. */
static void test_no_memory(void)
{
    enum { MOST = 200 };
    jsonrpcc_status status = JSONRPCC_ENOMEM;
    int fds[2];

    pair(fds);
    jsonrpcc_options options = {.size = sizeof options,
                                .servers = entry(fds[0])};
    for (unsigned n = 1; n < MOST && fault_has_memory(); n++) {
        jsonrpcc_client *client = NULL;
        fault_arm(FAULT_MEMORY, n, false);
        status = jsonrpcc_client_new(&options, &client, NULL, 0);
        fault_disarm();
        jsonrpcc_client_free(client);
        if (status == JSONRPCC_OK && fault_count() == 0)
            break; /* and no other thread took the failure */
    }
    CHECK(status == JSONRPCC_OK || !fault_has_memory());
    close(fds[0]);
    CHECK(has_ended(fds[1]));
    close(fds[1]);
}

static void test_a_forked_child(void)
{
    int fds[2];
    int status = -1;
    int32_t reason = 0;

    if (!check_may_fork())
        return;
    pair(fds);
    jsonrpcc_client *client =
        new_client((jsonrpcc_options){.servers = entry(fds[0])});
    CHECK(call_here(client, fds[1]) == JSONRPCC_OK);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        bool good =
            call(client, PATIENCE_MS, 0, &reason) == JSONRPCC_EFAILURE &&
            reason == JSONRPCC_SOCKET_SPENT &&
            jsonrpcc_client_close(client, PATIENCE_MS);
        check_exit(good ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(call_here(client, fds[1]) == JSONRPCC_OK);
    close(fds[0]);
    end_client(client);
    CHECK(has_ended(fds[1]));
    close(fds[1]);
}

int main(void)
{
    begin_peer();
    test_a_descriptor_may_be_closed_or_kept();
    test_there_is_one_connection();
    test_each_server_has_its_socket();
    test_a_descriptor_number_that_is_used_again();
    test_a_suspect();
    test_what_is_not_a_connected_stream_socket();
    test_nothing_is_left_of_a_refusal();
    test_no_descriptors_are_left();
    test_no_memory();
    test_a_forked_child();
    end_peer();
    return check_done();
}
