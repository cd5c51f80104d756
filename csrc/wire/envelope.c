#include "wire/envelope.h"

#include "wire/decimal.h"
#include "wire/json_scan.h"
#include "wire/response_id.h"

#include <string.h>

/* Why the outcome is that of jrc_response_read(): that has read a payload that
 * differs in nothing but the digits of the id and the result.  Where it found a
 * positive number of at most 16 digits, there is one again, and where it found
 * a valid value, there is one again, so it would find the same members. */

enum { BEFORE, BETWEEN, AFTER };

/* Whether text stands at p, by words: most parts are short.  Eight bytes can be
 * read at either place if len is at least that. */
static inline bool is_at(const char *p, const char *text, size_t len)
{
    uint64_t a, b;
    size_t i = 0;

    if (len < 8) {
        for (; i < len; i++)
            if (p[i] != text[i])
                return false;
        return true;
    }
    for (; i + 8 < len; i += 8) {
        memcpy(&a, p + i, 8);
        memcpy(&b, text + i, 8);
        if (a != b)
            return false;
    }
    memcpy(&a, p + len - 8, 8);
    memcpy(&b, text + len - 8, 8);
    return a == b;
}

static const char *read_id(const char *p, const char *end,
                           struct jrc_response *response)
{
    response->id_digits = p;
    return jrc_response_id(p, end, &response->id);
}

static const char *read_result(const char *p, const char *end,
                               unsigned max_depth,
                               struct jrc_response *response)
{
    response->json = p;
    p = jrc_json_value_end(p, end, max_depth - 1);
    if (p != NULL)
        response->json_len = (size_t)(p - response->json);
    return p;
}

static bool read_known(const struct jrc_envelope *envelope, const char *p,
                       const char *end, unsigned max_depth,
                       struct jrc_response *response)
{
    size_t before = envelope->before, between = envelope->between;
    size_t after = envelope->after;

    if (before == 0 || (size_t)(end - p) < before + between + after ||
        !is_at(p, envelope->text[BEFORE], before) ||
        !is_at(end - after, envelope->text[AFTER], after))
        return false;
    p += before;
    end -= after;
    p = envelope->id_first ? read_id(p, end, response)
                           : read_result(p, end, max_depth, response);
    if (p == NULL || (size_t)(end - p) < between ||
        !is_at(p, envelope->text[BETWEEN], between))
        return false;
    p += between;
    p = envelope->id_first ? read_result(p, end, max_depth, response)
                           : read_id(p, end, response);
    return p == end;
}

static void keep(struct jrc_envelope *envelope, const char *payload, size_t len,
                 const struct jrc_response *response)
{
    const char *id = response->id_digits, *id_end, *json_end;

    id_end = id + jrc_decimal_size(response->id);
    json_end = response->json + response->json_len;
    bool id_first = id < response->json;
    const char *ends[] = {id_first ? id : response->json,
                          id_first ? response->json : id, payload + len};
    const char *starts[] = {payload, id_first ? id_end : json_end,
                            id_first ? json_end : id_end};
    for (int i = 0; i < 3; i++)
        if (ends[i] - starts[i] > JRC_ENVELOPE_PART)
            return;
    for (int i = 0; i < 3; i++)
        memcpy(envelope->text[i], starts[i], (size_t)(ends[i] - starts[i]));
    envelope->before = (uint8_t)(ends[BEFORE] - starts[BEFORE]);
    envelope->between = (uint8_t)(ends[BETWEEN] - starts[BETWEEN]);
    envelope->after = (uint8_t)(ends[AFTER] - starts[AFTER]);
    envelope->id_first = id_first;
}

void jrc_envelope_read(struct jrc_envelope *envelope, const char *payload,
                       size_t len, unsigned max_depth,
                       struct jrc_response *response)
{
    *response = (struct jrc_response){.kind = JRC_RESPONSE_RESULT};
    if (read_known(envelope, payload, payload + len, max_depth, response))
        return;
    jrc_response_read(payload, len, max_depth, response);
    if (response->kind == JRC_RESPONSE_RESULT)
        keep(envelope, payload, len, response);
}
