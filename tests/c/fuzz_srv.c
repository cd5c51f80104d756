/* Whatever bytes come as an answer of DNS: the records that are found can be
 * used as hosts and ports, and the status fits them.
 *
 * A seed is a C string, which has no NUL: the bytes are read xor 0xa5. */
#include "wire/srv.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

extern const char *const fuzz_seeds[];
const char *const fuzz_seeds[] = {
    "\xb7\xc2\x24\x25\xa5\xa4\xa5\xa4\xa5\xa5\xa5\xa5\xa7\xfa\xdd\xa1\xfa\xd1\xc6\xd5\xa4\xc1\xa5\xa5\x84\xa5\xa4\x65\xa9\xa5\x84\xa5\xa4\xa5\xa5\xa5\x99\xa5\xa8\xa5\xaf\xa5\xa0\x82\xaa\xa4\xc4\xa6\xc7\x88\xc6\xa5",
    "\xb7\xc2\x24\x25\xa5\xa4\xa5\xa1\xa5\xa5\xa5\xa5\xa7\xfa\xdd\xa1\xfa\xd1\xc6\xd5\xa4\xc1\xa5\xa5\x84\xa5\xa4\x65\xa9\xa5\xa0\xa5\xa4\xa5\xa5\xa5\xa6\xa5\xa6\xa4\xdc\xa5\x65\xa9\xa5\x84\xa5\xa4\xa5\xa5\xa5\x99\xa5\xac\xa5\xa4\xa5\xa5\xa5\xf5\xa4\xcd\xa5\x65\xa9\xa5\x84\xa5\xa4\xa5\xa5\xa5\x99\xa5\xaf\xa5\xa7\xa5\xa6\xa5\xf4\xa4\xc2\x65\xb1\x65\xa9\xa5\xa4\xa5\xa4\xa5\xa5\xa5\xa0\xa5\xa1\xda\xa5\xa5\xa4",
    "\xb7\xc2\x24\x25\xa5\xa4\xa5\xa4\xa5\xa5\xa5\xa5\xa7\xfa\xdd\xa1\xfa\xd1\xc6\xd5\xa4\xc1\xa5\xa5\x84\xa5\xa4\x65\xa9\xa5\x84\xa5\xa4\xa5\xa5\xa5\x99\xa5\xa2\xa5\xa5\xa5\xa5\xa5\xa5\xa5",
    "\xb7\xc2\x24\x26\xa5\xa4\xa5\xa5\xa5\xa5\xa5\xa5\xa7\xfa\xdd\xa1\xfa\xd1\xc6\xd5\xa4\xc1\xa5\xa5\x84\xa5\xa4",
    "\xb7\xc2\x24\x25\xa5\xa4\xa5\xa4\xa5\xa5\xa5\xa5\xa7\xfa\xdd\xa1\xfa\xd1\xc6\xd5\xa4\xc1\xa5\xa5\x84\xa5\xa4\x65\xa9\xa5\x84\xa5\xa4\xa5\xa5\xa5\x99\xa5\xad\xa5\xa4\xa5\xa4\xa5\xa4\x65\x88",
    "\x65\xa9\xa5\x84\xa5\xa4\xa5\xa5\xa5\x99\xa5\xac\xa5\xa4\xa5\xa4\xa5\xa4\xa4\xdf\xa5",
    NULL,
};

/* Make the header say: a response with one question and some answers. */
size_t fuzz_repair(uint8_t *data, size_t len, size_t most);
size_t fuzz_repair(uint8_t *data, size_t len, size_t most)
{
    static const uint8_t header[10] = {0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0};

    (void)most;
    if (len < 12)
        return len;
    uint8_t answers = (data[7] ^ 0xa5) & 3;
    for (size_t i = 0; i < sizeof header; i++)
        data[2 + i] = header[i] ^ 0xa5;
    data[7] = answers ^ 0xa5;
    return len;
}

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check(void *arg, const struct jrc_srv *record)
{
    size_t *count = arg;
    size_t len = strnlen(record->target, JRC_SRV_TARGET);

    require(record->port != 0 && len > 0 && len < JRC_SRV_TARGET);
    for (size_t i = 0; i < len; i++) {
        char c = record->target[i];
        require((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_');
    }
    (*count)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    unsigned char *message = malloc(len + (len == 0));
    uint32_t ttl_s;
    size_t count = 0;

    require(message != NULL);
    for (size_t i = 0; i < len; i++)
        message[i] = data[i] ^ 0xa5;
    enum jrc_srv_status status =
        jrc_srv_read(message, len, check, &count, &ttl_s);
    /* A record of the shortest kind takes 19 bytes. */
    require(count * 19 <= len);
    if (status == JRC_SRV_FOUND)
        require(count > 0 && ttl_s <= INT32_MAX && len <= JRC_DNS_MESSAGE);
    if (status == JRC_SRV_CLOSED || status == JRC_SRV_NONE)
        require(count == 0);
    free(message);
    return 0;
}
