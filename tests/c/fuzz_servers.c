/* Whatever the text: a list that is accepted means the same when it is written
 * out and read again, its groups are in order, and a refusal has a reason. */
#include "engine/servers_set.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

extern const char *const fuzz_seeds[];
const char *const fuzz_seeds[] = {
    "localhost:9999",
    "host1:1,1 host2:65535,2",
    "[::1]:9999,1\t[fe80::1%eth0]:1,-2",
    "a:1,2147483647 b:2,-2147483647 c:3",
    " a_b-c.d:08080,0\r\nA:1",
    "unix:/run/x%20.sock,2 unix-abstract:n",
    "dns:b.x:80,2 dns4:a:1 dns6:a:1 dns:53",
    "srv:_rpc._tcp.x,2 srv:_a._b.c",
    "file:/etc/x%20,2,3 file:80",
    "# a\na:1\nfile:/x",
    "fd:7 fd:80,2,3",
    NULL,
};

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check_list(const struct jrc_server_list *list)
{
    require(list->count > 0 && list->group_count > 0);
    require(list->group_count <= list->count);
    for (size_t i = 0; i < list->count; i++) {
        const struct jrc_entry *a = &list->entries[i];
        require(a->host[0] != '\0');
        require(a->port > 0 || a->kind == JRC_ENTRY_SRV ? strlen(a->host) <= 253
                : a->kind == JRC_ENTRY_FILE
                    ? a->host[0] == '/' && strlen(a->host) <= JRC_FILE_PATH
                    : strncmp(a->host, "unix", 4) == 0 ||
                          strncmp(a->host, "fd:", 3) == 0);
        require(a->group < list->group_count);
        for (size_t k = 0; k < list->count; k++) {
            const struct jrc_entry *b = &list->entries[k];
            require((a->priority > b->priority) == (a->group < b->group));
        }
    }
}

static char *written(const struct jrc_server_list *list)
{
    char *text = malloc(list->count * 400 + 401);
    int at = 0;

    require(text != NULL);
    for (size_t i = 0; i < list->count; i++) {
        const struct jrc_entry *s = &list->entries[i];
        jrc_entry_print(s, text + at, 400);
        at += (int)strlen(text + at);
        at += sprintf(text + at, ",%d", (int)s->priority);
        if (s->kind != JRC_ENTRY_SRV) /* whose records have weights */
            at += sprintf(text + at, ",%u", (unsigned)s->weight);
        text[at++] = ' ';
        text[at] = '\0';
    }
    return text;
}

/* The servers are picked in turn, each as often as the others of its group;
 * with weights, none is picked too often. */
static void check_turns(struct jrc_server_list *list)
{
    struct jrc_servers table;
    struct jrc_servers *servers = &table;
    uint64_t never;
    bool trial;

    require(jrc_servers_init(servers, list->count) &&
            jrc_servers_set(servers, list, 0, 0, &never));
    jrc_servers_start(servers, 1000, 2000, 1000, -1, 1);
    for (size_t i = 0; i < servers->count; i++) {
        jrc_servers_attempt(servers, i, 1);
        jrc_servers_up(servers, i, 1);
    }
    size_t n = servers->ready_count;
    require(n > 0);
    for (size_t k = 0; servers->is_weighted && k < 1000; k++) {
        int32_t i = jrc_servers_pick(servers, 1, 1, &trial);
        require(i >= 0 && servers->list[i].group == 0);
        if (k < servers->shares.sum)
            require(servers->list[i].timeouts++ < servers->list[i].weight);
    }
    for (size_t round = 0; round < 2 * n && !servers->is_weighted; round++) {
        int32_t i = jrc_servers_pick(servers, 1, 1, &trial);
        require(i >= 0 && servers->list[i].group == 0 && !trial);
        require(servers->list[i].timeouts++ == round / n);
    }
    jrc_servers_clear(servers);
}

/* The same bytes as a file, NUL and all. */
static void check_file(const char *text, size_t len)
{
    static const struct jrc_defaults defaults = {-3, 5};
    struct jrc_server_list list;
    char why[200] = "";

    if (jrc_servers_parse_file(&list, text, len, &defaults, why, sizeof why) ==
        0) {
        require(strlen(text) == len && list.count > 0);
        for (size_t i = 0; i < list.count; i++)
            require(list.entries[i].kind != JRC_ENTRY_FILE);
        jrc_server_list_clear(&list);
        return;
    }
    require(strncmp(why, "line ", 5) == 0 && strlen(why) < sizeof why - 1);
    for (const char *p = why; *p != '\0'; p++)
        require(*p >= 0x20 && *p < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    char why[200] = "";
    struct jrc_server_list first, second;

    require(text != NULL);
    memcpy(text, data, len);
    text[len] = '\0';
    check_file(text, len);
    if (jrc_servers_parse(&first, text, why, sizeof why) != 0) {
        require(why[0] != '\0' && strlen(why) < sizeof why - 1);
        for (const char *p = why; *p != '\0'; p++)
            require(*p >= 0x20 && *p < 0x7f);
        free(text);
        return 0;
    }
    check_list(&first);
    char *again = written(&first);
    require(jrc_servers_parse(&second, again, why, sizeof why) == 0);
    require(first.count == second.count);
    for (size_t i = 0; i < first.count; i++)
        require(strcmp(first.entries[i].host, second.entries[i].host) == 0 &&
                first.entries[i].port == second.entries[i].port &&
                first.entries[i].kind == second.entries[i].kind &&
                first.entries[i].priority == second.entries[i].priority &&
                first.entries[i].weight == second.entries[i].weight &&
                first.entries[i].group == second.entries[i].group);
    check_turns(&second);
    jrc_server_list_clear(&first);
    jrc_server_list_clear(&second);
    free(again);
    free(text);
    return 0;
}
