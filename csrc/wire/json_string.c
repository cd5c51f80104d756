#include "wire/json_string.h"

__attribute__((cold)) void jrc_json_set_error(struct jrc_json_reader *reader,
                                              enum jrc_json_error error,
                                              const unsigned char *at,
                                              const char *rule)
{
    reader->error = error;
    reader->at = at;
    reader->rule = rule;
}

/* The first byte from p on that is not plain, or the end. */
JRC_INLINE const unsigned char *skip_plain(const struct jrc_json_reader *reader,
                                           const unsigned char *p)
{
    for (; p < reader->blocks_end; p += JRC_JSON_BLOCK) {
        uint64_t bits = jrc_json_special_bits(p);
        if (bits != 0)
            return jrc_json_first_special(p, bits);
    }
    while (p < reader->end && !jrc_json_is_special[*p])
        p++;
    return p;
}

/* Size of the UTF-8 sequence at p, 0 if it is ill-formed.  The range of the
 * second byte excludes overlong forms, surrogates and anything above
 * U+10FFFF. */
JRC_INLINE size_t utf8_size(const unsigned char *p, const unsigned char *end)
{
    size_t size = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    unsigned char low = 0x80, high = 0xBF;

    if (p[0] < 0xC2 || p[0] > 0xF4 || (size_t)(end - p) < size)
        return 0;
    if (p[0] == 0xE0)
        low = 0xA0;
    else if (p[0] == 0xED)
        high = 0x9F;
    else if (p[0] == 0xF0)
        low = 0x90;
    else if (p[0] == 0xF4)
        high = 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return size;
}

/* p is at the backslash. */
static const unsigned char *read_escape(struct jrc_json_reader *reader,
                                        const unsigned char *p)
{
    p++;
    if (p == reader->end)
        return jrc_json_refuse_syntax(reader, p, "unterminated string");
    switch (*p) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 1;
    case 'u':
        p++;
        for (int i = 0; i < 4; i++, p++)
            if (p == reader->end || jrc_json_hex_value(*p) < 0)
                return jrc_json_refuse_syntax(
                    reader, p, "\\u takes four hexadecimal digits");
        return p;
    default:
        return jrc_json_refuse_syntax(reader, p, "unknown escape");
    }
}

const unsigned char *jrc_json_string_rest(struct jrc_json_reader *reader,
                                          const unsigned char *p)
{
    for (;;) {
        p = skip_plain(reader, p);
        if (p == reader->end)
            return jrc_json_refuse_syntax(reader, p, "unterminated string");
        if (*p == '"')
            return p + 1;
        if (*p < 0x20)
            return jrc_json_refuse_syntax(reader, p,
                                          "control character in a string");
        if (*p == '\\') {
            p = read_escape(reader, p);
            if (!p)
                return NULL;
        }
        while (p < reader->end && *p >= 0x80) {
            size_t size = utf8_size(p, reader->end);
            if (size == 0)
                return jrc_json_refuse(reader, JRC_JSON_UTF8, p,
                                       "ill-formed UTF-8");
            p += size;
        }
    }
}
