/* Numeric hosts, and how endpoints are printed.  Names are the tests' in
 * tests/client/test_names.py. */
#include "check.h"
#include "io/endpoint.h"

#include <stdlib.h>
#include <string.h>

static void test_numeric_hosts_need_no_look_up(void)
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

static void test_names_need_one(void)
{
    CHECK(jrc_endpoints_numeric("localhost", 1) == NULL);
    CHECK(jrc_endpoints_numeric("", 1) == NULL);
}

static void test_a_list_is_found(void)
{
    struct jrc_endpoint *list = NULL;

    CHECK(jrc_endpoints_find("127.0.0.1", 1, &list) == 0 && list != NULL);
    jrc_endpoints_free(list);
    list = NULL;
    CHECK(jrc_endpoints_find("::no address::", 1, &list) < 0 && list == NULL);
    jrc_endpoints_free(NULL);
}

int main(void)
{
    test_numeric_hosts_need_no_look_up();
    test_names_need_one();
    test_a_list_is_found();
    return check_done();
}
