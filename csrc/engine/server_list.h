/* A list of servers, as users write it or as names stand for it.
 *
 * Not thread-safe; whoever has it owns its texts. */

#ifndef JRC_SERVER_LIST_H
#define JRC_SERVER_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum jrc_entry_kind {
    JRC_ENTRY_SERVER, /* a host and port, or a Unix socket */
    JRC_ENTRY_DNS,    /* all addresses of a host; IPv4 or IPv6 alone */
    JRC_ENTRY_DNS4,
    JRC_ENTRY_DNS6,
    JRC_ENTRY_SRV, /* the SRV records of a name */
    JRC_ENTRY_FILE /* the entries in a file */
};

struct jrc_entry {
    /* Numeric IPv6 without its brackets; all of "unix:/path" or "fd:7"; the
     * path of a file, escaped.  For an address of a name: "name/address".
     * Owned. */
    char *host;
    uint16_t port; /* 0: a Unix socket or a descriptor, or there is none */
    enum jrc_entry_kind kind;
    int32_t priority;      /* larger ones first ... */
    uint16_t srv_priority; /* ... then smaller ones of these */
    uint32_t weight;
    uint32_t group;   /* index of its priority group, best first */
    uint32_t name;    /* the id of the name that stands for it; 0: none */
    bool is_absolute; /* no search domain is added to its host */
    bool is_written; /* users wrote it, whatever else stands for it: it is never
                        left out for want of room */
    bool once;       /* it can be connected to once: a descriptor */
    int32_t slot;    /* for jrc_servers_set(), which takes the list in; while
                        it is read: the offset in the text */
};

/* All zero is an empty list. */
struct jrc_server_list {
    struct jrc_entry *entries; /* in the order of the text */
    size_t count, room;
    uint32_t group_count;
    struct jrc_entry **by_address; /* the same, sorted by jrc_entry_order() */
};

/* Release what the list owns. */
void jrc_server_list_clear(struct jrc_server_list *list);

/* Room for one more entry, which is all zero.  NULL: out of memory. */
struct jrc_entry *jrc_server_list_add(struct jrc_server_list *list);

/* Number the groups and sort by address, once all entries are there; those that
 * were dropped are no more.  False: out of memory. */
bool jrc_server_list_finish(struct jrc_server_list *list);

/* The first entry that is the same server as one before it, or NULL. */
const struct jrc_entry *jrc_server_list_repeat(
    const struct jrc_server_list *list);

/* Keep only the best entry of each server.  False: out of memory. */
bool jrc_server_list_merge(struct jrc_server_list *list);

/* Have jrc_server_list_finish() leave this entry out. */
void jrc_server_list_drop(struct jrc_entry *entry);

/* The part of a host by which it is reached: without the name in front of an
 * address. */
const char *jrc_entry_address(const struct jrc_entry *entry);

/* The target of an entry, as users write it, NUL-terminated and truncated if
 * necessary. */
void jrc_entry_print(const struct jrc_entry *entry, char *text, size_t size);

/* Orders entries by what they stand for and by address; 0: they are the same.
 */
int jrc_entry_order(const struct jrc_entry *a, const struct jrc_entry *b);

#endif
