/* Names that stand for servers which come and go: when each is looked up, and
 * what its answers mean for the list.  A file of entries is a name, too: see
 * engine/files.h.
 *
 * Policy only: the clock (monotonic microseconds) and the dice are arguments.
 * An outage of DNS removes no server: only an answer does, and one that says
 * that there is nothing has to be given three times in a row, over at least
 * refresh_us.  Not thread-safe; the engine owns it. */

#ifndef JRC_DISCOVERY_H
#define JRC_DISCOVERY_H

#include "engine/name.h"

enum {
    JRC_NONES_IN_A_ROW = 3, /* that are believed */
    JRC_LONGEST_TTL_S = 300
};

struct jrc_discovery {
    struct jrc_server_list written; /* as users wrote them */
    struct jrc_server_list entries; /* with those that files have */
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

/* The answer for a name, which is taken over.  True: its servers change.  Of a
 * file, names may have moved. */
bool jrc_discovery_answer(struct jrc_discovery *discovery,
                          struct jrc_name *name, struct jrc_answer *answer,
                          uint64_t now_us, uint32_t dice);

/* How many servers the name stands for; of a file, entries. */
size_t jrc_name_count(const struct jrc_name *name);

/* A server of the name was lost or cannot be reached: look again soon. */
void jrc_discovery_hasten(struct jrc_discovery *discovery, uint32_t id,
                          uint64_t now_us);

#endif
