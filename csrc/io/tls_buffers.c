#include "io/tls_buffers.h"

#ifdef JRC_TLS

#include <openssl/bio.h>
#include <string.h>

static int on_read(BIO *bio, char *data, size_t size, size_t *done)
{
    struct jrc_tls_buffers *buffers = BIO_get_data(bio);
    size_t n = buffers->in_end - buffers->in_start;

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        buffers->starved = true;
        BIO_set_retry_read(bio);
        return 0;
    }
    n = n < size ? n : size;
    memcpy(data, buffers->in + buffers->in_start, n);
    buffers->in_start += n;
    *done = n;
    return 1;
}

static int on_write(BIO *bio, const char *data, size_t size, size_t *done)
{
    struct jrc_tls_buffers *buffers = BIO_get_data(bio);
    size_t n = sizeof buffers->out - buffers->out_end;

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    n = n < size ? n : size;
    memcpy(buffers->out + buffers->out_end, data, n);
    buffers->out_end += n;
    *done = n;
    return 1;
}

static long on_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* we do that, when the socket is ready */
}

BIO_METHOD *jrc_tls_buffers_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "jsonrpcc");

    if (method != NULL && BIO_meth_set_read_ex(method, on_read) == 1 &&
        BIO_meth_set_write_ex(method, on_write) == 1 &&
        BIO_meth_set_ctrl(method, on_ctrl) == 1)
        return method;
    BIO_meth_free(method);
    return NULL;
}

BIO *jrc_tls_buffers_bio(const BIO_METHOD *method,
                         struct jrc_tls_buffers *buffers)
{
    BIO *bio = BIO_new(method);

    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, buffers);
    BIO_set_init(bio, 1);
    return bio;
}

bool jrc_tls_buffers_has_record(const struct jrc_tls_buffers *buffers)
{
    const unsigned char *head =
        (const unsigned char *)buffers->in + buffers->in_start;
    size_t n = buffers->in_end - buffers->in_start;

    return n >= 5 && n - 5 >= (size_t)(head[3] << 8 | head[4]);
}

char *jrc_tls_buffers_space(struct jrc_tls_buffers *buffers, size_t *room)
{
    size_t n = buffers->in_end - buffers->in_start;

    if (buffers->in_start > 0)
        memmove(buffers->in, buffers->in + buffers->in_start, n);
    buffers->in_start = 0;
    buffers->in_end = n;
    *room = sizeof buffers->in - n;
    return buffers->in + n;
}

#endif
