/* A TLS connection that ends at every byte position in either direction, the
 * handshake included.  What the server has read whole is never reported as "not
 * sent", and it has not read what was: a record counts with its last byte.
 *
 * Argument: a step in bytes (5); 1 is every position, and takes minutes. */

#include "check.h"
#include "tls_rig.h"

#include <stdlib.h>
#include <string.h>

TLS_RIG_DEFINES_SEND

enum { CALLS = 8 };

static bool has_all(void)
{
    for (uint64_t token = 0; token < CALLS; token++)
        if (rig_outcome(&tls_rig.rig, token) == NULL)
            return false;
    return true;
}

/* Half of them in a second record. */
static void submit(uint64_t ids[CALLS], uint64_t from, uint64_t to)
{
    for (uint64_t token = from; token < to; token++)
        ids[token] = rig_call(&tls_rig.rig, token, 0, 60000);
}

static void turn_some(void)
{
    for (int i = 0; i < 4; i++)
        tls_rig_turn();
}

static bool is_up(void)
{
    return tls_rig.rig.servers.list[0].state == JRC_SERVER_UP;
}

/* Which requests were read whole, and what their outcomes say. */
static void check_fates(size_t read, bool may_be_answered)
{
    for (uint64_t token = 0; token < CALLS; token++) {
        const jsonrpcc_outcome *outcome = rig_outcome(&tls_rig.rig, token);
        if (!CHECK(outcome != NULL))
            continue;
        CHECK(outcome->status == JSONRPCC_OK
                  ? may_be_answered
                  : outcome->status == JSONRPCC_ECONNLOST ||
                        outcome->status == JSONRPCC_EFAILURE);
        CHECK((outcome->fate == JSONRPCC_NOT_SENT) == (token >= read));
    }
}

/* The kernel takes that many of our bytes, and then the server is gone.
 * Returns whether that was all. */
static bool kill_ours(SSL_CTX *server, size_t bytes)
{
    uint64_t ids[CALLS];

    SSL_CTX_up_ref(server);
    tls_rig_open(NULL, server);
    tls_rig.quota = bytes;
    for (int i = 0; i < 40 && !is_up() && tls_rig.quota > 0; i++)
        tls_rig_turn();
    turn_some();
    submit(ids, 0, CALLS / 2);
    turn_some();
    if (is_up())
        submit(ids, CALLS / 2, CALLS);
    turn_some();
    bool all = tls_rig.quota > 0;
    size_t read = tls_rig_frames();
    tls_rig.server = NULL; /* no end for another attempt */
    tls_end_cut(&tls_rig.end);
    if (!is_up() && !all)
        submit(ids, CALLS / 2, CALLS);
    CHECK(tls_rig_await(has_all));
    check_fates(read, false);
    SSL_CTX_free(server);
    tls_rig_close();
    return all;
}

/* The server sends that many bytes, with answers to all it reads. */
static bool kill_theirs(SSL_CTX *server, size_t bytes)
{
    uint64_t ids[CALLS];

    SSL_CTX_up_ref(server);
    tls_rig_open(NULL, server);
    tls_rig.sends = bytes;
    turn_some();
    submit(ids, 0, CALLS);
    for (int i = 0; i < 40 && !is_up() && tls_rig.end.may_send > 0; i++)
        tls_rig_turn();
    turn_some();
    size_t read = tls_rig_frames();
    CHECK(read == 0 || read == CALLS);
    for (uint64_t token = 0; token < read; token++)
        tls_rig_answer(ids[token]);
    turn_some();
    bool all = tls_rig.end.may_send > 0;
    tls_rig.server = NULL;
    tls_end_cut(&tls_rig.end);
    CHECK(tls_rig_await(has_all));
    check_fates(read, true);
    for (uint64_t token = 1; token < CALLS && read > 0; token++)
        CHECK(rig_outcome(&tls_rig.rig, token - 1)->status == JSONRPCC_OK ||
              rig_outcome(&tls_rig.rig, token)->status != JSONRPCC_OK);
    SSL_CTX_free(server);
    tls_rig_close();
    return all;
}

/* At each step from the first byte to the last. */
static void at_every_byte(bool (*kill)(SSL_CTX *server, size_t bytes),
                          int version, size_t step)
{
    SSL_CTX *server = tls_end_context(&tls_good, version);
    size_t bytes = 0;

    while (bytes < 8192 && !kill(server, bytes))
        bytes += step;
    CHECK(bytes > 400 && bytes < 8192);
    SSL_CTX_free(server);
}

int main(int argc, char **argv)
{
    size_t step = argc > 1 ? strtoul(argv[1], NULL, 10) : 5;

    tls_rig_begin();
    at_every_byte(kill_ours, 0, step);
    at_every_byte(kill_theirs, 0, step);
    at_every_byte(kill_ours, TLS1_2_VERSION, step);
    at_every_byte(kill_theirs, TLS1_2_VERSION, step);
    tls_rig_end();
    return check_done();
}
