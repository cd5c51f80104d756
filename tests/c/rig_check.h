/* A rig for all tests of a program, and the checks that they make of it. */
#ifndef RIG_CHECK_H
#define RIG_CHECK_H

#include "check.h"
#include "rig.h"

/* Bytes without end, a second, and the bytes of what rig_call() submits. */
enum { ALL = 1 << 20, S = 1000000, FRAME = 44 };

static struct rig rig;

#define IS(token, status, fate) \
    CHECK(rig_is(&rig, token, JSONRPCC_##status, JSONRPCC_##fate))

/* The end of a test: the engine's books are right. */
static inline void finish(void)
{
    CHECK(rig_sound(&rig.engine));
    rig_stop(&rig);
}

#endif
