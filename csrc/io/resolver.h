/* Turns names into endpoints, and reads files, on threads of its own, because a
 * lookup follows the system's configuration, a path leads to any file system,
 * and both may hang.
 *
 * At most JRC_RESOLVER_THREADS lookups run at once; others queue.  A lookup
 * that hangs blocks its thread and nothing else. */

#ifndef JRC_RESOLVER_H
#define JRC_RESOLVER_H

#include "engine/answer.h"
#include "engine/server_list.h"
#include "io/endpoint.h"
#include "io/file_read.h"
#include "io/file_watch.h"

#include <stdbool.h>
#include <stdint.h>

enum { JRC_RESOLVER_THREADS = 16 };

struct jrc_resolver;

/* Writes to wake_fd, an eventfd, whenever an answer has arrived.  NULL: out of
 * memory. */
struct jrc_resolver *jrc_resolver_new(int wake_fd);

/* Never blocks: threads that are still working clean up after themselves. */
void jrc_resolver_free(struct jrc_resolver *resolver);

/* Look up the host of a server, or a name that stands for servers; tag says
 * which for the caller.  0, or an errno if there is no memory or thread for it.
 */
int jrc_resolver_ask(struct jrc_resolver *resolver, enum jrc_entry_kind kind,
                     uint32_t tag, const char *host, uint16_t port);

/* Read the file at that path, and have watch, unless NULL, watch it from before
 * that on.  0, or an errno as above. */
int jrc_resolver_read(struct jrc_resolver *resolver, uint32_t tag,
                      const char *path, const struct jrc_file_ask *ask,
                      struct jrc_file_watch *watch);

struct jrc_found {
    enum jrc_entry_kind kind; /* as asked, and tag */
    uint32_t tag;
    /* Of a server: yours, to be freed with jrc_endpoints_free(); or NULL, and
     * error is an EAI_ code, which is negative, or an errno. */
    struct jrc_endpoint *endpoints;
    int error;
    struct jrc_answer answer; /* of a name or file; yours as well */
};

/* Take an answer.  False: there is none. */
bool jrc_resolver_take(struct jrc_resolver *resolver, struct jrc_found *found);

#endif
