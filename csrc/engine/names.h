/* Names of the list in the engine: lookups go out, answers come in and change
 * the list of servers.  Times are monotonic microseconds. */

#ifndef JRC_NAMES_H
#define JRC_NAMES_H

#include "engine/state.h"

/* Make these the entries of the list, and put the servers in their place that
 * they stand for by now.  False: out of memory; either nothing has changed, or
 * list is empty, and the next answer makes those servers the list. */
bool jrc_names_expand(struct jrc_engine *engine, struct jrc_server_list *list,
                      uint64_t now_us);

/* Make these the entries of the list, and take it over: see jrc_changes_use().
 */
void jrc_engine_set_servers(struct jrc_engine *engine,
                            struct jrc_server_list *list, uint64_t now_us);

/* The next lookup to begin; NULL: none.  Its answer has to be given, and the
 * name may be gone by then. */
const struct jrc_name *jrc_names_lookup(struct jrc_engine *engine,
                                        uint64_t now_us);

/* The answer for the name with that id, which is taken over. */
void jrc_names_answer(struct jrc_engine *engine, uint32_t id,
                      struct jrc_answer *answer, uint64_t now_us);

/* Something has happened to the file with that id; moved: one was moved to its
 * place. */
void jrc_names_touch(struct jrc_engine *engine, uint32_t id, bool moved,
                     uint64_t now_us);

/* The domain that users wrote for the name with that id, without the service of
 * an SRV record; NULL: there is no such name. */
const char *jrc_names_domain(struct jrc_engine *engine, uint32_t id);

/* Look at the time.  Internal to the engine. */
void jrc_names_tick(struct jrc_engine *engine, uint64_t now_us);

#endif
