#include "engine/rendezvous.h"

/* The last step of MurmurHash3: each bit has to do with all of them. */
static uint64_t mix(uint64_t h)
{
    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

uint64_t jrc_rendezvous(uint64_t seed, const struct jrc_entry *server)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (const char *c = jrc_entry_address(server); *c != '\0'; c++)
        h = (h ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    return mix(h ^ server->port ^ mix(seed));
}
