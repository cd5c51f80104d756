/* The public functions on a queue: what it takes, how long it is full, and how
 * its results are fetched. */
#include "io/clock.h"
#include "peer_client.h"

#include <poll.h>
#include <semaphore.h>
#include <string.h>

static void test_many_at_once(void)
{
    static const char many[] =
        " [ [1,\"a]\\\"\"] , {\"x\":[2,{}]},[3],[4]\n,[5] ] ";
    jsonrpcc_client *client =
        new_client((jsonrpcc_options){.max_in_flight = 4});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_EAGER);
    jsonrpcc_completions completions;
    size_t at = 0;
    unsigned seen = 0, outcomes = 0;

    /* An element that is not a container is refused when its turn comes. */
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "[7]", 3, &at, 9, 0,
                                      0) == -JSONRPCC_EINVAL);
    at = 0;
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "[[],7]", 6, &at, 9, 1,
                                      JSONRPCC_NOTIFICATION) == 1);
    at = 0;
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "{}", 2, &at, 9, 0,
                                      0) == -JSONRPCC_EINVAL);
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "[[}", 3, &at, 9, 0,
                                      0) == -JSONRPCC_EINVAL);
    /* What follows an element helps to delimit it. */
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "[[] []]", 7, &at, 9, 0,
                                      0) == -JSONRPCC_EINVAL);
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "[[]", 3, &at, 9, 0,
                                      0) == -JSONRPCC_EINVAL);
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "[[],]", 5, &at, 9, 0,
                                      0) == -JSONRPCC_EINVAL);
    CHECK(jsonrpcc_queue_fd(queue) == -1);
    at = 0;
    uint64_t token = 0;
    for (unsigned n = 0; outcomes < 5 && n < 5000; n++) {
        int64_t some = jsonrpcc_queue_request_many(
            queue, token, "echo", 4, many, sizeof many - 1, &at, 9, 5000,
            JSONRPCC_WAIT_FOR_READY);
        CHECK(some >= 0 || some == -JSONRPCC_EFULL);
        token += some > 0 ? (uint64_t)some : 0;
        jsonrpcc_queue_room(queue, 1);
        if (jsonrpcc_queue_wait(queue, &completions, 100) != JSONRPCC_OK)
            continue;
        for (size_t i = 0; i < completions.count; i++)
            seen |= 1U << completions.tokens[i];
        outcomes += (unsigned)(completions.count + completions.failure_count);
    }
    CHECK(token == 5 && outcomes == 5 && seen == 31);
    CHECK(jsonrpcc_queue_wait(queue, &completions, 1) == JSONRPCC_EPENDING);
    CHECK(jsonrpcc_client_close(client, 5000));
    CHECK(jsonrpcc_queue_wait(queue, &completions, 1000) == JSONRPCC_ECLOSED);
    jsonrpcc_queue_free(queue);
    jsonrpcc_queue_free(NULL);
    end_client(client);
}

/* Only the fetcher makes room for further results.  The descriptor rings for
 * the first ones without a fetch before. */
static void test_unfetched_results_fill_a_queue(void)
{
    jsonrpcc_client *client =
        new_client((jsonrpcc_options){.max_in_flight = 2});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_FD);
    struct pollfd ready = {.fd = jsonrpcc_queue_fd(queue), .events = POLLIN};
    jsonrpcc_completions completions;

    for (uint64_t i = 0; i < 2; i++) {
        const char *text = params();
        CHECK(jsonrpcc_queue_request(queue, i, "echo", 4, text, strlen(text),
                                     5000, JSONRPCC_WAIT_FOR_READY) > 0);
    }
    CHECK(poll(&ready, 1, 5000) == 1);
    const char *text = params();
    CHECK(jsonrpcc_queue_request(queue, 2, "echo", 4, text, strlen(text), 5000,
                                 0) == -JSONRPCC_EFULL);
    size_t at = 0;
    CHECK(jsonrpcc_queue_request_many(queue, 2, "echo", 4, "[[1],[2]]", 9, &at,
                                      9, 5000, 0) == -JSONRPCC_EFULL);
    CHECK(at == 0);
    CHECK(!jsonrpcc_queue_room(queue, 1100));
    size_t fetched = 0;
    for (unsigned n = 0; fetched < 2 && n < 5000; n++, nap())
        while (jsonrpcc_queue_fetch(queue, &completions))
            fetched += completions.count;
    CHECK(fetched == 2);
    CHECK(jsonrpcc_queue_room(queue, 900));
    jsonrpcc_queue_free(queue);
    end_client(client);
}

/* A caller that was compiled with a newer header may ask for something unknown
 * here. */
/* As soon as an outcome can be fetched, another call may take its place. */
static void test_an_outcome_makes_room(void)
{
    jsonrpcc_client *client =
        new_client((jsonrpcc_options){.max_in_flight = 1});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, 0);
    jsonrpcc_completions completions;
    unsigned refused = 0, outcomes = 0;

    for (int i = 0; i < 1000; i++) {
        const char *method = i % 2 ? "echo" : "mute";
        int64_t id =
            jsonrpcc_queue_request(queue, 1, method, 4, "[1]", 3,
                                   1 + i % 2 * 5000, JSONRPCC_WAIT_FOR_READY);
        refused += id <= 0;
        bool is_told = false; /* the event thread leads */
        for (long n = 0; id > 0 && !is_told && n < 100000000; n++)
            is_told = jsonrpcc_queue_fetch(queue, &completions);
        outcomes += is_told;
    }
    CHECK(refused == 0 && outcomes == 1000);
    jsonrpcc_queue_free(queue);
    end_client(client);
}

static void test_an_unknown_field(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_EAGER);
    struct {
        jsonrpcc_call call;
        uint64_t more;
    } newer = {.call = {.size = sizeof newer,
                        .method = "m",
                        .method_len = 1,
                        .params = "[[]]",
                        .params_len = 4},
               .more = 1};
    size_t at = 0;

    CHECK(jsonrpcc_queue_submit_many(queue, &newer.call, &at, 9) ==
          -JSONRPCC_EINVAL);
    newer.more = 0;
    CHECK(jsonrpcc_queue_submit_many(queue, &newer.call, &at, 9) == 1);
    jsonrpcc_queue_free(queue);
    end_client(client);
}

/* A caller with its own event loop drives ours by poll(). */
static void test_a_caller_that_polls(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_FD);
    struct pollfd fds[2] = {
        {.fd = jsonrpcc_queue_poll_fd(queue), .events = POLLIN},
        {.fd = jsonrpcc_queue_fd(queue), .events = POLLIN},
    };
    jsonrpcc_completions completions;
    size_t fetched = 0;

    CHECK(fds[0].fd >= 0 && fds[1].fd >= 0);
    for (uint64_t i = 0; i < 20; i++) {
        const char *text = params();
        CHECK(jsonrpcc_queue_request(queue, i, "echo", 4, text, strlen(text),
                                     5000, JSONRPCC_WAIT_FOR_READY) > 0);
        for (unsigned n = 0; fetched <= i && n < 1000; n++) {
            jsonrpcc_queue_poll(queue);
            while (jsonrpcc_queue_fetch(queue, &completions))
                fetched += completions.count;
            if (fetched <= i)
                poll(fds, 2, 10);
        }
    }
    CHECK(fetched == 20); /* by polls, or the event thread if it was faster */
    CHECK(jsonrpcc_client_close(client, 5000));
    CHECK(!jsonrpcc_queue_poll(queue));
    jsonrpcc_queue_free(queue);
    end_client(client);
}

struct gate {
    sem_t inside, go;
};

static void block(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct gate *gate = arg;

    (void)token;
    CHECK(outcome->status == JSONRPCC_OK);
    sem_post(&gate->inside);
    sem_wait(&gate->go);
}

/* The thread that leads does nothing for the descriptor, which is readable. */
static void test_a_caller_that_polls_in_vain_does_not_spin(void)
{
    enum { BLOCKED_US = 100000, PAUSE_US = 50, AT_ONCE = 25 };
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_FD);
    struct pollfd fds[2] = {
        {.fd = jsonrpcc_queue_poll_fd(queue), .events = POLLIN},
        {.fd = jsonrpcc_queue_fd(queue), .events = POLLIN},
    };
    const char *text = params();
    jsonrpcc_completions completions;
    struct gate gate;
    jsonrpcc_call call = {.size = sizeof call,
                          .method = "echo",
                          .method_len = 4,
                          .params = "[1]",
                          .params_len = 3,
                          .timeout_ms = 20000,
                          .done = block,
                          .arg = &gate};
    unsigned vain = 0;

    sem_init(&gate.inside, 0, 0);
    sem_init(&gate.go, 0, 0);
    /* Its deadline is when the other one's callback blocks. */
    CHECK(jsonrpcc_queue_request(queue, 7, "mute", 4, text, strlen(text), 100,
                                 JSONRPCC_WAIT_FOR_READY) > 0);
    for (int ms = 0; ms < 100 && peer_saw(&peer, number) == 0; ms++)
        nap();
    call.flags = JSONRPCC_WAIT_FOR_READY;
    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
    sem_wait(&gate.inside);
    CHECK(poll(fds, 2, 20000) > 0); /* unless it was late, the former */
    for (uint64_t end_us = jrc_now_us() + BLOCKED_US; jrc_now_us() < end_us;)
        if (poll(fds, 1, 1) == 1) {
            CHECK(!jsonrpcc_queue_poll(queue));
            vain++;
        }
    CHECK(vain <= AT_ONCE + BLOCKED_US / PAUSE_US);
    sem_post(&gate.go);
    while (!jsonrpcc_queue_fetch(queue, &completions)) {
        jsonrpcc_queue_poll(queue);
        poll(&fds[1], 1, 1);
    }
    CHECK(completions.failure_count == 1);
    jsonrpcc_queue_free(queue);
    end_client(client);
    sem_destroy(&gate.inside);
    sem_destroy(&gate.go);
}

/* A poll that brings nothing does not make the queue's descriptor deaf: neither
 * for what the event thread brings later, nor for what another leader does. */
static void test_the_descriptor_rings_after_a_poll(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_FD);
    struct pollfd ready = {.fd = jsonrpcc_queue_fd(queue), .events = POLLIN};
    jsonrpcc_completions completions;

    for (uint64_t i = 0; i < 10; i++) {
        while (jsonrpcc_queue_fetch(queue, &completions))
            continue;
        const char *text = params();
        CHECK(jsonrpcc_queue_request(
                  queue, i, "mute", 4, text, strlen(text), 20,
                  JSONRPCC_WAIT_FOR_READY | JSONRPCC_CORKED) > 0);
        jsonrpcc_queue_poll(queue);
        /* On a busy machine, it may have brought the outcome itself. */
        if (!jsonrpcc_queue_fetch(queue, &completions)) {
            CHECK(poll(&ready, 1, 3000) == 1);
            CHECK(jsonrpcc_queue_fetch(queue, &completions));
        }
        CHECK(completions.failure_count == 1);
    }
    jsonrpcc_queue_free(queue);
    end_client(client);
}

/* The buffers of large results are freed. */
static void test_large_results(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, 0);
    jsonrpcc_completions completions;
    size_t got = 0, right = 0;
    uint64_t first = number;

    for (uint64_t i = 1; i <= 5; i++) {
        const char *text = params();
        CHECK(jsonrpcc_queue_request(queue, i, "big", 3, text, strlen(text),
                                     5000, JSONRPCC_WAIT_FOR_READY) > 0);
    }
    for (int n = 0; got < 5 && n < 100; n++) {
        if (jsonrpcc_queue_wait(queue, &completions, 1000) != JSONRPCC_OK)
            continue;
        for (size_t i = 0; i < completions.count; i++) {
            size_t len;
            const char *text =
                jsonrpcc_completions_result(&completions, i, &len);
            right += peer_says("big", first + completions.tokens[i], text, len);
        }
        got += completions.count;
    }
    CHECK(got == 5 && right == 5);
    jsonrpcc_queue_free(queue);
    end_client(client);
}

static void *close_soon(void *client)
{
    for (int n = 0; n < 20; n++)
        nap();
    jsonrpcc_client_close(client, -1);
    return NULL;
}

/* With and without a descriptor, including the results that the close
 * brings. */
static void test_waited_on(uint32_t flags)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, flags);
    jsonrpcc_completions completions;
    pthread_t thread;

    for (uint64_t i = 0; i < 20; i++) {
        const char *text = params();
        if (i % 2 == 0) /* the descriptor has to ring for further results */
            CHECK(!jsonrpcc_queue_fetch(queue, &completions));
        CHECK(jsonrpcc_queue_request(queue, i, "echo", 4, text, strlen(text),
                                     60000, JSONRPCC_WAIT_FOR_READY) > 0);
        CHECK(jsonrpcc_queue_wait(queue, &completions, 20000) == JSONRPCC_OK);
        CHECK(completions.count == 1 && completions.tokens[0] == i);
    }
    CHECK(jsonrpcc_queue_request(queue, 0, "mute", 4, "[0]", 3, 60000, 0) > 0);
    if (pthread_create(&thread, NULL, close_soon, client) != 0)
        abort();
    CHECK(jsonrpcc_queue_wait(queue, &completions, 20000) == JSONRPCC_OK);
    CHECK(completions.failure_count == 1);
    CHECK(jsonrpcc_queue_wait(queue, &completions, -1) == JSONRPCC_ECLOSED);
    pthread_join(thread, NULL);
    jsonrpcc_queue_free(queue);
    end_client(client);
}

/* A thread that has waited is likely to be back soon, and then sends what it
 * has submitted; but this one is not. */
static void test_a_call_does_not_wait_for_its_thread(void)
{
    enum { BOUND_US = 100000 };
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_FD);
    struct pollfd ready = {.fd = jsonrpcc_queue_fd(queue), .events = POLLIN};
    jsonrpcc_completions completions;
    uint64_t least_us = UINT64_MAX;

    CHECK(jsonrpcc_wait_ready(client, 20000, true) == JSONRPCC_OK);
    /* Other programs delay it, too, but not each time. */
    for (int i = 0; i < 30 && least_us >= BOUND_US; i++) {
        CHECK(jsonrpcc_queue_wait(queue, &completions, 10) ==
              JSONRPCC_EPENDING);
        uint64_t start_us = jrc_now_us();
        CHECK(jsonrpcc_queue_request(queue, 0, "echo", 4, "[1]", 3, 20000, 0) >
              0);
        CHECK(poll(&ready, 1, 20000) == 1);
        uint64_t took_us = jrc_now_us() - start_us;
        least_us = took_us < least_us ? took_us : least_us;
        CHECK(jsonrpcc_queue_fetch(queue, &completions));
        CHECK(!jsonrpcc_queue_fetch(queue, &completions));
    }
    CHECK(least_us < BOUND_US);
    jsonrpcc_queue_free(queue);
    end_client(client);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    begin_peer();
    test_many_at_once();
    test_unfetched_results_fill_a_queue();
    test_an_outcome_makes_room();
    test_an_unknown_field();
    test_a_caller_that_polls();
    test_a_caller_that_polls_in_vain_does_not_spin();
    test_the_descriptor_rings_after_a_poll();
    test_large_results();
    test_a_call_does_not_wait_for_its_thread();
    test_waited_on(0);
    test_waited_on(JSONRPCC_QUEUE_EAGER);
    test_waited_on(JSONRPCC_QUEUE_FD);
    test_waited_on(JSONRPCC_QUEUE_FD | JSONRPCC_QUEUE_EAGER);
    end_peer();
    return check_done();
}
