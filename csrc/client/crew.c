#include "client/crew.h"

#include "io/clock.h"

#include <sys/timerfd.h>
#include <unistd.h>

void jrc_crew_alarm(struct jsonrpcc_crew *crew, uint64_t delay_us)
{
    struct itimerspec spec = {
        .it_value = {.tv_nsec = (long)(delay_us * 1000 + 1)},
    };

    if (!crew->is_alarmed)
        timerfd_settime(crew->alarm_fd, 0, &spec, NULL);
    crew->is_alarmed = true;
}

void jrc_crew_wake(struct jsonrpcc_crew *crew)
{
    if (atomic_exchange(&crew->is_asleep, false))
        (void)!write(crew->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
}

void jrc_crew_append(struct jsonrpcc_crew *crew, struct jrc_member *member)
{
    member->next_ready = NULL;
    *crew->last_ready = member;
    crew->last_ready = &member->next_ready;
}

void jrc_crew_make_ready(struct jsonrpcc_crew *crew, struct jrc_member *member)
{
    if (!member->is_ready && !member->is_taken)
        jrc_crew_append(crew, member);
    member->is_ready = true;
}

static void gather_due(struct jsonrpcc_crew *crew)
{
    uint64_t now_us = jrc_now_us();

    if (crew->due_us > now_us)
        return;
    crew->due_us = JRC_NEVER;
    for (uint32_t i = 0; i < crew->room; i++) {
        struct jrc_member *member = crew->members[i];
        if (member != NULL && member->due_us <= now_us)
            jrc_crew_make_ready(crew, member);
        else if (member != NULL && member->due_us < crew->due_us)
            crew->due_us = member->due_us;
    }
}

void jrc_crew_gather(struct jsonrpcc_crew *crew)
{
    struct jrc_member *told = NULL, *next;

    /* In the order in which they were told of. */
    for (struct jrc_member *m = atomic_exchange(&crew->told, NULL); m != NULL;
         m = next) {
        next = m->next_told;
        m->next_told = told;
        told = m;
    }
    for (; told != NULL; told = next) {
        next = told->next_told;
        atomic_store(&told->is_told, false); /* before anybody fetches */
        jrc_crew_make_ready(crew, told);
    }
    if (crew->due_us != JRC_NEVER)
        gather_due(crew);
}

void jrc_crew_unready(struct jsonrpcc_crew *crew, struct jrc_member *member)
{
    struct jrc_member **at = &crew->first_ready;

    while (*at != NULL && *at != member)
        at = &(*at)->next_ready;
    if (*at == member)
        *at = member->next_ready;
    if (crew->last_ready == &member->next_ready)
        crew->last_ready = at;
}
