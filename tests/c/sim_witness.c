/* The witness between the engine and the fake servers: reads every byte that
 * the kernel takes, and knows only what our frames must look like. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The frame at the start of text must be one that we wrote, byte for byte.
 * Returns its size. */
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
        sim_break(sim, "a frame on the wire that is not ours");
        return 0;
    }
    *token = b;
    *id = a;
    return framing + size;
}

static void add_request(struct sim_link *link, uint64_t token, uint64_t id,
                        uint64_t end)
{
    if (link->request_count == link->request_room) {
        link->request_room = link->request_room * 2 + 8;
        link->requests = realloc(link->requests,
                                 link->request_room * sizeof *link->requests);
        if (link->requests == NULL)
            abort();
    }
    link->requests[link->request_count++] =
        (struct sim_request){token, id, end};
}

void sim_witness_take(struct sim *sim, uint32_t i, const char *bytes,
                      size_t len, size_t n, size_t ahead)
{
    struct sim_link *link = &sim->links[i];
    size_t before = link->up_len, all = before + len, taken = before + n;
    uint64_t start = link->given - before; /* of up, in the stream */

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
        uint64_t id;
        size_t size = read_frame(sim, link->up + at, &record.token, &id);
        if (size == 0 || at + size > all)
            break;
        if (start + at >= link->noted)
            sim_note(sim, record);
        at += size;
        if (at > taken)
            continue;
        record.kind = SIM_GIVEN;
        sim_note(sim, record);
        add_request(link, record.token, id, start + at);
        kept = at;
    }
    link->given += n;
    link->noted = link->given + ahead;
    link->up_len = taken - kept;
    memmove(link->up, link->up + kept, link->up_len);
    link->up[link->up_len] = '\0';
}
