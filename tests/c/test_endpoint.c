/* Numeric hosts, Unix sockets, and how endpoints are printed.  Names are tested
 * by tests/client/test_names.py. */
#include "check.h"
#include "io/endpoint.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static void test_numeric_hosts_need_no_lookup(void)
{
    static const struct {
        const char *host, *printed;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1:9999"},
        {"::1", "[::1]:9999"},
        {"fe80::1%lo", "[fe80::1%lo]:9999"},
        {"2001:db8:0::1", "[2001:db8::1]:9999"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[100], cut[8];
        struct jrc_endpoint *list = jrc_endpoints_numeric(cases[i].host, 9999);
        if (!CHECK(list != NULL))
            continue;
        CHECK(list->next == NULL);
        jrc_endpoint_print(list, text, sizeof text);
        if (!CHECK(strcmp(text, cases[i].printed) == 0))
            printf("  %s\n", text);
        jrc_endpoint_print(list, cut, sizeof cut);
        CHECK(strlen(cut) == 7 && memcmp(cut, text, 7) == 0);
        jrc_endpoints_free(list);
    }
}

static void test_unix_sockets_need_no_lookup(void)
{
    static const struct {
        const char *text, *printed;
        const char *path; /* as the kernel has it */
        size_t len;
    } cases[] = {
        {"unix:/run/x.sock", "unix:/run/x.sock", "/run/x.sock", 12},
        {"unix:/%2c%20%7E", "unix:/%2C%20~", "/, ~", 5},
        {"unix-abstract:a%25", "unix-abstract:a%25", "\0a%", 3},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[100];
        struct jrc_endpoint *list = jrc_endpoints_numeric(cases[i].text, 0);
        if (!CHECK(list != NULL))
            continue;
        const struct sockaddr_un *address = (const void *)&list->address;
        CHECK(list->next == NULL && address->sun_family == AF_UNIX);
        CHECK(list->size ==
              offsetof(struct sockaddr_un, sun_path) + cases[i].len);
        CHECK(memcmp(address->sun_path, cases[i].path, cases[i].len) == 0);
        jrc_endpoint_print(list, text, sizeof text);
        CHECK(strcmp(text, cases[i].printed) == 0);
        jrc_endpoints_free(list);
    }
    CHECK(jrc_endpoints_numeric("unix:x", 0) == NULL);
}

static void test_names_need_a_lookup(void)
{
    CHECK(jrc_endpoints_numeric("localhost", 1) == NULL);
    CHECK(jrc_endpoints_numeric("", 1) == NULL);
}

static void test_a_list_is_found(void)
{
    struct jrc_endpoint *list = NULL;

    CHECK(jrc_endpoints_find("127.0.0.1", 1, AF_UNSPEC, &list) == 0 &&
          list != NULL);
    jrc_endpoints_free(list);
    list = NULL;
    CHECK(jrc_endpoints_find("::no address::", 1, AF_UNSPEC, &list) < 0 &&
          list == NULL);
    jrc_endpoints_free(NULL);
}

int main(void)
{
    test_numeric_hosts_need_no_lookup();
    test_unix_sockets_need_no_lookup();
    test_names_need_a_lookup();
    test_a_list_is_found();
    return check_done();
}
