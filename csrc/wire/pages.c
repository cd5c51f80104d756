#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "wire/pages.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

/* A smaller table is not worth pages of its own. */
#define FEW 65536

/* With ASan, tables come from the heap, so that it sees accesses beyond
 * them. */
#ifdef __SANITIZE_ADDRESS__
#define IN_HEAP true
#else
#define IN_HEAP false
#endif

static bool in_heap(size_t bytes)
{
    return IN_HEAP || bytes < FEW;
}

void *jrc_pages_new(size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    if (in_heap(bytes))
        return calloc(count, size);
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    /* A huge page would be allocated whole for the first slot in it.  If the
     * kernel has no huge pages, an error does no harm. */
    (void)madvise(pages, bytes, MADV_NOHUGEPAGE);
    return pages;
}

void jrc_pages_free(void *pages, size_t count, size_t size)
{
    if (pages == NULL)
        return;
    if (in_heap(count * size))
        free(pages);
    else
        munmap(pages, count * size);
}
