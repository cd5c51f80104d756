/* The servers string: hosts, ports and priorities, and the groups they make. */

#include "engine/servers_parse.h"

#include "wire/path_text.h"
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
    size_t len;
    bool is_file; /* the text is that of a file */
    struct jrc_defaults defaults;
};

static size_t line_of(const struct reader *reader)
{
    size_t line = 1;

    for (const char *c = reader->text; c < reader->at; c++)
        line += *c == '\n';
    return line;
}

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
        if (reader->is_file && c == '\n')
            break;
        seen[n] = c < 0x20 || c > 0x7e ? '?' : (char)c;
    }
    seen[n] = '\0';
    if (reader->is_file)
        snprintf(reader->why, reader->why_size, "line %zu: %s: \"%s\"",
                 line_of(reader), rule, seen);
    else
        snprintf(reader->why, reader->why_size,
                 "servers: %s at offset %zu: \"%s\"", rule,
                 (size_t)(reader->at - reader->text), seen);
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

/* Into the one form of it, too. */
static bool read_file_path(struct reader *reader, struct jrc_entry *entry)
{
    char path[JRC_FILE_PATH + 1];
    char text[3 * JRC_FILE_PATH + 1];
    const char *rule;
    size_t len;

    if (reader->is_file)
        return complain(reader, "no file is expected in a file");
    if (strncmp(reader->at, "///", 3) == 0)
        reader->at += 2; /* as of a URL */
    if (reader->at[0] != '/' || reader->at[1] == '/')
        return complain(reader, "an absolute path is expected");
    const char *end =
        jrc_path_text_read(path, JRC_FILE_PATH, &len, reader->at, &rule);
    jrc_path_text_print(text, path, len);
    if ((rule != NULL && *rule == '\0') || strlen(text) > JRC_FILE_PATH)
        return complain(reader, "a path of at most 300 bytes is expected");
    reader->at = end;
    if (rule != NULL)
        return complain(reader, rule);
    if (path[len - 1] == '/')
        return complain(reader, "the path of a file is expected");
    entry->host = strdup(text);
    return entry->host != NULL;
}

/* "fd:" and the number of a descriptor, without leading zeros. */
static bool read_descriptor(struct reader *reader, struct jrc_entry *server)
{
    int64_t number;
    char text[sizeof "fd:2147483647"];

    if (reader->is_file)
        return complain(reader, "no descriptor is expected in a file");
    reader->at += strlen("fd:");
    if (!read_number(reader, 0, INT32_MAX, "a descriptor is expected", &number))
        return false;
    snprintf(text, sizeof text, "fd:%d", (int)number);
    server->host = strdup(text);
    server->once = true;
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

/* The schemes, with which an entry is not one server. */
static const struct {
    const char *text;
    enum jrc_entry_kind kind;
} schemes[] = {
    {"dns:", JRC_ENTRY_DNS},   {"dns4:", JRC_ENTRY_DNS4},
    {"dns6:", JRC_ENTRY_DNS6}, {"srv:", JRC_ENTRY_SRV},
    {"file:", JRC_ENTRY_FILE},
};

/* Digits alone after it are the port of a host which is called like that. */
static bool is_port(const char *text)
{
    const char *end = text;

    while (is_digit(*end))
        end++;
    return end > text && (*end == '\0' || *end == ',' || is_space(*end));
}

/* The length of the scheme, or 0. */
static size_t read_scheme(const char *text, enum jrc_entry_kind *kind)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i].text);
        if (strncmp(text, schemes[i].text, len) != 0 || is_port(text + len))
            continue;
        *kind = schemes[i].kind;
        return len;
    }
    return 0;
}

/* "_service._proto.domain"; the port comes from the records. */
static bool read_service(struct reader *reader, struct jrc_entry *entry)
{
    static const char label[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
                                "abcdefghijklmnopqrstuvwxyz";
    const char *at = reader->at;

    for (int labels = 2; labels > 0; labels--) {
        const char *end = at + strspn(at, label);
        if (at[0] != '_' || end[0] != '.')
            return complain(reader, "_service._proto.domain is expected");
        at = end + 1;
    }
    if (*at == '.' || !is_host_char(*at, false))
        return complain(reader, "_service._proto.domain is expected");
    if (!read_host(reader, entry))
        return false;
    if (*reader->at == ':')
        return complain(reader, "no port is expected, it is in the records,");
    return true;
}

static bool read_target(struct reader *reader, struct jrc_entry *entry)
{
    if (jrc_unix_path_is_meant(reader->at))
        return read_unix_path(reader, entry);
    if (strncmp(reader->at, "fd:", strlen("fd:")) == 0)
        return read_descriptor(reader, entry);
    size_t scheme = read_scheme(reader->at, &entry->kind);
    reader->at += scheme;
    if (entry->kind == JRC_ENTRY_SRV)
        return read_service(reader, entry);
    if (entry->kind == JRC_ENTRY_FILE)
        return read_file_path(reader, entry);
    if (scheme > 0 && *reader->at == '[')
        return complain(reader, "the name of a host is expected");
    return read_host_and_port(reader, entry);
}

static bool read_entry(struct reader *reader, struct jrc_entry *entry)
{
    int64_t priority = reader->defaults.priority;
    int64_t weight = 1;

    entry->slot = (int32_t)(reader->at - reader->text);
    if (!read_target(reader, entry))
        return false;
    if (entry->kind != JRC_ENTRY_SRV)
        weight = reader->defaults.weight;
    if (*reader->at == ',') {
        reader->at++;
        if (!read_number(reader, INT32_MIN + 1, INT32_MAX,
                         "a priority (an integer) is expected", &priority))
            return false;
        if (*reader->at == ',') {
            if (entry->kind == JRC_ENTRY_SRV)
                return complain(reader,
                                "no weight is expected, it is in the records,");
            reader->at++;
            if (!read_number(reader, 1, UINT16_MAX,
                             "a weight from 1 to 65535 is expected", &weight))
                return false;
        }
    }
    if (*reader->at != '\0' && !is_space(*reader->at))
        return complain(reader, "',' or a space is expected");
    entry->priority = (int32_t)priority;
    entry->weight = (uint32_t)weight;
    return true;
}

/* False: a server is listed twice, which must be a mistake and would double its
 * traffic. */
static bool check_repeats(struct reader *reader,
                          const struct jrc_server_list *list)
{
    const struct jrc_entry *repeat = jrc_server_list_repeat(list);

    if (repeat == NULL)
        return true;
    reader->at = reader->text + repeat->slot;
    return complain(reader, "duplicate server");
}

/* To the next entry.  False: there is none. */
static bool skip(struct reader *reader)
{
    for (;;) {
        reader->at += strspn(reader->at, " \t\n\r");
        if (!reader->is_file || *reader->at != '#')
            return *reader->at != '\0';
        reader->at += strcspn(reader->at, "\n");
    }
}

static bool read_entries(struct reader *reader, struct jrc_server_list *list)
{
    while (skip(reader)) {
        if (reader->is_file && list->count == JRC_FILE_ENTRIES)
            return complain(reader, "more than 16384 entries");
        struct jrc_entry *entry = jrc_server_list_add(list);
        if (entry == NULL || !read_entry(reader, entry))
            return false;
    }
    if (reader->at < reader->text + reader->len)
        return complain(reader, "a byte that is no text");
    if (list->count == 0)
        return complain(reader, "a server is expected");
    return jrc_server_list_finish(list) && check_repeats(reader, list);
}

static int read_all(struct reader *reader, struct jrc_server_list *list)
{
    if (reader->why_size > 0)
        reader->why[0] = '\0';
    memset(list, 0, sizeof *list);
    if (read_entries(reader, list))
        return 0;
    jrc_server_list_clear(list);
    return reader->error;
}

int jrc_servers_parse(struct jrc_server_list *list, const char *text, char *why,
                      size_t why_size)
{
    struct reader reader = {.text = text,
                            .at = text,
                            .why = why,
                            .why_size = why_size,
                            .error = ENOMEM,
                            .defaults = {1, 1}};

    return read_all(&reader, list);
}

int jrc_servers_parse_file(struct jrc_server_list *list, const char *text,
                           size_t len, const struct jrc_defaults *defaults,
                           char *why, size_t why_size)
{
    struct reader reader = {.text = text,
                            .at = text,
                            .why = why,
                            .why_size = why_size,
                            .error = ENOMEM,
                            .len = len,
                            .is_file = true,
                            .defaults = *defaults};

    return read_all(&reader, list);
}
