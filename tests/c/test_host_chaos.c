/* A client whose callbacks wait for its host: however many threads submit and
 * cancel, and however it ends, each outcome is delivered once, on the host's
 * thread.
 *
 * Arguments: how many random rounds (12), and the first seed (1). */
#include "host_client.h"

enum { THREADS = 3, CALLS = 1500 };

enum ending { BY_HOST, BY_ANOTHER, BY_CALLBACK, BY_FREE, ENDINGS };

struct entry {
    struct chaos *chaos;
    atomic_uint accepted, told;
    uint64_t id;
};

struct chaos {
    jsonrpcc_client *client;
    pthread_t host;
    atomic_bool over;  /* freed: no callback may run */
    atomic_uint going; /* threads that submit */
    unsigned told;
    unsigned close_at; /* close in the callback after this many */
    struct entry entries[THREADS][CALLS];
};

struct submitter {
    struct chaos *chaos;
    struct entry *entries;
    uint64_t random, number;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct entry *entry = arg;
    struct chaos *chaos = entry->chaos;

    (void)token;
    CHECK(!chaos->over);
    CHECK(pthread_equal(pthread_self(), chaos->host));
    CHECK(atomic_fetch_add(&entry->told, 1) == 0);
    if (outcome->status == JSONRPCC_OK && outcome->json != NULL)
        CHECK(peer_says("echo", token, outcome->json, outcome->json_len) ||
              peer_says("big", token, outcome->json, outcome->json_len) ||
              peer_says("once", token, outcome->json, outcome->json_len));
    if (++chaos->told == chaos->close_at)
        CHECK(!jsonrpcc_client_close(chaos->client, -1));
}

/* One call, or a few under one lock. */
static void submit(struct submitter *submitter, size_t first, size_t count)
{
    static const char *const methods[] = {"echo", "echo", "refuse",
                                          "mute", "once", "big"};
    struct chaos *chaos = submitter->chaos;
    jsonrpcc_status status = JSONRPCC_OK;
    jsonrpcc_call calls[8];
    char texts[8][40];
    size_t accepted = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t dice = next_random(&submitter->random);
        const char *method = methods[dice % 6];
        uint64_t token = ++submitter->number;
        int len = snprintf(texts[i], sizeof texts[i], "[%llu]",
                           (unsigned long long)token);
        calls[i] = (jsonrpcc_call){
            .size = sizeof calls[i],
            .method = method,
            .method_len = strlen(method),
            .params = texts[i],
            .params_len = (size_t)len,
            .timeout_ms = 1 + (int32_t)(dice >> 8) % 50,
            .flags = (uint32_t)(dice >> 24) &
                     (JSONRPCC_NOTIFICATION | JSONRPCC_IDEMPOTENT |
                      JSONRPCC_WAIT_FOR_READY | JSONRPCC_RESERVE),
            .done = on_done,
            .arg = &submitter->entries[first + i],
            .token = token,
        };
    }
    if (count > 1) {
        accepted = jsonrpcc_request_many(chaos->client, calls, count, &status);
    } else {
        status = jsonrpcc_request(chaos->client, calls,
                                  &submitter->entries[first].id);
        accepted = status == JSONRPCC_OK;
    }
    for (size_t i = 0; i < accepted; i++)
        submitter->entries[first + i].accepted = 1;
    if (status == JSONRPCC_EFULL)
        jsonrpcc_room(chaos->client, 2);
}

static void *submit_all(void *arg)
{
    struct submitter *submitter = arg;

    for (size_t i = 0; i < CALLS;) {
        uint64_t dice = next_random(&submitter->random);
        size_t count = dice % 4 == 0 ? 1 + (dice >> 8) % 8 : 1;
        if (count > CALLS - i)
            count = CALLS - i;
        submit(submitter, i, count);
        if ((dice >> 16) % 5 == 0)
            jsonrpcc_cancel(submitter->chaos->client,
                            submitter->entries[(dice >> 20) % (i + 1)].id);
        i += count;
    }
    submitter->chaos->going--;
    return NULL;
}

static void *close_now(void *arg)
{
    struct chaos *chaos = arg;

    CHECK(jsonrpcc_client_close(chaos->client, LATE_MS));
    return NULL;
}

/* The host's loop: late by nothing, by little, or by much. */
static void run_host(struct chaos *chaos, uint64_t *random)
{
    struct pollfd fd = {.fd = jsonrpcc_host_fd(chaos->client),
                        .events = POLLIN};

    while (chaos->going > 0) {
        for (uint64_t n = next_random(random) % 8; n > 5; n--)
            nap();
        if (poll(&fd, 1, 1) == 1)
            jsonrpcc_host_poll(chaos->client);
    }
}

static void finish(struct chaos *chaos, enum ending ending)
{
    pthread_t thread;

    if (ending == BY_FREE) {
        jsonrpcc_client_free(chaos->client);
        chaos->over = true;
        return;
    }
    if (ending == BY_ANOTHER) {
        pthread_create(&thread, NULL, close_now, chaos);
        uint64_t until_ms = now_ms() + LATE_MS;
        while (!jsonrpcc_client_close(chaos->client, 1) && now_ms() < until_ms)
            continue;
        pthread_join(thread, NULL);
    }
    CHECK(jsonrpcc_client_close(chaos->client, LATE_MS));
    chaos->over = true;
    jsonrpcc_client_free(chaos->client);
}

static void test_chaos(uint64_t seed)
{
    struct chaos *chaos = calloc(1, sizeof *chaos);
    enum ending ending = (enum ending)(seed % ENDINGS);
    struct submitter submitters[THREADS];
    pthread_t threads[THREADS];
    uint64_t random = seed * 0x9e3779b97f4a7c15ULL;

    chaos->client = new_hosted((jsonrpcc_options){
        .max_in_flight = 1 + (uint32_t)next_random(&random) % 200,
        .max_undelivered_bytes = 3 * PEER_BIG,
    });
    chaos->host = pthread_self();
    chaos->close_at = ending == BY_CALLBACK ? 700 : 0;
    chaos->going = THREADS;
    for (size_t i = 0; i < THREADS; i++) {
        for (size_t n = 0; n < CALLS; n++)
            chaos->entries[i][n].chaos = chaos;
        submitters[i] = (struct submitter){chaos, chaos->entries[i],
                                           next_random(&random) | 1, number};
        number += CALLS;
        pthread_create(&threads[i], NULL, submit_all, &submitters[i]);
    }
    run_host(chaos, &random);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    finish(chaos, ending);
    unsigned accepted = 0, lost = 0, surplus = 0;
    for (size_t i = 0; i < THREADS; i++)
        for (size_t n = 0; n < CALLS; n++) {
            const struct entry *entry = &chaos->entries[i][n];
            accepted += entry->accepted;
            lost += entry->accepted > entry->told;
            surplus += entry->told > entry->accepted;
        }
    if (!CHECK(surplus == 0 && accepted > 0) ||
        !CHECK(ending == BY_FREE || lost == 0))
        printf("  seed %llu: %u accepted, %u lost, %u not to be told\n",
               (unsigned long long)seed, accepted, lost, surplus);
    free(chaos);
}

int main(int argc, char **argv)
{
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 12;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(HANGS_S + (unsigned)rounds * 10);
    begin_peer();
    for (uint64_t i = 0; i < rounds; i++)
        test_chaos(seed + i);
    peer_stop(&peer);
    return check_done();
}
