#include "io/tls_options.h"

#ifdef JRC_TLS

#include "io/tls_complaint.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static bool copy_text(char **to, const char *from)
{
    *to = from == NULL ? NULL : strdup(from);
    return from == NULL || *to != NULL;
}

/* Append a name to a list with ':' between, which has room for it. */
static void append(char *list, const char *name, size_t len)
{
    size_t end = strlen(list);

    if (end > 0)
        list[end++] = ':';
    memcpy(list + end, name, len);
    list[end + len] = '\0';
}

/* Names of TLS 1.3 begin like this, and OpenSSL wants them apart. */
static bool split_ciphers(struct jrc_tls_options *options, const char *given)
{
    if (given == NULL)
        return true;
    options->ciphers = calloc(1, strlen(given) + 2);
    options->suites = calloc(1, strlen(given) + 2);
    if (options->ciphers == NULL || options->suites == NULL)
        return false;
    while (*given != '\0') {
        size_t len = strcspn(given, ":, ");
        if (len > 0)
            append(strncmp(given, "TLS_", 4) == 0 ? options->suites
                                                  : options->ciphers,
                   given, len);
        given += len + (given[len] != '\0');
    }
    return true;
}

static int check_options(const struct jrc_tls_options *options,
                         const jsonrpcc_tls *given,
                         struct jrc_complaint *complaint)
{
    const char *version = given->min_version;
    const struct {
        const char *name, *value;
    } texts[] = {{"ca", given->ca},
                 {"cert", given->cert},
                 {"key", given->key},
                 {"server_name", given->server_name},
                 {"ciphers", given->ciphers}};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].value != NULL && texts[i].value[0] == '\0')
            return jrc_complain(complaint, "tls: %s is empty", texts[i].name);
    if (version != NULL && strcmp(version, "1.2") != 0 && !options->only_13)
        return jrc_complain(
            complaint, "tls: min_version must be 1.2 or 1.3, not %s", version);
    if ((given->cert == NULL) != (given->key == NULL))
        return jrc_complain(complaint, "tls: %s",
                            given->key == NULL ? "cert without key"
                                               : "key without cert");
    if (given->key == NULL && given->key_password != NULL)
        return jrc_complain(complaint, "tls: key_password without key");
    if (given->ca != NULL && !options->verify)
        return jrc_complain(complaint,
                            "tls: ca, but nothing is to be verified");
    if (given->ciphers != NULL && strchr(given->ciphers, '@') != NULL)
        return jrc_complain(complaint, "tls: ciphers must not contain @");
    if (options->only_13 && options->ciphers != NULL &&
        options->ciphers[0] != '\0')
        return jrc_complain(complaint,
                            "tls: ciphers names some of TLS 1.2 (%s), which "
                            "min_version excludes",
                            options->ciphers);
    if (given->reload_ms < -1)
        return jrc_complain(complaint,
                            "tls: reload_ms must be -1 or more, not %d",
                            given->reload_ms);
    if ((given->flags & ~(uint32_t)JSONRPCC_TLS_NO_VERIFY) != 0)
        return jrc_complain(
            complaint, "tls: flags has bits that this version does not know");
    return 0;
}

int jrc_tls_options_copy(struct jrc_tls_options *options,
                         const jsonrpcc_tls *given, char *why, size_t why_size)
{
    struct jrc_complaint complaint = {why, why_size};
    jsonrpcc_tls all = {0};

    memset(options, 0, sizeof *options);
    memcpy(&all, given, given->size < sizeof all ? given->size : sizeof all);
    for (size_t i = sizeof all; i < given->size; i++)
        if (((const char *)given)[i] != 0)
            return jrc_complain(
                &complaint,
                "tls: a field is set that this version does not have");
    options->verify = (all.flags & JSONRPCC_TLS_NO_VERIFY) == 0;
    options->reload_ms = all.reload_ms != 0 ? all.reload_ms : 60000;
    options->only_13 =
        all.min_version != NULL && strcmp(all.min_version, "1.3") == 0;
    if (!copy_text(&options->ca, all.ca) ||
        !copy_text(&options->cert, all.cert) ||
        !copy_text(&options->key, all.key) ||
        !copy_text(&options->key_password, all.key_password) ||
        !copy_text(&options->server_name, all.server_name) ||
        !split_ciphers(options, all.ciphers))
        return ENOMEM;
    return check_options(options, &all, &complaint);
}

void jrc_tls_options_clear(struct jrc_tls_options *options)
{
    if (options->key_password != NULL)
        OPENSSL_cleanse(options->key_password, strlen(options->key_password));
    free(options->ca);
    free(options->cert);
    free(options->key);
    free(options->key_password);
    free(options->server_name);
    free(options->ciphers);
    free(options->suites);
    memset(options, 0, sizeof *options);
}

#endif
