/* Finds method, id and params of a request: top-level members only.
 *
 * Not a validator: it is for the benchmark's server, whose clients are known to
 * send JSON.  It never reads beyond the message. */
#ifndef BENCH_SCAN_H
#define BENCH_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const char *at; /* NULL: there is none */
    size_t len;
};

struct request {
    struct span method; /* without its quotes */
    struct span id;     /* as it stands, quotes included */
    struct span params;
};

static inline struct span span(const char *text)
{
    return (struct span){text, strlen(text)};
}

static inline const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* From the opening quote to behind the closing one. */
static inline const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p < end ? p + 1 : end;
}

static inline const char *skip_value(const char *p, const char *end)
{
    int depth = 0;

    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            if (depth == 0)
                return p;
            continue;
        }
        if (*p == '{' || *p == '[') {
            depth++;
        } else if (*p == '}' || *p == ']') {
            if (depth == 0)
                return p; /* a scalar was the last member */
            if (--depth == 0)
                return p + 1;
        } else if (depth == 0 && (*p == ',' || *p == ' ')) {
            return p;
        }
        p++;
    }
    return end;
}

static inline bool scan_request(const char *p, size_t len,
                                struct request *request)
{
    const char *end = p + len;

    *request = (struct request){.id = {NULL, 0}};
    p = skip_space(p, end);
    if (p == end || *p != '{')
        return false;
    do {
        const char *name = skip_space(p + 1, end);
        if (name == end || *name != '"')
            return false;
        const char *name_end = skip_string(name, end);
        p = skip_space(name_end, end);
        if (p == end || *p != ':')
            return false;
        const char *value = skip_space(p + 1, end);
        p = skip_value(value, end);

        struct span found = {value, (size_t)(p - value)};
        switch (name_end - name) {
        case 4:
            if (memcmp(name, "\"id\"", 4) == 0)
                request->id = found;
            break;
        case 8:
            if (memcmp(name, "\"method\"", 8) == 0 && found.len >= 2)
                request->method = (struct span){found.at + 1, found.len - 2};
            else if (memcmp(name, "\"params\"", 8) == 0)
                request->params = found;
            break;
        default:
            break;
        }
        p = skip_space(p, end);
    } while (p < end && *p == ',');
    return p < end && *p == '}' && request->method.at;
}

#endif
