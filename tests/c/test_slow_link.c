/* A large trial over a slow link: our own system holds some megabytes of it.
 * It takes no more for a while, and its last byte long before the server gets
 * that. */
#define _GNU_SOURCE /* memmem() */

#include "check.h"
#include "jsonrpcc.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    SIZE = 12 << 20,
    SLOW_FROM = SIZE - (4 << 20), /* less than this is in no system's buffer */
    CHUNK = 64 << 10,
    NAP_MS = 40, /* so the end takes 2.5 s */
    TRIAL_MS = 1000,
    PATIENCE_MS = 60000
};

static int listener;
static atomic_uint connections, answered;

static void nap(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* Reads the calls that it does not answer, and then the large one, slowly. */
static void *serve(void *arg)
{
    static char space[CHUNK + 5] = "....."; /* with the end of what was read */
    char *bytes = space + 5;
    char id[20] = "", frame[100], payload[80];
    size_t total = 0;
    ssize_t n;

    (void)arg;
    int fd = accept(listener, NULL, NULL);
    connections++;
    while ((n = recv(fd, bytes, CHUNK, 0)) > 0) {
        const char *at = memmem(bytes, (size_t)n, "\"id\":", 5);
        if (at != NULL)
            sscanf(at + 5, "%19[0-9]", id);
        total += (size_t)n;
        if (total > SLOW_FROM)
            nap(NAP_MS);
        memmove(space, bytes + n - 5, 5);
        if (memcmp(space, "x\"]},", 5) != 0)
            continue;
        int len = snprintf(payload, sizeof payload,
                           "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":1}", id);
        len = snprintf(frame, sizeof frame, "%d:%s,", len, payload);
        answered += send(fd, frame, (size_t)len, MSG_NOSIGNAL) == len;
    }
    close(fd);
    return NULL;
}

static atomic_uint suspected;

static void on_event(void *arg, const jsonrpcc_event *event)
{
    (void)arg;
    suspected += event->kind == JSONRPCC_SUSPECT;
}

static jsonrpcc_client *open_client(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    jsonrpcc_options options = {
        .size = sizeof options,
        .reconnect_ms = 50,
        .reconnect_max_ms = 50,
        .connect_timeout_ms = TRIAL_MS,
    };
    jsonrpcc_client *client = NULL;
    char servers[40];

    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &(int){CHUNK}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, len) != 0 ||
        listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0)
        abort();
    snprintf(servers, sizeof servers, "127.0.0.1:%d", ntohs(address.sin_port));
    options.servers = servers;
    CHECK(jsonrpcc_client_new(&options, &client, NULL, 0) == JSONRPCC_OK);
    jsonrpcc_on_event(client, on_event, NULL);
    return client;
}

static void test_a_large_trial_over_a_slow_link(void)
{
    jsonrpcc_client *client = open_client();
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    char *params = malloc(SIZE + 5);
    pthread_t server;

    if (pthread_create(&server, NULL, serve, NULL) != 0 || params == NULL)
        abort();
    for (int i = 0; i < 100 && suspected == 0; i++)
        CHECK(jsonrpcc_sync_call(sync, "m", 1, NULL, 0, 20,
                                 JSONRPCC_WAIT_FOR_READY,
                                 -1) == JSONRPCC_ETIMEDOUT);
    CHECK(suspected == 1);
    nap(100); /* until a trial is due */
    memset(params, 'x', SIZE + 4);
    memcpy(params, "[\"", 2);
    memcpy(params + SIZE + 2, "\"]", 3);
    jsonrpcc_status status =
        jsonrpcc_sync_call(sync, "m", 1, params, SIZE + 4, PATIENCE_MS, 0, -1);
    CHECK(status == JSONRPCC_OK);
    CHECK(connections == 1 && answered == 1);
    jsonrpcc_sync_free(sync);
    CHECK(jsonrpcc_client_close(client, PATIENCE_MS));
    jsonrpcc_client_free(client);
    pthread_join(server, NULL);
    close(listener);
    free(params);
}

int main(void)
{
    test_a_large_trial_over_a_slow_link();
    return check_done();
}
