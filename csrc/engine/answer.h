/* What a lookup has found: the servers that a name stands for. */

#ifndef JRC_ANSWER_H
#define JRC_ANSWER_H

#include "engine/file_list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum jrc_answer_kind {
    JRC_ANSWER_FAILED, /* nobody knows: the name keeps its servers */
    JRC_ANSWER_FOUND,
    JRC_ANSWER_NONE,   /* there is no such name, or nothing there */
    JRC_ANSWER_CLOSED, /* there is deliberately nothing there */
    JRC_ANSWER_SAME,   /* the file is as it was */
    JRC_ANSWER_TORN    /* it was written to while it was read */
};

/* One server. */
struct jrc_target {
    char *host; /* a numeric address, or the name of a host */
    uint16_t port;
    uint16_t priority; /* smaller ones first */
    uint16_t weight;   /* as in the record */
    uint32_t share;    /* set by jrc_answer_sort() */
};

/* All zero is an answer that says nothing.  It owns its texts. */
struct jrc_answer {
    enum jrc_answer_kind kind;
    int32_t reason; /* FAILED, NONE: why, see jsonrpcc_reason */
    uint32_t ttl_s; /* FOUND, CLOSED: how long it holds; 0: not known */
    struct jrc_target *targets;
    size_t count, room;
    struct jrc_file_list *file; /* FOUND, and if it could be read, FAILED: of a
                                   file.  Owned. */
};

void jrc_answer_clear(struct jrc_answer *answer);

/* Add a server, with a copy of host.  False: out of memory. */
bool jrc_answer_add(struct jrc_answer *answer, const char *host, uint16_t port,
                    uint16_t priority, uint16_t weight);

/* Bring the servers into an order that depends on them alone, without those
 * that are there twice, and set their shares: weights among servers of one
 * priority, in which 0 does not mean never.  It is a hundredth of the smallest
 * other weight; if all are 0, they are equal. */
void jrc_answer_sort(struct jrc_answer *answer);

/* Whether two sorted answers say the same.  *added and *gone: how many servers
 * only the second one has, or only the first. */
bool jrc_answer_is_same(const struct jrc_answer *a, const struct jrc_answer *b,
                        uint32_t *added, uint32_t *gone);

#endif
