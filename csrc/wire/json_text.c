#include "wire/json_text.h"

#include <stdint.h>
#include <string.h>

const unsigned char jrc_json_type_of[256] = {
    ['n'] = JRC_JSON_NULL,           ['f'] = JRC_JSON_FALSE,
    ['t'] = JRC_JSON_TRUE,           ['-'] = JRC_JSON_NUMBER,
    ['0' ... '9'] = JRC_JSON_NUMBER, ['"'] = JRC_JSON_STRING,
    ['['] = JRC_JSON_ARRAY,          ['{'] = JRC_JSON_OBJECT,
};

bool jrc_json_is_space(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

const unsigned char *jrc_json_skip_run(const unsigned char *p,
                                       const unsigned char *end)
{
    static const char spaces[8] = "        "; /* indentation */

    while (p < end && jrc_json_is_space(*p))
        p += end - p >= 8 && memcmp(p, spaces, 8) == 0 ? 8 : 1;
    return p;
}

int jrc_json_hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void jrc_json_members_reset(struct jrc_json_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        members[i].type = JRC_JSON_NONE;
        members[i].count = 0;
        members[i].text = NULL;
        members[i].len = 0;
    }
}

/* The ASCII character for the escape at *p, which is after the backslash; moves
 * *p past it.  -1: it stands for no such character. */
static int decode_escape(const unsigned char **p, const unsigned char *end)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const unsigned char *at = *p;
    int c = 0;

    if (at < end && *at == 'u') {
        if (end - at < 5)
            return -1;
        for (int i = 1; i <= 4 && c >= 0; i++) {
            int digit = jrc_json_hex_value(at[i]);
            c = digit < 0 ? -1 : c * 16 + digit;
        }
        *p = at + 5;
        return c < 0x80 ? c : -1;
    }
    for (int i = 0; at < end && letters[i] != '\0'; i++)
        if (*at == (unsigned char)letters[i]) {
            *p = at + 1;
            return meant[i];
        }
    return -1;
}

static bool is_escaped_name(const struct jrc_json_member *member,
                            const unsigned char *name, size_t len)
{
    const unsigned char *end = name + len;
    size_t i = 0;

    for (; name < end; i++) {
        int c = *name++;
        if (c == '\\')
            c = decode_escape(&name, end);
        if (i == member->name_len || c != (unsigned char)member->name[i])
            return false;
    }
    return i == member->name_len;
}

/* memcmp() for the names in an envelope: two words that overlap. */
static bool is_name(const struct jrc_json_member *member,
                    const unsigned char *name, size_t len)
{
    uint32_t want[2], got[2];

    if (member->name_len != len)
        return false;
    if (len < 4 || len > 8)
        return memcmp(member->name, name, len) == 0;
    memcpy(&want[0], member->name, 4);
    memcpy(&want[1], member->name + len - 4, 4);
    memcpy(&got[0], name, 4);
    memcpy(&got[1], name + len - 4, 4);
    return want[0] == got[0] && want[1] == got[1];
}

struct jrc_json_member *jrc_json_members_find(struct jrc_json_member *members,
                                              size_t count,
                                              const unsigned char *name,
                                              size_t len)
{
    size_t i = 0;

    while (i < count && !is_name(&members[i], name, len))
        i++;
    if (i == count && memchr(name, '\\', len))
        for (i = 0; i < count && !is_escaped_name(&members[i], name, len);)
            i++;
    if (i == count)
        return NULL;
    return members[i].count++ == 0 ? &members[i] : NULL;
}
