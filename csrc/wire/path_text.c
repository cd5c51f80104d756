#include "wire/path_text.h"

/* Whether it stands for itself. */
static bool is_plain(char c)
{
    return c > 0x20 && c < 0x7f && c != ',' && c != '%';
}

bool jrc_path_text_ends(char c)
{
    return c == '\0' || c == ',' || c == ' ' || c == '\t' || c == '\n' ||
           c == '\r';
}

/* -1: it is none. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Read one byte.  Returns what follows it; NULL: the escape is wrong. */
static const char *read_byte(const char *at, char *byte)
{
    if (*at != '%') {
        *byte = *at;
        return at + 1;
    }
    int high = hex_value(at[1]);
    int low = high < 0 ? -1 : hex_value(at[2]);
    if (low < 0)
        return NULL;
    *byte = (char)(high * 16 + low);
    return at + 3;
}

const char *jrc_path_text_read(char *bytes, size_t max, size_t *len,
                               const char *text, const char **rule)
{
    *len = 0;
    *rule = NULL;
    while (!jrc_path_text_ends(*text)) {
        char byte;
        const char *next = read_byte(text, &byte);
        if (next == NULL)
            *rule = "two hex digits are expected after '%'";
        else if (byte == '\0')
            *rule = "a path must not contain NUL";
        else if (*len == max)
            *rule = "";
        else
            bytes[(*len)++] = byte;
        if (*rule != NULL)
            break;
        text = next;
    }
    bytes[*len] = '\0';
    return text;
}

void jrc_path_text_print(char *text, const char *bytes, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (is_plain(bytes[i])) {
            *text++ = bytes[i];
            continue;
        }
        *text++ = '%';
        *text++ = digits[c >> 4];
        *text++ = digits[c & 15];
    }
    *text = '\0';
}
