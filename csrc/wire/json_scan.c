#include "wire/json_scan.h"

#include "wire/json_short.h"
#include "wire/json_string.h"

#include <stdint.h>
#include <string.h>

/* If a text ends with a closing bracket, there is no need to look for its end
 * before each byte: white space, digits and tokens all stop at the bracket.
 * `closed` says so where it is known, and the compiler makes two functions of
 * each. */

JRC_INLINE bool is_left(const struct jrc_json_reader *reader,
                        const unsigned char *p, bool closed)
{
    return closed || p < reader->end;
}

/* The byte at p, or one that is never expected. */
JRC_INLINE unsigned char look(const struct jrc_json_reader *reader,
                              const unsigned char *p, bool closed)
{
    return JRC_LIKELY(is_left(reader, p, closed)) ? *p : '\0';
}

/* The first byte from p on that is not white space.  There is rarely any, and
 * if there is, usually one. */
JRC_INLINE const unsigned char *skip_space(const struct jrc_json_reader *reader,
                                           const unsigned char *p, bool closed)
{
    if (JRC_LIKELY(!is_left(reader, p, closed) || *p > ' '))
        return p;
    if (closed && *p == ' ' && p[1] > ' ')
        return p + 1;
    return jrc_json_skip_run(p, reader->end);
}

/* ---- Numbers and literals ---- */

JRC_INLINE const unsigned char *skip_digits(
    const struct jrc_json_reader *reader, const unsigned char *p, bool closed)
{
    for (; closed || reader->end - p >= 4; p += 4) {
        if (!jrc_json_is_digit(p[0]))
            return p;
        if (!jrc_json_is_digit(p[1]))
            return p + 1;
        if (!jrc_json_is_digit(p[2]))
            return p + 2;
        if (!jrc_json_is_digit(p[3]))
            return p + 3;
    }
    while (p < reader->end && jrc_json_is_digit(*p))
        p++;
    return p;
}

JRC_INLINE const unsigned char *read_digits(struct jrc_json_reader *reader,
                                            const unsigned char *p, bool closed)
{
    const unsigned char *first = p;

    p = skip_digits(reader, p, closed);
    return JRC_LIKELY(p > first)
               ? p
               : jrc_json_refuse_syntax(reader, p, "expected a digit");
}

/* p is after the exponent's letter. */
static const unsigned char *read_exponent(struct jrc_json_reader *reader,
                                          const unsigned char *p)
{
    if (p < reader->end && (*p == '+' || *p == '-'))
        p++;
    return read_digits(reader, p, false);
}

/* p is after the sign. */
JRC_INLINE const unsigned char *read_number(struct jrc_json_reader *reader,
                                            const unsigned char *p, bool closed)
{
    const unsigned char *first = p;

    p = read_digits(reader, p, closed);
    if (JRC_UNLIKELY(!p))
        return NULL;
    if (JRC_UNLIKELY(*first == '0' && p - first > 1))
        return jrc_json_refuse_syntax(reader, first + 1,
                                      "a number with a leading zero");
    if (look(reader, p, closed) == '.') {
        p = read_digits(reader, p + 1, closed);
        if (JRC_UNLIKELY(!p))
            return NULL;
    }
    if (JRC_UNLIKELY((look(reader, p, closed) | 0x20) == 'e'))
        return read_exponent(reader, p + 1);
    return p;
}

JRC_INLINE const unsigned char *read_literal(struct jrc_json_reader *reader,
                                             const unsigned char *p,
                                             const char *literal, size_t len)
{
    if (JRC_LIKELY((size_t)(reader->end - p) >= len &&
                   memcmp(p, literal, len) == 0))
        return p + len;
    for (; p < reader->end && *p == (unsigned char)*literal; literal++)
        p++;
    return jrc_json_refuse_syntax(reader, p, "expected a value");
}

/* Any value that is not a container. */
JRC_INLINE const unsigned char *read_scalar(struct jrc_json_reader *reader,
                                            const unsigned char *p, bool closed)
{
    unsigned char byte = look(reader, p, closed);

    if (JRC_LIKELY(byte == '"'))
        return jrc_json_read_string(reader, p);
    if (JRC_LIKELY(jrc_json_is_digit(byte)))
        return read_number(reader, p, closed);
    switch (byte) {
    case '-':
        return read_number(reader, p + 1, closed);
    case 't':
        return read_literal(reader, p, "true", 4);
    case 'f':
        return read_literal(reader, p, "false", 5);
    case 'n':
        return read_literal(reader, p, "null", 4);
    default:
        return jrc_json_refuse_syntax(reader, p, "expected a value");
    }
}

/* ---- Containers ---- */

/* A name and its colon; white space may precede it at p.  *name points to the
 * name in its quotes. */
JRC_INLINE const unsigned char *read_name(struct jrc_json_reader *reader,
                                          const unsigned char *p,
                                          const unsigned char **name,
                                          size_t *name_len, bool closed)
{
    if (JRC_UNLIKELY(look(reader, p, closed) != '"')) {
        p = skip_space(reader, p, closed);
        if (look(reader, p, closed) != '"')
            return jrc_json_refuse_syntax(reader, p, "expected a member name");
    }
    *name = p + 1;
    p = jrc_json_read_name(reader, p);
    if (JRC_UNLIKELY(!p))
        return NULL;
    *name_len = (size_t)(p - 1 - *name);
    if (JRC_UNLIKELY(look(reader, p, closed) != ':')) {
        p = skip_space(reader, p, closed);
        if (look(reader, p, closed) != ':')
            return jrc_json_refuse_syntax(reader, p, "expected ':'");
    }
    return p + 1;
}

/* The containers around a place: a bit for each, set for an object.  kinds has
 * the innermost ones, the innermost of all in its lowest bit; outer has the
 * rest in groups of 64. */
struct nesting {
    uint64_t kinds;
    unsigned depth;
    uint64_t outer[JRC_JSON_DEPTH_MAX / 64];
};

JRC_INLINE void enter(struct nesting *nesting, bool object)
{
    if (nesting->depth % 64 == 0)
        nesting->outer[nesting->depth / 64] = nesting->kinds;
    nesting->kinds = nesting->kinds << 1 | object;
    nesting->depth++;
}

JRC_INLINE void leave(struct nesting *nesting)
{
    nesting->kinds >>= 1;
    nesting->depth--;
    if (nesting->depth % 64 == 0)
        nesting->kinds = nesting->outer[nesting->depth / 64];
}

JRC_INLINE bool opens_container(unsigned char c)
{
    return c == '{' || c == '[';
}

/* What most values begin with, which is checked first. */
JRC_INLINE bool begins_plainly(unsigned char c)
{
    return c == '"' || jrc_json_is_digit(c);
}

/* A container with everything in it; p is at its opening bracket.  Not
 * recursive: the labels say where p is, and in which kind of container. */
JRC_INLINE const unsigned char *read_nested(struct jrc_json_reader *reader,
                                            const unsigned char *p,
                                            unsigned max_depth, bool closed)
{
    const unsigned char *name;
    struct nesting nesting;
    size_t name_len;

    nesting.kinds = 0;
    nesting.depth = 0;

open:
    if (JRC_UNLIKELY(nesting.depth == max_depth))
        return jrc_json_refuse(reader, JRC_JSON_DEPTH, p, "nested too deep");
    enter(&nesting, *p == '{');
    p = skip_space(reader, p + 1, closed);
    if (look(reader, p, closed) == (nesting.kinds & 1 ? '}' : ']'))
        goto close;
    if (!(nesting.kinds & 1))
        goto element;

member:
    p = read_name(reader, p, &name, &name_len, closed);
    if (JRC_UNLIKELY(!p))
        return NULL;
    if (JRC_UNLIKELY(!begins_plainly(look(reader, p, closed)))) {
        p = skip_space(reader, p, closed);
        if (opens_container(look(reader, p, closed)))
            goto open;
    }
    p = read_scalar(reader, p, closed);
    if (JRC_UNLIKELY(!p))
        return NULL;

after_member:
    if (look(reader, p, closed) != ',') {
        p = skip_space(reader, p, closed);
        if (JRC_LIKELY(look(reader, p, closed) == '}'))
            goto close;
        if (look(reader, p, closed) != ',')
            return jrc_json_refuse_syntax(reader, p, "expected ',' or '}'");
    }
    p++;
    goto member;

element:
    if (JRC_UNLIKELY(!begins_plainly(look(reader, p, closed)))) {
        p = skip_space(reader, p, closed);
        if (opens_container(look(reader, p, closed)))
            goto open;
    }
    p = read_scalar(reader, p, closed);
    if (JRC_UNLIKELY(!p))
        return NULL;

after_element:
    if (look(reader, p, closed) != ',') {
        p = skip_space(reader, p, closed);
        if (JRC_LIKELY(look(reader, p, closed) == ']'))
            goto close;
        if (look(reader, p, closed) != ',')
            return jrc_json_refuse_syntax(reader, p, "expected ',' or ']'");
    }
    p++;
    goto element;

close:
    p++;
    if (nesting.depth == 1) /* the outermost one */
        return p;
    leave(&nesting);
    if (JRC_UNLIKELY(p == reader->end)) /* a bracket is still open */
        return jrc_json_refuse_syntax(
            reader, p,
            nesting.kinds & 1 ? "expected ',' or '}'" : "expected ',' or ']'");
    if (nesting.kinds & 1)
        goto after_member;
    goto after_element;
}

static const unsigned char *read_closed(struct jrc_json_reader *reader,
                                        const unsigned char *p,
                                        unsigned max_depth)
{
    return read_nested(reader, p, max_depth, true);
}

static const unsigned char *read_open(struct jrc_json_reader *reader,
                                      const unsigned char *p,
                                      unsigned max_depth)
{
    return read_nested(reader, p, max_depth, false);
}

JRC_INLINE const unsigned char *read_value(struct jrc_json_reader *reader,
                                           const unsigned char *p,
                                           unsigned max_depth)
{
    if (p == reader->end || !opens_container(*p))
        return read_scalar(reader, p, false);
    return reader->closed ? read_closed(reader, p, max_depth)
                          : read_open(reader, p, max_depth);
}

/* The top-level object, which may have members that the caller wants. */
static const unsigned char *read_members(struct jrc_json_reader *reader,
                                         const unsigned char *p,
                                         unsigned max_depth,
                                         struct jrc_json_member *members,
                                         size_t count)
{
    const unsigned char *end = reader->end, *name, *value;
    struct jrc_json_member *member;
    size_t name_len;

    if (max_depth == 0)
        return jrc_json_refuse(reader, JRC_JSON_DEPTH, p, "nested too deep");
    p = jrc_json_skip_space(p + 1, end);
    if (p < end && *p == '}')
        return p + 1;
    for (;; p++) {
        p = read_name(reader, p, &name, &name_len, false);
        if (!p)
            return NULL;
        member = jrc_json_members_find(members, count, name, name_len);
        value = jrc_json_skip_space(p, end);
        p = read_value(reader, value, max_depth - 1);
        if (!p)
            return NULL;
        if (member) {
            member->type = jrc_json_type_of[*value];
            member->text = (const char *)value;
            member->len = (size_t)(p - value);
        }
        p = jrc_json_skip_space(p, end);
        if (p < end && *p == '}')
            return p + 1;
        if (p == end || *p != ',')
            return jrc_json_refuse_syntax(reader, p, "expected ',' or '}'");
    }
}

/* Why it refuses a text is set when it does. */
JRC_INLINE void begin(struct jrc_json_reader *reader, const char *text,
                      size_t len)
{
    reader->start = (const unsigned char *)(len ? text : "");
    reader->end = reader->start + len;
    reader->blocks_end = len < JRC_JSON_BLOCK
                             ? reader->start
                             : reader->end - (JRC_JSON_BLOCK - 1);
    reader->closed = len > 0 && (text[len - 1] == '}' || text[len - 1] == ']');
}

/* Apart, so that what short texts take is small. */
__attribute__((noinline)) static const unsigned char *value_end(
    const char *text, size_t len, unsigned max_depth)
{
    struct jrc_json_reader reader;

    begin(&reader, text, len);
    if (max_depth > JRC_JSON_DEPTH_MAX)
        max_depth = JRC_JSON_DEPTH_MAX;
    return read_value(&reader, reader.start, max_depth);
}

const char *jrc_json_value_end(const char *text, const char *end,
                               unsigned max_depth)
{
    const unsigned char *first = (const unsigned char *)text, *after = NULL;
    size_t len = (size_t)(end - text);

    if (jrc_json_is_short(first, len, max_depth))
        after = jrc_json_short_end(first, len);
    if (after == NULL)
        after = value_end(text, len, max_depth);
    return (const char *)after;
}

bool jrc_json_scan(const char *text, size_t len, unsigned max_depth,
                   struct jrc_json_member *members, size_t member_count,
                   struct jrc_json_report *report)
{
    struct jrc_json_reader reader;
    const unsigned char *p;
    enum jrc_json_type type;

    begin(&reader, text, len);
    if (max_depth > JRC_JSON_DEPTH_MAX)
        max_depth = JRC_JSON_DEPTH_MAX;
    jrc_json_members_reset(members, member_count);

    p = jrc_json_skip_space(reader.start, reader.end);
    type = p < reader.end ? jrc_json_type_of[*p] : JRC_JSON_NONE;
    if (type == JRC_JSON_OBJECT)
        p = read_members(&reader, p, max_depth, members, member_count);
    else
        p = read_value(&reader, p, max_depth);
    if (p)
        p = jrc_json_skip_space(p, reader.end);
    if (p && p < reader.end)
        p = jrc_json_refuse_syntax(&reader, p, "expected the end");

    *report = (struct jrc_json_report){.type = type};
    if (p)
        return true;
    jrc_json_members_reset(members, member_count);
    report->error = reader.error;
    report->at = (size_t)(reader.at - reader.start);
    report->rule = reader.rule;
    report->type = JRC_JSON_NONE;
    return false;
}
