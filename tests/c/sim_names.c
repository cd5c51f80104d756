/* Names and files that stand for servers: what the name server and the file
 * system answer, and what the checker is told.
 *
 * Whether a world has them is derived from the seed without rolling the dice.
 * So seeds without names give the same runs as before names existed. */
#include "engine/files.h"
#include "engine/names.h"
#include "engine/servers_parse.h"
#include "jsonrpcc.h"
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000000 };

/* Both names stand for addresses at port 9, taken from the same five. */
static const char *const texts[SIM_SOURCES] = {"dns:n:9", "dns4:o:9",
                                               "srv:_s._tcp.d", "file:/f"};
static const char *const hosts[SIM_SOURCES] = {"n", "o", "_s._tcp.d", "/f"};

const char *const sim_name_fault_names[SIM_NAME_FAULTS] = {
    "failed", "none", "closed", "slow", "refused", "torn", "unnoticed"};

/* ---- the world ---- */

static bool strikes(struct sim *sim, enum sim_name_fault fault)
{
    if (sim->healing || sim_roll(sim, 1000) >= sim->names.odds[fault])
        return false;
    sim->names.faults[fault]++;
    return true;
}

void sim_names_draw(struct sim *sim, uint64_t seed)
{
    static const uint32_t max_odds[SIM_NAME_FAULTS] = {900, 900, 200, 300,
                                                       100, 200, 500};
    uint64_t dice = (seed + 19) * 0xa24baed4963ee407ULL >> 21;
    struct sim_names *names = &sim->names;

    names->is_on = dice % 3 == 0;
    if (!names->is_on)
        return;
    for (int i = 0; i < SIM_NAME_FAULTS; i++)
        if (sim_roll(sim, 2) == 0)
            names->odds[i] = sim_roll(sim, max_odds[i] + 1);
    names->refresh_ms = 300 + sim_roll(sim, 3000);
    names->min_ms = 100 + sim_roll(sim, 900);
    names->srv_ms = 200 + sim_roll(sim, 3000);
    names->max = 4 + sim_roll(sim, 6);
    names->change_us = 100000 + sim_roll(sim, 3 * SECOND);
    for (int i = 0; i < SIM_SOURCES; i++)
        names->truth[i] = sim_roll(sim, 1U << SIM_TARGETS);
}

/* Returns the length of the text. */
size_t sim_names_write(struct sim *sim, char *text)
{
    int at = 0;

    sim->names.written = 0;
    for (unsigned i = 0; sim->names.is_on && i < SIM_SOURCES; i++)
        if (sim_roll(sim, 2) == 0) {
            sim->names.written |= 1U << i;
            at += sprintf(text + at, "%s,%u ", texts[i], 1 + sim_roll(sim, 3));
        }
    return (size_t)at;
}

/* ---- what the sources have ---- */

/* Servers are bits: first the ports of host "h", which SRV records and the file
 * use, too; then the addresses. */
static uint64_t bits_of(unsigned source, uint32_t truth)
{
    return source < SIM_SRV ? (uint64_t)truth << SIM_PORTS : truth;
}

uint64_t sim_names_bit(const char *host, uint16_t port)
{
    const char *slash = strrchr(host, '/');

    return slash == NULL ? UINT64_C(1) << (port - 1)
                         : UINT64_C(1) << (SIM_PORTS + slash[6] - '0');
}

static uint64_t listed_bits(const struct sim *sim)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < sim->servers.count; i++)
        if (jrc_server_is_listed(&sim->servers.list[i]))
            bits |= sim_names_bit(sim->servers.list[i].host,
                                  sim->servers.list[i].port);
    return bits;
}

/* Which source the entry is. */
static unsigned source_of(const struct jrc_entry *entry)
{
    for (unsigned i = 0; i < SIM_SOURCES; i++)
        if (strcmp(entry->host, hosts[i]) == 0)
            return i;
    abort();
}

/* Including the name in the file, if it has one. */
static uint64_t truth_of(const struct sim *sim, unsigned source)
{
    return bits_of(source, sim->names.truth[source]) |
           (source == SIM_FILE && sim->names.has_name
                ? UINT64_C(1) << (SIM_SOURCE_BIT + SIM_NESTED)
                : 0);
}

/* Make it another version.  The engine may be told. */
static void change_file(struct sim *sim)
{
    struct sim_names *names = &sim->names;
    bool moved = sim_roll(sim, 2) == 0;

    names->version++;
    names->is_old = sim_roll(sim, 4) == 0;
    if (strikes(sim, SIM_NAME_UNNOTICED))
        return;
    for (size_t i = 0; i < sim->engine.discovery.count; i++) {
        const struct jrc_name *name = &sim->engine.discovery.names[i];
        if (name->entry->kind != JRC_ENTRY_FILE)
            continue;
        names->moved |= moved && name->file != NULL;
        sim_enter(sim);
        jrc_names_touch(&sim->engine, name->id, moved, sim->now_us);
        sim_leave(sim);
        return;
    }
}

void sim_names_change(struct sim *sim)
{
    struct sim_names *names = &sim->names;
    unsigned i = sim_roll(sim, SIM_SOURCES);

    names->truth[i] = sim_roll(sim, 3) == 0 ? 1U << sim_roll(sim, SIM_TARGETS)
                                            : sim_roll(sim, 1U << SIM_TARGETS);
    if (sim_roll(sim, 5) == 0)
        names->truth[i] = 0;
    names->flavour = sim_roll(sim, 256);
    if (i == SIM_FILE) {
        names->has_name = sim_roll(sim, 4) == 0;
        change_file(sim);
    }
    sim_schedule(sim, sim_roll(sim, names->change_us * 2),
                 (struct sim_event){.kind = SIM_ON_ZONE});
}

/* ---- answers ---- */

static struct jrc_answer answer_file(struct sim *sim, uint64_t known)
{
    struct jrc_answer answer = {.kind = JRC_ANSWER_FOUND};
    const struct jrc_defaults defaults = {1, 1};
    char text[200];
    int at = 0;

    if (strikes(sim, SIM_NAME_FAILED))
        return (struct jrc_answer){.kind = JRC_ANSWER_FAILED, .reason = EACCES};
    if (strikes(sim, SIM_NAME_TORN))
        return (struct jrc_answer){.kind = JRC_ANSWER_TORN};
    if (known == sim->names.version)
        return (struct jrc_answer){.kind = JRC_ANSWER_SAME};
    for (unsigned i = 0; i < SIM_TARGETS; i++)
        if ((sim->names.truth[SIM_FILE] >> i & 1) != 0)
            at += sprintf(text + at, "h:%u,%u\n", i + 1, 1 + i % 3);
    if (sim->names.has_name)
        at += sprintf(text + at, "%s\n", texts[SIM_NESTED]);
    text[at] = '\0';
    answer.file = calloc(1, sizeof *answer.file);
    if (answer.file == NULL)
        abort();
    answer.file->stamp.inode = answer.file->stamp.hash = sim->names.version;
    answer.file->is_old = sim->names.is_old;
    if (jrc_servers_parse_file(&answer.file->list, text, (size_t)at, &defaults,
                               answer.file->why,
                               sizeof answer.file->why) != 0) {
        answer.kind = JRC_ANSWER_FAILED;
        answer.reason = JSONRPCC_BAD_LIST;
    }
    return answer;
}

static struct jrc_answer answer_name(struct sim *sim, unsigned source)
{
    static const uint32_t ttls[] = {0, 1, 7};
    uint32_t truth = sim->names.truth[source];
    struct jrc_answer answer = {.kind = JRC_ANSWER_FOUND,
                                .ttl_s = ttls[sim_roll(sim, 3)]};
    char host[20];

    if (strikes(sim, SIM_NAME_FAILED))
        return (struct jrc_answer){.kind = JRC_ANSWER_FAILED, .reason = EIO};
    if (truth == 0 || strikes(sim, SIM_NAME_NONE))
        return (struct jrc_answer){.kind = JRC_ANSWER_NONE, .reason = ENOENT};
    if (source == SIM_SRV && strikes(sim, SIM_NAME_CLOSED)) {
        answer.kind = JRC_ANSWER_CLOSED;
        answer.reason = ENOENT;
        return answer;
    }
    for (unsigned i = 0; i < SIM_TARGETS; i++) {
        sprintf(host, "10.0.%u", i);
        if ((truth >> i & 1) != 0 &&
            !jrc_answer_add(&answer, source == SIM_SRV ? "h" : host,
                            source == SIM_SRV ? (uint16_t)(i + 1) : 9,
                            (uint16_t)(sim->names.flavour >> i & 1),
                            (uint16_t)(sim->names.flavour >> i & 3)))
            abort();
    }
    return answer;
}

struct lookup {
    uint32_t id;
    struct jrc_answer answer;
};

static void take_answer(struct sim *sim, void *arg)
{
    struct lookup *lookup = arg;

    jrc_names_answer(&sim->engine, lookup->id, &lookup->answer, sim->now_us);
}

static void end_lookup(struct sim *sim, unsigned source, struct lookup *lookup)
{
    const struct sim_names *names = &sim->names;
    bool is_found = lookup->answer.kind == JRC_ANSWER_FOUND;

    sim_note(sim,
             (struct sim_record){
                 .kind = SIM_ANSWER,
                 .server = (int16_t)source,
                 .link = lookup->id,
                 .status = (uint8_t)lookup->answer.kind,
                 .flags = (uint8_t)((names->lookup_moved ? SIM_IS_MOVED : 0) |
                                    (names->is_old ? SIM_IS_OLD : 0)),
                 .value = is_found ? truth_of(sim, source) : 0,
                 .waited_us = names->refresh_ms * UINT64_C(1000),
                 .answered_us = names->version,
             });
    sim_list_apply(sim, take_answer, lookup);
    sim_names_note(sim, false);
}

void sim_names_answer(struct sim *sim, const struct sim_event *event)
{
    struct lookup lookup = {.id = event->serial};

    lookup.answer = event->server == SIM_FILE ? answer_file(sim, event->token)
                                              : answer_name(sim, event->server);
    end_lookup(sim, event->server, &lookup);
}

/* ---- lookups ---- */

/* The shortest time between two lookups of a name.  Refreshing one may come a
 * tenth early. */
static uint64_t shortest_us(const struct sim *sim, unsigned source)
{
    uint32_t ms = sim->names.min_ms;

    if (source == SIM_FILE)
        return JRC_FILE_GAP_US;
    if (sim->names.refresh_ms * 9 / 10 < ms)
        ms = sim->names.refresh_ms * 9 / 10;
    /* The TTL of records may be 0. */
    if (source == SIM_SRV && sim->names.srv_ms < ms)
        ms = sim->names.srv_ms;
    return ms * UINT64_C(1000);
}

static void look_up(struct sim *sim, const struct jrc_name *name)
{
    struct sim_names *names = &sim->names;
    unsigned source = source_of(name->entry);
    const struct jrc_stamp *known = jrc_files_stamp(name);
    uint64_t delay_us = strikes(sim, SIM_NAME_SLOW) ? sim_roll(sim, 10 * SECOND)
                                                    : sim_delay(sim);

    if (source == SIM_FILE) {
        names->lookup_moved = names->moved && name->file != NULL;
        names->moved = false;
    }
    sim_note(sim, (struct sim_record){
                      .kind = SIM_LOOKUP,
                      .server = (int16_t)source,
                      .link = name->id,
                      .waited_us = shortest_us(sim, source),
                  });
    if (strikes(sim, SIM_NAME_REFUSED)) { /* no thread could be started */
        struct lookup lookup = {name->id, {.reason = EAGAIN}};
        end_lookup(sim, source, &lookup);
        return;
    }
    sim_schedule(sim, delay_us,
                 (struct sim_event){.kind = SIM_ON_LOOKUP,
                                    .server = source,
                                    .serial = name->id,
                                    .token = known == NULL ? 0 : known->inode});
}

/* As jrc_sources_look_up() does it: begin all lookups that are due. */
void sim_names_look_up(struct sim *sim)
{
    const struct jrc_name *name;

    while (sim->names.is_on &&
           (name = jrc_names_lookup(&sim->engine, sim->now_us)) != NULL)
        look_up(sim, name);
}

/* ---- notes for the checker ---- */

/* The longest time until a name is looked up again, if no lookup fails. */
static uint64_t longest_us(const struct sim *sim, unsigned source)
{
    const struct sim_names *names = &sim->names;
    uint64_t us =
        names->refresh_ms > names->srv_ms ? names->refresh_ms : names->srv_ms;

    if (source == SIM_FILE)
        return JRC_FILE_CHECK_US;
    return (us < 7000 ? 7000 : us) * 1500;
}

void sim_names_note(struct sim *sim, bool is_settled)
{
    const struct jrc_discovery *discovery = &sim->engine.discovery;
    bool waits = sim->engine.wanted_us != JRC_NEVER;

    if (!sim->names.is_on || sim->engine.closing)
        return;
    for (size_t i = 0; i < discovery->count; i++) {
        unsigned source = source_of(discovery->names[i].entry);
        sim_note(sim, (struct sim_record){
                          .kind = SIM_NAMED,
                          .server = (int16_t)source,
                          .link = discovery->names[i].id,
                          .value = truth_of(sim, source),
                          .waited_us = longest_us(sim, source),
                      });
    }
    sim->names.noted = listed_bits(sim);
    sim->names.waited = waits;
    sim_note(sim, (struct sim_record){
                      .kind = SIM_LISTED,
                      .flags = (uint8_t)((waits ? SIM_LIST_WAITS : 0) |
                                         (is_settled ? SIM_LIST_SETTLED : 0)),
                      .sends = (uint16_t)sim->names.written,
                      .value = sim->names.noted,
                      .waited_us = sim->names.plain,
                      .answered_us = sim->names.max,
                  });
}

/* The servers in use change without a note when a list no longer waits. */
void sim_names_check(struct sim *sim)
{
    if (sim->names.noted != listed_bits(sim) ||
        sim->names.waited != (sim->engine.wanted_us != JRC_NEVER))
        sim_names_note(sim, false);
}

void sim_names_begin(struct sim *sim)
{
    if (!sim->names.is_on)
        return;
    sim->names.version = 1;
    sim_names_note(sim, false);
    sim_schedule(sim, sim_roll(sim, sim->names.change_us),
                 (struct sim_event){.kind = SIM_ON_ZONE});
}

void sim_names_heal(struct sim *sim)
{
    for (int i = 0; sim->names.is_on && i < SIM_SOURCES; i++)
        sim->names.truth[i] |= 1;
    if (sim->names.is_on)
        sim->names.version++;
}
