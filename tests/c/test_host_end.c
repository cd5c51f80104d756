/* How a client whose callbacks wait for its host ends: it is closed by the host
 * or elsewhere, freed, or forked in a callback. */
#include "host_client.h"

#include <fcntl.h>
#include <sys/wait.h>

/* ---- close and free ------------------------------------------------------ */

/* close() on the host's thread delivers whatever is left. */
static void test_close_by_the_host_delivers_the_rest(void)
{
    jsonrpcc_client *client = new_hosted((jsonrpcc_options){0});
    struct tally tally = tally_of(client);

    for (int i = 0; i < 600; i++)
        CHECK(request(client, "mute", 60000, 0, count, &tally) == JSONRPCC_OK);
    CHECK(jsonrpcc_client_close(client, -1));
    CHECK(tally.told == 600 && tally.status == JSONRPCC_ECLOSED);
    CHECK(tally.elsewhere == 0);
    CHECK(jsonrpcc_client_close(client, 0) && !jsonrpcc_host_poll(client));
    jsonrpcc_client_free(client);
}

static void *close_elsewhere(void *arg)
{
    CHECK(!jsonrpcc_client_close(arg, 20)); /* the host has not polled */
    CHECK(jsonrpcc_client_close(arg, LATE_MS));
    return NULL;
}

static void test_close_elsewhere_waits_for_the_host(void)
{
    jsonrpcc_client *client = new_hosted((jsonrpcc_options){0});
    struct tally tally = tally_of(client);
    pthread_t thread;
    jsonrpcc_stats stats = {0};

    for (int i = 0; i < 600; i++)
        CHECK(request(client, "mute", 60000, 0, count, &tally) == JSONRPCC_OK);
    pthread_create(&thread, NULL, close_elsewhere, client);
    for (int n = 0; n < LATE_MS && stats.closed < 600; n++, nap())
        jsonrpcc_client_stats(client, &stats, sizeof stats);
    for (int n = 0; n < 50; n++)
        nap(); /* for its first close to end */
    CHECK(tally.told == 0);
    poll_until(client, &tally.told, 600);
    pthread_join(thread, NULL);
    CHECK(tally.elsewhere == 0);
    jsonrpcc_client_free(client);
}

struct crosswise {
    struct tally tally;
    jsonrpcc_client *other;
    atomic_uint *inside; /* callbacks */
};

static void close_other(void *arg, uint64_t token,
                        const jsonrpcc_outcome *outcome)
{
    struct crosswise *mine = arg;

    count(&mine->tally, token, outcome);
    atomic_fetch_add(mine->inside, 1);
    for (int n = 0; n < LATE_MS && atomic_load(mine->inside) < 2; n++)
        nap();
    CHECK(!jsonrpcc_client_close(mine->other, -1));
    atomic_fetch_add(mine->inside, 1);
    for (int n = 0; n < LATE_MS && atomic_load(mine->inside) < 4; n++)
        nap();
}

static void *poll_crosswise(void *arg)
{
    struct crosswise *mine = arg;

    mine->tally.host = pthread_self();
    poll_until(mine->tally.client, &mine->tally.told, 1);
    return NULL;
}

/* Two hosts are in callbacks that close each other's clients. */
static void test_crosswise(void)
{
    atomic_uint inside = 0;
    struct crosswise both[2] = {
        {tally_of(new_hosted((jsonrpcc_options){0})), NULL, &inside},
        {tally_of(new_hosted((jsonrpcc_options){0})), NULL, &inside},
    };
    pthread_t thread;

    for (int i = 0; i < 2; i++) {
        both[i].other = both[1 - i].tally.client;
        CHECK(request(both[i].tally.client, "echo", 60000, 0, close_other,
                      &both[i]) == JSONRPCC_OK);
    }
    pthread_create(&thread, NULL, poll_crosswise, &both[1]);
    poll_until(both[0].tally.client, &both[0].tally.told, 1);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) {
        CHECK(both[i].tally.elsewhere == 0);
        end_client(both[i].tally.client);
    }
}

static void free_client(void *arg, uint64_t token,
                        const jsonrpcc_outcome *outcome)
{
    struct tally *tally = arg;

    count(arg, token, outcome);
    if (tally->told == 3)
        jsonrpcc_client_free(tally->client);
}

/* No callback runs after free(), whether it is called between polls or in
 * one. */
static void test_free_ends_the_callbacks(void)
{
    jsonrpcc_client *client = new_hosted((jsonrpcc_options){0});
    struct tally tally = tally_of(client);
    jsonrpcc_stats stats = {0};

    for (int i = 0; i < 20; i++) {
        CHECK(request(client, "big", 60000, 0, count, &tally) == JSONRPCC_OK);
        CHECK(request(client, "mute", 60000, 0, count, &tally) == JSONRPCC_OK);
    }
    for (int n = 0; n < LATE_MS && stats.ok < 10; n++, nap())
        jsonrpcc_client_stats(client, &stats, sizeof stats);
    jsonrpcc_client_free(client);
    CHECK(tally.told == 0);

    client = new_hosted((jsonrpcc_options){0});
    tally = tally_of(client);
    memset(&stats, 0, sizeof stats);
    for (int i = 0; i < 20; i++)
        CHECK(request(client, "echo", 60000, 0, free_client, &tally) ==
              JSONRPCC_OK);
    for (int n = 0; n < LATE_MS && stats.ok < 20; n++, nap())
        jsonrpcc_client_stats(client, &stats, sizeof stats);
    while (tally.told < 3)
        jsonrpcc_host_poll(client);
    CHECK(tally.told == 3);
}

/* ---- fork ---------------------------------------------------------------- */

#ifndef __SANITIZE_THREAD__ /* its runtime does not like threads in children \
                             */

struct fork_run {
    struct tally tally;
    pid_t child; /* of the third callback; 0 there */
};

static void fork_once(void *arg, uint64_t token,
                      const jsonrpcc_outcome *outcome)
{
    struct fork_run *run = arg;

    count(&run->tally, token, outcome);
    if (run->tally.told == 3)
        run->child = fork();
}

/* The child returns from the callback into the poll: no more callbacks of its
 * parent's run there, and the client works again. */
static void test_a_callback_forks(void)
{
    struct fork_run run = {.tally = tally_of(new_hosted((jsonrpcc_options){0})),
                           .child = -1};
    jsonrpcc_client *client = run.tally.client;
    int status = -1;

    for (int i = 0; i < 100; i++)
        CHECK(request(client, "echo", 60000, 0, fork_once, &run) ==
              JSONRPCC_OK);
    int fd = jsonrpcc_host_fd(client);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    for (int n = 0; n < LATE_MS / 100 && run.tally.told < 3; n++)
        if (poll(&ready, 1, 100) == 1)
            jsonrpcc_host_poll(client);
    if (run.child == 0) {
        bool good = run.tally.told == 3 && fcntl(fd, F_GETFD) < 0 &&
                    !jsonrpcc_host_poll(client);
        struct tally tally = tally_of(client);
        number += 1000; /* the peer has seen the parent's */
        good = good &&
               request(client, "echo", 5000, 0, count, &tally) == JSONRPCC_OK;
        good = good && poll_until(client, &tally.told, 1) && tally.right == 1 &&
               jsonrpcc_client_close(client, -1) && run.tally.told == 3;
        jsonrpcc_client_free(client);
        check_exit(good && check_failures == 0 ? 0 : 1);
    }
    poll_until(client, &run.tally.told, 100);
    CHECK(waitpid(run.child, &status, 0) == run.child && status == 0);
    CHECK(run.tally.right == 100 && run.tally.elsewhere == 0);
    end_client(client);
}

#endif

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(HANGS_S);
    begin_peer();
    test_close_by_the_host_delivers_the_rest();
    test_close_elsewhere_waits_for_the_host();
    test_crosswise();
    test_free_ends_the_callbacks();
#ifndef __SANITIZE_THREAD__
    test_a_callback_forks();
#endif
    peer_stop(&peer);
    return check_done();
}
