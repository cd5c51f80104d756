/* The list of servers as users write it. */

#ifndef JRC_SERVERS_PARSE_H
#define JRC_SERVERS_PARSE_H

#include <stddef.h>
#include <stdint.h>

/* What a servers string says of one server. */
struct jrc_entry {
    /* Numeric IPv6 without its brackets; all of "unix:/path".  Owned. */
    char *host;
    uint16_t port; /* 0: a Unix socket */
    int32_t priority;
    uint32_t weight;
    uint32_t group; /* index of its priority group, best first */
    int32_t slot;   /* for jrc_servers_set(), which takes the list in */
};

/* All zero is an empty list, which no text gives. */
struct jrc_server_list {
    struct jrc_entry *entries; /* in the order of the text */
    size_t count;
    uint32_t group_count;
    struct jrc_entry **by_address; /* the same, sorted by jrc_entry_order() */
};

/* Read "host1:port1,priority1 [::1]:port2,priority2,weight2 unix:/path".  The
 * weight and the priority may be left out (1); no server may occur twice.
 * Returns 0, or an errno, and then nothing is allocated.  With EINVAL,
 * why[0..why_size) says what is wrong and at which offset; ENOMEM leaves it
 * alone. */
int jrc_servers_parse(struct jrc_server_list *list, const char *text, char *why,
                      size_t why_size);

/* Release what the list owns. */
void jrc_server_list_clear(struct jrc_server_list *list);

/* Orders entries by address; 0: they are the same server. */
int jrc_entry_order(const struct jrc_entry *a, const struct jrc_entry *b);

#endif
