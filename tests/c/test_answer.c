/* Answers of lookups: their order, what is the same, and shares of weights. */
#include "fault_here.h"

#include "check.h"
#include "engine/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void add(struct jrc_answer *answer, const char *host, uint16_t port,
                uint16_t priority, uint16_t weight)
{
    CHECK(jrc_answer_add(answer, host, port, priority, weight));
}

static uint32_t added, gone;

static bool is_same(const struct jrc_answer *a, const struct jrc_answer *b)
{
    return jrc_answer_is_same(a, b, &added, &gone);
}

static void test_order_does_not_matter(void)
{
    struct jrc_answer a = {0}, b = {0};

    add(&a, "10.0.0.2", 1, 0, 0);
    add(&a, "10.0.0.1", 2, 0, 0);
    add(&a, "10.0.0.1", 1, 0, 0);
    add(&b, "10.0.0.1", 1, 0, 0);
    add(&b, "10.0.0.2", 1, 0, 0);
    add(&b, "10.0.0.1", 2, 0, 0);
    jrc_answer_sort(&a);
    jrc_answer_sort(&b);
    CHECK(is_same(&a, &b) && a.count == 3);
    CHECK(strcmp(a.targets[0].host, "10.0.0.1") == 0 && a.targets[0].port == 1);
    b.targets[0].weight = 1;
    CHECK(!is_same(&a, &b));
    b.targets[0].weight = 0;
    b.targets[2].priority = 1;
    CHECK(!is_same(&a, &b));
    b.targets[2].priority = 0;
    add(&b, "10.0.0.3", 1, 0, 0);
    CHECK(!is_same(&a, &b) && added == 1 && gone == 0);
    CHECK(!is_same(&b, &a) && added == 0 && gone == 1);
    jrc_answer_clear(&a);
    jrc_answer_clear(&b);
    CHECK(is_same(&a, &b));
}

static void test_duplicates_count_once(void)
{
    struct jrc_answer a = {0};

    add(&a, "h", 1, 2, 7);
    add(&a, "h", 1, 1, 3);
    add(&a, "h", 1, 1, 5);
    add(&a, "h", 1, 1, 4);
    add(&a, "h", 2, 9, 1);
    jrc_answer_sort(&a);
    CHECK(a.count == 2);
    CHECK(a.targets[0].priority == 1 && a.targets[0].weight == 5);
    CHECK(a.targets[1].port == 2);
    jrc_answer_clear(&a);
    jrc_answer_sort(&a); /* no targets are in order, too */
    CHECK(a.count == 0);
}

static void test_shares(void)
{
    static const struct {
        uint16_t weights[4];
        uint32_t shares[4];
    } cases[] = {
        {{0, 0, 0, 0}, {1, 1, 1, 1}},
        {{1, 2, 3, 65535}, {1, 2, 3, 65535}},
        {{0, 1, 2, 0}, {1, 100, 200, 1}},
        {{0, 65535, 1, 3}, {1, 6553500, 100, 300}},
        {{0, 10, 20, 30}, {1, 100, 200, 300}},
        {{0, 30, 60, 99}, {1, 120, 240, 396}},
        {{0, 100, 200, 65535}, {1, 100, 200, 65535}},
        {{0, 50000, 60000, 0}, {500, 50000, 60000, 500}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct jrc_answer a = {0};
        for (uint16_t k = 0; k < 4; k++) {
            add(&a, "h", (uint16_t)(k + 1), 1, cases[i].weights[k]);
            add(&a, "other", (uint16_t)(k + 1), 2, 0); /* does not count */
        }
        jrc_answer_sort(&a);
        for (size_t k = 0; k < 4; k++) {
            if (!CHECK(a.targets[k].share == cases[i].shares[k]))
                printf("  case %zu: %u\n", i, a.targets[k].share);
            CHECK(a.targets[4 + k].share == 1);
        }
        jrc_answer_clear(&a);
    }
}

static void test_no_memory(void)
{
    struct jrc_answer a = {0};

    for (unsigned n = 1; n <= 2 && fault_has_memory(); n++) {
        fault_arm(FAULT_MEMORY, n, false);
        CHECK(!jrc_answer_add(&a, "h", 1, 1, 1));
        fault_disarm();
        CHECK(a.count == 0);
    }
    jrc_answer_clear(&a);
}

int main(void)
{
    test_order_does_not_matter();
    test_duplicates_count_once();
    test_shares();
    test_no_memory();
    return check_done();
}
