/* Tables are zero, and take memory only where they are touched. */
#include "fault_here.h"

#include "check.h"
#include "wire/pages.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MIB = 1024 * 1024, MANY = 40 };

static long resident(void)
{
    long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    CHECK(file != NULL && fscanf(file, "%ld %ld", &all, &resident) == 2);
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

/* After a process has freed a large block, glibc takes the next ones from its
 * heap, and keeps them there when they are freed. */
static void churn(void)
{
    /* volatile, or the compiler would leave out what nobody reads. */
    static char *volatile blocks[13];

    blocks[0] = malloc(30 * MIB);
    free(blocks[0]);
    for (int i = 0; i < 12; i++)
        blocks[i] = malloc(30 * MIB);
    blocks[12] = malloc(MIB); /* keeps the heap from shrinking */
    for (int i = 0; i < 12; i++)
        free(blocks[i]);
}

static void test_only_what_is_touched_takes_memory(void)
{
    char *tables[MANY];

    churn();
    long before = resident();
    for (int i = 0; i < MANY; i++) {
        tables[i] = jrc_pages_new(8 * MIB / 64, 64);
        CHECK(tables[i] != NULL);
        for (size_t at = 0; at < 8 * MIB; at += 4 * MIB)
            CHECK(tables[i][at] == 0);
        tables[i][0] = 1;
    }
#ifdef __SANITIZE_ADDRESS__
    (void)before; /* there, they come from the heap */
#else
    CHECK(resident() - before < 8 * MIB);
#endif
    for (int i = 0; i < MANY; i++)
        jrc_pages_free(tables[i], 8 * MIB / 64, 64);
}

static void test_small_tables_are_zero_too(void)
{
    for (size_t count = 1; count < 40000; count = count * 3 + 1) {
        uint64_t *table = jrc_pages_new(count, sizeof *table);

        CHECK(table != NULL);
        for (size_t i = 0; i < count; i++)
            CHECK(table[i] == 0);
        memset(table, 0xff, count * sizeof *table);
        jrc_pages_free(table, count, sizeof *table);
    }
    jrc_pages_free(NULL, 1, 1);
}

static void test_lack_of_memory_is_reported(void)
{
    CHECK(jrc_pages_new(SIZE_MAX / 2, 4) == NULL);
    if (!fault_has_memory())
        return;
    size_t counts[] = {1, MIB};
    for (size_t i = 0; i < 2; i++) {
        fault_arm(FAULT_MEMORY, 1, false);
        void *table = jrc_pages_new(counts[i], 8);
        fault_disarm();
        CHECK(table == NULL);
    }
}

int main(void)
{
    test_only_what_is_touched_takes_memory();
    test_small_tables_are_zero_too();
    test_lack_of_memory_is_reported();
    return check_done();
}
