#include "client/member.h"

#include "client/crew.h"
#include "client/lifecycle.h"
#include "io/clock.h"

#include <stdlib.h>

static void destroy(struct jrc_member *member)
{
    jrc_core_unref(member->core);
    free(member);
}

static void enter(struct jrc_member *member)
{
    struct jsonrpcc_crew *crew = member->crew;

    pthread_mutex_lock(&jrc_crews_lock);
    member->next = crew->members;
    if (member->next != NULL)
        member->next->prev = member;
    crew->members = member;
    crew->count++;
    jrc_crew_make_ready(member); /* it may have something to fetch already */
    jrc_crew_call_for_ready(crew);
    pthread_mutex_unlock(&jrc_crews_lock);
}

/* Under the core's lock. */
static struct jrc_member *new_member(struct jsonrpcc_crew *crew,
                                     struct jrc_core *core, uint64_t token,
                                     struct jrc_member **joined)
{
    struct jrc_member *member = calloc(1, sizeof *member);

    if (member == NULL)
        return NULL;
    *member = (struct jrc_member){
        .crew = crew,
        .core = core,
        .joined = joined,
        .token = token,
        .destroy = destroy,
        .refs = 1,
        .due_us = JRC_NEVER,
    };
    jrc_core_ref(core);
    return member;
}

/* Under the core's lock. */
static jsonrpcc_status join(struct jsonrpcc_crew *crew, struct jrc_core *core,
                            uint64_t token, struct jrc_member **joined)
{
    if (*joined != NULL) /* whether or not there is memory */
        return JSONRPCC_OK;
    if (core->leadership.member != NULL || !core->leadership.is_shared)
        return JSONRPCC_EINVAL;
    *joined = new_member(crew, core, token, joined);
    if (*joined == NULL)
        return JSONRPCC_ENOMEM;
    core->leadership.member = *joined;
    enter(*joined);
    return JSONRPCC_OK;
}

jsonrpcc_status jrc_crew_join(struct jsonrpcc_crew *crew, struct jrc_core *core,
                              uint64_t token, struct jrc_member **joined)
{
    pthread_mutex_lock(&core->lock);
    jsonrpcc_status status = join(crew, core, token, joined);
    pthread_mutex_unlock(&core->lock);
    return status;
}

/* Under the core's lock. */
static void detach(struct jrc_member *member)
{
    *member->joined = NULL;
    member->core->leadership.member = NULL;
}

/* When it is detached. */
static void remove_member(struct jrc_member *member)
{
    struct jsonrpcc_crew *crew = member->crew;

    pthread_mutex_lock(&jrc_crews_lock);
    jrc_crew_unready(member);
    member->has_left = true;
    if (member->prev != NULL)
        member->prev->next = member->next;
    else
        crew->members = member->next;
    if (member->next != NULL)
        member->next->prev = member->prev;
    crew->count--;
    if (crew->count == 0)
        pthread_cond_broadcast(&crew->call); /* its threads end */
    jrc_crew_unref_unlock(member);
}

void jrc_crew_leave(struct jrc_core *core, struct jrc_member **joined)
{
    pthread_mutex_lock(&core->lock);
    struct jrc_member *member = *joined;
    if (member != NULL)
        detach(member);
    pthread_mutex_unlock(&core->lock);
    if (member != NULL)
        remove_member(member);
}

void jsonrpcc_crew_dismiss(jsonrpcc_seat *seat)
{
    struct jrc_member *member = seat->held;

    if (member == NULL || jsonrpcc_crew_is_foreign(member->crew))
        return;
    seat->token = 0; /* it is held until the next jsonrpcc_crew_serve() */
    pthread_mutex_lock(&member->core->lock);
    bool is_in = member->core->leadership.member == member;
    if (is_in)
        detach(member);
    pthread_mutex_unlock(&member->core->lock);
    if (is_in)
        remove_member(member);
}
