/* Bytes in, payloads out, wherever TCP splits them. */
#include "check.h"
#include "engine/inbox.h"
#include "wire/netstring.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PAYLOAD = 1 << 20 };

static struct jrc_input input;
static struct jrc_shared_input shared;
static char seen[1 << 17]; /* payloads, each followed by a bar */
static size_t seen_len;
static unsigned receptions;

static void start(size_t shared_room)
{
    shared = (struct jrc_shared_input){.framing = &jrc_netstrings,
                                       .bytes = malloc(shared_room),
                                       .room = shared_room};
    seen_len = 0;
    receptions = 0;
}

static void stop(void)
{
    jrc_input_clear(&input);
    free(shared.bytes);
}

/* Receive the bytes as the engine does; returns what next() returned last. */
static int feed(const char *bytes, size_t len)
{
    int got = 0;

    while (len > 0 && got >= 0) {
        const char *payload;
        size_t room, size;
        char *space = jrc_input_space(&input, &shared, MAX_PAYLOAD, &room);
        size_t n = len < room ? len : room;
        CHECK(room > 0);
        receptions++;
        memcpy(space, bytes, n);
        bytes += n;
        len -= n;
        jrc_input_received(&input, &shared, n);
        while ((got = jrc_input_next(&input, &shared, MAX_PAYLOAD, &payload,
                                     &size)) > 0) {
            if (seen_len + size + 1 > sizeof seen)
                abort();
            memcpy(seen + seen_len, payload, size);
            seen_len += size;
            seen[seen_len++] = '|';
        }
        if (got == 0)
            CHECK(jrc_input_keep(&input, &shared, MAX_PAYLOAD) == 0);
        CHECK(shared.start == shared.end || got < 0);
    }
    return got;
}

static void test_every_cut(void)
{
    static const char stream[] = "5:hello,0:,3:a,b,12:{\"result\":1},1:|,";
    static const char want[] = "hello||a,b|{\"result\":1}|||";
    size_t len = sizeof stream - 1;

    for (size_t a = 0; a <= len; a++)
        for (size_t b = a; b <= len; b++) {
            start(64);
            CHECK(feed(stream, a) == 0 && feed(stream + a, b - a) == 0);
            CHECK(feed(stream + b, len - b) == 0);
            if (!CHECK(seen_len == sizeof want - 1 &&
                       memcmp(seen, want, seen_len) == 0))
                printf("cut at %zu and %zu: %.*s\n", a, b, (int)seen_len, seen);
            CHECK(input.bytes == NULL); /* idle: no memory of its own */
            stop();
        }
}

/* Write the beginning of a frame to out; returns its size. */
static size_t put_header(char *out, size_t payload_len)
{
    size_t size = jrc_netstring_frame_size(payload_len) - payload_len - 1;

    CHECK(jrc_netstring_begin(out + size, payload_len) == out);
    return size;
}

static void test_every_chunk_size(void)
{
    static char stream[40000];
    size_t len = 0;

    for (size_t size = 0; size < 30; size++) {
        len += put_header(stream + len, size * 41);
        memset(stream + len, 'a' + (char)(size % 26), size * 41);
        len += size * 41;
        stream[len++] = ',';
    }
    for (size_t chunk = 1; chunk < len + 100; chunk += chunk < 70 ? 1 : 371) {
        start(512);
        for (size_t i = 0; i < len; i += chunk)
            CHECK(feed(stream + i, len - i < chunk ? len - i : chunk) == 0);
        CHECK(seen_len == 41 * 29 * 15 + 30);
        CHECK(input.bytes == NULL);
        stop();
    }
}

/* Each reception is a system call, with a poll before it. */
static void test_a_large_frame_takes_few_receptions(void)
{
    enum { SIZE = 100000, SHARED = 25000 };
    static char frame[SIZE + 8];
    size_t header = put_header(frame, SIZE);

    memset(frame + header, 'x', SIZE);
    frame[header + SIZE] = ',';
    start(SHARED);
    CHECK(feed(frame, header + SIZE + 1) == 0);
    CHECK(seen_len == SIZE + 1);
    CHECK(receptions == 3); /* of one, one and two quarters */
    stop();
}

static void test_bad_streams(void)
{
    static const struct {
        const char *bytes;
        int got;
        size_t seen;
    } cases[] = {
        {"x", JRC_FRAME_BAD, 0},
        {"1:a,x", JRC_FRAME_BAD, 2},
        {"1:ab", JRC_FRAME_BAD, 0},
        {"01:a,", JRC_FRAME_BAD, 0},
        {":", JRC_FRAME_BAD, 0},
        {"1048577", JRC_FRAME_TOO_BIG, 0},
        {"2:ab,9999999", JRC_FRAME_TOO_BIG, 3},
        {"1048576", 0, 0},
        {"1048576:", 0, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t cut = 0; cut <= strlen(cases[i].bytes); cut++) {
            const char *bytes = cases[i].bytes;
            start(4096);
            int got = feed(bytes, cut);
            if (got == 0)
                got = cut == strlen(bytes)
                          ? got
                          : feed(bytes + cut, strlen(bytes + cut));
            CHECK(got == cases[i].got && seen_len == cases[i].seen);
            stop();
        }
}

/* Memory follows the bytes received, at most twice over, and not the length
 * announced. */
static void test_room_follows_receipt(void)
{
    static char piece[1000];
    size_t received = 8;

    memset(piece, 'x', sizeof piece);
    start(65536);
    CHECK(feed("1048576:", 8) == 0);
    CHECK(input.room <= 8192);
    for (int i = 0; i < 1000; i++) {
        CHECK(feed(piece, sizeof piece) == 0);
        received += sizeof piece;
        CHECK(input.room <= 2 * received + 4096 + 65536);
    }
    CHECK(input.room <= MAX_PAYLOAD + 4096 + 16);
    stop();
}

/* A large frame gets room for itself, not for twice what is there; and at its
 * end there is enough to receive what follows in the same go. */
static void test_room_for_a_large_frame(void)
{
    enum { SIZE = 100000, LEAST = 4096 };
    static char frame[SIZE + 8];
    size_t header = put_header(frame, SIZE);
    size_t room;

    memset(frame + header, 'x', SIZE);
    frame[header + SIZE] = ',';
    start(65536);
    CHECK(feed(frame, 60000) == 0);
    CHECK(input.room <= sizeof frame + LEAST);
    for (size_t at = 60000; at < sizeof frame; at += 8) {
        CHECK(jrc_input_space(&input, &shared, MAX_PAYLOAD, &room) != NULL);
        CHECK(room >= LEAST && input.room <= sizeof frame + LEAST);
        CHECK(feed(frame + at, 8) == 0);
    }
    CHECK(seen_len == SIZE + 1 && input.bytes == NULL);
    stop();
}

/* The rest of an unfinished frame does not make the next reception small, and
 * the room for a large frame is freed with it. */
static void test_a_rest_keeps_the_room(void)
{
    static char large[100000];
    char *frame = large + sizeof large - 90000 - 7;
    size_t room;

    start(65536);
    CHECK(feed("1:a,5:he", 8) == 0);
    jrc_input_space(&input, &shared, MAX_PAYLOAD, &room);
    CHECK(room == 65536 - 4);
    CHECK(feed("llo,", 4) == 0 && input.bytes == NULL);
    memset(large, 'x', sizeof large);
    memcpy(frame, "90000:", 6);
    large[sizeof large - 1] = ',';
    CHECK(feed(frame, 90007) == 0 && seen_len == 2 + 6 + 90001);
    stop();
}

/* recv() may find nothing; then it is another connection's turn. */
static void test_a_reception_of_nothing(void)
{
    struct jrc_input first;
    size_t room;

    start(65536);
    CHECK(feed("5:he", 4) == 0);
    jrc_input_space(&input, &shared, MAX_PAYLOAD, &room);
    first = input;
    memset(&input, 0, sizeof input);
    CHECK(feed("1:b,", 4) == 0);
    jrc_input_clear(&input);
    input = first;
    CHECK(feed("llo,", 4) == 0);
    CHECK(seen_len == 8 && memcmp(seen, "b|hello|", 8) == 0);
    stop();
}

int main(void)
{
    test_every_cut();
    test_every_chunk_size();
    test_a_large_frame_takes_few_receptions();
    test_bad_streams();
    test_room_follows_receipt();
    test_room_for_a_large_frame();
    test_a_rest_keeps_the_room();
    test_a_reception_of_nothing();
    return check_done();
}
