/* Many calls of one method, as the text of an array of their params.  Reading
 * it is a function of bytes. */

#ifndef JRC_BULK_H
#define JRC_BULK_H

#include "jsonrpcc.h"

enum { JRC_SOME_CALLS = 32 };

/* Some of them, to be submitted together. */
struct jrc_some {
    jsonrpcc_call calls[JRC_SOME_CALLS];
    const char *ends[JRC_SOME_CALLS]; /* where what follows each begins */
    size_t count;
    jsonrpcc_status fault; /* of what follows */
};

/* Read the elements, each an array or object, from p on, which is behind the
 * bracket that opens or behind an element and its comma, as far as there are
 * and count lets us.  The calls are like that one, with tokens that count on
 * from its. */
void jrc_some_read(struct jrc_some *some, const char *p, const char *end,
                   size_t count, const jsonrpcc_call *like);

/* jsonrpcc_request_many() of the first count of them, whose params have just
 * been scanned and need no second look.  The client's, in client.c. */
size_t jrc_some_submit(const struct jrc_some *some, size_t count,
                       jsonrpcc_client *client, jsonrpcc_status *status);

#endif
