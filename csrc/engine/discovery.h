/* Names that stand for servers which come and go: when each is looked up, and
 * what its answers mean for the list.
 *
 * Policy only: the clock (monotonic microseconds) and the dice are arguments.
 * An outage of DNS removes no server: only an answer does, and one that says
 * that there is nothing has to be given three times in a row, over at least
 * refresh_us.  Not thread-safe; the engine owns it. */

#ifndef JRC_DISCOVERY_H
#define JRC_DISCOVERY_H

#include "engine/answer.h"
#include "engine/server_list.h"

enum {
    JRC_NONES_IN_A_ROW = 3, /* that are believed */
    JRC_LONGEST_TTL_S = 300
};

struct jrc_name {
    const struct jrc_entry *entry;
    uint32_t id;              /* never 0, and never used again */
    struct jrc_answer answer; /* the servers it stands for now */
    bool asking;
    uint64_t asked_us; /* when the last lookup began */
    uint64_t next_us;  /* the next one, unless asking */
    uint32_t misses;   /* lookups in a row without servers as answer */
    uint32_t nones;    /* of these, NONE in a row */
    uint64_t none_us;  /* the first of them */
    int32_t reason;    /* of the last lookup, 0: it found something */
    uint64_t lookups, failed;
    uint32_t added, gone; /* servers, by the last answer that was believed */
    uint64_t found_us;    /* the last that found something; 0: none */
};

struct jrc_discovery {
    struct jrc_server_list entries; /* as users wrote them */
    struct jrc_name *names;         /* those of the entries that are names */
    size_t count;
    uint32_t last_id;
    uint64_t version;                    /* counts changes of what is known */
    uint64_t refresh_us, min_us, srv_us; /* dns_refresh, dns_min, min_srv_ttl */
    uint64_t patience_us; /* how long calls wait for a first lookup */
    size_t max;           /* servers */
    uint64_t seed;        /* for the choice if there are more */
};

void jrc_discovery_clear(struct jrc_discovery *discovery);

/* Take over a list of entries.  A name that was in the last one keeps what is
 * known of it; a new one is looked up at once.  False: out of memory, and
 * nothing has changed. */
bool jrc_discovery_set(struct jrc_discovery *discovery,
                       struct jrc_server_list *entries, uint64_t now_us);

/* Whether calls wait for the first lookup of a name. */
bool jrc_discovery_is_pending(const struct jrc_discovery *discovery,
                              uint64_t now_us);

/* Why there are no servers of names; 0: there are some. */
int32_t jrc_discovery_reason(const struct jrc_discovery *discovery);

/* When the next lookup is due, or a first one is not waited for any more;
 * JRC_NEVER: nothing is due. */
uint64_t jrc_discovery_next_us(const struct jrc_discovery *discovery,
                               uint64_t now_us);

/* A name to be looked up now; NULL: none.  Its answer has to be given. */
struct jrc_name *jrc_discovery_due(struct jrc_discovery *discovery,
                                   uint64_t now_us);

/* The name with that id; NULL: it is not in the list any more. */
struct jrc_name *jrc_discovery_find(struct jrc_discovery *discovery,
                                    uint32_t id);

/* The answer for a name, which is taken over.  True: its servers change. */
bool jrc_discovery_answer(struct jrc_discovery *discovery,
                          struct jrc_name *name, struct jrc_answer *answer,
                          uint64_t now_us, uint32_t dice);

/* A server of the name was lost or cannot be reached: look again soon. */
void jrc_discovery_hasten(struct jrc_discovery *discovery, uint32_t id,
                          uint64_t now_us);

/* The servers that the entries stand for now, each once, as a list of its own.
 * *left_out: those for which there is no room.  False: out of memory. */
bool jrc_discovery_list(const struct jrc_discovery *discovery,
                        struct jrc_server_list *list, size_t *left_out);

#endif
