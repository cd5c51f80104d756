/* The states of a server: which moves are legal, and that no other is made. */
#include "servers_check.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char letters[] = "DCUSPLG"; /* in the order of the enum */

/* Down, Connecting, Up, Suspect, Proving, Leaving, Gone: from, to. */
static const char *const legal[] = {
    "DC", "CD", "CU", "CS", "CP", "UD", "US", "SD", "SU", "PD", "PU",
    "PS", "DG", "CG", "UL", "SL", "PL", "LU", "LS", "LP", "LG", "GD"};

static enum jrc_server_state state_of(char letter)
{
    return (enum jrc_server_state)(strchr(letters, letter) - letters);
}

static bool is_legal(char from, char to)
{
    for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++)
        if (legal[i][0] == from && legal[i][1] == to)
            return true;
    return false;
}

static void test_the_legal_moves(void)
{
    for (const char *from = letters; *from != '\0'; from++)
        for (const char *to = letters; *to != '\0'; to++)
            CHECK(jrc_server_may_move(state_of(*from), state_of(*to)) ==
                  is_legal(*from, *to));
}

/* ---- what happens to a server, in every state ---- */

static void attempt(struct jrc_servers *s)
{
    jrc_servers_attempt(s, 0, 1);
}

static void up(struct jrc_servers *s)
{
    jrc_servers_up(s, 0, 1);
}

static void greeted(struct jrc_servers *s)
{
    jrc_servers_greeted(s, 0, 1);
}

static void down(struct jrc_servers *s)
{
    jrc_servers_down(s, 0, 1, 0);
}

static void renew(struct jrc_servers *s)
{
    jrc_servers_renew(s, 0, 1);
}

static void answered(struct jrc_servers *s)
{
    jrc_servers_answered(s, 0, 1);
}

static void tried(struct jrc_servers *s)
{
    jrc_servers_tried(s, 0, 1);
}

static void timed_out(struct jrc_servers *s)
{
    for (int i = 0; i < JRC_SUSPECT_AFTER; i++)
        jrc_servers_timed_out(s, 0, 1, true, 0);
}

static void leave(struct jrc_servers *s)
{
    jrc_servers_leave(s, 0, 1);
}

static void gone(struct jrc_servers *s)
{
    jrc_servers_gone(s, 0, 1);
}

static void join(struct jrc_servers *s)
{
    jrc_servers_join(s, 0, 1, 1);
}

/* The state that this leads to from D, C, U, S, P, L and G; x: the assertion
 * fails. */
static const struct {
    void (*happen)(struct jrc_servers *s);
    const char *results;
} happenings[] = {
    {attempt, "Cxxxxxx"},   {up, "xUxUxUx"},       {down, "xDDDDGD"},
    {renew, "xDDDDxD"},     {answered, "DCUUULG"}, {tried, "DCUSPLG"},
    {timed_out, "DCSSSLG"}, {leave, "GGLLLxx"},    {gone, "GGxxxGx"},
    {join, "DCUSPUD"},      {greeted, "xUxUUUx"},
};

/* Only by what may happen in that state. */
static void bring_to(struct jrc_servers *s, char letter)
{
    start(s, "a:1", -1);
    if (letter == 'P') {
        attempt(s);
        down(s);
    }
    if (letter != 'D')
        attempt(s);
    if (letter != 'D' && letter != 'C')
        up(s);
    if (letter == 'S')
        timed_out(s);
    if (letter == 'L' || letter == 'G')
        leave(s);
    if (letter == 'G')
        gone(s);
    CHECK(s->list[0].state == state_of(letter));
}

/* In a child, for an assertion ends it. */
static char result_of(struct jrc_servers *s,
                      void (*happen)(struct jrc_servers *s))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        happen(s);
        _exit((int)s->list[0].state);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return '?';
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGABRT ? 'x' : '?';
    return letters[WEXITSTATUS(status)];
}

static void test_events_make_legal_moves_or_none(void)
{
    for (size_t i = 0; i < sizeof happenings / sizeof happenings[0]; i++)
        for (size_t from = 0; from < JRC_SERVER_STATES; from++) {
            struct jrc_servers s;
            bring_to(&s, letters[from]);
            char got = result_of(&s, happenings[i].happen);
            CHECK(got == happenings[i].results[from]);
            CHECK(got == 'x' || got == letters[from] ||
                  is_legal(letters[from], got));
            jrc_servers_clear(&s);
        }
}

int main(void)
{
    test_the_legal_moves();
    test_events_make_legal_moves_or_none();
    return check_done();
}
