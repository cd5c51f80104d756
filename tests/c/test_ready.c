/* jsonrpcc_wait_ready(): until a call would find a server, or until all are
 * up. */
#include "fault_here.h"

#include "check.h"
#include "io/clock.h"
#include "jsonrpcc.h"
#include "peer_client.h"

#include <arpa/inet.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { PATIENCE_MS = 20000 };

static int bound_socket(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void *listen_later(void *arg)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    CHECK(listen(*(int *)arg, 5) == 0);
    return NULL;
}

static void test_one_or_all(void)
{
    uint16_t port;
    int fd = bound_socket(&port);
    char list[90];
    pthread_t thread;

    snprintf(list, sizeof list, "%s 127.0.0.1:%u", servers, port);
    jsonrpcc_client *client = new_client((jsonrpcc_options){
        .servers = list, .reconnect_max_ms = 20, .reconnect_ms = 1});
    CHECK(jsonrpcc_wait_ready(client, PATIENCE_MS, false) == JSONRPCC_OK);
    CHECK(jsonrpcc_wait_ready(client, 0, false) == JSONRPCC_OK);
    CHECK(jsonrpcc_wait_ready(client, 0, true) == JSONRPCC_EPENDING);
    for (int32_t ms = 0; ms < 10; ms++) { /* never too early */
        while (jrc_now_us() % 1000 < 700) /* whole milliseconds fit badly */
            continue;
        uint64_t start_us = jrc_now_us();
        CHECK(jsonrpcc_wait_ready(client, ms, true) == JSONRPCC_EPENDING);
        CHECK(jrc_now_us() - start_us >= (uint64_t)ms * 1000);
    }
    CHECK(pthread_create(&thread, NULL, listen_later, &fd) == 0);
    CHECK(jsonrpcc_wait_ready(client, -1, true) == JSONRPCC_OK);
    pthread_join(thread, NULL);
    /* A server that has left is not waited for. */
    close(fd);
    CHECK(jsonrpcc_servers_set(client, servers, NULL, 0) == JSONRPCC_OK);
    CHECK(jsonrpcc_wait_ready(client, PATIENCE_MS, true) == JSONRPCC_OK);
    end_client(client);
}

/* A call goes by the list that was set last, in force or not. */
static void test_a_list_that_was_just_set(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});

    CHECK(jsonrpcc_wait_ready(client, PATIENCE_MS, true) == JSONRPCC_OK);
    for (int i = 0; i < 50; i++) {
        CHECK(jsonrpcc_is_ready(client, true));
        CHECK(jsonrpcc_servers_set(
                  client, i % 2 ? "dns:nothing.invalid:9" : "127.0.0.1:1", NULL,
                  0) == JSONRPCC_OK);
        CHECK(!jsonrpcc_is_ready(client, i % 3 == 0));
        CHECK(jsonrpcc_wait_ready(client, i % 5, true) == JSONRPCC_EPENDING);
        CHECK(jsonrpcc_servers_set(client, servers, NULL, 0) == JSONRPCC_OK);
        CHECK(jsonrpcc_wait_ready(client, PATIENCE_MS, i % 4 != 0) ==
              JSONRPCC_OK);
        if (i % 4 == 0)
            CHECK(jsonrpcc_wait_ready(client, PATIENCE_MS, true) ==
                  JSONRPCC_OK);
    }
    end_client(client);
}

/* Two names of one server, of which one is a spare. */
static void test_a_spare_is_not_waited_for(void)
{
    char list[200];

    snprintf(list, sizeof list, "%s localhost%s", servers,
             strrchr(servers, ':'));
    jsonrpcc_client *client =
        new_client((jsonrpcc_options){.servers = list, .subset = 1});
    CHECK(jsonrpcc_wait_ready(client, PATIENCE_MS, true) == JSONRPCC_OK);
    jsonrpcc_server_info infos[2] = {{0}};
    for (uint32_t i = 0; i < 2; i++)
        CHECK(jsonrpcc_server_get(client, i, &infos[i], sizeof infos[i]));
    CHECK(infos[0].spare != infos[1].spare);
    CHECK(infos[infos[0].spare ? 0 : 1].state == JSONRPCC_SERVER_DOWN);
    end_client(client);
}

static void test_a_closed_client(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});

    CHECK(jsonrpcc_client_close(client, PATIENCE_MS));
    CHECK(jsonrpcc_wait_ready(client, PATIENCE_MS, false) == JSONRPCC_ECLOSED);
    jsonrpcc_client_free(client);
}

static _Atomic int inside;

static void in_callback(void *arg, uint64_t token,
                        const jsonrpcc_outcome *outcome)
{
    (void)token;
    (void)outcome;
    inside = (int)jsonrpcc_wait_ready(arg, PATIENCE_MS, false);
}

static void test_a_callback_must_not_wait(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_call call = peer_call("echo", 0, in_callback, client);

    inside = -1;
    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
    for (int ms = 0; ms < PATIENCE_MS && inside < 0; ms++)
        nap();
    CHECK(inside == JSONRPCC_EDEADLK);
    end_client(client);
}

static void post(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    (void)token;
    CHECK(outcome->status == JSONRPCC_OK);
    sem_post(arg);
}

/* The thread that has waited does not come back to drive the loop. */
static void test_a_call_after_it_is_sent_at_once(void)
{
    enum { ROUNDS = 20, ENOUGH = 5, BOUND_US = 50000 };
    jsonrpcc_client *client =
        new_client((jsonrpcc_options){.flags = JSONRPCC_SHARED_THREAD});
    unsigned in_time = 0;
    sem_t told;
    jsonrpcc_call call = peer_call("echo", 0, post, &told);

    sem_init(&told, 0, 0);
    /* Other programs delay it, too, but not each time; and now and then there
     * is something else to do for the client. */
    for (int i = 0; i < ROUNDS && in_time < ENOUGH; i++) {
        for (int ms = 0; ms < 20; ms++)
            nap(); /* the alarms of earlier calls go off */
        CHECK(jsonrpcc_wait_ready(client, PATIENCE_MS, true) == JSONRPCC_OK);
        uint64_t start_us = jrc_now_us();
        CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
        sem_wait(&told);
        in_time += jrc_now_us() - start_us < BOUND_US;
    }
    CHECK(in_time == ENOUGH);
    end_client(client);
    sem_destroy(&told);
}

static void test_a_forked_child_makes_its_own_connections(void)
{
    int status = -1;

    if (!check_may_fork())
        return;
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    CHECK(jsonrpcc_wait_ready(client, PATIENCE_MS, false) == JSONRPCC_OK);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        bool good =
            jsonrpcc_wait_ready(client, PATIENCE_MS, true) == JSONRPCC_OK;
        check_exit(good ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    end_client(client);
}

static void test_no_memory(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});

    if (fault_has_memory()) {
        fault_no_memory_here(true);
        CHECK(jsonrpcc_wait_ready(client, 0, false) == JSONRPCC_ENOMEM);
        fault_no_memory_here(false);
    }
    end_client(client);
}

int main(void)
{
    begin_peer();
    test_one_or_all();
    test_a_list_that_was_just_set();
    test_a_spare_is_not_waited_for();
    test_a_closed_client();
    test_a_callback_must_not_wait();
    test_a_call_after_it_is_sent_at_once();
    test_a_forked_child_makes_its_own_connections();
    test_no_memory();
    end_peer();
    return check_done();
}
