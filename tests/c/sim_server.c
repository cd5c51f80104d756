/* The fake servers: their replies, good and bad. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_server_say(struct sim_link *link, const char *bytes, size_t len)
{
    if (link->down_len + len > link->down_room) {
        link->down_room = (link->down_len + len) * 2;
        link->down = realloc(link->down, link->down_room);
        if (link->down == NULL)
            abort();
    }
    memcpy(link->down + link->down_len, bytes, len);
    link->down_len += len;
}

static void say_frame(struct sim_link *link, const char *payload, size_t len)
{
    char header[32];

    sim_server_say(link, header, (size_t)sprintf(header, "%zu:", len));
    sim_server_say(link, payload, len);
    sim_server_say(link, ",", 1);
}

static void say(struct sim_link *link, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct sim_link *link, const char *format, ...)
{
    char payload[300];
    va_list list;

    va_start(list, format);
    int len = vsnprintf(payload, sizeof payload, format, list);
    va_end(list);
    say_frame(link, payload, (size_t)len);
}

static void note(struct sim *sim, uint32_t i, uint64_t token,
                 jsonrpcc_status status)
{
    sim_note(sim, (struct sim_record){.kind = SIM_REPLY,
                                      .status = (uint8_t)status,
                                      .server = (int16_t)i,
                                      .link = sim->links[i].serial,
                                      .token = token,
                                      .value = sim->last_nonce});
}

/* A request has been read whole: decide what its reply will be, and when. */
void sim_server_request(struct sim *sim, uint32_t i,
                        const struct sim_request *request)
{
    struct sim_event event = {.kind = SIM_ON_REPLY,
                              .server = i,
                              .serial = sim->links[i].serial,
                              .token = request->token,
                              .id = request->id};
    unsigned at = sim->seen++ % (SIM_CAPACITY * 2);

    if (request->id != sim->links[i].early_id || request->id == 0) {
        if (sim_strikes(sim, SIM_UNREADABLE)) {
            event.id = 0;
            sim_schedule(sim, sim_delay(sim), event);
            return;
        }
    }
    if (request->id == 0)
        return;
    sim->ids[at] = request->id;
    sim->tokens[at] = request->token;
    if (sim_strikes(sim, SIM_NO_REPLY))
        return;
    uint64_t delay_us = sim_delay(sim);
    if (sim_strikes(sim, SIM_LATE))
        delay_us += sim_roll(sim, 4000000);
    sim_schedule(sim, delay_us, event);
    if (sim_strikes(sim, SIM_TWICE))
        sim_schedule(sim, delay_us + sim_delay(sim), event);
}

/* The frame is right, but the payload is no valid response.  Either the call
 * ends as EINVALID, or the payload is ignored. */
static void say_bad_payload(struct sim *sim, uint32_t i, uint64_t token,
                            unsigned long long id)
{
    struct sim_link *link = &sim->links[i];

    note(sim, i, token, JSONRPCC_EINVALID);
    switch (sim_roll(sim, 10)) {
    case 0:
        say(link, "{\"id\":%llu,\"result\":01}", id);
        break;
    case 1:
        say(link, "{\"id\":%llu}", id);
        break;
    case 2:
        say(link, "{\"id\":%llu,\"result\":1,\"error\":{}}", id);
        break;
    case 3:
        say(link, "{\"id\":%llu,\"result\":[[[[[[[[[[1]]]]]]]]]]}", id);
        break;
    case 4:
        say(link, "{\"id\":%llu,\"result\":\"\xff\"}", id);
        break;
    case 5:
        say(link, "{\"id\":%llu.0,\"result\":1}", id);
        break;
    case 6:
        say(link, "{\"id\":%llu,\"id\":%llu,\"result\":1}", id, id);
        break;
    case 7:
        say(link, "{\"id\":%llu", id);
        break;
    case 8:
        say(link, "[{\"id\":%llu,\"result\":1}]", id);
        break;
    default:
        say(link, "{\"jsonrpc\":\"9\",\"id\":%llu,\"result\":1}", id);
    }
}

static void say_bad_frame(struct sim *sim, struct sim_link *link)
{
    static const char *const frames[] = {
        "x", "5:ab,cd", "99999999:", "0",      "01:a,",
        ":", "-1:a,",   "3:abcd",    "131073", " 1:a,"};
    char raw[16];

    if (sim_roll(sim, 3) == 0) {
        for (size_t n = 0; n < sizeof raw; n++)
            raw[n] = (char)sim_roll(sim, 256);
        sim_server_say(link, raw, sizeof raw);
        return;
    }
    const char *frame = frames[sim_roll(sim, 10)];
    sim_server_say(link, frame, strlen(frame));
}

static void say_chatter(struct sim *sim, struct sim_link *link)
{
    switch (sim_roll(sim, 5)) {
    case 0:
        say(link, "{\"method\":\"ping\",\"id\":1}");
        break;
    case 1:
        say(link, "{\"method\":\"event\",\"params\":[]}");
        break;
    case 2:
        say(link, "null");
        break;
    case 3:
        say(link, "hello?");
        break;
    default:
        say(link, "{\"id\":null,\"result\":1}");
    }
}

/* A good reply, mostly small. */
static void say_reply(struct sim *sim, uint32_t i, unsigned long long token,
                      unsigned long long id)
{
    struct sim_link *link = &sim->links[i];
    unsigned long long nonce = sim->last_nonce;
    const char *quote = sim_strikes(sim, SIM_STRING_ID) ? "\"" : "";
    bool is_error = sim_roll(sim, 1000) < sim->world.remote;
    uint32_t most =
        sim->world.chunk * 50 < 100000 ? sim->world.chunk * 50 : 100000;
    size_t pad = sim_roll(sim, 20) == 0 ? sim_roll(sim, most) : 0;
    char *text = malloc(pad + 300);

    if (text == NULL)
        abort();
    int len = sprintf(text, "{\"id\":%s%llu%s,\"%s\":{\"t\":%llu,\"pad\":\"",
                      quote, id, quote, is_error ? "error" : "result", token);
    memset(text + len, 'p', pad);
    len += (int)pad;
    len += sprintf(text + len, "\",\"k\":%llu}}", nonce);
    note(sim, i, token, is_error ? JSONRPCC_EREMOTE : JSONRPCC_OK);
    say_frame(link, text, (size_t)len);
    free(text);
}

void sim_server_reply(struct sim *sim, uint32_t i, uint64_t token, uint64_t id)
{
    struct sim_link *link = &sim->links[i];
    size_t before = link->down_len;

    sim->last_nonce++;
    if (id == 0) { /* the request was unreadable */
        note(sim, i, token, JSONRPCC_EREMOTE);
        say(link, "{\"id\":null,\"error\":{\"t\":%llu,\"k\":%llu}}",
            (unsigned long long)token, (unsigned long long)sim->last_nonce);
        return;
    }
    if (sim_strikes(sim, SIM_CHATTER))
        say_chatter(sim, link);
    if (sim_strikes(sim, SIM_FOREIGN)) {
        /* With an id of any request that a server has read lately (then this is
         * the reply that was due there), or one not in use. */
        uint32_t known =
            sim->seen < SIM_CAPACITY * 2 ? sim->seen : SIM_CAPACITY * 2;
        uint32_t at = sim_roll(sim, known);
        if (sim->ids[at] != 0 && sim_roll(sim, 2) == 0)
            say_reply(sim, i, sim->tokens[at], sim->ids[at]);
        else
            say(link, "{\"id\":%llu,\"result\":{\"t\":0,\"k\":0}}",
                (unsigned long long)id + (SIM_CAPACITY << 20));
        sim->last_nonce++;
    }
    if (sim_strikes(sim, SIM_BAD_FRAME))
        say_bad_frame(sim, link);
    else if (sim_strikes(sim, SIM_BAD_PAYLOAD))
        say_bad_payload(sim, i, token, id);
    else
        say_reply(sim, i, token, id);
    if (sim_strikes(sim, SIM_CUT)) {
        size_t said = link->down_len - before;
        link->down_len -= sim_roll(sim, (uint32_t)said + 1);
        link->fin = true;
    }
}

/* Reply to a request before its end has come. */
void sim_server_early(struct sim *sim, uint32_t i)
{
    struct sim_link *link = &sim->links[i];
    unsigned long long id = 0, token = 0;
    const char *text = strchr(link->up, ':');

    if (text == NULL ||
        sscanf(text,
               ":{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"m\","
               "\"params\":[%llu%*[,]",
               &id, &token) != 2 ||
        strchr(text, '[') == NULL || strchr(strchr(text, '['), ',') == NULL)
        return;
    sim->last_nonce++;
    link->early_id = id;
    say_reply(sim, i, token, id);
}
