/* A host that loads, uses and unloads a plugin which is a client, or has one:
 *
 *   plugin_host LIBRARY SERVERS ROUNDS MODE
 *
 * MODE says how the client is given up before dlclose(): "close" (and free),
 * "free" alone, "callback" (closed and freed in a callback), or "fork": the
 * same as close, with forks after dlclose().  "calls" is the same as close,
 * after calls in the styles that stand on other public functions. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <jsonrpcc.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct {
    __typeof__(jsonrpcc_client_new) *client_new;
    __typeof__(jsonrpcc_client_close) *close;
    __typeof__(jsonrpcc_client_free) *free;
    __typeof__(jsonrpcc_request) *request;
    __typeof__(jsonrpcc_sync_new) *sync_new;
    __typeof__(jsonrpcc_sync_free) *sync_free;
    __typeof__(jsonrpcc_sync_call) *sync_call;
    __typeof__(jsonrpcc_queue_new) *queue_new;
    __typeof__(jsonrpcc_queue_free) *queue_free;
    __typeof__(jsonrpcc_queue_request) *queue_request;
    __typeof__(jsonrpcc_queue_wait) *queue_wait;
} rpc;

static atomic_bool told;

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* In the place of libc's: a look-up that is under way when all is closed. */
int getaddrinfo(const char *host, const char *service,
                const struct addrinfo *hints, struct addrinfo **list)
{
    if (hints != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0) {
        int (*real)(const char *, const char *, const struct addrinfo *,
                    struct addrinfo **) = NULL;
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
        return real(host, service, hints, list);
    }
    for (int i = 0; i < 20; i++)
        nap();
    return EAI_AGAIN;
}

static void give_up(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    (void)token;
    (void)outcome;
    rpc.close(arg, -1);
    rpc.free(arg);
    told = true;
}

static int fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void *find(void *library, const char *name)
{
    void *found = dlsym(library, name);

    if (found == NULL)
        fail(dlerror());
    return found;
}

static void fork_once(void)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        fail("the child did not end well");
}

/* Nobody is there who answers. */
static void make_calls(void *library, jsonrpcc_client *client)
{
    jsonrpcc_completions done;

    *(void **)&rpc.sync_new = find(library, "jsonrpcc_sync_new");
    *(void **)&rpc.sync_free = find(library, "jsonrpcc_sync_free");
    *(void **)&rpc.sync_call = find(library, "jsonrpcc_sync_call");
    *(void **)&rpc.queue_new = find(library, "jsonrpcc_queue_new");
    *(void **)&rpc.queue_free = find(library, "jsonrpcc_queue_free");
    *(void **)&rpc.queue_request = find(library, "jsonrpcc_queue_request");
    *(void **)&rpc.queue_wait = find(library, "jsonrpcc_queue_wait");
    jsonrpcc_sync *sync = rpc.sync_new(client);
    if (rpc.sync_call(sync, "m", 1, NULL, 0, 1, 0, -1) == JSONRPCC_OK)
        fail("somebody answered");
    rpc.sync_free(sync);
    jsonrpcc_queue *queue = rpc.queue_new(client, JSONRPCC_QUEUE_EVENTS);
    if (rpc.queue_request(queue, 1, "m", 1, NULL, 0, 1, 0) <= 0)
        fail("no call by a queue");
    do
        if (rpc.queue_wait(queue, &done, -1) != JSONRPCC_OK)
            fail("no outcome by a queue");
    while (done.failure_count == 0);
    rpc.queue_free(queue);
}

static void once(const char *name, const char *servers, const char *mode)
{
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL)
        fail(dlerror());
    *(void **)&rpc.client_new = find(library, "jsonrpcc_client_new");
    *(void **)&rpc.close = find(library, "jsonrpcc_client_close");
    *(void **)&rpc.free = find(library, "jsonrpcc_client_free");
    *(void **)&rpc.request = find(library, "jsonrpcc_request");
    jsonrpcc_options options = {.size = sizeof options, .servers = servers};
    jsonrpcc_client *client = NULL;
    if (rpc.client_new(&options, &client, NULL, 0) != JSONRPCC_OK)
        fail("no client");
    if (strcmp(mode, "calls") == 0)
        make_calls(library, client);
    if (strcmp(mode, "callback") == 0) {
        jsonrpcc_call call = {.size = sizeof call,
                              .method = "m",
                              .method_len = 1,
                              .timeout_ms = 1,
                              .done = give_up,
                              .arg = client};
        told = false;
        if (rpc.request(client, &call, NULL) != JSONRPCC_OK)
            fail("no call");
        for (int i = 0; i < 10000 && !told; i++)
            nap();
        if (!told)
            fail("nothing was told");
    } else {
        if (strcmp(mode, "free") != 0 && !rpc.close(client, -1))
            fail("not closed");
        rpc.free(client);
    }
    dlclose(library);
    if (strcmp(mode, "fork") == 0)
        fork_once();
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    for (int i = 0; i < atoi(argv[3]); i++)
        once(argv[1], argv[2], argv[4]);
    /* Until the look-ups have come to an end. */
    for (int i = 0; i < 50; i++)
        nap();
    fork_once();
    puts("done");
}
