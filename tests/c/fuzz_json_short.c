/* What is accepted as a short text, the scanner accepts, too, to the same
 * place. */
#include "wire/json_scan.h"
#include "wire/json_short.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

extern const char *const fuzz_seeds[];
const char *const fuzz_seeds[] = {
    "{\"id\":1234,\"name\":\"Petros\",\"roles\":[\"admin\",\"user\"]}",
    "{\"id\":1234}",
    "[12345678,12.5,-3,null,true,false]",
    "{\"a\": 1, \"b\": \"c\", \"d\": [1, 2]}",
    "[[[[[]]]],{},{},{\"\":{}}]",
    "[\"\\n\",\"\\\"]\",\"\xC3\xA9\",0.10,-0]",
    NULL,
};

/* Of an input that is too long, only the beginning, with a bracket at its
 * end. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t size = len < JRC_JSON_SHORT_MOST ? len : JRC_JSON_SHORT_MOST;
    struct jrc_json_report report;
    unsigned char *text = malloc(size + (size == 0));

    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    if (size > 0 && size < len)
        text[size - 1] = data[size] % 2 != 0 ? ']' : '}';
    if (size > 0 && jrc_json_is_short(text, size, MAX_DEPTH)) {
        const unsigned char *end = jrc_json_short_end(text, size);
        if (end != NULL &&
            !jrc_json_scan((const char *)text, (size_t)(end - text), MAX_DEPTH,
                           NULL, 0, &report))
            abort();
    }
    free(text);
    return 0;
}
