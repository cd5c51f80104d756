/* A name that stands for servers which come and go, or a file of entries. */

#ifndef JRC_NAME_H
#define JRC_NAME_H

#include "engine/answer.h"

struct jrc_name {
    const struct jrc_entry *entry;
    uint32_t id;              /* never 0, and never used again */
    struct jrc_answer answer; /* the servers it stands for now */
    bool asking;
    uint64_t began_us; /* when the first lookup began; 0: it has not */
    uint64_t asked_us; /* when the last one began */
    uint64_t next_us;  /* the next one, unless asking */
    uint32_t misses;   /* lookups in a row without servers as answer */
    uint32_t nones;    /* of these, NONE in a row */
    uint64_t none_us;  /* the first of them */
    int32_t reason;    /* of the last lookup, 0: it found something */
    uint64_t lookups, failed;
    uint32_t added, gone;  /* servers, by the last answer that was believed */
    uint64_t found_us;     /* the last that found something; 0: none */
    struct jrc_file *file; /* of a file, owned */
};

#endif
