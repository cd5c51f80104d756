#define _GNU_SOURCE /* EAI_NODATA and EAI_ADDRFAMILY */

#include "io/lookup.h"

#include "io/endpoint.h"
#include "jsonrpcc.h"
#include "wire/srv.h"

#include <errno.h>
#include <netdb.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

/* An EAI_ code, which is negative, or an errno. */
static void fail(struct jrc_answer *answer, int error)
{
    jrc_answer_clear(answer);
    answer->reason = error > 0 ? error : JSONRPCC_RESOLVE + error;
}

/* Only these say that there is nothing, and not that nobody knows. */
static bool is_none(int error)
{
    return error == EAI_NONAME || error == EAI_NODATA ||
           error == EAI_ADDRFAMILY;
}

/* ---- addresses ---- */

static void look_up_addresses(int family, const char *host, uint16_t port,
                              struct jrc_answer *answer)
{
    struct jrc_endpoint *list = NULL;
    int error = jrc_endpoints_find(host, port, family, &list);

    answer->kind = JRC_ANSWER_FOUND;
    for (const struct jrc_endpoint *each = list; each != NULL && error == 0;
         each = each->next) {
        char text[JRC_ENDPOINT_HOST];
        jrc_endpoint_print_host(each, text);
        if (!jrc_answer_add(answer, text, port, 0, 0))
            error = ENOMEM;
    }
    jrc_endpoints_free(list);
    if (error == 0)
        return;
    fail(answer, error);
    if (is_none(error))
        answer->kind = JRC_ANSWER_NONE;
}

/* ---- SRV records ---- */

struct taking {
    struct jrc_answer *answer;
    bool has_no_memory;
};

static void take(void *arg, const struct jrc_srv *record)
{
    struct taking *taking = arg;

    if (!jrc_answer_add(taking->answer, record->target, record->port,
                        record->priority, record->weight))
        taking->has_no_memory = true;
}

static void read_message(const unsigned char *message, size_t len,
                         struct jrc_answer *answer)
{
    struct taking taking = {.answer = answer};

    switch (jrc_srv_read(message, len, take, &taking, &answer->ttl_s)) {
    case JRC_SRV_FOUND:
        answer->kind = JRC_ANSWER_FOUND;
        if (taking.has_no_memory)
            fail(answer, ENOMEM);
        return;
    case JRC_SRV_NONE:
        fail(answer, EAI_NODATA);
        answer->kind = JRC_ANSWER_NONE;
        return;
    case JRC_SRV_CLOSED:
        fail(answer, EAI_NODATA);
        answer->kind = JRC_ANSWER_CLOSED;
        return;
    default:
        fail(answer, EAI_FAIL);
    }
}

/* What the resolver says when it has no message. */
static int error_of(int code)
{
    switch (code) {
    case HOST_NOT_FOUND:
        return EAI_NONAME;
    case NO_DATA:
        return EAI_NODATA;
    case TRY_AGAIN:
        return EAI_AGAIN;
    default:
        return EAI_FAIL;
    }
}

static void look_up_services(const char *name, struct jrc_answer *answer)
{
    unsigned char *message = malloc(JRC_DNS_MESSAGE);
    struct __res_state state;

    memset(&state, 0, sizeof state);
    if (message == NULL || res_ninit(&state) != 0) {
        fail(answer, ENOMEM);
        free(message);
        return;
    }
    int len = res_nsearch(&state, name, C_IN, T_SRV, message, JRC_DNS_MESSAGE);
    int error = len < 0 ? error_of(state.res_h_errno) : 0;
    res_nclose(&state);
    if (error == 0) {
        read_message(message, (size_t)len, answer);
    } else {
        fail(answer, error);
        if (is_none(error))
            answer->kind = JRC_ANSWER_NONE;
    }
    free(message);
}

void jrc_lookup(enum jrc_entry_kind kind, const char *host, uint16_t port,
                struct jrc_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    if (kind == JRC_ENTRY_SRV)
        look_up_services(host, answer);
    else
        look_up_addresses(kind == JRC_ENTRY_DNS4   ? AF_INET
                          : kind == JRC_ENTRY_DNS6 ? AF_INET6
                                                   : AF_UNSPEC,
                          host, port, answer);
}
