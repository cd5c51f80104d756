/* TLS without memory: whichever allocation fails, a client gets all that it
 * needs for TLS, or nothing, and the next client gets it.
 *
 * Argument: a step from one allocation of OpenSSL's to the next (17). */
#include "fault_here.h"

#include "certificates.h"
#include "check.h"
#include "io/tls_context.h"
#include "io/transport_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OURS = 100 }; /* allocations: more than we make, first and last of all */

static jsonrpcc_tls options;

/* 0, or why it cannot be made. */
static int make(void)
{
    struct jrc_tls_context *context = NULL;
    char why[256] = "";
    int error = jrc_tls_context_new(&options, &context, why, sizeof why);

    CHECK((error == 0) == (context != NULL));
    /* OpenSSL does not always say that what it lacks is memory. */
    CHECK(error == 0 || error == ENOMEM ||
          (error == EINVAL && strncmp(why, "tls: ", 5) == 0));
    if (error == 0) {
        struct jrc_tls *tls = jrc_tls_new(context);
        if (tls == NULL)
            error = ENOMEM;
        jrc_tls_free(tls);
        jrc_tls_context_unref(context);
    }
    return error;
}

static unsigned count(void)
{
    fault_arm(FAULT_MEMORY, 0, false);
    CHECK(make() == 0);
    return fault_disarm();
}

static void test_each_allocation(unsigned step)
{
    unsigned refused = 0;

    CHECK(make() == 0); /* what OpenSSL allocates only once is there now */
    unsigned all = count();
    CHECK(all > 2 * OURS);
    for (unsigned n = 1; n <= all; n += n < OURS || n > all - OURS ? 1 : step) {
        fault_arm(FAULT_MEMORY, n, false);
        int error = make();
        fault_disarm();
        refused += error != 0;
    }
    CHECK(refused > OURS / 2);
    CHECK(make() == 0 && count() <= all);
}

int main(int argc, char **argv)
{
    unsigned step = argc > 1 ? (unsigned)atoi(argv[1]) : 17;
    struct identity ca = certificate_make(
        &(struct certificate){.name = "ca", .is_ca = true}, NULL);
    struct identity own =
        certificate_make(&(struct certificate){.name = "own"}, &ca);

    options = (jsonrpcc_tls){
        .size = sizeof options,
        .ca = certificate_path("ca", "pem"),
        .cert = certificate_path("own", "pem"),
        .key = certificate_path("own", "key"),
        .server_name = "example.org",
        .ciphers = "TLS_AES_256_GCM_SHA384:ECDHE-RSA-AES256-GCM-SHA384"
                   ":ECDHE-ECDSA-AES256-GCM-SHA384",
    };
    if (fault_has_memory())
        test_each_allocation(step);
    identity_free(&ca);
    identity_free(&own);
    certificates_remove();
    return check_done();
}
