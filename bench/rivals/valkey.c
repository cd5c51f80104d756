/* libvalkey's async client on libevent against redis-server: a callback per
 * reply, which submits the next call.  Its own protocol, so no JSON at all. */
#include "measure.h"

#include <valkey/adapters/libevent.h>
#include <valkey/async.h>
#include <valkey/valkey.h>
#include <stdbool.h>

static struct event_base *base;
static valkeyAsyncContext *valkey;
static long submitted, completed, wanted;

static void on_reply(valkeyAsyncContext *context, void *data, void *arg);

static void submit(void)
{
    static const char *args[] = {"GET", "get_user"};
    static const size_t lens[] = {3, 8};
    double *begun = NULL;

    if (submitted++ % TIMED == 0) {
        begun = malloc(sizeof *begun);
        *begun = now(CLOCK_MONOTONIC);
    }
    /* The cheapest of its ways to submit: no format string to read. */
    if (valkeyAsyncCommandArgv(valkey, on_reply, begun, 2, args, lens) !=
        VALKEY_OK)
        wrong(valkey->errstr);
}

static void on_reply(valkeyAsyncContext *context, void *data, void *arg)
{
    valkeyReply *reply = data;

    (void)context;
    if (!reply || reply->type != VALKEY_REPLY_STRING ||
        (size_t)reply->len != sizeof GET_USER - 1 ||
        memcmp(reply->str, GET_USER, sizeof GET_USER - 1) != 0)
        wrong("reply");
    if (arg) {
        job_latency(*(double *)arg);
        free(arg);
    }
    if (submitted < wanted)
        submit();
    if (++completed == wanted)
        event_base_loopbreak(base);
}

static void run(long count)
{
    submitted = completed = 0;
    wanted = count;
    for (long i = 0; i < job.window && i < count; i++)
        submit();
    event_base_dispatch(base);
}

int main(int argc, char **argv)
{
    job_parse(argc, argv);
    base = event_base_new();
    valkey = valkeyAsyncConnect("127.0.0.1", job.port);
    if (!valkey || valkey->err || valkeyLibeventAttach(valkey, base) != VALKEY_OK)
        wrong("connect");
    valkeyEnableKeepAlive(&valkey->c);
    run(job.warmup);
    job_start();
    run(job.calls);
    job_stop();
    job_report();
    return 0;
}
