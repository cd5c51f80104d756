/* The witness sits between the engine and the fake servers.  It reads every
 * byte that the kernel takes, and knows only what our frames must look like. */
#include "sim_trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parse a frame of a hello or a ping.  Returns its size, or 0 if it is none. */
static size_t read_hello(struct sim *sim, uint32_t i, const char *text,
                         struct sim_request *request)
{
    const char *payload = strchr(text, ':');
    uint32_t n;

    if (payload == NULL)
        return 0;
    size_t size = sim_hello_read(sim, i, ++payload, &request->id, &n);
    if (size == 0 || size != strtoul(text, NULL, 10))
        return 0;
    request->is_hello = true;
    request->token = n;
    request->accepts = strstr(payload, "\"rpc.") < payload + size &&
                       strstr(payload, "\"rpc.") != NULL;
    return (size_t)(payload - text) + size + 1;
}

/* Check that text starts with a frame of a call, byte for byte as the client
 * has to write it.  Returns its size. */
static size_t read_frame(struct sim *sim, const char *text, uint64_t *token,
                         uint64_t *id)
{
    unsigned long long a = 0, b = 0;
    char *payload;
    size_t size = strtoul(text, &payload, 10);
    size_t framing = (size_t)(payload - text) + 2;
    char want[100];

    payload++;
    *id = *token = 0;
    if (sscanf(payload,
               "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"m\","
               "\"params\":[%llu,",
               &a, &b) == 2)
        sprintf(want,
                "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"m\","
                "\"params\":[%llu,\"",
                a, b);
    else if (sscanf(payload,
                    "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[%llu,",
                    &b) == 1)
        sprintf(want,
                "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[%llu,\"", b);
    else
        want[0] = '\0';
    size_t len = strlen(want);
    size_t pad = strspn(payload + len, "x");
    if (len == 0 || strncmp(payload, want, len) != 0 ||
        strncmp(payload + len + pad, "\"]},", 4) != 0 ||
        size != len + pad + 3) {
        sim_fail(sim,
                 "a frame on the wire is not what the client has to write");
        return 0;
    }
    *token = b;
    *id = a;
    return framing + size;
}

static void add_request(struct sim_link *link, struct sim_request request)
{
    if (link->request_count == link->request_room) {
        link->request_room = link->request_room * 2 + 8;
        link->requests = realloc(link->requests,
                                 link->request_room * sizeof *link->requests);
        if (link->requests == NULL)
            abort();
    }
    link->requests[link->request_count++] = request;
}

/* The first byte of its frame leaves. */
static void begin(struct sim *sim, uint32_t i,
                  const struct sim_request *request, struct sim_record record)
{
    const struct sim_link *link = &sim->links[i];

    if (request->is_hello) {
        sim_hello_begun(sim, i, (uint32_t)request->token);
        return;
    }
    if (link->hello_answered < link->hello_total || link->hello_refused)
        sim_fail(sim, "a call was sent before the hello had succeeded");
    sim_note(sim, record);
}

void sim_witness_take(struct sim *sim, uint32_t i, const char *bytes,
                      size_t len, size_t n, size_t ahead)
{
    struct sim_link *link = &sim->links[i];
    size_t before = link->up_len, all = before + len, taken = before + n;
    uint64_t start = link->given - before; /* the offset of link->up */

    if (all + 1 > link->up_room) {
        link->up_room = (all + 1) * 2;
        link->up = realloc(link->up, link->up_room);
        if (link->up == NULL)
            abort();
    }
    memcpy(link->up + before, bytes, len);
    link->up[all] = '\0';
    size_t at = 0, kept = 0;
    while (at < taken + ahead) {
        struct sim_record record = {
            .kind = SIM_BEGUN, .server = (int16_t)i, .link = link->serial};
        struct sim_request request = {0};
        size_t size = read_hello(sim, i, link->up + at, &request);
        if (size == 0)
            size = read_frame(sim, link->up + at, &request.token, &request.id);
        if (size == 0 || at + size > all)
            break;
        record.kind = SIM_BEGUN;
        record.token = request.token;
        if (start + at >= link->noted)
            begin(sim, i, &request, record);
        at += size;
        request.end = start + at;
        if (at > taken)
            continue;
        record.kind = SIM_GIVEN;
        if (!request.is_hello)
            sim_note(sim, record);
        if (request.id == 0 && link->notified_us == 0)
            link->notified_us = sim->now_us;
        if (request.id != 0 && !request.is_hello)
            sim_trial_given(sim, i);
        add_request(link, request);
        kept = at;
    }
    link->given += n;
    if (n > 0)
        link->took_us = sim->now_us;
    link->noted = link->given + ahead;
    link->up_len = taken - kept;
    memmove(link->up, link->up + kept, link->up_len);
    link->up[link->up_len] = '\0';
}
