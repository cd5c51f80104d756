#include "api/bulk.h"

#include "wire/json_scan.h"

/* Find the element of an array that begins at *p or later, and move *p to the
 * next one or to the end.  1; 0: there is none left; -1: it is not params. */
static int next_element(const char **p, const char *end, const char **element,
                        size_t *len)
{
    const char *start = jrc_json_skip(*p, end);

    if (start < end && *start == ']') {
        *p = start;
        return jrc_json_skip(start + 1, end) == end ? 0 : -1;
    }
    if (start == end || (*start != '{' && *start != '['))
        return -1;
    const char *next = jrc_json_value_end(start, end, JRC_JSON_DEPTH_MAX);
    if (next == NULL)
        return -1;
    *element = start;
    *len = (size_t)(next - start);
    next = jrc_json_skip(next, end);
    if (next == end || (*next != ',' && *next != ']'))
        return -1;
    if (*next == ',') {
        next = jrc_json_skip(next + 1, end);
        if (next < end && *next == ']')
            return -1; /* an element must follow */
    }
    *p = next;
    return 1;
}

void jrc_some_read(struct jrc_some *some, const char *p, const char *end,
                   size_t count, const jsonrpcc_call *like)
{
    int got = 1;

    for (some->count = 0; some->count < count && some->count < JRC_SOME_CALLS;
         some->count++) {
        jsonrpcc_call *call = &some->calls[some->count];
        *call = *like;
        got = next_element(&p, end, &call->params, &call->params_len);
        if (got <= 0)
            break;
        call->token += some->count;
        some->ends[some->count] = p;
    }
    some->fault = got < 0 ? JSONRPCC_EINVAL : JSONRPCC_OK;
}
