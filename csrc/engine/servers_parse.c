/* The servers string: hosts, ports and priorities, and the groups they make. */

#include "engine/servers_parse.h"

#include "wire/unix_path.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Letters, digits, and the other characters of names and addresses. */
static bool is_host_char(char c, bool bracketed)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

    if (letter || is_digit(c) || c == '.' || c == '-' || c == '_')
        return true;
    return bracketed && (c == ':' || c == '%');
}

/* Where parsing stands, and where to report errors. */
struct reader {
    const char *text;
    const char *at;
    char *why;
    size_t why_size;
    int error; /* ENOMEM until something is wrong with the text */
};

static bool complain(struct reader *reader, const char *rule)
{
    reader->error = EINVAL;
    if (reader->why_size == 0)
        return false;
    /* At most 32 bytes of the caller's text, made printable. */
    char seen[33];
    size_t n = 0;
    for (; n < sizeof seen - 1 && reader->at[n] != '\0'; n++) {
        unsigned char c = (unsigned char)reader->at[n];
        seen[n] = c < 0x20 || c > 0x7e ? '?' : (char)c;
    }
    seen[n] = '\0';
    snprintf(reader->why, reader->why_size, "servers: %s at offset %zu: \"%s\"",
             rule, (size_t)(reader->at - reader->text), seen);
    return false;
}

static bool read_host(struct reader *reader, struct jrc_entry *server)
{
    bool bracketed = *reader->at == '[';
    const char *start = reader->at + bracketed;
    const char *end = start;

    while (is_host_char(*end, bracketed))
        end++;
    if (end == start)
        return complain(reader, "a host is expected");
    if (end - start > 253)
        return complain(reader, "a host is longer than 253 bytes");
    if (bracketed && *end != ']') {
        reader->at = end;
        return complain(reader, "']' is expected");
    }
    server->host = strndup(start, (size_t)(end - start));
    reader->at = end + bracketed;
    return server->host != NULL;
}

/* A decimal integer in [low, high], with an optional '-'. */
static bool read_number(struct reader *reader, int64_t low, int64_t high,
                        const char *rule, int64_t *number)
{
    const char *p = reader->at;
    bool negative = *p == '-';
    int64_t value = 0;

    p += negative;
    if (!is_digit(*p))
        return complain(reader, rule);
    for (; is_digit(*p); p++) {
        value = value * 10 + (*p - '0');
        if (value > INT32_MAX)
            return complain(reader, rule);
    }
    if (negative)
        value = -value;
    if (value < low || value > high)
        return complain(reader, rule);
    reader->at = p;
    *number = value;
    return true;
}

/* Into the one form of it, so that equal ones are equal texts. */
static bool read_unix_path(struct reader *reader, struct jrc_entry *server)
{
    struct jrc_unix_path path;
    const char *rule;
    char text[JRC_UNIX_TEXT_SIZE];

    if (jrc_unix_path_read(&path, reader->at, &reader->at, &rule) == NULL)
        return complain(reader, rule);
    jrc_unix_path_print(&path, text);
    server->host = strdup(text);
    return server->host != NULL;
}

static bool read_host_and_port(struct reader *reader, struct jrc_entry *server)
{
    int64_t port = 0;

    if (!read_host(reader, server))
        return false;
    if (*reader->at != ':')
        return complain(reader, "':' and a port are expected");
    reader->at++;
    if (!read_number(reader, 1, 65535, "a port from 1 to 65535 is expected",
                     &port))
        return false;
    server->port = (uint16_t)port;
    return true;
}

static bool read_server(struct reader *reader, struct jrc_entry *server)
{
    int64_t priority = 1;
    int64_t weight = 1;
    bool is_read = jrc_unix_path_is_meant(reader->at)
                       ? read_unix_path(reader, server)
                       : read_host_and_port(reader, server);

    if (!is_read)
        return false;
    if (*reader->at == ',') {
        reader->at++;
        if (!read_number(reader, INT32_MIN + 1, INT32_MAX,
                         "a priority (an integer) is expected", &priority))
            return false;
        if (*reader->at == ',') {
            reader->at++;
            if (!read_number(reader, 1, UINT16_MAX,
                             "a weight from 1 to 65535 is expected", &weight))
                return false;
        }
    }
    if (*reader->at != '\0' && !is_space(*reader->at))
        return complain(reader, "',' or a space is expected");
    server->priority = (int32_t)priority;
    server->weight = (uint32_t)weight;
    return true;
}

static int larger_first(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a;
    int32_t y = *(const int32_t *)b;

    return (x < y) - (x > y);
}

/* Number the priorities, best first. */
static bool make_groups(struct jrc_server_list *list)
{
    int32_t *priorities = calloc(list->count, sizeof *priorities);
    uint32_t groups = 0;

    if (priorities == NULL)
        return false;
    for (size_t i = 0; i < list->count; i++)
        priorities[i] = list->entries[i].priority;
    qsort(priorities, list->count, sizeof *priorities, larger_first);
    for (size_t i = 0; i < list->count; i++)
        if (i == 0 || priorities[i] != priorities[groups - 1])
            priorities[groups++] = priorities[i];
    for (size_t i = 0; i < list->count; i++) {
        int32_t *found = bsearch(&list->entries[i].priority, priorities, groups,
                                 sizeof *priorities, larger_first);
        list->entries[i].group = (uint32_t)(found - priorities);
    }
    list->group_count = groups;
    free(priorities);
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* By port, then by host, ignoring case except in the name of an interface; the
 * path of a Unix socket, which has no port, is taken as it is. */
int jrc_entry_order(const struct jrc_entry *a, const struct jrc_entry *b)
{
    const char *x = a->host;
    const char *y = b->host;
    bool folds = a->port != 0;

    if (a->port != b->port)
        return a->port - b->port;
    while (*x != '\0' && (folds ? lower(*x) == lower(*y) : *x == *y)) {
        folds = folds && *x != '%';
        x++;
        y++;
    }
    return folds ? lower(*x) - lower(*y) : *x - *y;
}

/* Sorts equal addresses in the order of the text. */
static int by_address(const void *a, const void *b)
{
    const struct jrc_entry *x = *(const struct jrc_entry *const *)a;
    const struct jrc_entry *y = *(const struct jrc_entry *const *)b;
    int order = jrc_entry_order(x, y);

    return order != 0 ? order : (x > y) - (x < y);
}

/* Where the server with that index stands in the text. */
static const char *place_of(const char *text, size_t index)
{
    for (;; index--) {
        while (is_space(*text))
            text++;
        if (index == 0)
            return text;
        while (*text != '\0' && !is_space(*text))
            text++;
    }
}

/* False: a server is listed twice, which must be a mistake and would double its
 * traffic; or there is no memory to check. */
static bool check_repeats(struct reader *reader, struct jrc_server_list *list)
{
    size_t first = list->count; /* the first one that repeats another */
    struct jrc_entry **sorted = reallocarray(NULL, list->count, sizeof *sorted);

    list->by_address = sorted;
    if (sorted == NULL)
        return false;
    for (size_t i = 0; i < list->count; i++)
        sorted[i] = &list->entries[i];
    qsort(sorted, list->count, sizeof *sorted, by_address);
    for (size_t i = 1; i < list->count; i++)
        if (jrc_entry_order(sorted[i - 1], sorted[i]) == 0 &&
            sorted[i] < &list->entries[first])
            first = (size_t)(sorted[i] - list->entries);
    if (first == list->count)
        return true;
    reader->at = place_of(reader->text, first);
    return complain(reader, "duplicate server");
}

void jrc_server_list_clear(struct jrc_server_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].host);
    free(list->entries);
    free(list->by_address);
    memset(list, 0, sizeof *list);
}

int jrc_servers_parse(struct jrc_server_list *list, const char *text, char *why,
                      size_t why_size)
{
    struct reader reader = {text, text, why, why_size, ENOMEM};

    if (why_size > 0)
        why[0] = '\0';
    memset(list, 0, sizeof *list);
    for (;;) {
        while (is_space(*reader.at))
            reader.at++;
        if (*reader.at == '\0')
            break;
        struct jrc_entry *entries =
            reallocarray(list->entries, list->count + 1, sizeof *list->entries);
        if (entries == NULL)
            goto failed;
        list->entries = entries;
        memset(&entries[list->count], 0, sizeof *entries);
        list->count++;
        if (!read_server(&reader, &entries[list->count - 1]))
            goto failed;
    }
    if (list->count == 0) {
        complain(&reader, "a server is expected");
        goto failed;
    }
    if (check_repeats(&reader, list) && make_groups(list))
        return 0;
failed:
    jrc_server_list_clear(list);
    return reader.error;
}
