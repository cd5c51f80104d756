/* What every queue of calls has, whatever receives its outcomes. */

#ifndef JRC_PYTHON_CALLS_H
#define JRC_PYTHON_CALLS_H

#include "python/decoder.h"
#include "python/entries.h"
#include "python/method_ids.h"

/* What submits to a client's queue and delivers what comes from it. */
struct spd_calls {
    jsonrpcc_client *client;
    jsonrpcc_queue *queue;
    PyObject *handle; /* keeps client */
    PyObject *keep;   /* keeps queue, and whatever lives as long */
    PyObject *refuse; /* that of spd_refuse() */
    struct spd_codec codec;
    struct spd_method_ids method_ids;
    struct spd_entries entries;
};

/* client and queue are ints: addresses.  False: an exception is set. */
bool spd_calls_init(struct spd_calls *calls, PyObject *client, PyObject *queue,
                    PyObject *handle, PyObject *keep, PyObject *codec,
                    PyObject *refuse);
int spd_calls_visit(const struct spd_calls *calls, visitproc visit, void *arg);
void spd_calls_clear(struct spd_calls *calls);

/* Submit a call.  Returns its id, or a negated status. */
int64_t spd_submit(struct spd_calls *calls,
                   const struct spd_arguments *arguments, uint64_t token,
                   uint32_t flags);

/* Like the functions of entries.h, for a token that is an int.  False or NULL:
 * an exception is set. */
bool spd_calls_get(const struct spd_calls *calls, PyObject *token,
                   struct spd_entry *entry);
PyObject *spd_calls_discard(struct spd_calls *calls, PyObject *token);

/* Whether everything that was fetched is delivered, which sets its counts to
 * 0. */
static inline bool spd_is_delivered(const jsonrpcc_completions *completions)
{
    return completions->count == 0 && completions->failure_count == 0 &&
           completions->event_count == 0;
}

#endif
