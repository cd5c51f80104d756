#include "client/hello.h"

#include "client/leadership.h"
#include "wire/netstring.h"

#include <errno.h>
#include <stdio.h>

int jrc_hello_read(struct jrc_hello **hello, const jsonrpcc_options *options,
                   char *why, size_t why_size)
{
    *hello = NULL;
    if (options->hello_count > 0 && options->hello == NULL) {
        snprintf(why, why_size, "hello is missing");
        return EINVAL;
    }
    if (options->hello_count == 0 && options->ping_interval_ms != 0) {
        snprintf(why, why_size, "ping_interval_ms needs a hello");
        return EINVAL;
    }
    return jrc_hello_new(hello, options->hello, options->hello_count,
                         options->hello_errors, &jrc_netstrings, why, why_size);
}

jsonrpcc_status jrc_core_set_hello(struct jrc_core *core,
                                   struct jrc_hello *hello)
{
    bool wake = false;

    pthread_mutex_lock(&core->lock);
    bool is_open = !core->life.closing;
    if (is_open) {
        struct jrc_hello *before = core->submission.hello;
        core->submission.hello = hello;
        core->submission.has_hello = true;
        hello = before; /* not taken in yet: the new one is instead */
        wake = jrc_wake_leader(core);
    }
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
    jrc_hello_unref(hello);
    return is_open ? JSONRPCC_OK : JSONRPCC_ECLOSED;
}
