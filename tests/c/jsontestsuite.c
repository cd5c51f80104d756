/* The scanner against JSONTestSuite: jsontestsuite DIRECTORY, where y_*.json
 * must be accepted, n_*.json refused, and i_*.json may be either. */
#include "wire/json_scan.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 1024

/* The file in a buffer of exactly its size, so that ASan sees over-reads. */
static char *read_file(const char *directory, const char *name, size_t *len)
{
    char path[4096];
    char *text = NULL;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "rb");
    if (file && fseek(file, 0, SEEK_END) == 0) {
        *len = (size_t)ftell(file);
        rewind(file);
        text = malloc(*len ? *len : 1);
    }
    if (!text || fread(text, 1, *len, file) != *len) {
        perror(path);
        exit(2);
    }
    fclose(file);
    return text;
}

static bool accepts(const char *directory, const char *name)
{
    struct jrc_json_report report;
    size_t len = 0;
    char *text = read_file(directory, name, &len);
    bool accepted = jrc_json_scan(text, len, MAX_DEPTH, NULL, 0, &report);

    if (!accepted && name[0] == 'y')
        printf("refused %s: %s at %zu\n", name, report.rule, report.at);
    if (accepted && name[0] == 'n')
        printf("accepted %s\n", name);
    free(text);
    return accepted;
}

int main(int argc, char **argv)
{
    unsigned files[256] = {0}, accepted[256] = {0};
    DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
    struct dirent *entry;

    if (!directory) {
        fprintf(stderr, "usage: jsontestsuite DIRECTORY\n");
        return 2;
    }
    while ((entry = readdir(directory))) {
        unsigned char kind = (unsigned char)entry->d_name[0];
        if (entry->d_name[1] != '_' || !strchr("yni", kind))
            continue;
        files[kind]++;
        accepted[kind] += accepts(argv[1], entry->d_name);
    }
    closedir(directory);

    unsigned refused = files['n'] - accepted['n'];
    printf("i accepted %u, refused %u\n", accepted['i'],
           files['i'] - accepted['i']);
    printf("y %u/%u n %u/%u\n", accepted['y'], files['y'], refused, files['n']);
    return files['y'] == 0 || files['n'] == 0 || accepted['y'] != files['y'] ||
           refused != files['n'];
}
