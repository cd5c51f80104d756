/* JSON-RPC 2.0 responses: what a payload says, and for which call. */

#ifndef JRC_RESPONSE_H
#define JRC_RESPONSE_H

#include <stddef.h>
#include <stdint.h>

enum jrc_response_kind {
    JRC_RESPONSE_RESULT,
    JRC_RESPONSE_ERROR,
    JRC_RESPONSE_INVALID,  /* json is the rule broken, static text */
    JRC_RESPONSE_REJECTED, /* an error with id null: a request was unreadable */
    JRC_RESPONSE_NOBODYS,  /* its id cannot be one of ours */
    JRC_RESPONSE_IGNORED   /* not a response: not JSON, a request, a scalar
                              ... */
};

struct jrc_response {
    enum jrc_response_kind kind;
    uint64_t id;           /* RESULT, ERROR, INVALID */
    const char *id_digits; /* RESULT: where they are in the payload */
    const char *json;
    size_t json_len;
    int64_t code; /* ERROR, REJECTED: the error's code, 0 if that is not an
                     integer that fits */
};

/* Read a payload.  The spans in response point into it. */
void jrc_response_read(const char *payload, size_t len, unsigned max_depth,
                       struct jrc_response *response);

#endif
