/* The names of methods: each has one number, whichever thread asks first. */
#include "client/method_names.h"

#include "check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, NAMES = 300, ROOM = 200 };

static struct jrc_method_names *names;
static uint16_t numbers[THREADS][NAMES];

static uint16_t number_of(int i)
{
    char text[32];
    int len = snprintf(text, sizeof text, "method.%d", i);

    return jrc_method_names_find(names, text, (size_t)len);
}

static void *ask(void *arg)
{
    uint16_t *mine = arg;
    int first = (int)(mine - numbers[0]) / NAMES * 37; /* in varying order */

    for (int n = 0; n < NAMES; n++) {
        int i = (first + n) % NAMES;
        uint16_t number = number_of(i);
        /* A number never changes once it is known. */
        if (!CHECK(mine[i] == 0 || mine[i] == number))
            return NULL;
        mine[i] = number;
    }
    return NULL;
}

static void test_threads_agree(void)
{
    pthread_t threads[THREADS];
    unsigned known = 0;

    names = jrc_method_names_new(ROOM);
    memset(numbers, 0, sizeof numbers);
    for (int t = 0; t < THREADS; t++)
        pthread_create(&threads[t], NULL, ask, numbers[t]);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    CHECK(jrc_method_names_count(names) == ROOM);
    for (int i = 0; i < NAMES; i++) {
        uint16_t number = number_of(i);
        size_t len;
        char text[32];
        CHECK(number <= ROOM);
        for (int t = 0; t < THREADS; t++) /* 0: it had no number yet */
            CHECK(numbers[t][i] == number || numbers[t][i] == 0);
        if (number == 0)
            continue;
        known++;
        snprintf(text, sizeof text, "method.%d", i);
        const char *name = jrc_method_names_get(names, number, &len);
        CHECK(name != NULL && strcmp(name, text) == 0 && len == strlen(text));
    }
    CHECK(known == ROOM);
    jrc_method_names_free(names);
}

static void test_what_has_no_number(void)
{
    char longest[JRC_METHOD_NAME_MAX + 1];
    size_t len;

    memset(longest, 'x', sizeof longest);
    names = jrc_method_names_new(2);
    CHECK(jrc_method_names_find(names, longest, sizeof longest) == 0);
    CHECK(jrc_method_names_find(names, "", 0) == 0);
    CHECK(jrc_method_names_find(names, longest, sizeof longest - 1) == 1);
    CHECK(jrc_method_names_find(names, "a\0b", 3) == 2);
    CHECK(jrc_method_names_find(names, "a", 1) == 0); /* no room */
    CHECK(jrc_method_names_find(names, "a\0b", 3) == 2);
    CHECK(jrc_method_names_get(names, 0, &len) == NULL && len == 0);
    CHECK(jrc_method_names_get(names, 3, &len) == NULL);
    CHECK(memcmp(jrc_method_names_get(names, 2, &len), "a\0b", 4) == 0 &&
          len == 3);
    jrc_method_names_free(names);
    names = jrc_method_names_new(0);
    CHECK(jrc_method_names_find(names, "a", 1) == 0);
    CHECK(jrc_method_names_count(names) == 0);
    jrc_method_names_free(names);
    jrc_method_names_free(NULL);
}

int main(void)
{
    test_threads_agree();
    test_what_has_no_number();
    return check_done();
}
