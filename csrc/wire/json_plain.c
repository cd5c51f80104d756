#include "wire/json_plain.h"

const bool jrc_json_is_special[256] = {
    [0 ... 0x1F] = true,
    ['"'] = true,
    ['\\'] = true,
    [0x80 ... 0xFF] = true,
};

bool jrc_json_is_all_plain(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *end = p + len;

    if (len >= JRC_JSON_WORD) {
        for (; end - p > JRC_JSON_WORD; p += JRC_JSON_WORD)
            if (jrc_json_special_word(p) != 0)
                return false;
        return jrc_json_special_word(end - JRC_JSON_WORD) == 0;
    }
    while (p < end && !jrc_json_is_special[*p])
        p++;
    return p == end;
}
