#include "client/options.h"

#include "client/method_names.h"

#include <stdio.h>
#include <string.h>

struct range {
    const char *name;
    int64_t low, high;
};

static bool in_range(int64_t value, const struct range *range, char *why,
                     size_t why_size)
{
    if (value >= range->low && value <= range->high)
        return true;
    if (why_size > 0)
        snprintf(why, why_size, "%s must be from %lld to %lld, not %lld",
                 range->name, (long long)range->low, (long long)range->high,
                 (long long)value);
    return false;
}

void jrc_options_default(jsonrpcc_options *o)
{
    const size_t mib = 1024 * 1024;

#define DEFAULT(field, value) o->field = o->field != 0 ? o->field : (value)
    DEFAULT(timeout_ms, 5000);
    DEFAULT(connect_timeout_ms, 1000);
    DEFAULT(reconnect_ms, 1000);
    DEFAULT(reconnect_max_ms, 10000);
    DEFAULT(max_depth, 512);
    DEFAULT(max_in_flight, 65536);
    DEFAULT(max_response, 16 * mib);
    DEFAULT(max_request, 16 * mib);
    DEFAULT(max_queued_bytes, 64 * mib);
    DEFAULT(max_undelivered_bytes, 64 * mib);
    DEFAULT(max_servers, 1024);
    DEFAULT(leave_timeout_ms, 30000);
    DEFAULT(dns_refresh_ms, 30000);
    DEFAULT(dns_min_ms, 1000);
    DEFAULT(min_srv_ttl_ms, 5000);
    DEFAULT(max_methods, 256);
    DEFAULT(connections, 1);
#undef DEFAULT
}

bool jrc_options_check(const jsonrpcc_options *o, char *why, size_t why_size)
{
    const uint32_t flags = JSONRPCC_HOST_CALLBACKS | JSONRPCC_SHARED_THREAD;
    const int64_t ms = INT32_MAX;
    const int64_t gib2 = INT32_MAX;
    const int64_t day = 86400000;
    const int64_t age = o->max_connection_age_ms == 0 ? 0 : 1000; /* 0: off */
    const struct {
        int64_t value;
        struct range range;
    } checks[] = {
        {o->timeout_ms, {"timeout_ms", 1, ms}},
        {o->connect_timeout_ms, {"connect_timeout_ms", 1, ms}},
        {o->reconnect_ms, {"reconnect_ms", 1, ms}},
        {o->reconnect_max_ms, {"reconnect_max_ms", o->reconnect_ms, ms}},
        {o->reconnect_attempts, {"reconnect_attempts", -1, ms}},
        {o->max_depth, {"max_depth", 1, 4096}},
        {o->max_in_flight, {"max_in_flight", 1, 1 << 24}},
        {(int64_t)o->max_response, {"max_response", 64, gib2}},
        {(int64_t)o->max_request, {"max_request", 64, gib2}},
        {(int64_t)o->max_queued_bytes, {"max_queued_bytes", 1, INT64_MAX}},
        {o->max_methods, {"max_methods", -1, JRC_METHODS_MAX}},
        {(int64_t)o->max_undelivered_bytes,
         {"max_undelivered_bytes", 1, INT64_MAX}},
        {o->max_servers, {"max_servers", 1, 4096}},
        {o->leave_timeout_ms, {"leave_timeout_ms", 100, 3600000}},
        {o->dns_min_ms, {"dns_min_ms", 1000, day}},
        {o->dns_refresh_ms, {"dns_refresh_ms", o->dns_min_ms, day}},
        {o->min_srv_ttl_ms, {"min_srv_ttl_ms", 1000, day}},
        {o->connections, {"connections", 1, 16}},
        {o->max_connection_age_ms, {"max_connection_age_ms", age, ms}},
        {o->hello_errors, {"hello_errors", 0, JSONRPCC_HELLO_REFUSE}},
        {o->ping_interval_ms != 0 ? o->ping_interval_ms : 1000,
         {"ping_interval_ms", 1000, ms}},
        {o->subset, {"subset", 0, 4096}},
    };

    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (!in_range(checks[i].value, &checks[i].range, why, why_size))
            return false;
    if ((o->flags & ~flags) == 0)
        return true;
    snprintf(why, why_size, "flags has bits that this version does not know");
    return false;
}

int32_t jrc_options_attempts(const jsonrpcc_options *o)
{
    if (o->reconnect_attempts == 0)
        return -1;
    return o->reconnect_attempts < 0 ? 0 : o->reconnect_attempts;
}

uint32_t jrc_options_methods(const jsonrpcc_options *o)
{
    return o->max_methods > 0 ? (uint32_t)o->max_methods : 0;
}
