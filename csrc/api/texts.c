/* The names of versions, statuses and reasons. */

#include "io/tls_reason.h"
#include "jsonrpcc.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

const char *jsonrpcc_version(void)
{
    return JSONRPCC_VERSION;
}

uint32_t jsonrpcc_abi_version(void)
{
    return JSONRPCC_ABI_VERSION;
}

const char *jsonrpcc_tls_library(void)
{
    return jrc_tls_library();
}

const char *jsonrpcc_status_text(jsonrpcc_status status)
{
    static const char *const texts[] = {
        [JSONRPCC_OK] = "ok",
        [JSONRPCC_EINVAL] = "an argument is wrong",
        [JSONRPCC_ENOMEM] = "out of memory",
        [JSONRPCC_ETOOBIG] = "the request is larger than max_request",
        [JSONRPCC_EFULL] = "max_in_flight or max_queued_bytes is reached",
        [JSONRPCC_ECLOSED] = "the client is closed",
        [JSONRPCC_EREMOTE] = "the server answered with an error",
        [JSONRPCC_ETIMEDOUT] = "timeout",
        [JSONRPCC_EFAILURE] = "no server can be reached",
        [JSONRPCC_ECONNLOST] = "the connection was lost",
        [JSONRPCC_EINVALID] = "the response is not valid",
        [JSONRPCC_ECANCELLED] = "cancelled",
        [JSONRPCC_EPENDING] = "not finished yet",
        [JSONRPCC_EFOREIGN] = "made by another process, before fork()",
        [JSONRPCC_EDEADLK] =
            "a callback or the host's thread cannot wait for its client",
    };
    size_t index = (size_t)status;

    if (status == JSONRPCC_SYSTEM + EMFILE)
        return "the process has no descriptors left";
    if (status == JSONRPCC_SYSTEM + ENFILE)
        return "the system has no descriptors left";
    if (status == JSONRPCC_SYSTEM + EAGAIN)
        return "no more threads can be started";
    if (status > JSONRPCC_SYSTEM)
        return "the system refused a descriptor or a thread";
    return index < sizeof texts / sizeof texts[0] ? texts[index] : "unknown";
}

void jsonrpcc_reason_text(int32_t reason, char *text, size_t size)
{
    static const char *const texts[] = {
        [JSONRPCC_NO_REASON] = "none",
        [-JSONRPCC_PEER_CLOSED] = "closed by the server",
        [-JSONRPCC_BAD_FRAME] = "bad netstring from the server",
        [-JSONRPCC_FRAME_TOO_BIG] = "response larger than max_response",
        [-JSONRPCC_CONNECT_TIMEOUT] = "connect timeout",
        [-JSONRPCC_UNRESPONSIVE] = "timeouts in a row and no response",
        [-JSONRPCC_UNREADABLE] = "the server could not read a request",
        [-JSONRPCC_BACKLOG_FULL] = "the server's backlog is full",
        [-JSONRPCC_LEAVE_TIMEOUT] = "the server left the list; leave_timeout",
        [-JSONRPCC_BAD_LIST] = "the file is no list of servers",
        [-JSONRPCC_SOCKET_SPENT] = "the socket it was is closed, or belongs "
                                   "to the parent process",
        [-JSONRPCC_HELLO_TIMEOUT] = "the hello was not answered in time",
        [-JSONRPCC_HELLO_REFUSED] = "the hello was answered with an error",
        [-JSONRPCC_HELLO_INVALID] = "the response to the hello is not valid",
        [-JSONRPCC_PING_TIMEOUT] = "no response to a ping",
    };

    if (size == 0)
        return;
    if (reason > 0) {
        if (strerror_r(reason, text, size) != 0) /* the XSI variant */
            snprintf(text, size, "errno %d", reason);
    } else if (reason > -(int32_t)(sizeof texts / sizeof texts[0])) {
        snprintf(text, size, "%s", texts[-reason]);
    } else if (jrc_tls_reason_text(reason, text, size)) {
        return;
    } else if (reason <= JSONRPCC_RESOLVE && reason > JSONRPCC_TLS) {
        snprintf(text, size, "name resolution: %s",
                 gai_strerror(reason - JSONRPCC_RESOLVE));
    } else {
        snprintf(text, size, "reason %d", reason);
    }
}
