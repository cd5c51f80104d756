/* Many calls of one method, given as the text of an array of their params.  The
 * functions that read it work on bytes. */

#ifndef JRC_BULK_H
#define JRC_BULK_H

#include "jsonrpcc.h"

enum { JRC_SOME_CALLS = 32 };

/* Some of these calls, to submit together. */
struct jrc_some {
    jsonrpcc_call calls[JRC_SOME_CALLS];
    const char *ends[JRC_SOME_CALLS]; /* where the text after each begins */
    size_t count;
    jsonrpcc_status fault; /* why there are no more */
};

/* Read up to count elements, each an array or object.  p is after the opening
 * bracket, or after an element and its comma.  The calls are copies of like,
 * with tokens that count up from its token. */
void jrc_some_read(struct jrc_some *some, const char *p, const char *end,
                   size_t count, const jsonrpcc_call *like);

/* jsonrpcc_request_many() for the first count of them, whose params have just
 * been scanned and need no second scan.  Defined in client/client.c. */
size_t jrc_some_submit(const struct jrc_some *some, size_t count,
                       jsonrpcc_client *client, jsonrpcc_status *status);

#endif
