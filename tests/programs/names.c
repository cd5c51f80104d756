/* Loaded before libc: names mean what the file NAMES_FILE says, one a line:
 * "name address [address ...]", "name fail" or "name hang".  Other names, and
 * numeric hosts, go to libc. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int lookup_fn(const char *, const char *, const struct addrinfo *,
                      struct addrinfo **);

int getaddrinfo(const char *host, const char *port,
                const struct addrinfo *hints, struct addrinfo **list)
{
    lookup_fn *real = (lookup_fn *)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *path = getenv("NAMES_FILE");
    struct addrinfo numeric = hints ? *hints : (struct addrinfo){0};
    char line[256];

    FILE *file = path && host && !(numeric.ai_flags & AI_NUMERICHOST)
                     ? fopen(path, "re")
                     : NULL;
    if (!file)
        return real(host, port, hints, list);
    char *rest = NULL, *word = NULL;
    while (fgets(line, sizeof line, file)) {
        word = strtok_r(line, " \n", &rest);
        if (word && strcmp(word, host) == 0)
            break;
        word = NULL;
    }
    fclose(file);
    if (!word)
        return real(host, port, hints, list);
    struct addrinfo **last = list;
    *list = NULL;
    numeric.ai_flags |= AI_NUMERICHOST;
    while ((word = strtok_r(NULL, " \n", &rest))) {
        if (strcmp(word, "hang") == 0)
            for (;;)
                pause();
        if (strcmp(word, "fail") == 0)
            return EAI_NONAME;
        int error = real(word, port, &numeric, last);
        if (error != 0)
            return error;
        while (*last)
            last = &(*last)->ai_next;
    }
    return 0;
}
