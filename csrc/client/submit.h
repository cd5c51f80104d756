/* The submission queue: calls from any thread to the leader. */

#ifndef JRC_SUBMIT_H
#define JRC_SUBMIT_H

#include "client/core.h"

/* *id is set if the call was accepted; id may be NULL. */
jsonrpcc_status jrc_core_submit(struct jrc_core *core,
                                const jsonrpcc_call *call, uint64_t *id);

/* Submit calls that are stride bytes apart, until one is refused.  Returns how
 * many were accepted.  scanned: their params are not NULL and JRC_SCANNED. */
size_t jrc_core_submit_many(struct jrc_core *core, const void *calls,
                            size_t stride, size_t count, bool scanned,
                            jsonrpcc_status *status);
void jrc_core_cancel(struct jrc_core *core, uint64_t id);
void jrc_core_flush(struct jrc_core *core);

#endif
