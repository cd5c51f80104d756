#include "engine/answer.h"

#include <stdlib.h>
#include <string.h>

void jrc_answer_clear(struct jrc_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++)
        free(answer->targets[i].host);
    free(answer->targets);
    jrc_file_list_free(answer->file);
    memset(answer, 0, sizeof *answer);
}

bool jrc_answer_add(struct jrc_answer *answer, const char *host, uint16_t port,
                    uint16_t priority, uint16_t weight)
{
    if (answer->count == answer->room) {
        size_t room = answer->room + answer->room / 2 + 8;
        struct jrc_target *targets =
            reallocarray(answer->targets, room, sizeof *targets);
        if (targets == NULL)
            return false;
        answer->targets = targets;
        answer->room = room;
    }
    char *copy = strdup(host);
    if (copy == NULL)
        return false;
    answer->targets[answer->count++] =
        (struct jrc_target){copy, port, priority, weight, 0};
    return true;
}

static int compare_servers(const struct jrc_target *a,
                           const struct jrc_target *b)
{
    int order = strcmp(a->host, b->host);

    return order != 0 ? order : a->port - b->port;
}

/* The best record of a server comes first. */
static int compare(const void *x, const void *y)
{
    const struct jrc_target *a = x;
    const struct jrc_target *b = y;
    int order = compare_servers(a, b);

    if (order == 0)
        order = a->priority - b->priority;
    return order != 0 ? order : b->weight - a->weight;
}

/* Of all servers of the priority. */
static void set_shares(struct jrc_answer *answer, uint16_t priority)
{
    uint32_t least = 0, scale = 1;
    bool has_zero = false;

    for (size_t i = 0; i < answer->count; i++) {
        const struct jrc_target *target = &answer->targets[i];
        if (target->priority != priority)
            continue;
        has_zero = has_zero || target->weight == 0;
        if (target->weight > 0 && (least == 0 || target->weight < least))
            least = target->weight;
    }
    if (has_zero && least > 0 && least < 100)
        scale = (100 + least - 1) / least; /* a hundredth has to be 1 */
    for (size_t i = 0; i < answer->count; i++) {
        struct jrc_target *target = &answer->targets[i];
        if (target->priority != priority)
            continue;
        target->share = target->weight > 0 ? target->weight * scale
                        : least > 0        ? least * scale / 100
                                           : 1;
    }
}

void jrc_answer_sort(struct jrc_answer *answer)
{
    size_t kept = 0;

    if (answer->count == 0)
        return;
    qsort(answer->targets, answer->count, sizeof *answer->targets, compare);
    for (size_t i = 1; i < answer->count; i++) {
        if (compare_servers(&answer->targets[kept], &answer->targets[i]) == 0)
            free(answer->targets[i].host);
        else
            answer->targets[++kept] = answer->targets[i];
    }
    answer->count = kept + 1;
    for (size_t i = 0; i < answer->count; i++)
        answer->targets[i].share = 0;
    for (size_t i = 0; i < answer->count; i++)
        if (answer->targets[i].share == 0)
            set_shares(answer, answer->targets[i].priority);
}

bool jrc_answer_is_same(const struct jrc_answer *a, const struct jrc_answer *b,
                        uint32_t *added, uint32_t *gone)
{
    size_t x = 0, y = 0;
    bool is_same = true;

    *added = *gone = 0;
    while (x < a->count || y < b->count) {
        int order = x == a->count ? 1
                    : y == b->count
                        ? -1
                        : compare_servers(&a->targets[x], &b->targets[y]);
        if (order == 0)
            is_same = is_same && compare(&a->targets[x], &b->targets[y]) == 0;
        *gone += order < 0;
        *added += order > 0;
        x += order <= 0;
        y += order >= 0;
    }
    return is_same && *added == 0 && *gone == 0;
}
