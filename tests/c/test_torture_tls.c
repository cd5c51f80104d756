/* As test_torture.c, with TLS between the client and the peer: every allocation
 * of OpenSSL's and every system call is made to fail.
 *
 * Arguments: a step from one allocation to the next (397); 1 is all of them,
 * and takes hours.  Then, the first one (1), and how many: these alone in each
 * scenario, and no system calls. */
#include "fault_here.h"

#include "certificates.h"
#include "tls_front.h"
#include "torture.h"

enum { MOST_CALLS = 3, MOST_ALLOCATIONS = 100000 };

int main(int argc, char **argv)
{
    struct torture_range at = {1, 397, MOST_ALLOCATIONS};
    unsigned calls = MOST_CALLS;
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

    if (argc > 1)
        at.step = (unsigned)atoi(argv[1]);
    if (argc > 3) {
        at.first = (unsigned)atoi(argv[2]);
        at.last = at.first + at.step * ((unsigned)atoi(argv[3]) - 1);
        calls = 0;
    }
    torture_start();
    tls_front_start(&front, torture_peer.port, &server, fault_exempt);
    torture_peer.port = front.port;
    torture_tls = &tls;
    torture_all(at, calls);
    tls_front_stop(&front);
    identity_free(&ca);
    identity_free(&server);
    certificates_remove();
    return torture_done("torture by TLS");
}
