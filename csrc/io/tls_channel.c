#include "io/tls_channel.h"

#ifdef JRC_TLS

#include "io/tls_certificate.h"
#include "io/tls_reason.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tickets and key updates that a peer may send without a byte of data; each
 * record of data allows one more. */
enum { MOST_EXTRAS = 64 };

/* ---- failures ---- */

/* The text stays until a handshake succeeds. */
int32_t jrc_tls_channel_fail(struct jrc_tls_channel *channel, int32_t reason)
{
    char *why = channel->peer->info.why;
    size_t size = sizeof channel->peer->info.why;

    channel->broken = true;
    channel->reason = reason;
    if (!channel->established)
        channel->context->doubted = true;
    if (!channel->explained && !channel->has_answered && reason <= JSONRPCC_TLS)
        jrc_tls_reason_text(reason, why, size);
    return reason;
}

/* OpenSSL has failed, and its queue says why. */
int32_t jrc_tls_channel_fail_now(struct jrc_tls_channel *channel)
{
    long verdict = SSL_get_verify_result(channel->ssl);
    int32_t reason = jrc_tls_take_reason();

    if (reason == JSONRPCC_TLS_ERROR - SSL_R_CERTIFICATE_VERIFY_FAILED &&
        verdict != X509_V_OK)
        reason = JSONRPCC_TLS - (int32_t)verdict;
    return jrc_tls_channel_fail(channel, reason);
}

/* Only here is the offending certificate at hand. */
static int on_verify(int good, X509_STORE_CTX *store)
{
    SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct jrc_tls_channel *channel = SSL_get_app_data(ssl);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    char whom[128] = "";

    if (good)
        return 1;
    channel->explained = true;
    if (certificate == NULL)
        snprintf(whom, sizeof whom, "none was sent");
    else if (error == X509_V_ERR_HOSTNAME_MISMATCH ||
             error == X509_V_ERR_IP_ADDRESS_MISMATCH)
        jrc_certificate_hosts(certificate, whom, sizeof whom);
    else
        jrc_certificate_subject(certificate, whom, sizeof whom);
    snprintf(channel->peer->info.why, sizeof channel->peer->info.why,
             "%s (%s%s)", X509_verify_cert_error_string(error),
             error == X509_V_ERR_HOSTNAME_MISMATCH ||
                     error == X509_V_ERR_IP_ADDRESS_MISMATCH
                 ? "it is for "
                 : "",
             whom);
    return 0;
}

/* ---- what OpenSSL reports meanwhile ---- */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct jrc_tls_channel *channel = SSL_get_app_data(ssl);

    jrc_tls_peer_keep(channel->peer, session);
    return 1; /* we have taken it over */
}

static void on_message(int sent, int version, int type, const void *bytes,
                       size_t len, SSL *ssl, void *arg)
{
    struct jrc_tls_channel *channel = arg;

    (void)version;
    (void)bytes;
    (void)len;
    (void)ssl;
    if (sent == 0 && channel->established && type == SSL3_RT_HANDSHAKE &&
        channel->extras > 0)
        channel->extras--;
}

/* ---- the beginning ---- */

/* The peer has to prove that it is the host that users wrote.  False: out of
 * memory. */
static bool set_name(SSL *ssl, const struct jrc_tls_options *options,
                     const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    char name[256];
    size_t len = strcspn(host, "%"); /* without the zone of an address */

    if (len >= sizeof name)
        len = sizeof name - 1;
    memcpy(name, host, len);
    name[len] = '\0';
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    if (address != NULL)
        return !options->verify ||
               X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    if (len > 1 && name[len - 1] == '.')
        name[len - 1] = '\0'; /* certificates omit the final dot */
    return SSL_set_tlsext_host_name(ssl, name) == 1 &&
           (!options->verify ||
            X509_VERIFY_PARAM_set1_host(param, name, 0) == 1);
}

/* False: out of memory; the channel is to be freed. */
static bool set_up(struct jrc_tls_channel *channel, const char *host)
{
    struct jrc_tls_context *context = channel->context;
    const struct jrc_tls_options *options = &context->options;

    if (options->server_name != NULL)
        host = options->server_name;
    channel->ssl = SSL_new(context->current);
    BIO *bio = jrc_tls_buffers_bio(context->method, &channel->buffers);
    if (channel->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        return false;
    }
    SSL_set_bio(channel->ssl, bio, bio);
    SSL_set_connect_state(channel->ssl);
    SSL_CTX_set_session_cache_mode(
        context->current, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context->current, on_session);
    SSL_set_verify(channel->ssl,
                   options->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                   options->verify ? on_verify : NULL);
    SSL_set_msg_callback(channel->ssl, on_message);
    SSL_set_msg_callback_arg(channel->ssl, channel);
    return SSL_set_app_data(channel->ssl, channel) == 1 &&
           set_name(channel->ssl, options, host) &&
           jrc_tls_peer_prepare(channel->peer, channel->ssl, host,
                                context->version);
}

struct jrc_tls_channel *jrc_tls_channel_new(struct jrc_tls_context *context,
                                            struct jrc_tls_peer *peer,
                                            const char *host)
{
    struct jrc_tls_channel *channel = malloc(sizeof *channel);

    if (channel == NULL)
        return NULL;
    /* The buffers are left out: most of their pages may never be used. */
    memset(channel, 0, offsetof(struct jrc_tls_channel, buffers.in));
    channel->context = context;
    channel->peer = peer;
    channel->extras = MOST_EXTRAS;
    ERR_clear_error();
    if (set_up(channel, host))
        return channel;
    jrc_tls_channel_free(channel);
    return NULL;
}

void jrc_tls_channel_free(struct jrc_tls_channel *channel)
{
    /* Otherwise OpenSSL would refuse to resume the session that we keep, even
     * if the peer has only been the first to close. */
    if (channel->established &&
        (!channel->broken || channel->reason == JSONRPCC_PEER_CLOSED))
        SSL_set_shutdown(channel->ssl, SSL_SENT_SHUTDOWN);
    SSL_free(channel->ssl);
    ERR_clear_error();
    free(channel);
}

void jrc_tls_channel_allow(struct jrc_tls_channel *channel)
{
    channel->has_answered = true;
    channel->extras += channel->extras < MOST_EXTRAS;
}

#endif
