/* What libc answers when it is asked for a name, and what becomes of that. */
#include "fault_here.h"

#include "check.h"
#include "io/lookup.h"
#include "jsonrpcc.h"
#include "wire/srv.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>

/* ---- libc's part --------------------------------------------------------- */

static struct {
    int error; /* 0: message is the answer */
    unsigned char message[200];
    int len;
} dns;

int res_nsearch(res_state state, const char *name, int class, int type,
                unsigned char *answer, int size)
{
    CHECK(strcmp(name, "_x._tcp.d") == 0 && class == ns_c_in &&
          type == ns_t_srv && size == JRC_DNS_MESSAGE);
    if (dns.error != 0) {
        state->res_h_errno = dns.error;
        return -1;
    }
    memcpy(answer, dns.message, (size_t)dns.len);
    return dns.len;
}

static void put(const void *bytes, size_t len)
{
    memcpy(dns.message + dns.len, bytes, len);
    dns.len += (int)len;
}

/* An answer to the question for _x._tcp.d with that many records: port 80 of
 * "a", or no such service. */
static void say(unsigned char records, bool closed)
{
    static const unsigned char question[] = "\2_x\4_tcp\1d\0\0\41\0\1";
    static const unsigned char record[] =
        "\300\14\0\41\0\1\0\0\0\7\0\11\0\1\0\2\0\120\1a";
    static const unsigned char none[] =
        "\300\14\0\41\0\1\0\0\0\7\0\7\0\0\0\0\0\0";
    const unsigned char head[] = {0, 1, 0x84, 0, 0, 1, 0, records, 0, 0, 0, 0};

    dns.error = dns.len = 0;
    put(head, sizeof head);
    put(question, sizeof question - 1);
    for (int n = 0; n < records; n++)
        put(closed ? none : record, closed ? sizeof none : sizeof record);
}

/* ---- tests --------------------------------------------------------------- */

static struct jrc_answer look_up(void)
{
    struct jrc_answer answer;

    jrc_lookup(JRC_ENTRY_SRV, "_x._tcp.d", 0, &answer);
    CHECK(answer.kind == JRC_ANSWER_FOUND || answer.count == 0);
    return answer;
}

static void expect(enum jrc_answer_kind kind, int32_t reason)
{
    struct jrc_answer answer = look_up();

    CHECK(answer.kind == kind && answer.reason == reason);
    jrc_answer_clear(&answer);
}

static void test_records(void)
{
    say(2, false);
    struct jrc_answer answer = look_up();
    CHECK(answer.kind == JRC_ANSWER_FOUND && answer.reason == 0);
    CHECK(answer.count == 2 && answer.ttl_s == 7);
    const struct jrc_target *target = &answer.targets[1];
    CHECK(strcmp(target->host, "a") == 0 && target->port == 80);
    CHECK(target->priority == 1 && target->weight == 2);
    jrc_answer_clear(&answer);
}

static void test_no_records(void)
{
    say(0, false);
    expect(JRC_ANSWER_NONE, JSONRPCC_RESOLVE + EAI_NODATA);
    say(1, true);
    expect(JRC_ANSWER_CLOSED, JSONRPCC_RESOLVE + EAI_NODATA);
    dns.len = 5;
    expect(JRC_ANSWER_FAILED, JSONRPCC_RESOLVE + EAI_FAIL);
}

/* Only an explicit answer says that there is nothing. */
static void test_errors(void)
{
    static const struct {
        int error;
        enum jrc_answer_kind kind;
        int reason;
    } cases[] = {
        {HOST_NOT_FOUND, JRC_ANSWER_NONE, EAI_NONAME},
        {NO_DATA, JRC_ANSWER_NONE, EAI_NODATA},
        {TRY_AGAIN, JRC_ANSWER_FAILED, EAI_AGAIN},
        {NO_RECOVERY, JRC_ANSWER_FAILED, EAI_FAIL},
        {NETDB_INTERNAL, JRC_ANSWER_FAILED, EAI_FAIL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dns.error = cases[i].error;
        expect(cases[i].kind, JSONRPCC_RESOLVE + cases[i].reason);
    }
}

static void test_addresses(void)
{
    struct jrc_answer answer;

    jrc_lookup(JRC_ENTRY_DNS4, "127.0.0.1", 80, &answer);
    CHECK(answer.kind == JRC_ANSWER_FOUND && answer.count == 1);
    CHECK(strcmp(answer.targets[0].host, "127.0.0.1") == 0);
    CHECK(answer.targets[0].port == 80);
    jrc_answer_clear(&answer);
    jrc_lookup(JRC_ENTRY_DNS6, "127.0.0.1", 80, &answer);
    CHECK(answer.kind != JRC_ANSWER_FOUND && answer.count == 0);
    CHECK(answer.reason <= JSONRPCC_RESOLVE);
    jrc_answer_clear(&answer);
}

/* Part of an answer is no answer. */
static void test_out_of_memory(enum jrc_entry_kind kind, const char *host)
{
    unsigned failures = 0;

    for (unsigned n = 1; n < 50; n++) {
        struct jrc_answer answer;
        say(3, false);
        fault_arm(FAULT_MEMORY, n, false);
        jrc_lookup(kind, host, 80, &answer);
        fault_disarm();
        bool found = answer.kind == JRC_ANSWER_FOUND;
        if (!found)
            CHECK(answer.kind == JRC_ANSWER_FAILED && answer.reason != 0);
        CHECK(answer.count == (!found ? 0 : kind == JRC_ENTRY_SRV ? 3 : 1));
        jrc_answer_clear(&answer);
        failures += !found;
        if (fault_count() == 0)
            break;
        CHECK(n < 49);
    }
    CHECK(failures > 2);
}

int main(void)
{
    test_records();
    test_no_records();
    test_errors();
    test_addresses();
    if (fault_has_memory()) {
        test_out_of_memory(JRC_ENTRY_SRV, "_x._tcp.d");
        test_out_of_memory(JRC_ENTRY_DNS4, "127.0.0.1");
    }
    return check_done();
}
