/* As test_torture.c, with TLS between the client and the peer: every allocation
 * of OpenSSL's and every system call made to fail.
 *
 * Arguments: a step from one allocation to the next (397); 1 is all of them,
 * and takes hours. */
#include "fault_here.h"

#include "certificates.h"
#include "tls_front.h"
#include "torture.h"

enum { MOST_CALLS = 3, MOST_ALLOCATIONS = 100000 };

int main(int argc, char **argv)
{
    unsigned step = argc > 1 ? (unsigned)atoi(argv[1]) : 397;
    struct identity ca = certificate_make(
        &(struct certificate){.name = "ca", .is_ca = true}, NULL);
    struct identity server = certificate_make(
        &(struct certificate){.name = "server",
                              .hosts = "IP:127.0.0.1,DNS:localhost"},
        &ca);
    const jsonrpcc_tls tls = {.size = sizeof tls,
                              .ca = certificate_path("ca", "pem"),
                              .reload_ms = 20};
    static struct tls_front front;

    torture_start();
    tls_front_start(&front, torture_peer.port, &server, fault_exempt);
    torture_peer.port = front.port;
    torture_tls = &tls;
    torture_all(step, MOST_ALLOCATIONS, MOST_CALLS);
    tls_front_stop(&front);
    identity_free(&ca);
    identity_free(&server);
    certificates_remove();
    return torture_done("torture by TLS");
}
