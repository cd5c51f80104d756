/* For tests of files: an empty folder for each, with paths for two files. */
#ifndef FOLDER_CHECK_H
#define FOLDER_CHECK_H

#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/jsonrpcc-XXXXXX";
static char path[100], other[100];

static inline void put(const char *at, const void *bytes, size_t len)
{
    int fd = open(at, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && close(fd) == 0);
}

static inline void put_text(const char *at, const char *text)
{
    put(at, text, strlen(text));
}

static inline void begin(void)
{
    strcpy(folder, "/tmp/jsonrpcc-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    sprintf(path, "%s/servers", folder);
    sprintf(other, "%s/other", folder);
}

static inline void end(void)
{
    unlink(path);
    unlink(other);
    rmdir(path);
    CHECK(rmdir(folder) == 0);
}

#endif
