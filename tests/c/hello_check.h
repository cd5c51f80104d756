/* For tests of hellos on a rig. */
#ifndef HELLO_CHECK_H
#define HELLO_CHECK_H

#include "rig_check.h"

#include "engine/greeting.h"
#include "wire/netstring.h"

#include <stdio.h>
#include <string.h>

static char why[200];

static inline bool greets(uint32_t i)
{
    return rig.engine.conns[i].state == JRC_SERVER_GREETING &&
           state(i) == JRC_SERVER_CONNECTING;
}

static inline jsonrpcc_call call_of(const char *method, const char *params)
{
    return (jsonrpcc_call){.size = sizeof(jsonrpcc_call),
                           .method = method,
                           .method_len = strlen(method),
                           .params = params,
                           .params_len = params != NULL ? strlen(params) : 0};
}

static inline void set_hello(const jsonrpcc_call *calls, size_t count)
{
    struct jrc_hello *hello;

    CHECK(jrc_hello_new(&hello, calls, count, JSONRPCC_HELLO_BY_NAME,
                        &jrc_netstrings, why, sizeof why) == 0);
    jrc_engine_set_hello(&rig.engine, hello);
}

/* What connection i has to send, sent. */
static inline const char *sent_by(uint32_t i)
{
    static char text[300];
    size_t len;
    const char *bytes = jrc_engine_output(&rig.engine, i, &len);

    snprintf(text, sizeof text, "%.*s", (int)len, len > 0 ? bytes : "");
    jrc_engine_sent(&rig.engine, i, len, rig.now_us);
    return text;
}

static inline bool says(uint32_t i, const char *text)
{
    const char *sent = sent_by(i);

    if (strcmp(sent, text) == 0)
        return true;
    printf("sent: %s\n", sent);
    return false;
}

static inline uint32_t todo(uint32_t i)
{
    return rig_todo(&rig, i);
}

#endif
