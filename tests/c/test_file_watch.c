/* Changes of files are noticed. */
#include "fault_here.h"

#include "folder_check.h"
#include "io/file_watch.h"

#include <poll.h>
#include <sys/inotify.h>

static struct jrc_file_watch *watch;
static unsigned touches[4], moves[4];

static void touch(void *arg, uint32_t id, bool moved)
{
    CHECK(arg == folder && id < 4);
    touches[id]++;
    moves[id] += moved;
}

/* Take the changes, if there are any. */
static void take(void)
{
    struct pollfd ready = {jrc_file_watch_fd(watch), POLLIN, 0};

    memset(touches, 0, sizeof touches);
    memset(moves, 0, sizeof moves);
    while (poll(&ready, 1, 0) > 0)
        jrc_file_watch_take(watch, touch, folder);
}

static void check_touched(bool is_touched, bool is_moved)
{
    take();
    CHECK((touches[1] > 0) == is_touched && (moves[1] > 0) == is_moved);
}

static bool is_wanted(void *arg, uint32_t id)
{
    return id == *(uint32_t *)arg;
}

static void test_changes_are_noticed(void)
{
    char link[100], data[100], next[100];

    begin();
    sprintf(link, "%s/..data", folder);
    sprintf(data, "%s/..1", folder);
    sprintf(next, "%s/..data_tmp", folder);
    watch = jrc_file_watch_new();
    CHECK(watch != NULL);
    jrc_file_watch_add(watch, 1, path); /* before it exists */
    put_text(path, "a:1");
    check_touched(true, false);
    check_touched(false, false);
    int fd = open(path, O_WRONLY);
    CHECK(write(fd, "b", 1) == 1);
    check_touched(false, false); /* it is still being written */
    close(fd);
    check_touched(true, false);
    put_text(other, "b:1");
    take();
    put_text(other, "b:1"); /* it exists already, and is not ours */
    check_touched(false, false);
    CHECK(rename(other, path) == 0);
    check_touched(true, true);
    CHECK(chmod(path, 0400) == 0);
    check_touched(true, false);
    CHECK(symlink(data, next) == 0 && rename(next, link) == 0);
    check_touched(true, true); /* as Kubernetes has it */
    unlink(link);
    unlink(path);
    check_touched(true, false);
    jrc_file_watch_close(watch);
    end();
}

static void test_a_directory_that_comes_back(void)
{
    begin();
    watch = jrc_file_watch_new();
    jrc_file_watch_add(watch, 1, path);
    end();
    check_touched(true, false);
    CHECK(mkdir(folder, 0700) == 0);
    check_touched(false, false); /* not seen */
    jrc_file_watch_add(watch, 1, path);
    put_text(path, "a:1");
    check_touched(true, false);
    char moved[100];
    sprintf(moved, "%s-moved", folder);
    CHECK(rename(folder, moved) == 0); /* another one takes its place */
    CHECK(mkdir(folder, 0700) == 0);
    check_touched(true, false);
    jrc_file_watch_add(watch, 1, path);
    take();
    sprintf(other, "%s/servers", moved);
    put_text(other, "b:1");
    check_touched(false, false);
    put_text(path, "a:1");
    check_touched(true, false);
    jrc_file_watch_close(watch);
    unlink(other);
    rmdir(moved);
    end();
}

static void test_files_in_a_directory_are_told_apart(void)
{
    uint32_t kept = 2;

    begin();
    watch = jrc_file_watch_new();
    jrc_file_watch_add(watch, 1, path);
    jrc_file_watch_add(watch, 2, other);
    put_text(path, "a:1");
    put_text(other, "a:1");
    take();
    put_text(other, "b:1");
    take();
    CHECK(touches[1] == 0 && touches[2] > 0);
    jrc_file_watch_keep(watch, is_wanted, &kept);
    put_text(path, "b:1");
    put_text(other, "b:1");
    take();
    CHECK(touches[1] == 0 && touches[2] > 0);
    kept = 3;
    jrc_file_watch_keep(watch, is_wanted, &kept);
    put_text(other, "c:1");
    take();
    CHECK(touches[2] == 0);
    jrc_file_watch_close(watch);
    end();
}

/* A file in a directory that does not exist, or may not be watched. */
static void test_what_cannot_be_watched(void)
{
    begin();
    watch = jrc_file_watch_new();
    jrc_file_watch_add(watch, 1, "/nowhere/at/all");
    jrc_file_watch_add(watch, 2, path);
    put_text(path, "a:1");
    take();
    CHECK(touches[1] == 0 && touches[2] > 0);
    for (unsigned n = 1; n < 5 && fault_has_memory(); n++) {
        fault_arm(FAULT_MEMORY, n, false);
        jrc_file_watch_add(watch, 3, other);
        fault_disarm();
    }
    jrc_file_watch_ref(watch);
    jrc_file_watch_close(watch);
    jrc_file_watch_add(watch, 1, path); /* too late, by another thread */
    CHECK(jrc_file_watch_fd(watch) == -1);
    jrc_file_watch_unref(watch);
    jrc_file_watch_unref(NULL);
    jrc_file_watch_close(NULL);
    fault_arm(FAULT_MEMORY, 1, false);
    watch = jrc_file_watch_new();
    fault_disarm();
    CHECK(watch == NULL || !fault_has_memory());
    jrc_file_watch_close(watch);
    end();
}

/* If the watch is closed meanwhile, its descriptor stays open until then. */
static bool closes;

int inotify_add_watch(int fd, const char *name, uint32_t mask)
{
    static int (*real)(int, const char *, uint32_t);

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "inotify_add_watch");
    if (closes) {
        jrc_file_watch_close(watch);
        CHECK(fcntl(fd, F_GETFD) >= 0);
    }
    return real(fd, name, mask);
}

static void test_closed_while_it_adds(void)
{
    begin();
    watch = jrc_file_watch_ref(jrc_file_watch_new());
    closes = true;
    jrc_file_watch_add(watch, 1, path);
    closes = false;
    CHECK(jrc_file_watch_fd(watch) == -1);
    jrc_file_watch_unref(watch);
    end();
}

/* More events than the kernel keeps for us: all files may have changed. */
static void test_an_overflow(void)
{
    char name[120];
    int most = 0;
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");

    CHECK(limit == NULL || fscanf(limit, "%d", &most) == 1);
    if (limit != NULL)
        fclose(limit);
    if (most == 0 || most > 100000)
        return;
    begin();
    watch = jrc_file_watch_new();
    jrc_file_watch_add(watch, 1, path);
    jrc_file_watch_add(watch, 2, "/proc/self/x");
    for (int i = 0; i <= most; i++) { /* different ones, or they are merged */
        sprintf(name, "%s/%d", folder, i % 2);
        put_text(name, "");
        i += 2;
        unlink(name);
    }
    take();
    CHECK(touches[1] > 0 && touches[2] > 0);
    jrc_file_watch_close(watch);
    end();
}

int main(void)
{
    test_changes_are_noticed();
    test_a_directory_that_comes_back();
    test_files_in_a_directory_are_told_apart();
    test_what_cannot_be_watched();
    test_closed_while_it_adds();
    test_an_overflow();
    return check_done();
}
