#define _GNU_SOURCE /* explicit_bzero() */

#include "engine/hello.h"

#include "wire/growth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than all ids of hellos. */
#define LONGEST_ID 99

static void clear(struct jrc_hello *hello)
{
    for (uint32_t i = 0; i < hello->count; i++) {
        struct jrc_message *message = &hello->requests[i].message;
        if (message->owned_params != NULL)
            explicit_bzero(message->owned_params, message->params_len);
        jrc_message_clear(message);
        if (hello->requests[i].text != NULL)
            explicit_bzero(hello->requests[i].text, hello->requests[i].size);
        free(hello->requests[i].text);
    }
    free(hello);
}

struct jrc_hello *jrc_hello_ref(struct jrc_hello *hello)
{
    if (hello != NULL)
        atomic_fetch_add_explicit(&hello->refs, 1, memory_order_relaxed);
    return hello;
}

void jrc_hello_unref(struct jrc_hello *hello)
{
    if (hello != NULL &&
        atomic_fetch_sub_explicit(&hello->refs, 1, memory_order_acq_rel) == 1)
        clear(hello);
}

static bool refuses(const jsonrpcc_call *call, uint32_t errors)
{
    if (errors != JSONRPCC_HELLO_BY_NAME)
        return errors == JSONRPCC_HELLO_REFUSE;
    return call->method_len < 4 || memcmp(call->method, "rpc.", 4) != 0;
}

/* Say what is wrong, and where.  Returns EINVAL. */
static int fault(size_t i, const struct jrc_fault *fault, char *why,
                 size_t why_size)
{
    if (strncmp(fault->rule, "method", 6) == 0)
        snprintf(why, why_size, "hello[%zu]: %s", i, fault->rule);
    else if (strncmp(fault->rule, "params", 6) == 0)
        snprintf(why, why_size, "hello[%zu]: %s", i, fault->rule);
    else
        snprintf(why, why_size, "hello[%zu]: params: %s at offset %zu", i,
                 fault->rule, fault->at);
    return EINVAL;
}

static int refuse_size(uint32_t i, char *why, size_t why_size)
{
    snprintf(why, why_size, "hello[%u]: it is larger than %d bytes", i,
             JRC_HELLO_SIZE);
    return EINVAL;
}

/* 0 or an errno; clear() frees what there is. */
static int read_request(struct jrc_hello *hello, const jsonrpcc_call *call,
                        uint32_t errors, const struct jrc_framing *framing,
                        char *why, size_t why_size)
{
    uint32_t i = hello->count;
    struct jrc_fault wrong;
    size_t params_len = call->params != NULL ? call->params_len : 0;
    bool is_lenient = (call->flags & JSONRPCC_LENIENT) != 0;

    if (call->method_len > JRC_HELLO_SIZE || params_len > JRC_HELLO_SIZE)
        return refuse_size(i, why, why_size);
    char *text = malloc(call->method_len + params_len + 1);
    if (text == NULL)
        return ENOMEM;
    if (call->method_len > 0)
        memcpy(text, call->method, call->method_len);
    if (params_len > 0)
        memcpy(text + call->method_len, call->params, params_len);
    hello->requests[i].text = text;
    hello->requests[i].size = call->method_len + params_len;
    hello->requests[i].refuses = refuses(call, errors);
    hello->count++;
    if (!jrc_message_init_rare(
            &hello->requests[i].message, text, call->method_len,
            call->params != NULL ? text + call->method_len : NULL, params_len,
            is_lenient ? JRC_LENIENT : JRC_STRICT, &wrong))
        return wrong.rule == NULL ? ENOMEM : fault(i, &wrong, why, why_size);
    if (jrc_message_frame_size(&hello->requests[i].message, framing,
                               LONGEST_ID) <= JRC_HELLO_SIZE)
        return 0;
    return refuse_size(i, why, why_size);
}

static int check_call(size_t i, const jsonrpcc_call *call, char *why,
                      size_t why_size)
{
    if ((call->flags & JSONRPCC_NOTIFICATION) != 0)
        snprintf(why, why_size, "hello[%zu]: it cannot be a notification", i);
    else if ((call->flags & ~(uint32_t)JSONRPCC_LENIENT) != 0)
        snprintf(why, why_size, "hello[%zu]: flags other than LENIENT", i);
    else
        return 0;
    return EINVAL;
}

int jrc_hello_new(struct jrc_hello **result, const struct jsonrpcc_call *calls,
                  size_t count, uint32_t errors,
                  const struct jrc_framing *framing, char *why, size_t why_size)
{
    const char *at = (const char *)calls;
    int error = 0;

    *result = NULL;
    if (count == 0)
        return 0;
    if (count > JRC_HELLO_MOST) {
        snprintf(why, why_size, "hello: %zu requests, of at most %d", count,
                 JRC_HELLO_MOST);
        return EINVAL;
    }
    struct jrc_hello *hello = calloc(1, sizeof *hello);
    if (hello == NULL)
        return ENOMEM;
    atomic_init(&hello->refs, 1);
    for (size_t i = 0; i < count && error == 0; i++) {
        jsonrpcc_call call;
        if (!jrc_growth_copy(&call, sizeof call, at + i * calls->size,
                             calls->size)) {
            snprintf(why, why_size,
                     "hello[%zu]: a field that this version does not have", i);
            error = EINVAL;
        } else {
            error = check_call(i, &call, why, why_size);
        }
        if (error == 0)
            error = read_request(hello, &call, errors, framing, why, why_size);
    }
    if (error != 0)
        clear(hello);
    else
        *result = hello;
    return error;
}
