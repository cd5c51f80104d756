/* Names to endpoints, on threads of its own: the look-up follows the system's
 * configuration, and it may hang.
 *
 * At most JRC_RESOLVER_THREADS look-ups go on at once; others queue.  A
 * look-up that hangs keeps its thread, and nothing else. */

#ifndef JRC_RESOLVER_H
#define JRC_RESOLVER_H

#include "io/endpoint.h"

#include <stdbool.h>
#include <stdint.h>

enum { JRC_RESOLVER_THREADS = 16 };

struct jrc_resolver;

/* wake_fd, an eventfd, is written to whenever an answer has arrived.  NULL: out
 * of memory. */
struct jrc_resolver *jrc_resolver_new(int wake_fd);

/* Never blocks: threads that are still at work clean up after themselves. */
void jrc_resolver_free(struct jrc_resolver *resolver);

/* Look up host for tag.  0, or an errno: no memory or no thread for it. */
int jrc_resolver_ask(struct jrc_resolver *resolver, uint32_t tag,
                     const char *host, uint16_t port);

/* Take an answer.  False: there is none.  *list is yours, to be freed by
 * jrc_endpoints_free(), or NULL, and then *error is an EAI_ code, which is
 * negative, or an errno. */
bool jrc_resolver_take(struct jrc_resolver *resolver, uint32_t *tag,
                       struct jrc_endpoint **list, int *error);

#endif
