#include "wire/srv.h"

#include <arpa/nameser.h>
#include <stdbool.h>
#include <string.h>

/* Where reading a message stands. */
struct reader {
    const unsigned char *message, *at, *end;
};

enum {
    /* The flags of a header, beside NS_MAXDNAME and others of libc. */
    RESPONSE = 0x8000,
    TRUNCATED = 0x0200,
    CODE = 0x000f,
    /* Bytes of a record before its data: type, class, time to live, length. */
    RECORD = 10,
    /* Bytes of a record of SRV before its target: priority, weight, port. */
    FIXED = 6
};

static uint16_t get16(const unsigned char *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const unsigned char *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* Take so many bytes.  NULL: they are not there. */
static const unsigned char *take_bytes(struct reader *reader, size_t count)
{
    const unsigned char *bytes = reader->at;

    if ((size_t)(reader->end - reader->at) < count)
        return NULL;
    reader->at += count;
    return bytes;
}

static bool skip_name(struct reader *reader)
{
    return ns_name_skip(&reader->at, reader->end) == 0;
}

static bool is_host(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

    return text[0] != '\0' && text[strspn(text, allowed)] == '\0';
}

/* The data of a record of SRV.  False: it is malformed. */
static bool read_data(const struct reader *reader, const unsigned char *data,
                      size_t len, struct jrc_srv *record)
{
    char name[NS_MAXDNAME];

    memset(record, 0, sizeof *record);
    if (len <= FIXED)
        return false;
    record->priority = get16(data);
    record->weight = get16(data + 2);
    record->port = get16(data + 4);
    /* Exactly to the end: a name that goes on in the next record is none. */
    int used = ns_name_uncompress(reader->message, reader->end, data + FIXED,
                                  name, sizeof name);
    size_t size = strlen(name);
    if (used < 0 || (size_t)used != len - FIXED ||
        size >= sizeof record->target)
        return false;
    memcpy(record->target, name, size);
    return true;
}

static enum jrc_srv_status status_of(uint16_t flags)
{
    if ((flags & RESPONSE) == 0 || (flags & TRUNCATED) != 0)
        return JRC_SRV_BAD;
    if ((flags & CODE) == ns_r_nxdomain)
        return JRC_SRV_NONE;
    return (flags & CODE) == ns_r_noerror ? JRC_SRV_FOUND : JRC_SRV_BAD;
}

/* What the records were. */
struct tally {
    void (*take)(void *arg, const struct jrc_srv *record);
    void *arg;
    size_t seen, taken, closed;
    uint32_t ttl_s;
};

/* One record.  False: it is malformed. */
static bool read_record(struct reader *reader, struct tally *tally)
{
    struct jrc_srv record;
    const unsigned char *fixed =
        skip_name(reader) ? take_bytes(reader, RECORD) : NULL;
    if (fixed == NULL)
        return false;
    size_t len = get16(fixed + 8);
    const unsigned char *data = take_bytes(reader, len);
    if (data == NULL)
        return false;
    if (get16(fixed) != ns_t_srv || get16(fixed + 2) != ns_c_in)
        return true; /* an alias on the way there, for example */
    if (!read_data(reader, data, len, &record))
        return false;
    tally->seen++;
    /* With the largest bit, it counts as 0: RFC 2181 §8. */
    uint32_t ttl_s = get32(fixed + 4);
    if (ttl_s > INT32_MAX)
        ttl_s = 0;
    if (ttl_s < tally->ttl_s)
        tally->ttl_s = ttl_s;
    if (strcmp(record.target, ".") == 0) {
        tally->closed++;
    } else if (record.port != 0 && is_host(record.target)) {
        tally->taken++;
        tally->take(tally->arg, &record);
    }
    return true;
}

enum jrc_srv_status jrc_srv_read(const unsigned char *message, size_t len,
                                 void (*take)(void *arg,
                                              const struct jrc_srv *record),
                                 void *arg, uint32_t *ttl_s)
{
    struct reader reader = {message, message, message + len};
    struct tally tally = {.take = take, .arg = arg, .ttl_s = UINT32_MAX};
    const unsigned char *header = take_bytes(&reader, NS_HFIXEDSZ);

    if (header == NULL || len > JRC_DNS_MESSAGE)
        return JRC_SRV_BAD;
    enum jrc_srv_status status = status_of(get16(header + 2));
    if (status != JRC_SRV_FOUND)
        return status;
    for (unsigned left = get16(header + 4); left > 0; left--)
        if (!skip_name(&reader) || take_bytes(&reader, NS_QFIXEDSZ) == NULL)
            return JRC_SRV_BAD;
    for (unsigned left = get16(header + 6); left > 0; left--)
        if (!read_record(&reader, &tally))
            return JRC_SRV_BAD;
    *ttl_s = tally.ttl_s;
    if (tally.taken > 0)
        return JRC_SRV_FOUND;
    if (tally.seen == 0)
        return JRC_SRV_NONE;
    return tally.closed == tally.seen ? JRC_SRV_CLOSED : JRC_SRV_BAD;
}
