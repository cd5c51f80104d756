/* The servers string: what it means, and where it is wrong. */
#include "fault_here.h"

#include "check.h"
#include "engine/servers_parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char why[200];

/* A copy of the text of exactly its size, so that ASan sees over-reads. */
static bool parse(struct jrc_server_list *s, const char *text)
{
    char *copy = strdup(text);
    bool good = jrc_servers_parse(s, copy, why, sizeof why) == 0;

    free(copy);
    return good;
}

static const struct {
    const char *text;
    size_t count, last_port;
    int32_t last_priority;
    const char *last_host;
} good[] = {
    {"a:1", 1, 1, 1, "a"},
    {" \ta:1,2\n", 1, 1, 2, "a"},
    {"a:1,2 b:65535,-3", 2, 65535, -3, "b"},
    {"a:1,2\r\n[::1]:9999,7", 2, 9999, 7, "::1"},
    {"[fe80::1%eth0]:80", 1, 80, 1, "fe80::1%eth0"},
    {"a:1,2147483647", 1, 1, INT32_MAX, "a"},
    {"b:1,2,65535 a:1,2,3", 2, 1, 2, "a"},
    {"a:1,-2147483647", 1, 1, -INT32_MAX, "a"},
    {"x-1_y.example:080,01", 1, 80, 1, "x-1_y.example"},
    {"a:1 a:2 b:1 aa:1 [a%x]:1", 5, 1, 1, "a%x"},
    {"[fe80::1%eth0]:1 [fe80::1%ETH0]:1", 2, 1, 1, "fe80::1%ETH0"},
    {"a:1 unix:/run/x.sock,7\n", 2, 0, 7, "unix:/run/x.sock"},
    {"unix:/a unix:/A unix-abstract:/a", 3, 0, 1, "unix-abstract:/a"},
    {"[unix:a]:1 unix:/%2c%c3%A4", 2, 0, 1, "unix:/%2C%C3%A4"},
    {"unix:1", 1, 1, 1, "unix"}, /* a host of that name */
    {"dns:b.x:80,3", 1, 80, 3, "b.x"},
    {"a:1 dns:a:1 dns4:a:1 dns6:a:1", 4, 1, 1, "a"},
    {"srv:_rpc._tcp.d.x,4", 1, 0, 4, "_rpc._tcp.d.x"},
    {"srv:_a._b.c a:1 srv:53", 3, 53, 1, "srv"},
    {"a:1 fd:7,3", 2, 0, 3, "fd:7"},
    {"fd:0 fd:010 fd:2147483647", 3, 0, 1, "fd:2147483647"},
    {"dns:53 dns4:53 dns6:53,2", 3, 53, 2, "dns6"}, /* hosts, too */
    {"file:/etc/servers,3", 1, 0, 3, "/etc/servers"},
    {"file:80 file:///a%2cb%20c", 2, 0, 1, "/a%2Cb%20c"},
};

static const struct {
    const char *text;
    size_t at;
    const char *rule;
} bad[] = {
    {"", 0, "a server is expected"},
    {"  ", 2, "a server is expected"},
    {":1", 0, "a host is expected"},
    {"a", 1, "':' and a port are expected"},
    {"a;1", 1, "':' and a port are expected"},
    {"a:", 2, "a port from 1 to 65535"},
    {"a:0", 2, "a port from 1 to 65535"},
    {"a:65536", 2, "a port from 1 to 65535"},
    {"a:-1", 2, "a port from 1 to 65535"},
    {"a:99999999999999999999", 2, "a port from 1 to 65535"},
    {"a:1,", 4, "a priority"},
    {"a:1,x", 4, "a priority"},
    {"a:1,2147483648", 4, "a priority"},
    {"a:1,--1", 4, "a priority"},
    {"a:1x", 3, "',' or a space"},
    {"a:1 b", 5, "':' and a port are expected"},
    {"a:1 b:2,3;c:4", 9, "',' or a space"},
    {"[::1:9", 6, "']' is expected"},
    {"[]:9", 0, "a host is expected"},
    {"a:1,1,0", 6, "a weight from 1 to 65535"},
    {"a:1,1,65536", 6, "a weight from 1 to 65535"},
    {"a:1,1,", 6, "a weight from 1 to 65535"},
    {"a:1,,2", 4, "a priority"},
    {"a:1,1,2,3", 7, "',' or a space"},
    {"::1:9", 0, "a host is expected"},
    {"a\nb:1", 1, "':' and a port are expected"},
    {"a:1 a:1", 4, "duplicate server"},
    {"a:1 b:1 a:1", 8, "duplicate server"},
    {"b:1 a:7 b:1 a:7 a:7", 8, "duplicate server"},
    {"a:1,2\t\r\n a:1,1", 9, "duplicate server"},
    {"Host:1 hOST:1", 7, "duplicate server"},
    {"a:080 a:80", 6, "duplicate server"},
    {"[a]:1 a:1", 6, "duplicate server"},
    {"[::aB]:1 [::Ab]:1,3", 9, "duplicate server"},
    {"[FE80::1%eth0]:1 [fe80::1%eth0]:1", 17, "duplicate server"},
    {"h\xc3\xa4:1", 1, "':' and a port are expected"},
    {"dns:", 4, "a host is expected"},
    {"dns:a", 5, "':' and a port are expected"},
    {"dns:[::1]:1", 4, "the name of a host"},
    {"dns:a:0", 6, "a port from 1 to 65535"},
    {"dns:1a", 6, "':' and a port are expected"},
    {"dns:a:1,x", 8, "a priority"},
    {"fd:", 3, "a descriptor is expected"},
    {"fd:x", 3, "a descriptor is expected"},
    {"fd:-1", 3, "a descriptor is expected"},
    {"fd:2147483648", 3, "a descriptor is expected"},
    {"fd:7:1", 4, "',' or a space is expected"},
    {"fd:7 fd:07", 5, "duplicate server"},
    {"srv:", 4, "_service._proto.domain"},
    {"srv:a._tcp.x", 4, "_service._proto.domain"},
    {"srv:_a", 4, "_service._proto.domain"},
    {"srv:_a.b", 4, "_service._proto.domain"},
    {"srv:_a._b.c,1,2", 13, "no weight is expected"},
    {"srv:_a._b", 4, "_service._proto.domain"},
    {"srv:_a._b.", 4, "_service._proto.domain"},
    {"srv:_a._b.,1", 4, "_service._proto.domain"},
    {"srv:_a._b..c", 4, "_service._proto.domain"},
    {"srv:_a._b.c:1", 11, "no port is expected"},
    {"srv:_a._b.c/d", 11, "',' or a space"},
    {"srv:_a._b.c srv:_A._B.C,2", 12, "duplicate server"},
    {"aZ:1 Az:1", 5, "duplicate server"},
    {"dns:a:1 b:1 dns:A:1", 12, "duplicate server"},
    {"unix:", 5, "an absolute path"},
    {"a:1 unix:run", 9, "an absolute path"},
    {"unix:/a%2", 7, "two hex digits"},
    {"unix:/a,x", 8, "a priority"},
    {"unix:/a,1,0", 10, "a weight"},
    {"unix:/a b:1 unix:/%61,2", 12, "duplicate server"},
    {"file:", 5, "an absolute path"},
    {"file:etc", 5, "an absolute path"},
    {"file://host/x", 5, "an absolute path"},
    {"file:/", 6, "the path of a file"},
    {"file:/etc/", 10, "the path of a file"},
    {"file:/a%0", 7, "two hex digits"},
    {"file:/a%00", 7, "NUL"},
    {"file:/a,x", 8, "a priority"},
    {"file:/a,1,0", 10, "a weight"},
    {"file:/a b:1 file:///%61", 12, "duplicate server"},
};

static void test_list(void)
{
    struct jrc_server_list s;
    char place[32];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!CHECK(parse(&s, good[i].text))) {
            printf("%s: %s\n", good[i].text, why);
            continue;
        }
        const struct jrc_entry *last = &s.entries[s.count - 1];
        CHECK(s.count == good[i].count && last->port == good[i].last_port);
        CHECK(last->priority == good[i].last_priority);
        CHECK(strcmp(last->host, good[i].last_host) == 0);
        jrc_server_list_clear(&s);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(!parse(&s, bad[i].text));
        snprintf(place, sizeof place, "at offset %zu:", bad[i].at);
        if (!CHECK(strstr(why, bad[i].rule) != NULL) ||
            !CHECK(strstr(why, place) != NULL))
            printf("%s: %s\n", bad[i].text, why);
        CHECK(s.entries == NULL && s.count == 0);
    }
}

/* Every prefix of a good list, with every size of the buffer for complaints. */
static void test_list_prefixes(void)
{
    static const char text[] = "a:1,2,30 [::1]:65535,-3\tb.example:8";
    struct jrc_server_list s;

    for (size_t len = 0; len < sizeof text; len++) {
        char *copy = strndup(text, len);
        bool is_good = parse(&s, copy);
        if (is_good)
            jrc_server_list_clear(&s);
        for (size_t room = 0; room < 80; room += 7) {
            char *place = malloc(room + (room == 0));
            CHECK(jrc_servers_parse(&s, copy, place, room) ==
                  (is_good ? 0 : EINVAL));
            CHECK(room == 0 || strlen(place) < room);
            jrc_server_list_clear(&s);
            free(place);
        }
        free(copy);
    }
    char host[300];
    memset(host, 'h', sizeof host);
    strcpy(host + 253, ":1");
    CHECK(parse(&s, host));
    jrc_server_list_clear(&s);
    strcpy(host + 254, ":1");
    host[253] = 'h';
    CHECK(!parse(&s, host) && strstr(why, "253") != NULL);
    CHECK(!parse(&s, "\x1b[31m:1") && strchr(why, '\x1b') == NULL);
    CHECK(!parse(&s, "a:~ \x7f") && strstr(why, "\"~ ?\"") != NULL);
    CHECK(parse(&s, "a:1") && why[0] == '\0'); /* nothing to complain about */
    jrc_server_list_clear(&s);
}

/* Nothing is left allocated, and the text is not blamed. */
static void test_no_memory_for_a_list(void)
{
    enum { ALLOCATIONS = 5 }; /* twice the list, two hosts, the order */
    struct jrc_server_list s;

    for (unsigned n = 1; n <= ALLOCATIONS + 1 && fault_has_memory(); n++) {
        fault_arm(FAULT_MEMORY, n, false);
        int error = jrc_servers_parse(&s, "a:1 b:2", why, sizeof why);
        fault_disarm();
        CHECK(error == (n > ALLOCATIONS ? 0 : ENOMEM) && why[0] == '\0');
        CHECK(error == 0 || (s.entries == NULL && s.by_address == NULL));
        jrc_server_list_clear(&s);
    }
}

/* All letters and digits may be in a host; the characters next to them in ASCII
 * may not. */
static void test_every_character_of_a_host(void)
{
    for (int c = 1; c < 256; c++) {
        const char *allowed =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
            "0123456789.-_";
        struct jrc_server_list servers;
        char text[] = "a?a:1";
        text[1] = (char)c;
        bool is_good = strchr(allowed, c) != NULL;
        bool parsed = jrc_servers_parse(&servers, text, why, sizeof why) == 0;
        if (!CHECK(parsed == is_good))
            printf("  %d\n", c);
        if (parsed)
            jrc_server_list_clear(&servers);
    }
}

/* ---- files --------------------------------------------------------------- */

static const struct {
    const char *text;
    const char *printed; /* or what is wrong */
} files[] = {
    {"a:1", "a:1,7,3"},
    {"a:1\n", "a:1,7,3"},
    {"# a\n\n  a:1,2  b:2,2,9 # c:3\r\nunix:/x,1\n#",
     "a:1,2,3 b:2,2,9 unix:/x,1,3"},
    {"dns:a:1,2 srv:_a._b.c\n", "dns:a:1,2,3 srv:_a._b.c,7,1"},
    {"a:1\na:2#b", "!line 2: ',' or a space is expected: \"#b\""},
    {"", "!line 1: a server is expected: \"\""},
    {"#a:1\n \n", "!line 3: a server is expected: \"\""},
    {"a:1\n\nfile:/x\n", "!line 3: no file is expected in a file: \"/x\""},
    {"a:1\nfd:7\n", "!line 2: no descriptor is expected in a file: \"fd:7\""},
    {"a:1\nb:2\n#\n  a:1 c:3\n", "!line 4: duplicate server: \"a:1 c:3\""},
    {"a:1\n\1\2\n", "!line 2: a host is expected: \"??\""},
    {"a:1\nb:66666 # x\nc",
     "!line 2: a port from 1 to 65535 is expected: \"66666 # x\""},
};

static int parse_file(struct jrc_server_list *s, const char *text, size_t len)
{
    static const struct jrc_defaults defaults = {7, 3};
    char *copy = malloc(len + 1);

    memcpy(copy, text, len);
    copy[len] = '\0';
    int error =
        jrc_servers_parse_file(s, copy, len, &defaults, why, sizeof why);
    free(copy);
    return error;
}

static void test_file(void)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct jrc_server_list s;
        char text[200] = "";
        size_t at = 0;
        int error = parse_file(&s, files[i].text, strlen(files[i].text));
        CHECK((error == 0) == (files[i].printed[0] != '!'));
        for (size_t n = 0; n < s.count; n++) {
            char entry[100];
            jrc_entry_print(&s.entries[n], entry, sizeof entry);
            at += (size_t)sprintf(text + at, "%s%s,%d,%u", n > 0 ? " " : "",
                                  entry, s.entries[n].priority,
                                  s.entries[n].weight);
        }
        if (error != 0)
            snprintf(text, sizeof text, "!%s", why);
        if (!CHECK(strcmp(text, files[i].printed) == 0))
            printf("  %s\n", text);
        jrc_server_list_clear(&s);
    }
}

/* No byte of a file is taken for its end, and the size is bounded. */
static void test_large_and_binary_files(void)
{
    enum { MORE = JRC_FILE_ENTRIES + 1 };
    struct jrc_server_list s;
    char *text = malloc(MORE * 10);
    size_t at = 0;

    CHECK(parse_file(&s, "a:1\n\0b:2", 8) == EINVAL);
    CHECK(strstr(why, "line 2: a byte that is no text") != NULL);
    CHECK(parse_file(&s, "a:1\n#\0", 7) == EINVAL);
    for (unsigned i = 1; i <= MORE; i++) {
        at += (size_t)sprintf(text + at, "a:%u\n", i);
        if (i < JRC_FILE_ENTRIES)
            continue;
        CHECK(parse_file(&s, text, at) == (i == MORE ? EINVAL : 0));
        CHECK(s.count == (i == MORE ? 0 : JRC_FILE_ENTRIES));
        jrc_server_list_clear(&s);
    }
    CHECK(strstr(why, "line 16385: more than 16384 entries") != NULL);
    memset(text, 'x', 400);
    memcpy(text, "file:/", 6);
    text[5 + JRC_FILE_PATH] = '\0';
    CHECK(parse(&s, text));
    jrc_server_list_clear(&s);
    text[5 + JRC_FILE_PATH] = 'x';
    text[6 + JRC_FILE_PATH] = '\0';
    CHECK(!parse(&s, text) && strstr(why, "at most 300 bytes") != NULL);
    memcpy(text + 10, "%ff", 3); /* each of them counts */
    text[5 + JRC_FILE_PATH] = '\0';
    CHECK(parse(&s, text));
    jrc_server_list_clear(&s);
    text[10] = '\xff';
    CHECK(!parse(&s, text) && strstr(why, "at most 300 bytes") != NULL);
    free(text);
}

int main(void)
{
    test_list();
    test_file();
    test_large_and_binary_files();
    test_list_prefixes();
    test_no_memory_for_a_list();
    test_every_character_of_a_host();
    return check_done();
}
