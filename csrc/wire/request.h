/* Builds JSON-RPC 2.0 messages: requests and notifications.
 *
 * The functions work on bytes.  Whatever a caller passes, the result is one
 * message with that method and our id: params are scanned before they are
 * spliced in. */

#ifndef JRC_REQUEST_H
#define JRC_REQUEST_H

#include "wire/framing.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A request that can be written once its id is known.  Borrows the caller's
 * texts, or owns the copies that were necessary. */
struct jrc_message {
    const char *method; /* as it stands between the quotes */
    size_t method_len;
    const char *params; /* NULL: left out */
    size_t params_len;
    const char *members; /* further ones, without the braces around them */
    size_t members_len;  /* 0: none */
    char *owned_method;
    char *owned_params;
    size_t size; /* of method, params, members and what ends them in a
                    payload */
};

/* What is wrong with a caller's text: a rule and the place.  rule NULL: out of
 * memory. */
struct jrc_fault {
    const char *rule;
    size_t at;
};

/* What params may be, if they are given. */
enum jrc_reading {
    JRC_STRICT,  /* JSON, an array or object */
    JRC_LENIENT, /* the same, or with 'single' quotes */
    JRC_SCANNED  /* strict: jrc_json_value_end() has accepted it */
};

/* False: fault says what is wrong, and there is nothing to release. */
bool jrc_message_init(struct jrc_message *message, const char *method,
                      size_t method_len, const char *params, size_t params_len,
                      enum jrc_reading reading, struct jrc_fault *fault);
void jrc_message_clear(struct jrc_message *message);

/* The same for messages that are no call's.  The one above has a single caller,
 * and is inlined there. */
__attribute__((noinline, cold)) bool jrc_message_init_rare(
    struct jrc_message *message, const char *method, size_t method_len,
    const char *params, size_t params_len, enum jrc_reading reading,
    struct jrc_fault *fault);

/* Add the members of a JSON object to a message, which borrows the text.  False
 * as above, and the message is as it was: it is no object, or has a member that
 * JSON-RPC 2.0 defines. */
bool jrc_message_add(struct jrc_message *message, const char *object,
                     size_t len, struct jrc_fault *fault);

/* Check params like jrc_message_init().  If lenient text had to be rewritten,
 * *owned is the strict text, which the caller frees; otherwise it is NULL. */
bool jrc_params_check(const char *params, size_t params_len, bool lenient,
                      char **owned, size_t *owned_len, struct jrc_fault *fault);

/* Size of the whole frame.  With id 0, the message is a notification. */
size_t jrc_message_frame_size(const struct jrc_message *message,
                              const struct jrc_framing *framing, uint64_t id);

/* Write the frame to out, which has room for frame_size bytes. */
void jrc_message_write(const struct jrc_message *message,
                       const struct jrc_framing *framing, uint64_t id,
                       size_t frame_size, char *out);
__attribute__((noinline, cold)) void jrc_message_write_rare(
    const struct jrc_message *message, const struct jrc_framing *framing,
    uint64_t id, size_t frame_size, char *out);

#endif
