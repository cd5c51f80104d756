/* Answers of DNS for SRV records: what they mean, and what is not an answer. */
#include "check.h"
#include "wire/srv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { QUESTION = 12 }; /* where its name begins: right after the header */

struct message {
    unsigned char bytes[70000];
    size_t len;
};

static void put8(struct message *m, unsigned value)
{
    m->bytes[m->len++] = (unsigned char)value;
}

static void put16(struct message *m, unsigned value)
{
    put8(m, value >> 8);
    put8(m, value & 255);
}

static void put32(struct message *m, uint32_t value)
{
    put16(m, value >> 16);
    put16(m, value & 65535);
}

/* "a.b" as labels; "" is the root. */
static void put_name(struct message *m, const char *name)
{
    while (*name != '\0') {
        size_t len = strcspn(name, ".");
        put8(m, (unsigned)len);
        memcpy(m->bytes + m->len, name, len);
        m->len += len;
        name += len + (name[len] == '.');
    }
    put8(m, 0);
}

static void put_pointer(struct message *m, size_t at)
{
    put16(m, 0xc000 | (unsigned)at);
}

/* A response to the question for _x._tcp.d, with no records yet. */
static void begin(struct message *m, unsigned flags)
{
    m->len = 0;
    put16(m, 4711);
    put16(m, flags);
    put16(m, 1); /* question */
    put16(m, 0); /* answers: see add() */
    put32(m, 0); /* authority, additional */
    put_name(m, "_x._tcp.d");
    put16(m, 33);
    put16(m, 1);
}

/* Begin an answer: of the name asked for, of type, and with its length to be
 * set by end(). */
static size_t add(struct message *m, unsigned type, uint32_t ttl)
{
    unsigned count = (unsigned)m->bytes[6] << 8 | m->bytes[7];

    m->bytes[6] = (unsigned char)((count + 1) >> 8);
    m->bytes[7] = (unsigned char)(count + 1);
    put_pointer(m, QUESTION);
    put16(m, type);
    put16(m, 1);
    put32(m, ttl);
    put16(m, 0);
    return m->len;
}

static void end(struct message *m, size_t start)
{
    size_t len = m->len - start;

    m->bytes[start - 2] = (unsigned char)(len >> 8);
    m->bytes[start - 1] = (unsigned char)len;
}

static size_t add_srv(struct message *m, uint32_t ttl, unsigned priority,
                      unsigned weight, unsigned port)
{
    size_t start = add(m, 33, ttl);

    put16(m, priority);
    put16(m, weight);
    put16(m, port);
    return start;
}

static void add_target(struct message *m, uint32_t ttl, unsigned port,
                       const char *target)
{
    size_t start = add_srv(m, ttl, 1, 2, port);

    put_name(m, target);
    end(m, start);
}

static void add_address(struct message *m)
{
    size_t start = add(m, 1, 1);

    put32(m, 0x7f000001);
    end(m, start);
}

struct seen {
    struct jrc_srv records[4000];
    size_t count;
    uint32_t ttl_s;
    enum jrc_srv_status status;
};

static struct seen seen;

static void note(void *arg, const struct jrc_srv *record)
{
    (void)arg;
    seen.records[seen.count++] = *record;
}

/* From a copy of exactly its size, so that ASan sees over-reads. */
static enum jrc_srv_status read_prefix(const struct message *m, size_t len)
{
    unsigned char *copy = malloc(len + (len == 0));

    memcpy(copy, m->bytes, len);
    seen.count = 0;
    seen.status = jrc_srv_read(copy, len, note, NULL, &seen.ttl_s);
    free(copy);
    return seen.status;
}

static enum jrc_srv_status read_all(const struct message *m)
{
    return read_prefix(m, m->len);
}

static struct message m;

static void test_records(void)
{
    begin(&m, 0x8180);
    size_t start = add(&m, 5, 3); /* an alias: CNAME */
    put_name(&m, "_y._tcp.e");
    end(&m, start);
    start = add_srv(&m, 60, 10, 65535, 9999);
    put_name(&m, "host-1.ex_ample.D");
    end(&m, start);
    start = add_srv(&m, 7, 65535, 0, 1);
    put8(&m, 1);
    put8(&m, 'h');
    put_pointer(&m, QUESTION + 8); /* compressed, which is not allowed: "d" */
    end(&m, start);
    add_address(&m);

    CHECK(read_all(&m) == JRC_SRV_FOUND && seen.count == 2 && seen.ttl_s == 7);
    CHECK(strcmp(seen.records[0].target, "host-1.ex_ample.D") == 0);
    CHECK(seen.records[0].priority == 10 && seen.records[0].weight == 65535);
    CHECK(seen.records[0].port == 9999);
    CHECK(strcmp(seen.records[1].target, "h.d") == 0);
    CHECK(seen.records[1].priority == 65535 && seen.records[1].weight == 0);
    for (size_t len = 0; len < m.len; len++)
        CHECK(read_prefix(&m, len) == JRC_SRV_BAD);
}

static void test_no_records(void)
{
    static const struct {
        unsigned flags;
        enum jrc_srv_status status;
    } cases[] = {
        {0x8180, JRC_SRV_NONE},                        /* no data */
        {0x8183, JRC_SRV_NONE},                        /* no such name */
        {0x8182, JRC_SRV_BAD},                         /* SERVFAIL */
        {0x8185, JRC_SRV_BAD},                         /* REFUSED */
        {0x8184, JRC_SRV_BAD},                         /* NOTIMP */
        {0x818f, JRC_SRV_BAD},  {0x0180, JRC_SRV_BAD}, /* a question */
        {0x8380, JRC_SRV_BAD},                         /* truncated */
        {0x8383, JRC_SRV_BAD},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(&m, cases[i].flags);
        CHECK(read_all(&m) == cases[i].status);
    }
    begin(&m, 0x8180);
    add_address(&m);
    CHECK(read_all(&m) == JRC_SRV_NONE);
    begin(&m, 0x8183);
    add_target(&m, 1, 1, "a");
    CHECK(read_all(&m) == JRC_SRV_NONE && seen.count == 0);
    begin(&m, 0x8380);
    add_target(&m, 1, 1, "a");
    CHECK(read_all(&m) == JRC_SRV_BAD && seen.count == 0);
}

static void test_deliberately_none(void)
{
    begin(&m, 0x8180);
    add_target(&m, 30, 0, "");
    CHECK(read_all(&m) == JRC_SRV_CLOSED);
    add_target(&m, 20, 1, "a"); /* RFC 2782 does not allow that */
    CHECK(read_all(&m) == JRC_SRV_FOUND && seen.count == 1);
}

static void test_unusable_records_are_left_out(void)
{
    static const char *const targets[] = {
        "a b",   "a\nb",     "a\033b", "a/b", "a:1",
        "a\\.b", "\xc3\xa4", "a,b",    "%61",
    };

    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        begin(&m, 0x8180);
        add_target(&m, 1, 1, targets[i]);
        CHECK(read_all(&m) == JRC_SRV_BAD && seen.count == 0);
        add_target(&m, 1, 2, "good");
        CHECK(read_all(&m) == JRC_SRV_FOUND && seen.count == 1);
        CHECK(seen.records[0].port == 2);
    }
    begin(&m, 0x8180);
    add_target(&m, 1, 0, "a"); /* port 0 */
    CHECK(read_all(&m) == JRC_SRV_BAD);
    begin(&m, 0x8180); /* a dot inside a label */
    size_t start = add_srv(&m, 1, 1, 1, 1);
    put8(&m, 3);
    put8(&m, 'a');
    put8(&m, '.');
    put8(&m, 'b');
    put8(&m, 0);
    end(&m, start);
    CHECK(read_all(&m) == JRC_SRV_BAD && seen.count == 0);
}

static void test_times_to_live(void)
{
    static const struct {
        uint32_t ttl, want;
    } cases[] = {
        {0, 0},
        {INT32_MAX, INT32_MAX},
        {0x80000000, 0},
        {UINT32_MAX, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(&m, 0x8180);
        add_target(&m, INT32_MAX, 1, "a");
        add_target(&m, cases[i].ttl, 1, "b");
        CHECK(read_all(&m) == JRC_SRV_FOUND && seen.ttl_s == cases[i].want);
    }
}

/* Names that go round in circles, or lead out of the message or the record. */
static void test_hostile_names(void)
{
    begin(&m, 0x8180);
    size_t start = add_srv(&m, 1, 1, 1, 1);
    size_t at = m.len;
    put_pointer(&m, at); /* to itself */
    end(&m, start);
    CHECK(read_all(&m) == JRC_SRV_BAD);

    m.bytes[at] = 0xff; /* far behind the end */
    CHECK(read_all(&m) == JRC_SRV_BAD);
    m.bytes[at] = 0x80; /* a kind of label that does not exist */
    CHECK(read_all(&m) == JRC_SRV_BAD);
    m.bytes[at] = 0x3f; /* longer than what is left */
    CHECK(read_all(&m) == JRC_SRV_BAD);

    begin(&m, 0x8180); /* two that point at each other */
    start = add_srv(&m, 1, 1, 1, 1);
    at = m.len;
    put_pointer(&m, at + 2);
    put_pointer(&m, at);
    end(&m, start);
    CHECK(read_all(&m) == JRC_SRV_BAD);

    begin(&m, 0x8180); /* its data ends before the name does */
    add_target(&m, 1, 1, "abc");
    m.bytes[m.len - 12]--;
    m.len--;
    CHECK(read_all(&m) == JRC_SRV_BAD);

    begin(&m, 0x8180); /* and goes on after it */
    start = add_srv(&m, 1, 1, 1, 1);
    put_name(&m, "abc");
    put8(&m, 0);
    end(&m, start);
    CHECK(read_all(&m) == JRC_SRV_BAD);

    begin(&m, 0x8180); /* too short for a target */
    start = add_srv(&m, 1, 1, 1, 1);
    end(&m, start);
    CHECK(read_all(&m) == JRC_SRV_BAD);
}

static void test_long_names(void)
{
    char name[300] = "";

    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 64; k++)
            name[i * 64 + k] = k == 63 ? '.' : 'a';
    name[253] = '\0'; /* 255 bytes on the wire: the longest there is */
    begin(&m, 0x8180);
    add_target(&m, 1, 1, name);
    CHECK(read_all(&m) == JRC_SRV_FOUND);
    CHECK(strcmp(seen.records[0].target, name) == 0);
    name[253] = 'a';
    name[254] = '\0';
    begin(&m, 0x8180);
    add_target(&m, 1, 1, name);
    CHECK(read_all(&m) == JRC_SRV_BAD);
}

/* Counts that promise more than there is, and a message as long as can be. */
static void test_counts(void)
{
    begin(&m, 0x8180);
    add_target(&m, 1, 1, "a");
    for (size_t at = 4; at < 8; at++) { /* questions and answers */
        m.bytes[at]++;
        CHECK(read_all(&m) == JRC_SRV_BAD);
        m.bytes[at]--;
    }
    m.bytes[7] = 0; /* one that is not counted */
    CHECK(read_all(&m) != JRC_SRV_FOUND && seen.count == 0);

    begin(&m, 0x8180);
    while (m.len <= JRC_DNS_MESSAGE - 21)
        add_target(&m, 1, 1, "a");
    CHECK(read_all(&m) == JRC_SRV_FOUND && seen.count > 3000);
    m.len = JRC_DNS_MESSAGE + 1;
    CHECK(read_all(&m) == JRC_SRV_BAD);
}

int main(void)
{
    test_records();
    test_no_records();
    test_deliberately_none();
    test_unusable_records_are_left_out();
    test_times_to_live();
    test_hostile_names();
    test_long_names();
    test_counts();
    return check_done();
}
