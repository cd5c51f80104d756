/* The queue of frames, compared with a plain model of it: a list of copies. */
#include "fault_here.h"

#include "check.h"
#include "engine/outbox.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

static struct {
    uint64_t id;
    size_t len;
    char fill;
} model[MOST];
static size_t first, last, written, ahead;
static uint64_t dead_below; /* the odd ids below are dead */

static bool is_dead(const void *arg, uint64_t id)
{
    (void)arg;
    return id < dead_below && id % 2 == 1;
}

static void compare(const struct jrc_frames *f)
{
    const char *bytes = f->bytes + f->start;
    size_t size = 0;

    CHECK(f->last - f->first == last - first);
    CHECK(jrc_frames_empty(f) == (first == last));
    CHECK(f->written == written && f->ahead == ahead);
    for (size_t i = first; i < last; i++) {
        const struct jrc_frame *frame = &f->list[f->first + i - first];
        if (!CHECK(frame->id == model[i].id && frame->len == model[i].len))
            return;
        for (size_t k = 0; k < frame->len; k++)
            if (bytes[size + k] != model[i].fill) {
                CHECK(bytes[size + k] == model[i].fill);
                return;
            }
        size += frame->len;
    }
    CHECK(jrc_frames_size(f) == size && f->end <= f->room);
}

static void add(struct jrc_frames *f, uint64_t id, size_t len)
{
    char *bytes = malloc(len);

    memset(bytes, (char)id, len);
    CHECK(jrc_frames_append(f, id, bytes, len));
    free(bytes);
    model[last].id = id;
    model[last].len = len;
    model[last++].fill = (char)id;
}

/* How many frames have begun to leave. */
static size_t begun(void)
{
    size_t n = 0;

    for (size_t size = 0; size < written + ahead; n++)
        size += model[first + n].len;
    return n;
}

static void purge(struct jrc_frames *f)
{
    size_t kept = first + begun();

    for (size_t i = kept; i < last; i++)
        if (!is_dead(NULL, model[i].id))
            model[kept++] = model[i];
    last = kept;
    jrc_frames_purge(f, is_dead, NULL);
}

static void restart(void)
{
    first = last = written = ahead = 0;
    dead_below = 0;
}

static void test_append_and_drop(void)
{
    struct jrc_frames f = {0};

    restart();
    for (uint64_t id = 1; id <= 100; id++)
        add(&f, id, (size_t)id * 3);
    compare(&f);
    for (int i = 0; i < 100; i++) {
        jrc_frames_drop_first(&f);
        first++;
        if (i % 10 == 0)
            compare(&f);
    }
    CHECK(jrc_frames_empty(&f) && f.start == 0 && f.end == 0);
    jrc_frames_clear(&f);
    CHECK(f.bytes == NULL && f.list == NULL);
}

static void test_purge_spares_what_has_begun(void)
{
    struct jrc_frames f = {0};

    restart();
    for (uint64_t id = 1; id <= 5; id++)
        add(&f, id, 10);
    dead_below = 100;
    f.written = written = 3; /* frame 1 is on its way, though dead */
    purge(&f);
    compare(&f);
    CHECK(last - first == 3 && f.list[f.first].id == 1 && f.dead == 0);
    jrc_frames_drop_first(&f);
    first++;
    written = 0;
    dead_below = 1; /* and now all alive */
    purge(&f);
    compare(&f);
    jrc_frames_clear(&f);

    restart();
    add(&f, 1, 10);
    add(&f, 3, 10);
    dead_below = 100;
    purge(&f);
    CHECK(jrc_frames_empty(&f) && jrc_frames_size(&f) == 0);
    jrc_frames_clear(&f);
}

/* A transport may have taken more than the frame that is being sent. */
static void test_what_was_taken_ahead_has_begun_too(void)
{
    struct jrc_frames f = {0}, taken = {0};

    CHECK(jrc_frames_split(&f, &taken)); /* no memory, nothing to move */
    CHECK(jrc_frames_empty(&f) && jrc_frames_empty(&taken));
    restart();
    for (uint64_t id = 1; id <= 5; id++)
        add(&f, id, 10);
    dead_below = 100;
    f.written = written = 3;
    f.ahead = ahead = 17; /* of frame 1 and all of 2 */
    CHECK(jrc_frames_begun(&f) == 2);
    f.ahead = ahead = 18; /* and a byte of 3 */
    CHECK(jrc_frames_begun(&f) == 3);
    purge(&f);
    compare(&f);
    CHECK(last - first == 4 && f.list[f.last - 1].id == 4);
    CHECK(jrc_frames_split(&f, &taken));
    last--;
    compare(&taken);
    CHECK(f.last - f.first == 1 && f.list[f.first].id == 4);
    CHECK(jrc_frames_begun(&f) == 0 && jrc_frames_size(&f) == 10);
    jrc_frames_clear(&f);
    jrc_frames_clear(&taken);
}

/* Then everything is as before. */
static void test_a_split_without_memory(void)
{
    for (unsigned n = 1; fault_has_memory(); n++) {
        struct jrc_frames f = {0}, taken = {0};
        restart();
        for (uint64_t id = 1; id <= 5; id++)
            add(&f, id, 10000);
        f.written = written = 3;
        f.ahead = ahead = 20000;
        fault_arm(FAULT_MEMORY, n, true);
        bool split = jrc_frames_split(&f, &taken);
        fault_disarm();
        if (!split)
            compare(&f);
        CHECK(jrc_frames_empty(&taken) == !split);
        CHECK(split == (fault_count() == 0));
        jrc_frames_clear(&f);
        jrc_frames_clear(&taken);
        if (split) {
            CHECK(n > 2);
            break;
        }
    }
}

static void test_space_then_added(void)
{
    struct jrc_frames f = {0};

    restart();
    char *space = jrc_frames_space(&f, 4);
    memcpy(space, "abcd", 4);
    CHECK(jrc_frames_empty(&f)); /* not before it is reported as added */
    jrc_frames_added(&f, 7, 4);
    const char *bytes;
    const struct jrc_frame *frame = jrc_frames_first(&f, &bytes);
    CHECK(frame->id == 7 && frame->len == 4 && memcmp(bytes, "abcd", 4) == 0);
    CHECK(jrc_frames_space(&f, SIZE_MAX) == NULL);
    CHECK(jrc_frames_space(&f, SIZE_MAX - 4) == NULL);
    CHECK(jrc_frames_size(&f) == 4);
    jrc_frames_clear(&f);
}

static void test_large_empty_queue_gives_memory_back(void)
{
    struct jrc_frames f = {0};

    restart();
    add(&f, 1, 1 << 20);
    jrc_frames_drop_first(&f);
    CHECK(f.room == 0 && f.bytes == NULL);
    restart();
    add(&f, 1, 100);
    jrc_frames_drop_first(&f);
    CHECK(f.room > 0 && f.room <= 262144);
    jrc_frames_clear(&f);
}

static bool all_dead(const void *arg, uint64_t id)
{
    (void)arg;
    (void)id;
    return true;
}

static void test_a_purged_queue_gives_memory_back(void)
{
    struct jrc_frames f = {0};
    static char bytes[1 << 16];

    for (uint64_t id = 1; id <= 10; id++)
        CHECK(jrc_frames_append(&f, id, bytes, sizeof bytes));
    jrc_frames_purge(&f, all_dead, NULL);
    CHECK(jrc_frames_empty(&f) && f.bytes == NULL);
    jrc_frames_clear(&f);
}

/* It is doubled when it is full, starting small. */
static void test_room_is_at_most_twice_the_need(void)
{
    struct jrc_frames f = {0};
    char bytes[100] = {0};

    for (uint64_t id = 1; id <= 1000; id++) {
        CHECK(jrc_frames_append(&f, id, bytes, sizeof bytes));
        CHECK(f.room < 2 * jrc_frames_size(&f) + 4096);
        CHECK(f.list_room < 2 * id + 64);
    }
    jrc_frames_clear(&f);
}

/* A queue that is always busy must not grow for ever. */
static void test_steady_traffic_keeps_the_room(void)
{
    struct jrc_frames f = {0};
    char bytes[100] = {0};

    for (uint64_t id = 1; id <= 10; id++)
        jrc_frames_append(&f, id, bytes, sizeof bytes);
    for (uint64_t id = 11; id < 100000; id++) {
        jrc_frames_append(&f, id, bytes, sizeof bytes);
        jrc_frames_drop_first(&f);
    }
    CHECK(f.room <= 8192 && f.list_room <= 128);
    jrc_frames_clear(&f);
}

static void test_any_order_against_the_model(void)
{
    struct jrc_frames f = {0};
    uint64_t state = 42;
    uint64_t id = 0;

    for (int round = 0; round < 20; round++) {
        restart();
        for (int step = 0; step < 1500; step++) {
            state = state * 6364136223846793005ULL + 1442695040888963407ULL;
            unsigned dice = (unsigned)(state >> 33);
            size_t len = 2 + dice / 8 % (dice % 64 == 0 ? 20000 : 200);
            if (dice % 8 < 4) {
                add(&f, ++id, len);
            } else if (dice % 8 < 6 && first < last) {
                size_t left = model[first].len - written;
                f.ahead = ahead = ahead > left ? ahead - left : 0;
                jrc_frames_drop_first(&f);
                first++;
                written = 0;
            } else if (dice % 8 == 6 && first < last) {
                written = dice / 8 % model[first].len;
                ahead = dice / 64 % (jrc_frames_size(&f) - written + 1);
                f.written = written;
                f.ahead = ahead;
                CHECK(jrc_frames_begun(&f) == begun());
            } else {
                dead_below = id - dice / 8 % 10;
                purge(&f);
            }
            if (step % 50 == 0)
                compare(&f);
        }
        compare(&f);
        jrc_frames_clear(&f);
    }
}

/* Whatever comes and goes: beyond twice the contents, there is no more room
 * than an empty queue may keep.  The sizes are not powers of two. */
static void test_room_follows_the_contents(void)
{
    enum { IDLE_ROOM = 262144, IDLE_LIST = 4096 };
    static const char bytes[80000];
    struct jrc_frames f = {0};
    uint64_t state = 7, id = 0;
    size_t most = 0;

    for (int phase = 0; phase < 12; phase++) {
        size_t len = phase % 3 == 2 ? 70 : 70001;
        size_t goal = phase % 2 == 0 ? 9000001 : 300001;
        for (int step = 0; step < (len == 70 ? 30000 : 600); step++) {
            state = state * 6364136223846793005ULL + 1442695040888963407ULL;
            bool grow = jrc_frames_size(&f) < goal;
            if ((state >> 33) % 8 < (grow ? 6 : 2))
                CHECK(jrc_frames_append(&f, ++id, bytes,
                                        len + (state >> 40) % 17));
            else if (!jrc_frames_empty(&f))
                jrc_frames_drop_first(&f);
            size_t size = jrc_frames_size(&f);
            if (f.room > 2 * size + IDLE_ROOM ||
                f.list_room > 2 * (f.last - f.first) + IDLE_LIST)
                CHECK(!"the room follows the contents");
            most = size > most ? size : most;
        }
    }
    CHECK(most > 9000000);
    jrc_frames_clear(&f);
}

int main(void)
{
    test_append_and_drop();
    test_purge_spares_what_has_begun();
    test_what_was_taken_ahead_has_begun_too();
    test_a_split_without_memory();
    test_space_then_added();
    test_large_empty_queue_gives_memory_back();
    test_a_purged_queue_gives_memory_back();
    test_room_is_at_most_twice_the_need();
    test_steady_traffic_keeps_the_room();
    test_room_follows_the_contents();
    test_any_order_against_the_model();
    return check_done();
}
