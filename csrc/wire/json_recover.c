#include "wire/json_recover.h"

#include <string.h>

/* The closing quote of the string whose contents begin at p, or end. */
static const unsigned char *find_quote(const unsigned char *p,
                                       const unsigned char *end)
{
    for (; p < end && *p != '"'; p++)
        if (*p == '\\' && end - p > 1)
            p++;
    return p;
}

/* The comma or brace that ends a member of the top-level object; NULL if the
 * text ends or a stray bracket comes first.  Braces and brackets are counted
 * separately, so that "[}" does not pass for a whole value. */
static const unsigned char *find_member_end(const unsigned char *p,
                                            const unsigned char *end)
{
    size_t braces = 0, brackets = 0;

    for (; p < end; p++) {
        switch (*p) {
        case '"':
            p = find_quote(p + 1, end);
            if (p == end)
                return NULL;
            break;
        case '{':
            braces++;
            break;
        case '[':
            brackets++;
            break;
        case ']':
            if (brackets == 0)
                return NULL;
            brackets--;
            break;
        case '}':
            if (braces == 0)
                return brackets == 0 ? p : NULL;
            braces--;
            break;
        case ',':
            if (braces == 0 && brackets == 0)
                return p;
            break;
        default:
            break;
        }
    }
    return NULL;
}

/* The end of text[0..len) without trailing white space. */
static const unsigned char *trim(const unsigned char *text,
                                 const unsigned char *end)
{
    while (end > text && jrc_json_is_space(end[-1]))
        end--;
    return end;
}

/* The brace that opens the top-level object; NULL if there is none. */
static const unsigned char *find_object(const unsigned char *p,
                                        const unsigned char *end)
{
    static const char mark[] = "\xEF\xBB\xBF"; /* perhaps why it was refused */

    if (end - p >= 3 && memcmp(p, mark, 3) == 0)
        p += 3;
    p = jrc_json_skip_space(p, end);
    return p < end && *p == '{' ? p : NULL;
}

bool jrc_json_salvage(const char *text, size_t len,
                      struct jrc_json_member *members, size_t member_count)
{
    const unsigned char *p = (const unsigned char *)(len ? text : "");
    const unsigned char *end = p + len;
    bool found = false;

    jrc_json_members_reset(members, member_count);
    p = find_object(p, end);

    /* p is at the brace or comma before a member. */
    while (p && *p != '}') {
        const unsigned char *name = NULL, *name_end = NULL, *value = NULL;

        p = jrc_json_skip_space(p + 1, end);
        if (p < end && *p == '"') {
            name = p + 1;
            name_end = find_quote(name, end);
            p = name_end < end ? jrc_json_skip_space(name_end + 1, end) : end;
            if (p < end && *p == ':')
                value = p = jrc_json_skip_space(p + 1, end);
        }
        p = find_member_end(p, end);
        if (!p || !value || value == p)
            continue;

        struct jrc_json_member *member = jrc_json_members_find(
            members, member_count, name, (size_t)(name_end - name));
        if (member) {
            member->type = jrc_json_type_of[*value];
            member->text = (const char *)value;
            member->len = (size_t)(trim(value, p) - value);
            found = true;
        }
    }
    return found;
}
