#include "client/server_list.h"

#include "client/leadership.h"
#include "engine/servers_parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int jrc_server_list_read(struct jrc_server_list *list, const char *text,
                         size_t max, char *why, size_t why_size)
{
    int error = jrc_servers_parse(list, text, why, why_size);

    if (error != 0 || list->count <= max)
        return error;
    snprintf(why, why_size,
             "servers: %zu of them are more than max_servers, %zu", list->count,
             max);
    jrc_server_list_clear(list);
    return EINVAL;
}

void jrc_server_list_free(struct jrc_server_list *list)
{
    if (list != NULL)
        jrc_server_list_clear(list);
    free(list);
}

jsonrpcc_status jrc_core_set_servers(struct jrc_core *core,
                                     struct jrc_server_list *list)
{
    bool wake = false;

    pthread_mutex_lock(&core->lock);
    bool is_open = !core->life.closing;
    if (is_open) {
        struct jrc_server_list *before = core->submission.servers;
        core->submission.servers = list;
        list = before; /* not taken in yet: the new one is instead */
        wake = jrc_wake_leader(core);
    }
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
    jrc_server_list_free(list);
    return is_open ? JSONRPCC_OK : JSONRPCC_ECLOSED;
}
