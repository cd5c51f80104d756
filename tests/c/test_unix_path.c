/* Addresses of Unix sockets: what they mean, and where they are wrong. */
#include "check.h"
#include "wire/unix_path.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text, *printed;
    bool is_abstract;
    size_t used; /* of the text */
    const char *bytes;
} good[] = {
    {"unix:/", "unix:/", false, 6, "/"},
    {"unix:/run/x.sock", "unix:/run/x.sock", false, 16, "/run/x.sock"},
    {"unix:/a,7 b", "unix:/a", false, 7, "/a"},
    {"unix:/a\tb", "unix:/a", false, 7, "/a"},
    {"unix:/a\r\n", "unix:/a", false, 7, "/a"},
    {"unix:/%20%2C%2c%25", "unix:/%20%2C%2C%25", false, 18, "/ ,,%"},
    {"unix:/%61%7f%0A", "unix:/a%7F%0A", false, 15, "/a\x7f\n"},
    {"unix:/\xc3\xa4\x01", "unix:/%C3%A4%01", false, 9, "/\xc3\xa4\x01"},
    {"unix:///a//b/", "unix:///a//b/", false, 13, "///a//b/"},
    {"unix-abstract:x", "unix-abstract:x", true, 15, "x"},
    {"unix-abstract:/x@,1", "unix-abstract:/x@", true, 17, "/x@"},
};

static const struct {
    const char *text;
    size_t at;
    const char *rule;
} bad[] = {
    {"unix:", 5, "an absolute path"},
    {"unix:a", 5, "an absolute path"},
    {"unix:%2fa", 5, "an absolute path"},
    {"unix: /a", 5, "an absolute path"},
    {"unix-abstract:", 14, "the name of an abstract socket"},
    {"unix-abstract:,1", 14, "the name of an abstract socket"},
    {"unix:/a%", 7, "two hex digits"},
    {"unix:/a%2", 7, "two hex digits"},
    {"unix:/a%2g", 7, "two hex digits"},
    {"unix:/a%g2", 7, "two hex digits"},
    {"unix:/a%%20", 7, "two hex digits"},
    {"unix:/a%00b", 7, "must not contain NUL"},
    {"unix-abstract:%00", 14, "must not contain NUL"},
};

static void test_valid_paths(void)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct jrc_unix_path path;
        char printed[JRC_UNIX_TEXT_SIZE];
        const char *at, *rule;
        char *text = strdup(good[i].text); /* ASan sees over-reads */

        CHECK(jrc_unix_path_is_meant(text));
        CHECK(jrc_unix_path_read(&path, text, &at, &rule) ==
              text + good[i].used);
        CHECK(path.is_abstract == good[i].is_abstract);
        CHECK(path.len == strlen(good[i].bytes));
        CHECK(strcmp(path.bytes, good[i].bytes) == 0);
        jrc_unix_path_print(&path, printed);
        if (!CHECK(strcmp(printed, good[i].printed) == 0))
            printf("  %s\n", printed);
        free(text);
    }
}

static void test_invalid_paths(void)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct jrc_unix_path path;
        const char *at, *rule;
        char *text = strdup(bad[i].text);

        CHECK(jrc_unix_path_read(&path, text, &at, &rule) == NULL);
        CHECK(at == text + bad[i].at);
        if (!CHECK(rule != NULL && strstr(rule, bad[i].rule) != NULL))
            printf("  %s\n", bad[i].text);
        free(text);
    }
    CHECK(!jrc_unix_path_is_meant("unix") && !jrc_unix_path_is_meant("unix-a"));
    CHECK(!jrc_unix_path_is_meant("unix:0") &&
          !jrc_unix_path_is_meant("unix:9999,1"));
    CHECK(!jrc_unix_path_is_meant("UNIX:/a") && !jrc_unix_path_is_meant(""));
}

/* Up to the kernel's limit, written in any way, and no further. */
static void test_limits(const char *scheme, const char *first)
{
    struct jrc_unix_path path, again;
    char text[2 * JRC_UNIX_TEXT_SIZE], printed[JRC_UNIX_TEXT_SIZE];
    const char *at, *rule;

    for (size_t len = 106; len <= 108; len++) {
        strcpy(text, scheme);
        strcat(text, first);
        for (size_t i = 1; i < len; i++)
            strcat(text, "%ff");
        if (len > JRC_UNIX_PATH_MAX) {
            CHECK(jrc_unix_path_read(&path, text, &at, &rule) == NULL);
            CHECK(at == text + strlen(text) - 3 && strstr(rule, "107"));
            continue;
        }
        CHECK(jrc_unix_path_read(&path, text, &at, &rule) != NULL);
        CHECK(path.len == len);
        jrc_unix_path_print(&path, printed);
        CHECK(jrc_unix_path_read(&again, printed, &at, &rule) != NULL);
        CHECK(again.len == len && strcmp(again.bytes, path.bytes) == 0);
    }
}

int main(void)
{
    test_valid_paths();
    test_invalid_paths();
    test_limits("unix:", "/");
    test_limits("unix-abstract:", "%01");
    return check_done();
}
