/* What a connection says before it gets calls: a few requests, read once and
 * shared by all that say them. */

#ifndef JRC_HELLO_H
#define JRC_HELLO_H

#include "jsonrpcc.h"
#include "wire/request.h"

#include <stdatomic.h>

enum {
    JRC_HELLO_MOST = 8,     /* requests */
    JRC_HELLO_SIZE = 65536, /* bytes of one, as a frame */
    JRC_HELLO_IDS = 15      /* ids from 1 on, which no call ever has */
};

/* Never changes.  It owns its texts, which may be secret. */
struct jrc_hello {
    atomic_uint refs;
    uint32_t count; /* never 0 */
    struct {
        struct jrc_message message;
        char *text; /* of the method, then of the params */
        size_t size;
        bool refuses; /* an error means that the connection cannot be used */
    } requests[JRC_HELLO_MOST];
};

/* Read requests; errors is one of jsonrpcc_hello_errors.  With none of them,
 * *hello is NULL, which stands for no hello everywhere.  0, ENOMEM, or EINVAL
 * and why, which says where, but nothing of the texts. */
int jrc_hello_new(struct jrc_hello **hello, const struct jsonrpcc_call *calls,
                  size_t count, uint32_t errors,
                  const struct jrc_framing *framing, char *why,
                  size_t why_size);

/* Any thread. */
struct jrc_hello *jrc_hello_ref(struct jrc_hello *hello);
void jrc_hello_unref(struct jrc_hello *hello);

#endif
