/* A rig for all tests of a program, and the checks that they make of it. */
#ifndef RIG_CHECK_H
#define RIG_CHECK_H

#include "check.h"
#include "rig.h"

/* More bytes than there ever are, a second, next to no time, and the size of
 * what rig_call() submits. */
enum { ALL = 1 << 20, S = 1000000, AT_ONCE = 10000, FRAME = 44 };

static struct rig rig;

#define IS(token, status, fate) \
    CHECK(rig_is(&rig, token, JSONRPCC_##status, JSONRPCC_##fate))

static inline enum jrc_server_state state(uint32_t i)
{
    return rig.servers.list[i].state;
}

/* Five calls to server i, the only one that can be picked, time out; then a
 * trial is due. */
static inline void make_suspect(uint32_t i)
{
    for (uint64_t token = 100; token < 105; token++)
        rig_call(&rig, token, 0, AT_ONCE / 1000);
    rig_send(&rig, i, ALL);
    rig_wait(&rig, AT_ONCE);
    CHECK(state(i) == JRC_SERVER_SUSPECT);
    rig_wait(&rig, S);
    rig_todo(&rig, i);
}

static inline void answer(uint32_t i, uint64_t id)
{
    rig_reply(&rig, i, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":0}",
              (unsigned long long)id);
}

/* Whether the next call goes to server i. */
static inline bool goes_to(uint32_t i, uint64_t token, int32_t timeout_ms)
{
    rig_call(&rig, token, 0, timeout_ms);
    return rig_send(&rig, i, ALL) == FRAME;
}

/* The end of a test, when the engine's bookkeeping has to be right. */
static inline void finish(void)
{
    CHECK(rig_sound(&rig.engine));
    rig_stop(&rig);
}

#endif
