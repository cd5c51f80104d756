/* The results that the benchmark's server gives. */
#ifndef BENCH_DOCUMENTS_H
#define BENCH_DOCUMENTS_H

#include "scan.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define GET_USER \
    "{\"id\":1234,\"name\":\"Petros\",\"roles\":[\"admin\",\"user\"]}"

/* One row of what a real answer looks like: nested objects, whole and broken
 * numbers, text with escapes and with letters beyond ASCII. */
static inline int put_row(char *to, size_t room, uint32_t number)
{
    static const char *const cities[] = {"Athens", "Z\xc3\xbcrich", "Oslo",
                                         "\xe6\x9d\xb1\xe4\xba\xac"};
    uint32_t dice = number * 2654435761u;

    return snprintf(
        to, room,
        "{\"id\":%u,\"uuid\":\"%08x-%04x-4%03x\",\"name\":\"User %u\","
        "\"email\":\"user%u@example.org\",\"active\":%s,\"balance\":%u.%02u,"
        "\"location\":{\"lat\":%.6f,\"lon\":%.6f,\"city\":\"%s\"},"
        "\"roles\":[\"admin\",\"user\"],\"scores\":[%u,%u,%u,%u],"
        "\"manager\":null,\"note\":\"Line one\\nsaid \\\"%u\\\" and left\"}",
        number, dice, dice >> 16, dice & 0xfff, number, number,
        dice & 64 ? "true" : "false", dice % 100000, dice % 100,
        (int)(dice % 180) - 90 + 0.123456, (int)(dice % 360) - 180 + 0.654321,
        cities[dice >> 30], dice % 10, dice % 100, dice % 1000, dice % 10000,
        number);
}

/* A short one, so that a document of any size can be mostly rows. */
static inline int put_user(char *to, size_t room, uint32_t number)
{
    return snprintf(to, room,
                    "{\"id\":%u,\"name\":\"User %u\",\"roles\":[\"user\"]}",
                    number, number);
}

/* A JSON object of exactly size bytes (at least 20), which the caller owns. */
static inline char *make_document(size_t size,
                                  int (*put)(char *, size_t, uint32_t))
{
    static const char close_rows[] = "],\"pad\":\"";
    char *text = malloc(size + 1), row[512];
    size_t len = (size_t)sprintf(text, "{\"rows\":[");
    size_t tail = sizeof close_rows - 1 + 2;

    if (!text)
        abort();
    for (uint32_t number = 1;; number++) {
        size_t n = (size_t)put(row, sizeof row, number);
        if (len + 1 + n + tail > size)
            break;
        if (number > 1)
            text[len++] = ',';
        memcpy(text + len, row, n);
        len += n;
    }
    len += (size_t)sprintf(text + len, "%s", close_rows);
    while (len < size - 2)
        text[len++] = 'x';
    text[len++] = '"';
    text[len++] = '}';
    return text;
}

/* The document called blob<size>[k|m], or rows<size>[k|m] for one of short
 * rows, made at its first use and kept. */
static inline struct span document(struct span name)
{
    static struct {
        bool is_short;
        size_t size;
        char *text;
    } made[64];
    char digits[16] = "", *unit;

    if (name.len < 5 || name.len >= 4 + sizeof digits ||
        (memcmp(name.at, "blob", 4) != 0 && memcmp(name.at, "rows", 4) != 0))
        return (struct span){0};
    bool is_short = *name.at == 'r';
    memcpy(digits, name.at + 4, name.len - 4);
    size_t size = strtoul(digits, &unit, 10);
    size <<= *unit == 'k' ? 10 : *unit == 'm' ? 20 : 0;
    if (size < 20 || size > (size_t)1 << 28)
        return (struct span){0};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        if (!made[i].text) {
            made[i].is_short = is_short;
            made[i].size = size;
            made[i].text = make_document(size, is_short ? put_user : put_row);
        }
        if (made[i].size == size && made[i].is_short == is_short)
            return (struct span){made[i].text, size};
    }
    return (struct span){0};
}

#endif
