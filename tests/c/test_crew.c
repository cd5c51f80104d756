/* A crew: a few threads take care of many clients, each outcome is delivered
 * once and by one thread at a time, and whoever blocks delays only its own. */
#include "fault_here.h"

#include "io/clock.h"
#include "peer_client.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 20, DEPTH = 10, ROUNDS = 100, PATIENCE = 10000 };

struct place {
    jsonrpcc_client *client;
    jsonrpcc_queue *queue;
    atomic_flag held;
    atomic_uint told; /* outcomes */
    atomic_uint turns;
    atomic_uint left;     /* calls to make when there are outcomes */
    atomic_int again_ms;  /* for its seats */
    sem_t *_Atomic until; /* block when there is an outcome */
    sem_t *blocked;       /* and post this before */
    atomic_bool leaves, ended;
    atomic_bool dawdles; /* now and then a turn takes longer than 5 ms */
};

static jsonrpcc_crew *crew;
static struct place places[CLIENTS];
static atomic_uint threads, started;
static bool alone;  /* no thread stands by */
static bool begins; /* threads tell that they deliver */

static void *serve(void *arg);

static void start_thread(void)
{
    pthread_t thread;

    atomic_fetch_add(&threads, 1);
    atomic_fetch_add(&started, 1);
    CHECK(pthread_create(&thread, NULL, serve, NULL) == 0);
    pthread_detach(thread);
}

/* Nothing is accepted any more when a place is about to be closed. */
static void submit(struct place *place, const char *method, int32_t timeout_ms)
{
    int64_t id = jsonrpcc_queue_request(place->queue, 1, method, strlen(method),
                                        "[1]", 3, timeout_ms, 0);

    CHECK(id > 0 || atomic_load(&place->left) == 0);
}

static void deliver(struct place *place, size_t count)
{
    atomic_fetch_add(&place->told, (unsigned)count);
    bool outcomes = count > 0;
    for (; count > 0 && atomic_load(&place->left) > 0; count--) {
        submit(place, "echo", PATIENCE);
        if (atomic_load(&place->left) > 0)
            atomic_fetch_sub(&place->left, 1);
    }
    if (atomic_load(&place->dawdles) && count % 7 == 0)
        for (int i = 0; i < 8; i++)
            nap();
    sem_t *until = atomic_load(&place->until);
    if (until != NULL && outcomes) {
        sem_post(place->blocked);
        sem_wait(until);
    }
}

static void *serve(void *arg)
{
    jsonrpcc_seat seat = {0};
    jsonrpcc_completions completions;

    (void)arg;
    while (jsonrpcc_crew_serve(crew, &seat) == JSONRPCC_OK) {
        struct place *place = &places[seat.token - 1];
        CHECK(!atomic_flag_test_and_set(&place->held));
        if (begins)
            jsonrpcc_crew_begin(&seat);
        if (seat.lacks_standby && !alone && atomic_load(&threads) < CLIENTS)
            start_thread();
        while (jsonrpcc_queue_fetch(place->queue, &completions))
            deliver(place, completions.count + completions.failure_count);
        atomic_fetch_add(&place->turns, 1);
        seat.again_ms = place->again_ms;
        bool is_last = seat.is_last || atomic_load(&place->leaves);
        atomic_flag_clear(&place->held);
        if (is_last) {
            jsonrpcc_crew_dismiss(&seat);
            CHECK(seat.token == 0);
            atomic_store(&place->ended, true);
        }
    }
    /* Or a thread that an exception hits now would go on with what it held. */
    CHECK(seat.token == 0);
    atomic_fetch_sub(&threads, 1);
    return NULL;
}

static void join(struct place *place)
{
    CHECK(jsonrpcc_queue_join(place->queue, crew,
                              (uint64_t)(place - places) + 1) == JSONRPCC_OK);
    if (!jsonrpcc_crew_is_served(crew))
        start_thread();
}

static void open_place(struct place *place)
{
    memset(place, 0, sizeof *place);
    atomic_flag_clear(&place->held);
    place->again_ms = -1;
    place->client = new_client((jsonrpcc_options){
        .max_in_flight = 64, .flags = JSONRPCC_SHARED_THREAD});
    place->queue = jsonrpcc_queue_new(place->client, JSONRPCC_QUEUE_EVENTS);
}

static void begin(int count)
{
    crew = jsonrpcc_crew_new();
    CHECK(crew != NULL && !jsonrpcc_crew_is_served(crew));
    for (int i = 0; i < count; i++) {
        open_place(&places[i]);
        join(&places[i]);
    }
}

static void close_place(struct place *place)
{
    CHECK(jsonrpcc_client_close(place->client, PATIENCE));
    for (int i = 0; i < PATIENCE && !atomic_load(&place->ended); i++)
        nap();
    CHECK(atomic_load(&place->ended));
    jsonrpcc_queue_free(place->queue);
    jsonrpcc_client_free(place->client);
}

static void end(int count)
{
    for (int i = 0; i < count; i++)
        close_place(&places[i]);
    for (int i = 0; i < PATIENCE && atomic_load(&threads) > 0; i++)
        nap();
    CHECK(atomic_load(&threads) == 0 && !jsonrpcc_crew_is_served(crew));
    jsonrpcc_crew_free(crew);
}

static bool await_told(struct place *place, unsigned count)
{
    for (int i = 0; i < PATIENCE && atomic_load(&place->told) < count; i++)
        nap();
    return atomic_load(&place->told) == count;
}

static void test_a_few_threads_deliver_all(void)
{
    atomic_store(&started, 0);
    begin(CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        places[i].left = DEPTH * ROUNDS;
        for (int j = 0; j < DEPTH; j++)
            submit(&places[i], "echo", PATIENCE);
    }
    for (int i = 0; i < CLIENTS; i++)
        CHECK(await_told(&places[i], DEPTH * (ROUNDS + 1)));
    /* One that runs, and those that stand by. */
    for (int i = 0; i < PATIENCE && atomic_load(&threads) > 3; i++)
        nap();
    CHECK(atomic_load(&threads) <= 3);
    end(CLIENTS);
}

static void test_whoever_blocks_delays_only_its_own(void)
{
    sem_t until, blocked;

    sem_init(&until, 0, 0);
    sem_init(&blocked, 0, 0);
    begin(6);
    for (int i = 0; i < 4; i++) {
        places[i].blocked = &blocked;
        atomic_store(&places[i].until, &until);
        submit(&places[i], "echo", PATIENCE);
        sem_wait(&blocked);
        /* What it has submitted since is sent, and expires in time. */
        atomic_store(&places[i].until, NULL);
        submit(&places[i], "echo", PATIENCE);
    }
    for (unsigned i = 1; i <= 20; i++) {
        submit(&places[4], "echo", PATIENCE);
        CHECK(await_told(&places[4], i));
        submit(&places[5], "mute", 20);
        CHECK(await_told(&places[5], i));
    }
    for (int i = 0; i < 4; i++)
        CHECK(atomic_load(&places[i].told) == 1);
    for (int i = 0; i < 4; i++)
        sem_post(&until);
    for (int i = 0; i < 4; i++)
        CHECK(await_told(&places[i], 2));
    end(6);
    sem_destroy(&until);
    sem_destroy(&blocked);
}

/* All block at once.  Returns how long the last one is delayed. */
static uint64_t blocked_us(void)
{
    sem_t until, blocked;

    sem_init(&until, 0, 0);
    sem_init(&blocked, 0, 0);
    begin(CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        submit(&places[i], "echo", PATIENCE);
        CHECK(await_told(&places[i], 1));
    }
    uint64_t begun_us = jrc_now_us();
    for (int i = 0; i < CLIENTS; i++) {
        places[i].blocked = &blocked;
        atomic_store(&places[i].until, &until);
        submit(&places[i], "echo", PATIENCE);
    }
    for (int i = 0; i < CLIENTS; i++)
        sem_wait(&blocked);
    uint64_t delay_us = jrc_now_us() - begun_us;
    for (int i = 0; i < CLIENTS; i++)
        sem_post(&until);
    for (int i = 0; i < CLIENTS; i++)
        CHECK(await_told(&places[i], 2));
    for (int i = 0; i < CLIENTS; i++)
        atomic_store(&places[i].until, NULL);
    end(CLIENTS);
    sem_destroy(&until);
    sem_destroy(&blocked);
    return delay_us;
}

static void test_many_that_block_at_once_delay_others_but_once(void)
{
    enum { LATE_US = 5000, BOUND_US = (CLIENTS - 2) * LATE_US / 2 };
    uint64_t least_us = UINT64_MAX;

    begins = true;
    /* Other programs delay them, too, but not each time. */
    for (int i = 0; i < 50 && least_us >= BOUND_US; i++) {
        uint64_t delay_us = blocked_us();
        least_us = delay_us < least_us ? delay_us : least_us;
    }
    begins = false;
    CHECK(least_us < BOUND_US);
}

static void note(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    (void)token;
    CHECK(outcome->status == JSONRPCC_OK ||
          outcome->status == JSONRPCC_ETIMEDOUT);
    sem_post(arg);
}

/* Posts told with the outcome, outside of the crew. */
static void call_back(jsonrpcc_client *client, const char *method,
                      int32_t timeout_ms, sem_t *told)
{
    jsonrpcc_call call = peer_call(method, timeout_ms, note, told);

    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
}

/* The only thread blocks. */
static void test_loops_go_on_while_every_thread_blocks(void)
{
    sem_t until, blocked, told;

    sem_init(&until, 0, 0);
    sem_init(&blocked, 0, 0);
    sem_init(&told, 0, 0);
    alone = true;
    begin(3);
    places[0].blocked = &blocked;
    atomic_store(&places[0].until, &until);
    submit(&places[0], "echo", PATIENCE);
    sem_wait(&blocked);
    for (int i = 0; i < 20; i++)
        for (int j = 0; j < 3; j++) {
            call_back(places[j].client, i % 2 ? "mute" : "echo",
                      i % 2 ? 10 : PATIENCE, &told);
            sem_wait(&told);
        }
    atomic_store(&places[0].until, NULL);
    submit(&places[1], "echo", PATIENCE);
    sem_post(&until);
    CHECK(await_told(&places[1], 1));
    end(3);
    alone = false;
    sem_destroy(&until);
    sem_destroy(&blocked);
    sem_destroy(&told);
}

/* Ever more to deliver, or members that are always ready again: their thread
 * hardly ever polls, or always finds something. */
static void test_others_go_on_while_a_crew_never_rests(void)
{
    sem_t told;

    sem_init(&told, 0, 0);
    begin(CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        atomic_store(&places[i].left, 1000000);
        for (int j = 0; j < 50; j++)
            submit(&places[i], "echo", PATIENCE);
    }
    uint64_t start_us = jrc_now_us();
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < CLIENTS; i++)
            places[i].again_ms = round % 3 > 0 ? -1 : 0;
        jsonrpcc_client *client =
            new_client((jsonrpcc_options){.flags = JSONRPCC_SHARED_THREAD});
        call_back(client, "echo", PATIENCE, &told);
        sem_wait(&told);
        jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
        CHECK(jsonrpcc_sync_call(sync, "echo", 4, "[2]", 3, PATIENCE, 0, -1) ==
              JSONRPCC_OK);
        call_back(client, "mute", 10, &told);
        sem_wait(&told);
        jsonrpcc_sync_free(sync);
        end_client(client);
    }
    uint64_t took_us = jrc_now_us() - start_us;
    if (!CHECK(took_us < UINT64_C(10000000)))
        printf("it took %llu ms\n", (unsigned long long)took_us / 1000);
    for (int i = 0; i < CLIENTS; i++) {
        places[i].again_ms = -1;
        atomic_store(&places[i].left, 0);
    }
    end(CLIENTS);
    sem_destroy(&told);
}

/* A thread that makes a blocking call leads, and hands over. */
static void test_calls_that_wait_take_turns_with_the_crew(void)
{
    begin(3);
    for (int i = 0; i < 3; i++) {
        places[i].left = 2000;
        submit(&places[i], "echo", PATIENCE);
    }
    jsonrpcc_sync *sync = jsonrpcc_sync_new(places[0].client);
    for (int i = 0; i < 1000; i++)
        CHECK(jsonrpcc_sync_call(sync, "echo", 4, "[2]", 3, PATIENCE, 0, -1) ==
              JSONRPCC_OK);
    jsonrpcc_sync_free(sync);
    for (int i = 0; i < 3; i++)
        CHECK(await_told(&places[i], 2001));
    end(3);
}

static void test_a_seat_is_held_again_in_time(void)
{
    begin(2);
    places[1].again_ms = 5;
    submit(&places[1], "echo", PATIENCE);
    for (int i = 0; i < PATIENCE && atomic_load(&places[1].turns) < 20; i++)
        nap();
    CHECK(atomic_load(&places[1].turns) >= 20);
    CHECK(atomic_load(&places[0].turns) < 10);
    places[1].again_ms = -1;
    end(2);
}

/* Whatever was delivered before: nobody goes on polling. */
static void test_an_idle_crew_sleeps(void)
{
    enum { MS = 300 };

    begin(3);
    for (int i = 0; i < 3; i++) {
        places[i].left = 100;
        submit(&places[i], "echo", PATIENCE);
    }
    for (int i = 0; i < 3; i++)
        CHECK(await_told(&places[i], 101));
    clock_t before = clock();
    for (int i = 0; i < MS; i++)
        nap();
    CHECK(clock() - before < CLOCKS_PER_SEC * (MS / 2) / 1000);
    end(3);
}

static void test_one_queue_of_a_client_joins_once(void)
{
    jsonrpcc_queue *other;

    begin(1);
    CHECK(jsonrpcc_queue_join(places[0].queue, crew, 2) == JSONRPCC_OK);
    other = jsonrpcc_queue_new(places[0].client, 0);
    CHECK(jsonrpcc_queue_join(other, crew, 2) == JSONRPCC_EINVAL);
    jsonrpcc_queue_free(other);
    fault_no_memory_here(true);
    CHECK(jsonrpcc_queue_join(places[0].queue, crew, 1) == JSONRPCC_OK);
    fault_no_memory_here(false);
    end(1);
}

static void test_no_memory_to_join(void)
{
    begin(1);
    open_place(&places[1]);
    if (fault_has_memory()) {
        fault_no_memory_here(true);
        CHECK(jsonrpcc_queue_join(places[1].queue, crew, 2) == JSONRPCC_ENOMEM);
        fault_no_memory_here(false);
    }
    join(&places[1]);
    submit(&places[1], "echo", PATIENCE);
    CHECK(await_told(&places[1], 1));
    end(2);
}

static void test_a_client_may_be_closed_when_it_joins(void)
{
    begin(1);
    for (int i = 1; i < CLIENTS; i++) {
        open_place(&places[i]);
        CHECK(jsonrpcc_client_close(places[i].client, i % 2 ? 0 : PATIENCE) ||
              i % 2);
        join(&places[i]);
    }
    end(CLIENTS);
}

struct closing {
    jsonrpcc_client *client;
    sem_t told;
};

static void close_it(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct closing *closing = arg;

    (void)token;
    CHECK(outcome->status == JSONRPCC_OK ||
          outcome->status == JSONRPCC_ETIMEDOUT);
    jsonrpcc_client_close(closing->client, 0);
    sem_post(&closing->told);
}

/* While the crew's thread, which never rests, takes a turn of its loop: that
 * may be the last one, and somebody else has to know of it. */
static void test_a_client_may_be_closed_while_the_crew_drives_it(void)
{
    enum { TIMES = 200, SOON_US = 500000 };
    struct place *busy = &places[0], *place = &places[1];
    struct closing closing;
    int late = 0;

    begin(1);
    atomic_store(&busy->left, 1000000);
    for (int i = 0; i < DEPTH; i++)
        submit(busy, "echo", PATIENCE);
    sem_init(&closing.told, 0, 0);
    for (int i = 0; i < TIMES; i++) {
        open_place(place);
        join(place);
        submit(place, "echo", PATIENCE);
        CHECK(await_told(place, 1));
        closing.client = place->client;
        jsonrpcc_call call =
            i % 2 ? peer_call("mute", 3, close_it, &closing)
                  : peer_call("echo", PATIENCE, close_it, &closing);
        CHECK(jsonrpcc_request(place->client, &call, NULL) == JSONRPCC_OK);
        sem_wait(&closing.told);
        uint64_t begun_us = jrc_now_us();
        close_place(place);
        late += jrc_now_us() - begun_us > SOON_US;
    }
    CHECK(late < 3); /* other programs delay it, too, but hardly so long */
    atomic_store(&busy->left, 0);
    end(1);
    sem_destroy(&closing.told);
}

/* One that leaves goes on without the crew. */
static void test_one_may_leave(void)
{
    jsonrpcc_completions completions;

    begin(2);
    atomic_store(&places[0].leaves, true);
    submit(&places[0], "echo", PATIENCE);
    for (int i = 0; i < PATIENCE && !atomic_load(&places[0].ended); i++)
        nap();
    submit(&places[0], "mute", 50);
    unsigned told = 0;
    while (told == 0)
        if (jsonrpcc_queue_wait(places[0].queue, &completions, 100) ==
            JSONRPCC_OK)
            told += (unsigned)completions.failure_count;
    CHECK(jsonrpcc_client_close(places[0].client, PATIENCE));
    jsonrpcc_queue_free(places[0].queue);
    jsonrpcc_client_free(places[0].client);
    close_place(&places[1]);
    for (int i = 0; i < PATIENCE && atomic_load(&threads) > 0; i++)
        nap();
    jsonrpcc_crew_free(crew);
}

/* One that nobody holds is freed: the crew has no members then. */
static void test_one_may_be_freed_before_it_is_held(void)
{
    jsonrpcc_seat seat = {0};

    crew = jsonrpcc_crew_new();
    for (int i = 0; i < 3; i++) {
        open_place(&places[i]);
        CHECK(jsonrpcc_queue_join(places[i].queue, crew, 1) == JSONRPCC_OK);
    }
    for (int i = 1; i < 4; i++)
        jsonrpcc_queue_free(places[i % 3].queue);
    CHECK(jsonrpcc_crew_serve(crew, &seat) == JSONRPCC_ECLOSED);
    CHECK(seat.token == 0);
    for (int i = 0; i < 3; i++)
        end_client(places[i].client);
    jsonrpcc_crew_free(crew);
}

/* Some that come and go, with calls in flight or not, among others that go on;
 * turns take longer than others wait, so threads take over all the time. */
static void test_others_go_on_while_members_come_and_go(void)
{
    enum { LASTING = 6, OTHERS = 4 };
    bool is_open[LASTING + OTHERS] = {false};

    srand(2);
    begin(LASTING);
    for (int i = 0; i < LASTING; i++) {
        atomic_store(&places[i].dawdles, i % 2 == 0);
        places[i].left = DEPTH * ROUNDS;
        for (int j = 0; j < DEPTH; j++)
            submit(&places[i], "echo", PATIENCE);
    }
    for (int round = 0; round < 150; round++) {
        int i = LASTING + rand() % OTHERS;
        struct place *place = &places[i];
        if (!is_open[i]) {
            open_place(place);
            join(place);
            for (int j = rand() % 4; j > 0; j--)
                submit(place, j % 2 ? "echo" : "mute", 1 + rand() % 5);
        } else {
            close_place(place);
        }
        is_open[i] = !is_open[i];
        if (round % 3 == 0)
            nap();
    }
    for (int i = 0; i < LASTING; i++)
        CHECK(await_told(&places[i], DEPTH * (ROUNDS + 1)));
    for (int i = LASTING; i < LASTING + OTHERS; i++)
        if (is_open[i])
            close_place(&places[i]);
    end(LASTING);
}

static void check_child(void)
{
    jsonrpcc_seat seat = {0};

    alarm(20);
    check_failures = 0; /* the parent's are no child's */
    CHECK(jsonrpcc_crew_is_foreign(crew));
    CHECK(jsonrpcc_crew_serve(crew, &seat) == JSONRPCC_EFOREIGN);
    for (int i = 0; i < 4; i++) {
        CHECK(jsonrpcc_queue_is_foreign(places[i].queue));
        jsonrpcc_queue_free(places[i].queue);
        places[i].queue = jsonrpcc_queue_new(places[i].client, 0);
    }
    jsonrpcc_crew_free(crew);
    atomic_store(&threads, 0);
    crew = jsonrpcc_crew_new();
    for (int i = 0; i < 4; i++) {
        atomic_flag_clear(&places[i].held);
        atomic_store(&places[i].told, 0);
        places[i].left = 0;
        join(&places[i]);
        submit(&places[i], "echo", PATIENCE);
    }
    for (int i = 0; i < 4; i++)
        CHECK(await_told(&places[i], 1));
    end(4);
    check_exit(check_failures != 0);
}

static void *ask(void *stop)
{
    while (!atomic_load((atomic_bool *)stop))
        jsonrpcc_crew_is_served(crew); /* on a busy machine it may be late */
    return NULL;
}

/* Under load: the lock of the crews is taken most of the time. */
static void test_children_make_a_crew_of_their_own(void)
{
    enum { ASKING = 2 };
    pthread_t asking[ASKING];
    atomic_bool stop = false;
    int status;

    if (!check_may_fork())
        return;
    begin(4);
    for (int i = 0; i < ASKING; i++)
        CHECK(pthread_create(&asking[i], NULL, ask, &stop) == 0);
    for (int i = 0; i < 4; i++) {
        places[i].left = 1000000;
        for (int j = 0; j < DEPTH; j++)
            submit(&places[i], "echo", PATIENCE);
    }
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0)
            check_child();
        status = 1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < ASKING; i++)
        pthread_join(asking[i], NULL);
    unsigned before = atomic_load(&places[3].told);
    for (int i = 0; i < PATIENCE && atomic_load(&places[3].told) == before; i++)
        nap();
    CHECK(atomic_load(&places[3].told) > before);
    for (int i = 0; i < 4; i++) {
        CHECK(!jsonrpcc_queue_is_foreign(places[i].queue));
        atomic_store(&places[i].left, 0);
    }
    end(4);
}

int main(void)
{
    begin_peer();
    test_a_few_threads_deliver_all();
    test_whoever_blocks_delays_only_its_own();
    test_many_that_block_at_once_delay_others_but_once();
    test_loops_go_on_while_every_thread_blocks();
    test_others_go_on_while_a_crew_never_rests();
    test_calls_that_wait_take_turns_with_the_crew();
    test_a_seat_is_held_again_in_time();
    test_an_idle_crew_sleeps();
    test_one_queue_of_a_client_joins_once();
    test_no_memory_to_join();
    test_a_client_may_be_closed_when_it_joins();
    test_a_client_may_be_closed_while_the_crew_drives_it();
    test_one_may_leave();
    test_one_may_be_freed_before_it_is_held();
    test_others_go_on_while_members_come_and_go();
    test_children_make_a_crew_of_their_own();
    end_peer();
    return check_done();
}
