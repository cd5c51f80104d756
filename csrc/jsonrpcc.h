/* jsonrpcc: a JSON-RPC 2.0 client over TCP with netstring framing.
 *
 * Threads.  A client owns one background thread, the event thread.  All I/O,
 * timers and callbacks run on the thread that drives the client's loop: the
 * event thread, or a thread inside jsonrpcc_wait() that drives it meanwhile,
 * but never two at a time.  Every function here may be called from any thread
 * and from callbacks, unless its comment says otherwise.
 *
 * Callbacks.  Do not block in a callback: nothing else of that client makes
 * progress meanwhile.  A callback of one thread's call may run inside another
 * thread's jsonrpcc_sync_call() or jsonrpcc_wait().  So never wait while you
 * hold a lock that one of your callbacks takes: the thread would deadlock with
 * itself.  A callback on the event thread has at least 1 MiB of stack, which is
 * enough for json-c at the largest max_depth; elsewhere it has whatever the
 * waiting thread has left.  A program with an event loop of its own can have
 * all callbacks run on the thread of that loop: see jsonrpcc_host_poll().
 *
 * Ownership.  Arguments are borrowed for the call.  What _new() returns is
 * yours until _free(); _free(NULL) does nothing.  Pointers passed to a callback
 * are borrowed until it returns.
 *
 * Fork.  In a forked child the parent's calls and connections do not exist.  A
 * client opens again at its next use there; queues, waiters and syncs belong to
 * the parent and are refused with EFOREIGN: free them and create new ones.  The
 * parent is not affected.  A callback may fork and return in the child: the
 * function that ran it, jsonrpcc_wait() or another, returns EFOREIGN there and
 * runs no other callback.  If it ran on the event thread, that thread ends, and
 * so does the child unless it has other threads.  All this holds for fork(),
 * whichever code calls it; after vfork() or clone(), a child may only exec.
 *
 * libevent.  The library sets libevent's log and fatal callbacks once, with the
 * first client, to keep libevent from ending the process when no descriptors
 * are left.  A program that has its own sets them after its first client.
 *
 * Unloading.  A plugin that holds this library may be unloaded by dlclose()
 * once its clients are closed or freed.  The library itself stays mapped from
 * the first client on, because a thread may still have a few instructions to
 * run.
 *
 * Growth.  From the first release on, things are only added, and programs built
 * with an older header keep working.  A struct that you fill begins with its
 * size.  A function that fills a struct of yours takes its size as a parameter.
 * A struct that the library shows you by pointer gets new fields at its end;
 * what a newer header has there may be read if jsonrpcc_abi_version() is at
 * least that header's JSONRPCC_ABI_VERSION.  Any other struct says that it
 * never grows.  Enums get new values: expect some that you do not know.
 *
 * Texts are UTF-8 with an explicit length and are not NUL-terminated, unless a
 * parameter has no length of its own.  Durations are milliseconds. */

#ifndef JSONRPCC_H
#define JSONRPCC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSONRPCC_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* cffi: begin */

/* The version as a number to compare, two hexadecimal digits for each part. */
#define JSONRPCC_VERSION_NUMBER 0x000100

/* The version of the ABI: it grows by one with every release that adds
 * something to this header. */
#define JSONRPCC_ABI_VERSION 1

/* The versions of the library in use, which may be newer than this header.  The
 * text is static. */
const char *jsonrpcc_version(void);
uint32_t jsonrpcc_abi_version(void);

typedef enum {
    JSONRPCC_OK = 0,
    JSONRPCC_EINVAL,    /* an argument is wrong */
    JSONRPCC_ENOMEM,    /* out of memory */
    JSONRPCC_ETOOBIG,   /* the request is larger than max_request */
    JSONRPCC_EFULL,     /* max_in_flight or max_queued_bytes is reached */
    JSONRPCC_ECLOSED,   /* the client is closed */
    JSONRPCC_EREMOTE,   /* the server answered with an error */
    JSONRPCC_ETIMEDOUT, /* the deadline passed */
    JSONRPCC_EFAILURE,  /* no server can be reached */
    JSONRPCC_ECONNLOST, /* the connection broke after the request was sent */
    JSONRPCC_EINVALID,  /* the response breaks JSON-RPC 2.0 or a limit */
    JSONRPCC_ECANCELLED,
    JSONRPCC_EPENDING, /* not yet: wait again */
    JSONRPCC_EDEADLK,  /* waiting on this thread would never end */
    JSONRPCC_EFOREIGN, /* made before fork(), by another process */
    /* JSONRPCC_SYSTEM + an errno: the system refused a descriptor or a thread,
     * usually with EMFILE, ENFILE or EAGAIN.  Never an outcome.  A function
     * that starts a call returns it only where it opens a client anew, after
     * fork(). */
    JSONRPCC_SYSTEM = 4096
} jsonrpcc_status;

/* What a status means, in a few words for people.  Works for unknown ones, too.
 * Static. */
const char *jsonrpcc_status_text(jsonrpcc_status status);

/* ---- client ---- */

typedef struct jsonrpcc_client jsonrpcc_client;

/* Flags of a client, combined with |. */
typedef enum {
    JSONRPCC_HOST_CALLBACKS = 1, /* they wait for jsonrpcc_host_poll() */
    JSONRPCC_SHARED_THREAD = 2   /* all clients of the process that have this
                                    share one event thread: a callback that
                                    blocks delays the others */
} jsonrpcc_client_flags;

/* Flags of jsonrpcc_tls, combined with |. */
typedef enum {
    JSONRPCC_TLS_NO_VERIFY = 1 /* any server is trusted */
} jsonrpcc_tls_flags;

/* How connections are secured; zero means "the default" for every field but
 * size.  Fields that the library does not know are as in jsonrpcc_options.
 * Servers are trusted for the names and addresses that their certificates list
 * (a common name does not count).  The files are looked at every reload_ms; if
 * they have changed, new connections use what is there now, see
 * JSONRPCC_CERTIFICATES. */
typedef struct {
    size_t size;              /* sizeof(jsonrpcc_tls) */
    const char *ca;           /* whom to trust: a file of PEM certificates, or a
                                 folder made by "openssl rehash"; NULL: whom the
                                 system trusts */
    const char *cert;         /* our certificate and its chain, a PEM file */
    const char *key;          /* its private key, a PEM file */
    const char *key_password; /* of that file */
    const char *server_name;  /* to verify and to ask for (SNI), instead of the
                                 host; a name or an IP address */
    const char *min_version;  /* "1.2", the default, or "1.3" */
    const char *ciphers;      /* OpenSSL's names, with ':' between; those of TLS
                                 1.3 begin with TLS_, others are of TLS 1.2 */
    int32_t reload_ms;        /* default 60000; -1 never */
    uint32_t flags;           /* jsonrpcc_tls_flags; others are EINVAL */
} jsonrpcc_tls;

/* The TLS library in use, with its version; NULL: this build has no TLS.
 * Static. */
const char *jsonrpcc_tls_library(void);

/* What an error means that a server gives in response to a hello. */
typedef enum {
    JSONRPCC_HELLO_BY_NAME = 0, /* accepted if the method begins with "rpc." */
    JSONRPCC_HELLO_ACCEPT = 1,  /* it proves the connection, as a result does */
    JSONRPCC_HELLO_REFUSE = 2   /* the connection cannot be used, and is closed:
                                   see JSONRPCC_HELLO_REFUSED */
} jsonrpcc_hello_errors;

/* Zero means "the default" for every field but size and servers.  If your
 * header is newer than the library, a field that the library does not know has
 * to be zero; anything else is EINVAL. */
typedef struct {
    size_t size;                  /* sizeof(jsonrpcc_options) */
    const char *servers;          /* "host:port,priority,weight unix:/path
                                     dns:host:port file:/path fd:7", see
                                     docs/discovery.md */
    int32_t timeout_ms;           /* of a call that sets none; default 5000 */
    int32_t connect_timeout_ms;   /* per address; default 1000 */
    int32_t reconnect_ms;         /* bound of the first backoff; 1000 */
    int32_t reconnect_max_ms;     /* bound of every backoff, and the pause
                                     between trials, each of which has that time
                                     too, or connect_timeout_ms if that is
                                     longer; 10000 */
    int32_t reconnect_attempts;   /* 0 forever, -1 none */
    uint32_t max_depth;           /* of a response; default 512, <= 4096 */
    uint32_t max_in_flight;       /* default 65536, <= 2^24 */
    size_t max_response;          /* bytes of a frame; default 16 MiB */
    size_t max_request;           /* bytes of a frame; default 16 MiB */
    size_t max_queued_bytes;      /* accepted and not yet sent, or kept for
                                     resending; default 64 MiB */
    size_t max_undelivered_bytes; /* received, not fetched; default 64 MiB */
    uint32_t flags;               /* jsonrpcc_client_flags; others are EINVAL */
    const jsonrpcc_tls *tls;      /* NULL: connections are not encrypted */
    uint32_t max_servers;         /* in the list; default 1024, <= 4096 */
    int32_t leave_timeout_ms;     /* of calls sent to a server that has left
                                     the list; default 30000 */
    int32_t dns_refresh_ms; /* how often names like dns:host:port are looked up
                               again; default 30000 */
    int32_t dns_min_ms;     /* the least time between two lookups of a name;
                               default and minimum 1000 */
    int32_t min_srv_ttl_ms; /* the least time that SRV records hold; default
                               5000 */
    int32_t max_methods;    /* counted one by one, see jsonrpcc_method();
                               default 256, <= 4096, -1 none */
    int32_t connections;    /* to each server; default 1, <= 16 */
    int32_t max_connection_age_ms; /* after which a connection is replaced, give
                                      or take a tenth: another one is opened
                                      first; >= 1000; default 0: never */
    const struct jsonrpcc_call *hello; /* what each connection says first, see
                                          jsonrpcc_hello_set() */
    size_t hello_count;                /* of those requests, <= 8; default 0 */
    uint32_t hello_errors;    /* jsonrpcc_hello_errors: what an error in
                                 response to one of them means */
    int32_t ping_interval_ms; /* of silence on an idle connection, give or take
                                 a tenth, before the first request of its hello
                                 is sent again; >= 1000; default 0: never */
    uint32_t subset; /* servers of each priority to connect to: which ones is
                        chosen at random by each process; those that are down
                        are replaced; <= 4096, default 0: all */
} jsonrpcc_options;

/* Create a client and begin to connect to all its servers; does not wait.
 *
 * EINVAL: an option is wrong.  ENOMEM, JSONRPCC_SYSTEM + an errno: it got no
 * memory, no thread or not enough descriptors (it needs six, one for each
 * server, one more with JSONRPCC_HOST_CALLBACKS, and the first one with
 * JSONRPCC_SHARED_THREAD needs another); nothing is left behind.
 * A list with a file takes one more where there is one: see docs/discovery.md.
 * why[0..why_size), unless NULL, gets NUL-terminated text: which option is
 * wrong, where and how, or what is missing.  *client is set on OK only.
 *
 * "fd:7" in servers is a server to which the program has connected: descriptor
 * 7 has to be a connected stream socket (so pipes will not do, but one end of a
 * socketpair() will), from which nothing else reads.  The client makes a
 * duplicate; the descriptor stays yours, and may be closed at once.  There is
 * this one connection: when it ends, or the client does, the socket is shut
 * down and the server stays down.  In a forked child the server is down from
 * the beginning, and the parent does not notice.  TLS is not used; with it,
 * descriptors of TCP connections are refused. */
jsonrpcc_status jsonrpcc_client_new(const jsonrpcc_options *options,
                                    jsonrpcc_client **client, char *why,
                                    size_t why_size);

/* Stop: new calls are refused with ECLOSED, pending ones complete with it, and
 * notifications still unsent get up to a second to be sent.  Waits up to
 * timeout_ms (-1: for as long as it takes).  True: all is done, and no callback
 * will run any more.  False: closing continues in the background; call again to
 * wait for its end, or free the client.  In a callback, of this client or of
 * another one, it does not wait, so clients may be closed in each other's
 * callbacks.  Idempotent; the client still has to be freed. */
bool jsonrpcc_client_close(jsonrpcc_client *client, int32_t timeout_ms);

/* Close the client if it is open, and free it.  Never blocks, so finalizers may
 * call it; therefore callbacks may still run until the event thread has ended.
 * To know when they are over, close the client first.  No other function may be
 * using the client or use it later. */
void jsonrpcc_client_free(jsonrpcc_client *client);

/* Whether the client was inherited by fork() and has not been used since, so
 * that nothing of it is open in this process. */
bool jsonrpcc_client_is_foreign(const jsonrpcc_client *client);

/* Whether servers is a well-formed list without duplicates; why as in
 * jsonrpcc_client_new(). */
bool jsonrpcc_servers_check(const char *servers, char *why, size_t why_size);

/* Make servers, which is written as in jsonrpcc_options, the list of servers.
 * It holds for all calls that are submitted after this returns.
 *
 * A server that stays in the list keeps its connection, its counters and any
 * suspicion; only its priority may change.  A new one is tried at once, or if
 * others are up, within a second or reconnect_ms.  One that leaves gets no new
 * call: what has not been sent goes elsewhere, and its connection is closed
 * when what was sent has been answered, or after leave_timeout_ms.  So a change
 * of the list ends no call, unless all servers left in it are down.
 *
 * May be called from anywhere, callbacks included, and does not wait.  EINVAL:
 * servers is wrong, or names a descriptor that it did not name when the client
 * was created, and nothing has changed; why as in jsonrpcc_client_new().
 * ENOMEM, ECLOSED: nothing has changed, either. */
jsonrpcc_status jsonrpcc_servers_set(jsonrpcc_client *client,
                                     const char *servers, char *why,
                                     size_t why_size);

/* Make these requests, at most 8 of at most 64 KiB each, what connections say
 * first from the next one on; 0: nothing.  Only method, params and
 * JSONRPCC_LENIENT of each call are used; other flags are EINVAL.
 *
 * They are sent one after the other on every new connection, and it gets calls
 * once all are answered, which has to be within connect_timeout_ms, connecting
 * included.  Meanwhile its server is JSONRPCC_SERVER_PROVING, and calls wait as
 * they wait for a connect.  If a hello fails, so does the attempt to connect.
 * Hellos are not counted as requests, and what they say is in no text, event or
 * log.  A forked child says the same, on connections of its own.
 *
 * May be called from anywhere, callbacks included, and does not wait.  EINVAL,
 * ENOMEM, ECLOSED: nothing has changed; why as in jsonrpcc_client_new(). */
jsonrpcc_status jsonrpcc_hello_set(jsonrpcc_client *client,
                                   const struct jsonrpcc_call *calls,
                                   size_t count, char *why, size_t why_size);

/* ---- calls: with a callback each ---- */

/* What may have happened to a request. */
typedef enum {
    JSONRPCC_NOT_SENT = 0, /* its last byte was never handed to the kernel */
    JSONRPCC_UNKNOWN = 1,  /* a server may have run it */
    JSONRPCC_ANSWERED = 2
} jsonrpcc_fate;

/* Why a server cannot be reached: an errno if positive, else one of these.
 * Values from JSONRPCC_RESOLVE down to JSONRPCC_TLS are JSONRPCC_RESOLVE + a
 * (negative) EAI_ code. */
typedef enum {
    JSONRPCC_NO_REASON = 0,
    JSONRPCC_PEER_CLOSED = -1,
    JSONRPCC_BAD_FRAME = -2,
    JSONRPCC_FRAME_TOO_BIG = -3,
    JSONRPCC_CONNECT_TIMEOUT = -4,
    JSONRPCC_UNRESPONSIVE = -5,
    JSONRPCC_UNREADABLE = -6,
    JSONRPCC_BACKLOG_FULL = -7,  /* of a Unix socket */
    JSONRPCC_LEAVE_TIMEOUT = -8, /* its server left the list long ago */
    JSONRPCC_BAD_LIST = -9,      /* of a file: see why of jsonrpcc_entry_info */
    JSONRPCC_SOCKET_SPENT = -10, /* a socket like fd:7 that is closed, or is
                                    that of the process that forked this one */
    JSONRPCC_HELLO_TIMEOUT = -11, /* connected, but the hello was not answered
                                     within connect_timeout_ms */
    JSONRPCC_HELLO_REFUSED = -12, /* the hello was answered with an error; there
                                     is a code with it */
    JSONRPCC_HELLO_INVALID = -13, /* the response to the hello breaks JSON-RPC
                                     2.0 or a limit */
    JSONRPCC_PING_TIMEOUT = -14,  /* no response to a ping, see ping_interval_ms
                                   */
    JSONRPCC_RESOLVE = -1000,
    /* Of TLS.  JSONRPCC_TLS itself: the connection ended in the handshake; from
     * there down to JSONRPCC_TLS_ERROR: JSONRPCC_TLS - the X509_V_ERR_ code of
     * the check that the server's certificate failed. */
    JSONRPCC_TLS = -2000,
    JSONRPCC_TLS_ERROR = -3000 /* - an SSL_R_ code of OpenSSL's; alerts of the
                                  server are 1000 + their number */
} jsonrpcc_reason;

/* Write what a reason means to text[0..size), NUL-terminated and truncated if
 * necessary; nothing is written if size is 0. */
void jsonrpcc_reason_text(int32_t reason, char *text, size_t size);

/* Flags of a call, combined with |. */
typedef enum {
    JSONRPCC_NOTIFICATION = 1, /* no id, no response; OK once it is sent */
    JSONRPCC_IDEMPOTENT = 2,   /* may be sent again when a connection breaks */
    JSONRPCC_WAIT_FOR_READY = 4, /* wait for a server until the deadline */
    JSONRPCC_LENIENT = 8,        /* params may use single quotes */
    JSONRPCC_CORKED = 16,    /* do not wake the loop: see jsonrpcc_flush() */
    JSONRPCC_RESERVE = 32,   /* may exceed max_in_flight by up to 256 */
    JSONRPCC_ANY_THREAD = 64 /* done does not wait for jsonrpcc_host_poll() */
} jsonrpcc_call_flags;

/* The outcome of one call. */
typedef struct {
    jsonrpcc_status status;
    jsonrpcc_fate fate;
    int32_t server;      /* index in the servers string, -1 none */
    int32_t reason;      /* of EFAILURE and ECONNLOST: see jsonrpcc_reason */
    uint32_t attempts;   /* how often the whole of it was sent */
    uint64_t elapsed_us; /* since the call was accepted, or its since_us */
    const char *json;    /* OK: the result; EREMOTE: the error; EINVALID: the
                            rule broken, as plain text; otherwise NULL */
    size_t json_len;
    int64_t code; /* EREMOTE: the error's code; 0 if it is not an int64_t */
    /* Where the time went, for the last attempt.  waited_us and answered_us add
     * up to at most elapsed_us; the rest was spent in vain after the request
     * was sent. */
    uint64_t waited_us;   /* until it was sent; elapsed_us if it was not */
    uint64_t room_us;     /* ... of these, for room: see since_us of a call */
    uint64_t server_us;   /* ... for a server; what is left: for the socket */
    uint64_t answered_us; /* from then to the answer; 0 if there is none, or if
                             it came before all of the request was sent */
} jsonrpcc_outcome;

/* Receives the outcome of one call, exactly once. */
typedef void (*jsonrpcc_done_fn)(void *arg, uint64_t token,
                                 const jsonrpcc_outcome *outcome);

/* A call; zero is the default of every field but size, method and method_len.
 * Fields that the library does not know are as in jsonrpcc_options. */
typedef struct jsonrpcc_call {
    size_t size; /* sizeof(jsonrpcc_call) */
    const char *method;
    size_t method_len;
    const char *params; /* JSON text of an array or object, NULL: left out */
    size_t params_len;
    int32_t timeout_ms;    /* from now on, all waiting included; 0: the client's
                              default; negative: EINVAL */
    uint32_t flags;        /* jsonrpcc_call_flags; others are EINVAL */
    jsonrpcc_done_fn done; /* NULL: the outcome is discarded */
    void *arg;             /* passed to done */
    uint64_t token;        /* passed to done */
    uint16_t method_id;    /* of jsonrpcc_method(); 0: counted with others */
    uint64_t since_us;     /* CLOCK_MONOTONIC; where it is not 0 the timeout
                              counts from then: for a call that has had to wait
                              for room, the time of its first attempt */
    const char *members;   /* JSON text of an object, whose members the request
                              has, too, such as a trace context; NULL: none.
                              EINVAL: jsonrpc, id, method, params, result or
                              error is among them */
    size_t members_len;    /* of that text */
} jsonrpcc_call;

/* Start a call.  *id (id may be NULL) identifies it for jsonrpcc_cancel().
 *
 * If it returns anything but OK, nothing was sent and done will never be
 * called: EINVAL (if it is params, jsonrpcc_params_check() finds the place),
 * ETOOBIG, EFULL (wait with jsonrpcc_room(), then try again), ENOMEM, ECLOSED;
 * JSONRPCC_SYSTEM + an errno at the first use in a forked child. */
jsonrpcc_status jsonrpcc_request(jsonrpcc_client *client,
                                 const jsonrpcc_call *call, uint64_t *id);

/* Start calls as jsonrpcc_request() does, in order, but lock only once for many
 * of them.  The size of all structs is the same.  Returns how many were
 * accepted; *status is OK, or why the next one was not. */
size_t jsonrpcc_request_many(jsonrpcc_client *client,
                             const jsonrpcc_call *calls, size_t count,
                             jsonrpcc_status *status);

/* End a call with ECANCELLED, unless its outcome is already on its way: done is
 * called in either case.  The id of a call that has ended, or that never
 * existed, is ignored. */
void jsonrpcc_cancel(jsonrpcc_client *client, uint64_t id);

/* Wake the loop for what was submitted with JSONRPCC_CORKED. */
void jsonrpcc_flush(jsonrpcc_client *client);

/* Wait until the call for which this thread last got EFULL could be accepted;
 * then try again, which may return EFULL once more.  False: not within
 * timeout_ms.  True after close as well: trying again then returns ECLOSED.
 * Not from a callback.
 *
 * Threads wait in line: no other thread can take what the first one needs, not
 * even one that does not wait.  A thread keeps its place if it submits, or
 * waits again, within 250 ms. */
bool jsonrpcc_room(jsonrpcc_client *client, int32_t timeout_ms);

/* Whether params would be accepted (flags: JSONRPCC_LENIENT or 0).  If not, *at
 * is the offset of the fault and *rule names the rule that it breaks. */
bool jsonrpcc_params_check(const char *params, size_t params_len,
                           uint32_t flags, size_t *at, const char **rule);

/* ---- waiter: to wait for callbacks ---- */

/* A signal to wait for; the waiting thread drives the loop meanwhile. */
typedef struct jsonrpcc_waiter jsonrpcc_waiter;

/* Create a waiter of a client; free it before the client.
 *
 * lazy: this waiter is in no hurry (a dispatcher); it does not take the loop
 * over from threads that wait for a single call.  NULL: errno says why. */
jsonrpcc_waiter *jsonrpcc_waiter_new(jsonrpcc_client *client, bool lazy);

/* Never blocks.  No thread may be waiting on it, and no callback that signals
 * it may still be running or run later. */
void jsonrpcc_waiter_free(jsonrpcc_waiter *waiter);

/* Wait for a signal, and consume it.  EPENDING: none within timeout_ms (-1: no
 * limit; 0: only look, and make sure that submitted calls get sent); wait
 * again.  ECLOSED: none, and none will come, because the client has stopped.
 * EDEADLK: called from a callback, or on the thread of a host, see
 * jsonrpcc_host_poll().  EINVAL: another thread waits on it; only one may.
 * EFOREIGN: it was inherited by fork(). */
jsonrpcc_status jsonrpcc_wait(jsonrpcc_waiter *waiter, int32_t timeout_ms);

/* Signal: the waiting thread returns, or the next one to wait does at once.
 * Signals do not add up.  Never blocks. */
void jsonrpcc_signal(jsonrpcc_waiter *waiter);

/* ---- sync: blocking calls ---- */

typedef struct jsonrpcc_sync jsonrpcc_sync;

/* Create a sync, for one blocking call after another.  NULL: errno says why.
 * One thread at a time may use it; a second one gets EINVAL.  Free it before
 * the client. */
jsonrpcc_sync *jsonrpcc_sync_new(jsonrpcc_client *client);

/* Cancels a pending call, without waiting for its end.  Never blocks.  The last
 * outcome is freed, too. */
void jsonrpcc_sync_free(jsonrpcc_sync *sync);

/* Call and wait up to slice_ms (-1: no limit, 0: only start the call).
 * EPENDING: continue with jsonrpcc_sync_wait().  Otherwise the outcome's
 * status, or why the call was refused, and then there is no outcome.  EINVAL:
 * also while a call is pending.  EDEADLK: as for jsonrpcc_wait().  EFOREIGN:
 * the sync was inherited by fork(), or a callback forked during the wait.
 * timeout_ms and flags are those of a jsonrpcc_call; JSONRPCC_NOTIFICATION is
 * ignored. */
jsonrpcc_status jsonrpcc_sync_call(jsonrpcc_sync *sync, const char *method,
                                   size_t method_len, const char *params,
                                   size_t params_len, int32_t timeout_ms,
                                   uint32_t flags, int32_t slice_ms);

/* The same for a whole jsonrpcc_call, of which done, arg and token are ignored.
 * EINVAL also as for jsonrpcc_request(). */
jsonrpcc_status jsonrpcc_sync_submit(jsonrpcc_sync *sync,
                                     const jsonrpcc_call *call,
                                     int32_t slice_ms);

/* Wait up to slice_ms more for the pending call (0: only look).  EINVAL: there
 * is none, or another thread waits for it. */
jsonrpcc_status jsonrpcc_sync_wait(jsonrpcc_sync *sync, int32_t slice_ms);

/* End the pending call with ECANCELLED, unless its outcome is already on its
 * way; jsonrpcc_sync_wait() returns either.  Only from the thread that uses the
 * sync. */
void jsonrpcc_sync_cancel(jsonrpcc_sync *sync);

/* The last outcome, NULL if there is none.  It and its text belong to the sync
 * and are valid until the next call. */
const jsonrpcc_outcome *jsonrpcc_sync_outcome(jsonrpcc_sync *sync);

/* ---- events: what happens to servers ---- */

typedef enum {
    JSONRPCC_CONNECTED = 1,
    JSONRPCC_LOST,         /* an established connection ended; see reason */
    JSONRPCC_UNREACHABLE,  /* the first failed attempt after being up or new,
                              or the first that failed because of a hello */
    JSONRPCC_SUSPECT,      /* timeouts in a row: out of rotation */
    JSONRPCC_TRUSTED,      /* a suspect server answered again */
    JSONRPCC_FAILED_OVER,  /* calls now go to a lower priority; see server */
    JSONRPCC_BACK,         /* calls go to a higher priority again */
    JSONRPCC_REJECTED,     /* an error with id null: the server could not read a
                              request, and it is unknown which; at most one per
                              connection in reconnect_max_ms */
    JSONRPCC_CERTIFICATES, /* the files of jsonrpcc_tls have changed; server is
                              -1; reason 0: new connections use them, otherwise:
                              they do not, see jsonrpcc_tls_get() */
    JSONRPCC_ALL_DOWN,  /* no server can be reached, and calls fail; server is
                           -1, reason that of the best server */
    JSONRPCC_AVAILABLE, /* after that: a server can be reached and, unless it
                          was connected for the first time, has answered */
    JSONRPCC_ADDED,     /* the list of servers has it now: see
                           jsonrpcc_servers_set() */
    JSONRPCC_LEAVING,   /* it is no longer in the list */
    JSONRPCC_GONE,      /* ... and its last call has ended */
    JSONRPCC_LIST_REFUSED, /* the old list stays in force; server is -1.  entry
                              0: too many servers were in the list lately, so
                              it waits until slots are free.  Otherwise the id
                              of a file that is missing or wrong */
    JSONRPCC_RESOLVED, /* a name or file stands for other servers now; server is
                          -1, see entry, added and gone */
    JSONRPCC_RESOLVE_FAILED, /* the first of some lookups of a name that found
                                nothing; it keeps its servers, see entry */
    JSONRPCC_LIST_CUT, /* names stand for more servers than max_servers; gone
                          says how many are left out */
    JSONRPCC_RENEWED   /* a connection leaves, as a new one has taken its place:
                          see max_connection_age_ms */
} jsonrpcc_event_kind;

typedef struct {
    jsonrpcc_event_kind kind;
    int32_t server;
    int32_t reason;
    uint64_t time_us; /* CLOCK_MONOTONIC */
    /* What else there is to say; NULL if there is nothing. */
    const char *text; /* for people */
    size_t text_len;
    const char *details; /* for programs: the text of a JSON object */
    size_t details_len;
    uint32_t entry; /* the id of a name or a file, see jsonrpcc_entry_info; or 0
                     */
    uint32_t added; /* servers that the name stands for now */
    uint32_t gone;  /* those it no longer stands for */
    int64_t code;   /* of the error, if reason is JSONRPCC_HELLO_REFUSED */
} jsonrpcc_event;

typedef void (*jsonrpcc_event_fn)(void *arg, const jsonrpcc_event *event);

/* Have fn(arg, ...) called with every event, past ones of this client included,
 * on the thread that drives the loop.  There is one listener at a time; fn NULL
 * removes it.  When this returns, the previous one does not run any more.  All
 * events have been reported when jsonrpcc_client_close() returns true; a
 * listener that is set later receives them inside this function. */
void jsonrpcc_on_event(jsonrpcc_client *client, jsonrpcc_event_fn fn,
                       void *arg);

/* ---- host: callbacks in an event loop of the program's own ---- */

/* The simplest way into an event loop: create the client with
 * JSONRPCC_HOST_CALLBACKS, watch jsonrpcc_host_fd(), and call
 * jsonrpcc_host_poll() when it is readable.  See examples/c/loop_epoll.c and,
 * next to it, the same for libevent, libuv and GLib.
 *
 * Callbacks (done functions, the event listener and functions passed to
 * jsonrpcc_defer()) run inside jsonrpcc_host_poll() and nowhere else, except
 * those of calls with JSONRPCC_ANY_THREAD.  I/O and deadlines continue in the
 * event thread, however late the host is; outcomes that wait for it count in
 * max_in_flight and max_undelivered_bytes.
 *
 * The host's thread is the one that polled last, or the one that created the
 * client if none has.  It must never wait: functions that wait are refused
 * there with EDEADLK or false (after EFULL, try again when a poll has made
 * room).  jsonrpcc_client_close() is the exception: on that thread it runs the
 * remaining callbacks, and returns true when none are left; on another thread
 * it waits for the host to run them; from a callback it returns false, and the
 * rest run in later polls.  After jsonrpcc_client_free() no callback runs.
 *
 * Queues and syncs of other threads work as usual. */

/* Run the callbacks that are due, at most 256 done functions.  True: there are
 * more, and the descriptor stays readable.  Never blocks.  A callback may poll,
 * and may close or free the client; while one thread polls, another one gets
 * false. */
bool jsonrpcc_host_poll(jsonrpcc_client *client);

/* Readable while there are callbacks to run.  -1 without
 * JSONRPCC_HOST_CALLBACKS.  Belongs to the client: remove it from the event
 * loop before you free the client.  In a forked child the descriptor is a
 * different one. */
int jsonrpcc_host_fd(jsonrpcc_client *client);

/* ---- state: of servers, and counters ---- */

typedef enum {
    JSONRPCC_SERVER_DOWN = 0, /* until the next attempt, if there is one */
    JSONRPCC_SERVER_CONNECTING,
    JSONRPCC_SERVER_UP,
    JSONRPCC_SERVER_SUSPECT, /* connected, but out of rotation */
    JSONRPCC_SERVER_PROVING, /* connected after a failure, or with a client
                                certificate, and has not answered since: gets
                                one call first; or awaits_hello, and gets none
                              */
    JSONRPCC_SERVER_LEAVING, /* not in the list any more: gets no new call, and
                                is closed when the ones it has have ended */
    JSONRPCC_SERVER_GONE     /* it was in the list; not connected */
} jsonrpcc_server_state;

typedef struct {
    const char *host; /* as given, "unix:/path" or "fd:7"; belongs to the
                         client, and stays for a minute at least when the server
                         is gone */
    uint16_t port;    /* 0: host is a Unix socket or a descriptor */
    int32_t priority;
    jsonrpcc_server_state state;
    int32_t reason;    /* of the last failure, 0 none */
    uint64_t since_us; /* CLOCK_MONOTONIC time of the last change of state */
    uint64_t connects; /* established connections */
    uint64_t losses;   /* of established connections */
    uint64_t attempts_failed;
    uint64_t sent;      /* calls sent completely, notifications included */
    uint64_t responses; /* matched to a call */
    uint64_t timeouts;  /* calls that timed out while sent there */
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint32_t in_flight;    /* calls sent there and unanswered */
    uint32_t position;     /* in the list, counted from 0 */
    uint32_t weight;       /* among servers of the same priority */
    uint32_t entry;        /* the id of the name or file that it is from, see
                              jsonrpcc_entry_info; 0: none */
    uint16_t srv_priority; /* of its SRV record: smaller ones first */
    uint16_t connections;  /* that it is to have, see jsonrpcc_options */
    uint16_t connected;    /* that are established, leaving ones included */
    uint64_t renewals;     /* connections that new ones have replaced */
    bool awaits_hello;     /* PROVING: its hello is not answered yet, see
                              jsonrpcc_hello_set() */
    int64_t code; /* of the error, if reason is JSONRPCC_HELLO_REFUSED */
    bool spare; /* in the list, but not in the subset, see jsonrpcc_options: it
                   is DOWN without attempts, or LEAVING */
} jsonrpcc_server_info;

/* How many servers there are or were: one more than the largest index.  It may
 * grow with jsonrpcc_servers_set(). */
uint32_t jsonrpcc_server_count(jsonrpcc_client *client);

/* Fill *info with the state of a server.  At first a server's index is its
 * place in the servers string, and it stays the same for as long as the server
 * is in the list, and for a minute at least when it is gone.  False: there is
 * no such server, and *info is untouched.  size: sizeof(jsonrpcc_server_info)
 * as the caller knows it. */
bool jsonrpcc_server_get(jsonrpcc_client *client, uint32_t index,
                         jsonrpcc_server_info *info, size_t size);

/* Whether a call made now would find a server or, with all, whether every
 * server in the list except the spares is used.  The list is the one that
 * jsonrpcc_servers_set() has set last; with all, each name and file in it has
 * to have been found once.  It never waits. */
bool jsonrpcc_is_ready(jsonrpcc_client *client, bool all);

/* Wait until jsonrpcc_is_ready(), driving the loop meanwhile.  EPENDING: not
 * within timeout_ms (-1: no limit; 0: only look).  ECLOSED: the client has
 * stopped.  EDEADLK: as for jsonrpcc_wait().  ENOMEM, JSONRPCC_SYSTEM + an
 * errno: the system refused memory or, after fork(), a descriptor or a thread.
 */
jsonrpcc_status jsonrpcc_wait_ready(jsonrpcc_client *client, int32_t timeout_ms,
                                    bool all);

/* How TLS stands with a server. */
typedef struct {
    const char *version; /* of the last handshake that worked: "TLSv1.3"; NULL:
                            there was none.  Static */
    const char *cipher;  /* of the same; static */
    int64_t expires_s;   /* Unix time at which the first of the certificates
                            that the server sent ends; 0: not known */
    bool resumed;        /* the handshake resumed an earlier session */
    char why[256];       /* what was wrong with the last handshake, in more
                            detail than the reason; empty: nothing */
} jsonrpcc_server_tls_info;

/* Fill *info as jsonrpcc_server_get() does.  False: there is no such server, or
 * the client has no TLS. */
bool jsonrpcc_server_tls_get(jsonrpcc_client *client, uint32_t index,
                             jsonrpcc_server_tls_info *info, size_t size);

/* What a client has read from the files of its jsonrpcc_tls. */
typedef struct {
    int64_t expires_s; /* Unix time at which our certificate ends, or the first
                          one of its chain; 0: there is none */
    uint64_t reloads;  /* changes of the files that new connections use */
    uint64_t refusals; /* changes that they do not use */
    char why[256];     /* what was wrong the last time; empty: nothing */
} jsonrpcc_tls_info;

/* Fill *info; size as for jsonrpcc_server_get().  False: the client has no
 * TLS. */
bool jsonrpcc_tls_get(jsonrpcc_client *client, jsonrpcc_tls_info *info,
                      size_t size);

/* A name in the list that stands for servers: dns:, dns4:, dns6: or srv:; or a
 * file of entries, which is looked at as a name is looked up. */
typedef struct {
    char text[320]; /* as given, without its priority */
    uint32_t id;    /* never 0, and never used again */
    int32_t priority;
    uint32_t servers;        /* that it stands for now; of a file, entries */
    int32_t reason;          /* of the last lookup, if it found nothing; or 0 */
    uint32_t ttl_s;          /* of its SRV records; 0: not known */
    uint64_t lookups;        /* that have ended */
    uint64_t lookups_failed; /* ... without an answer */
    uint64_t asked_us; /* CLOCK_MONOTONIC time of the last lookup; 0: none */
    uint64_t found_us; /* of the last answer with servers; 0: none */
    char why[160];     /* of JSONRPCC_BAD_LIST: which line, and what is wrong
                          there; otherwise empty */
} jsonrpcc_entry_info;

/* Fill *info with the state of a name, counted from 0 in the order of the list;
 * those in a file follow it.  False: there are fewer names, and *info is
 * untouched.  size: sizeof(jsonrpcc_entry_info) as the caller knows it. */
bool jsonrpcc_entry_get(jsonrpcc_client *client, uint32_t index,
                        jsonrpcc_entry_info *info, size_t size);

#define JSONRPCC_LATENCY_BUCKETS 128
#define JSONRPCC_EVENT_KINDS 32 /* more than there are */

/* In the end, every accepted call is counted in exactly one of the outcomes. */
typedef struct {
    uint64_t requests;      /* accepted */
    uint64_t notifications; /* accepted */
    uint64_t refused_full;  /* EFULL returned */
    uint64_t ok;            /* outcomes, notifications included */
    uint64_t remote_errors;
    uint64_t timeouts;
    uint64_t failures;
    uint64_t connections_lost;
    uint64_t invalid_responses;
    uint64_t cancelled;
    uint64_t closed;
    uint64_t out_of_memory;
    uint64_t resent;            /* idempotent calls sent once more */
    uint64_t moved;             /* unsent calls moved to another server */
    uint64_t unmatched;         /* responses whose id no pending call has */
    uint64_t ignored;           /* framed correctly, but not responses */
    uint64_t bad_frames;        /* connections ended for a broken frame */
    uint64_t rejected;          /* errors with id null, of no single call */
    uint64_t lookups;           /* of names that stand for servers, and files */
    uint64_t lookups_failed;    /* ... that found nothing */
    uint64_t list_changes;      /* because of names and files */
    uint64_t events_dropped;    /* not taken in time */
    uint64_t turns;             /* of the loop */
    uint64_t wakeups;           /* of the loop by other threads */
    uint64_t in_flight;         /* now */
    uint64_t queued_bytes;      /* now: accepted and not yet sent */
    uint64_t kept_bytes;        /* now: copies of idempotent calls, for
                                   resending; with queued_bytes they count in
                                   max_queued_bytes */
    uint64_t undelivered_bytes; /* now: see jsonrpcc_undelivered() */
    /* Time from acceptance to result or remote error.  Bucket i counts the
     * latencies below jsonrpcc_latency_bound_us(i) that no bucket before it
     * counts. */
    uint64_t latency[JSONRPCC_LATENCY_BUCKETS];
    uint64_t latency_sum_us;               /* of all that the buckets count */
    uint64_t events[JSONRPCC_EVENT_KINDS]; /* by kind, listener or not */
    uint64_t hellos;        /* requests of hellos that were sent, with pings;
                               they are not in requests */
    uint64_t hellos_failed; /* connections that could not be used for that */
    uint64_t pings;         /* sent, see ping_interval_ms */
    uint64_t pings_failed;  /* connections that were renewed for that */
} jsonrpcc_stats;

/* Fill *stats with the current counters; a closed client still has its last
 * ones.  Cheap, but each counter is read separately: while calls are in
 * progress they need not add up.  size: sizeof(jsonrpcc_stats) as the caller
 * knows it. */
void jsonrpcc_client_stats(jsonrpcc_client *client, jsonrpcc_stats *stats,
                           size_t size);

/* The number of a method, for method_id of its calls; the same for the life of
 * the client, in forked children, too.  0, which stands for all other methods:
 * max_methods names have a number already, or the name is longer than 255
 * bytes.  Any thread; takes a hundred nanoseconds, so ask once. */
uint16_t jsonrpcc_method(jsonrpcc_client *client, const char *name,
                         size_t name_len);

/* What became of the calls of a method that have ended. */
typedef struct {
    const char *name; /* NUL-terminated; belongs to the client; NULL of 0 */
    size_t name_len;
    uint64_t calls; /* all of them */
    uint64_t ok;
    uint64_t remote_errors;
    uint64_t timeouts;
    uint64_t latency_sum_us; /* as in jsonrpcc_stats */
    uint64_t latency[JSONRPCC_LATENCY_BUCKETS];
} jsonrpcc_method_info;

/* Fill *info with the numbers of a method, counted from 1; 0: of all others.
 * False: there is no such method, and *info is untouched.  The numbers add up
 * to those of jsonrpcc_stats.  size: sizeof(jsonrpcc_method_info) as the caller
 * knows it. */
bool jsonrpcc_method_get(jsonrpcc_client *client, uint16_t method_id,
                         jsonrpcc_method_info *info, size_t size);

/* The upper bound of a latency bucket; UINT64_MAX for the last. */
uint64_t jsonrpcc_latency_bound_us(uint32_t bucket);

/* ---- queue: outcomes to be fetched ---- */

typedef struct jsonrpcc_queue jsonrpcc_queue;

typedef struct {
    uint64_t token;
    jsonrpcc_outcome outcome; /* never OK */
} jsonrpcc_failure;

/* Where a result came from, and how long it took: as in jsonrpcc_outcome. */
typedef struct {
    int32_t server; /* index in the list of servers */
    uint32_t attempts;
    uint64_t elapsed_us;
    uint64_t waited_us;
    uint64_t answered_us;
} jsonrpcc_origin;

/* What a fetch returns: at most 256 results or about 64 KiB of them, and all
 * failures and events so far.  Everything in it is valid until the next fetch.
 * It never grows: records, which do, are read by functions. */
typedef struct {
    size_t count;           /* of results */
    const uint64_t *tokens; /* tokens[i] belongs to result i */
    const char *results;    /* all, as one JSON array text */
    size_t results_len;     /* with its brackets */
    size_t failure_count;
    size_t event_count;
    const void *source; /* private to the library */
} jsonrpcc_completions;

/* Record i, counted from 0 to count, failure_count or event_count; NULL beyond
 * that.  *len gets the length of a result's text. */
const char *jsonrpcc_completions_result(const jsonrpcc_completions *completions,
                                        size_t i, size_t *len);
const jsonrpcc_origin *jsonrpcc_completions_origin(
    const jsonrpcc_completions *completions, size_t i);
const jsonrpcc_failure *jsonrpcc_completions_failure(
    const jsonrpcc_completions *completions, size_t i);

/* The first result from i on that took at least min_us; count if there is
 * none. */
size_t jsonrpcc_completions_slow(const jsonrpcc_completions *completions,
                                 size_t i, uint64_t min_us);
const jsonrpcc_event *jsonrpcc_completions_event(
    const jsonrpcc_completions *completions, size_t i);

/* Flags of a queue, combined with |. */
typedef enum {
    JSONRPCC_QUEUE_FD = 1,     /* for poll(): see jsonrpcc_queue_fd() */
    JSONRPCC_QUEUE_EVENTS = 2, /* is the event listener from its first fetch on;
                                  not with JSONRPCC_HOST_CALLBACKS */
    JSONRPCC_QUEUE_EAGER = 4   /* its waiter is not lazy */
} jsonrpcc_queue_flags;

/* Create a queue, to which calls of any thread deliver their outcomes.  NULL:
 * errno says why: ENOMEM, EMFILE, or EINVAL for an unknown flag.  One thread at
 * a time may fetch.  Free it before the client. */
jsonrpcc_queue *jsonrpcc_queue_new(jsonrpcc_client *client, uint32_t flags);

/* The outcomes of calls still in flight are discarded, and fetched completions
 * are no longer valid.  Never blocks, except with JSONRPCC_QUEUE_EVENTS, for a
 * listener that is running.  No other thread may be using the queue. */
void jsonrpcc_queue_free(jsonrpcc_queue *queue);

/* Like jsonrpcc_request(), with the queue as the receiver.  Returns the id of
 * the call (> 0), or the negated status. */
int64_t jsonrpcc_queue_request(jsonrpcc_queue *queue, uint64_t token,
                               const char *method, size_t method_len,
                               const char *params, size_t params_len,
                               int32_t timeout_ms, uint32_t flags);

/* The same for a whole jsonrpcc_call, of which done and arg are ignored. */
int64_t jsonrpcc_queue_submit(jsonrpcc_queue *queue, const jsonrpcc_call *call);

/* Submit up to count calls of one method with tokens token, token + 1, ...;
 * params is the text of a JSON array whose elements are the params of one call
 * each.  Returns how many were accepted, or the negated status if none was.
 * *at is an offset in params, 0 to begin with (in: where to continue, out:
 * where it stopped).  The text is read as it is submitted: the elements before
 * a fault in it are accepted. */
int64_t jsonrpcc_queue_request_many(jsonrpcc_queue *queue, uint64_t token,
                                    const char *method, size_t method_len,
                                    const char *params, size_t params_len,
                                    size_t *at, uint32_t count,
                                    int32_t timeout_ms, uint32_t flags);

/* The same for calls that are like the given one, except for their params and
 * tokens: its params are the array, its token is the first one. */
int64_t jsonrpcc_queue_submit_many(jsonrpcc_queue *queue,
                                   const jsonrpcc_call *like, size_t *at,
                                   uint32_t count);

/* Like jsonrpcc_room(), for this queue's requests. */
bool jsonrpcc_queue_room(jsonrpcc_queue *queue, int32_t timeout_ms);

/* Fetch what has arrived, without waiting.  False: nothing has, so call
 * jsonrpcc_queue_wait(), or wait until jsonrpcc_queue_fd() is readable; or
 * another thread is fetching, and gets it. */
bool jsonrpcc_queue_fetch(jsonrpcc_queue *queue,
                          jsonrpcc_completions *completions);

/* Wait for something to fetch, driving the loop meanwhile.  OK: *completions is
 * filled.  EPENDING: nothing within timeout_ms; wait again.  ECLOSED: the
 * client has stopped and everything has been fetched.  EDEADLK: as for
 * jsonrpcc_wait().  EINVAL: another thread is waiting or fetching.  EFOREIGN:
 * the queue was inherited by fork(). */
jsonrpcc_status jsonrpcc_queue_wait(jsonrpcc_queue *queue,
                                    jsonrpcc_completions *completions,
                                    int32_t timeout_ms);

/* At first, and after each fetch that returned false, readable once there is
 * something to fetch.  -1 without JSONRPCC_QUEUE_FD.  Belongs to the queue.
 *
 * This is all that an event loop needs to take many outcomes at a time, without
 * callbacks: submit without JSONRPCC_CORKED, watch this descriptor alone, and
 * when it is readable, fetch until false.  I/O and deadlines continue in the
 * event thread, however late the loop is.  See examples/c/loop_queue.c.  If you
 * want a callback for each outcome, jsonrpcc_host_poll() is simpler. */
int jsonrpcc_queue_fd(jsonrpcc_queue *queue);

/* ---- bindings: what bindings to other languages need in addition ---- */

/* How many clients there are in this process, without those that it inherited
 * by fork() and has not used: to decide about JSONRPCC_SHARED_THREAD. */
unsigned jsonrpcc_client_count(void);

/* The max_in_flight of the client's options, or the default; never changes. */
uint32_t jsonrpcc_max_in_flight(jsonrpcc_client *client);

/* Count a call that the binding refused because of a bound of its own, as
 * jsonrpcc_request() counts its own EFULL: see refused_full of the stats. */
void jsonrpcc_refused(jsonrpcc_client *client);

/* Whether functions that wait are refused on this thread, because it is inside
 * a callback of the client, or is the host's, see jsonrpcc_host_poll(). */
bool jsonrpcc_in_callback(jsonrpcc_client *client);

/* Report that you now keep this many more bytes (fewer, if negative) of what
 * the client received.  While more than max_undelivered_bytes are kept, the
 * client does not read from its sockets; deadlines continue to run. */
void jsonrpcc_undelivered(jsonrpcc_client *client, int64_t bytes);

/* What jsonrpcc_defer() runs.  It never grows. */
typedef struct jsonrpcc_deferred {
    struct jsonrpcc_deferred *next; /* private to the library */
    void (*fn)(void *arg);
    void *arg;
} jsonrpcc_deferred;

/* Run fn(arg) once, at the end of the loop's current turn, or of the current
 * jsonrpcc_host_poll(): the place to act once on all outcomes that it brought.
 * Only from a done callback.  The struct must live until fn runs; it is not
 * accessed after that. */
void jsonrpcc_defer(jsonrpcc_client *client, jsonrpcc_deferred *deferred);

/* For event loops that do the I/O themselves: drive the client's loop for one
 * turn, which does what is due and does not wait.  Not from a callback.
 *
 * Call it after submitting with JSONRPCC_CORKED, and when the descriptor of
 * jsonrpcc_poll_fd() is readable.  If the caller is late by some milliseconds,
 * the event thread takes over, so callbacks may run on either.  To have them on
 * one thread, use JSONRPCC_HOST_CALLBACKS instead, or as well.
 *
 * False: another thread drives, and takes care of what was submitted; or the
 * client is closing.  Continue as after true: there is nothing to flush or
 * repeat.  While that thread is in a long callback, or waits for a processor,
 * the descriptor may stay readable.  So that your loop does not spin, this then
 * pauses for a tenth of a millisecond, from the 20th time on; a loop that must
 * not do that uses jsonrpcc_host_fd() or jsonrpcc_queue_fd() alone. */
bool jsonrpcc_poll(jsonrpcc_waiter *waiter);

/* A descriptor to poll for reading, until the client is closed.  It belongs to
 * the client.  -1: there is none; do not call jsonrpcc_poll(), the event thread
 * does everything. */
int jsonrpcc_poll_fd(jsonrpcc_waiter *waiter);

/* Like jsonrpcc_poll() and jsonrpcc_poll_fd(), for the queue's waiter.  After
 * the poll returned true, fetch before you sleep: jsonrpcc_queue_fd() does not
 * become readable for what the poll itself brought, only for what comes later.
 */
bool jsonrpcc_queue_poll(jsonrpcc_queue *queue);
int jsonrpcc_queue_poll_fd(jsonrpcc_queue *queue);

/* A crew: a few threads that fetch the outcomes of many clients, where each
 * client would otherwise need one that waits for them.  The clients are created
 * with JSONRPCC_SHARED_THREAD. */
typedef struct jsonrpcc_crew jsonrpcc_crew;

/* NULL: there is no memory. */
jsonrpcc_crew *jsonrpcc_crew_new(void);

/* When no thread is in it, and no waiter is a member. */
void jsonrpcc_crew_free(jsonrpcc_crew *crew);

/* Whether the crew was inherited by fork(): then it cannot be used, and freeing
 * it does nothing. */
bool jsonrpcc_crew_is_foreign(const jsonrpcc_crew *crew);

/* Whether any thread is in jsonrpcc_crew_serve(), or will be there again; and
 * not only one which blocks while others wait, as another thread could not be
 * started.  If not, start one. */
bool jsonrpcc_crew_is_served(jsonrpcc_crew *crew);

/* A thread's place in a crew.  It begins as zeros.  It never grows. */
typedef struct {
    uint64_t token;     /* of the waiter that it holds; 0: of none */
    int32_t again_ms;   /* set by you: hold it again after this time, even if
                           it is not signalled; -1: then not */
    bool is_last;       /* its client is closed: no signal will come */
    bool lacks_standby; /* another thread should serve as well: if this one
                           blocks, nobody fetches for the others */
    bool is_taken;      /* private to the library, like those that follow */
    bool has_begun;
    void *held;
} jsonrpcc_seat;

/* Have the crew's threads see to the waiter, on which no thread may wait then.
 * token is any number but 0.  OK: it has joined, or had.  EINVAL: another
 * waiter of the client has, or the client was created without
 * JSONRPCC_SHARED_THREAD.  ENOMEM.  EFOREIGN: one of them was inherited by
 * fork(). */
jsonrpcc_status jsonrpcc_waiter_join(jsonrpcc_waiter *waiter,
                                     jsonrpcc_crew *crew, uint64_t token);

/* Give back the waiter that the seat holds, send what was submitted meanwhile,
 * and wait until a waiter is signalled.  OK: the seat holds it, and no other
 * thread gets it meanwhile.  One thread at a time gets one; others do when that
 * one has not come back for some milliseconds.  ECLOSED: no waiter is left.
 * EFULL: there are enough threads.  After either, the thread should end;
 * whoever joins next finds whether there is one left.  EFOREIGN: the crew was
 * inherited by fork(). */
jsonrpcc_status jsonrpcc_crew_serve(jsonrpcc_crew *crew, jsonrpcc_seat *seat);

/* The thread has all that it needs to deliver, such as an interpreter's lock.
 * Calling this is optional: it tells a callback that blocks from a thread that
 * waits, so that others need not wait for long when many block at once. */
void jsonrpcc_crew_begin(jsonrpcc_seat *seat);

/* The waiter that the seat holds leaves the crew.  It has to before it is
 * freed. */
void jsonrpcc_crew_dismiss(jsonrpcc_seat *seat);

/* The same for a queue: fetch while the seat holds it. */
jsonrpcc_status jsonrpcc_queue_join(jsonrpcc_queue *queue, jsonrpcc_crew *crew,
                                    uint64_t token);

/* Whether the waiter was inherited by fork(): then it cannot be used, and
 * freeing it does nothing. */
bool jsonrpcc_waiter_is_foreign(const jsonrpcc_waiter *waiter);

/* The same for a queue; freeing it only closes this process's copy of its
 * descriptor. */
bool jsonrpcc_queue_is_foreign(const jsonrpcc_queue *queue);

/* cffi: end */

/* ---- trees: results as json-c objects ---- */

/* The result, or the error, of an outcome as a json-c tree.  It is yours:
 * release it with json_object_put().  NULL is JSON's null; it is also returned
 * for other outcomes, and when out of memory.  json-c clamps integers beyond 64
 * bits and cuts names at NUL, and json-c 0.16 may lose members or crash when
 * out of memory; where any of that matters, read the text. */
struct json_object;
struct json_object *jsonrpcc_outcome_tree(const jsonrpcc_outcome *outcome);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
