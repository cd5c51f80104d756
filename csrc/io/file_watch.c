#include "io/file_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* IN_MODIFY is not among them: a file counts when it has been closed, and a
 * busy neighbour must not wake us with each write. */
static const uint32_t mask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM |
                             IN_CREATE | IN_DELETE | IN_ATTRIB |
                             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

struct file {
    uint32_t id;
    int wd;     /* of its directory; -1: not watched */
    char *name; /* in it */
};

struct jrc_file_watch {
    pthread_mutex_t lock;
    int fd; /* -1: closed */
    unsigned refs, adding;
    bool closed;
    struct file *files;
    size_t count;
};

struct jrc_file_watch *jrc_file_watch_new(void)
{
    struct jrc_file_watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL)
        return NULL;
    watch->refs = 1;
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0) {
        free(watch);
        return NULL;
    }
    pthread_mutex_init(&watch->lock, NULL);
    return watch;
}

int jrc_file_watch_fd(const struct jrc_file_watch *watch)
{
    return watch->fd;
}

struct jrc_file_watch *jrc_file_watch_ref(struct jrc_file_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->refs++;
    pthread_mutex_unlock(&watch->lock);
    return watch;
}

void jrc_file_watch_unref(struct jrc_file_watch *watch)
{
    if (watch == NULL)
        return;
    pthread_mutex_lock(&watch->lock);
    bool is_last = --watch->refs == 0;
    pthread_mutex_unlock(&watch->lock);
    if (!is_last)
        return;
    for (size_t i = 0; i < watch->count; i++)
        free(watch->files[i].name);
    free(watch->files);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

/* Under the lock. */
static void close_unused(struct jrc_file_watch *watch)
{
    if (!watch->closed || watch->adding > 0)
        return;
    close(watch->fd);
    watch->fd = -1;
}

void jrc_file_watch_close(struct jrc_file_watch *watch)
{
    if (watch == NULL)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->closed = true;
    close_unused(watch);
    pthread_mutex_unlock(&watch->lock);
    jrc_file_watch_unref(watch);
}

/* ---- which directories ---- */

/* Under the lock: the directory is watched for no file any more. */
static void let_go(struct jrc_file_watch *watch, int wd)
{
    for (size_t i = 0; i < watch->count; i++)
        if (watch->files[i].wd == wd)
            return;
    if (wd >= 0)
        inotify_rm_watch(watch->fd, wd);
}

static struct file *find(struct jrc_file_watch *watch, uint32_t id)
{
    for (size_t i = 0; i < watch->count; i++)
        if (watch->files[i].id == id)
            return &watch->files[i];
    return NULL;
}

/* Under the lock. NULL: out of memory. */
static struct file *make(struct jrc_file_watch *watch, uint32_t id,
                         const char *name)
{
    struct file *files =
        reallocarray(watch->files, watch->count + 1, sizeof *files);

    if (files == NULL)
        return NULL;
    watch->files = files;
    char *copy = strdup(name);
    if (copy == NULL)
        return NULL;
    struct file *file = &files[watch->count++];
    *file = (struct file){id, -1, copy};
    return file;
}

/* Under the lock. */
static void note(struct jrc_file_watch *watch, uint32_t id, int wd,
                 const char *name)
{
    struct file *file = find(watch, id);

    if (file == NULL)
        file = make(watch, id, name);
    int before = file != NULL ? file->wd : -1;
    if (file != NULL)
        file->wd = wd;
    if (file == NULL)
        let_go(watch, wd);
    else if (before != wd)
        let_go(watch, before);
}

/* It may hang, so not under the lock. */
static int add_directory(const struct jrc_file_watch *watch, const char *path,
                         const char *name)
{
    char *directory = strndup(path, (size_t)(name - path));

    if (directory == NULL)
        return -1;
    int wd = inotify_add_watch(watch->fd, directory, mask);
    free(directory);
    return wd;
}

void jrc_file_watch_add(struct jrc_file_watch *watch, uint32_t id,
                        const char *path)
{
    const char *name = strrchr(path, '/') + 1; /* it is absolute */

    pthread_mutex_lock(&watch->lock);
    bool is_open = !watch->closed;
    watch->adding += is_open;
    pthread_mutex_unlock(&watch->lock);
    if (!is_open)
        return;
    int wd = add_directory(watch, path, name);
    pthread_mutex_lock(&watch->lock);
    watch->adding--;
    if (!watch->closed)
        note(watch, id, wd, name);
    close_unused(watch);
    pthread_mutex_unlock(&watch->lock);
}

void jrc_file_watch_keep(struct jrc_file_watch *watch,
                         bool (*is_wanted)(void *arg, uint32_t id), void *arg)
{
    pthread_mutex_lock(&watch->lock);
    for (size_t i = 0; i < watch->count;) {
        struct file *file = &watch->files[i];
        if (is_wanted(arg, file->id)) {
            i++;
            continue;
        }
        int wd = file->wd;
        free(file->name);
        *file = watch->files[--watch->count];
        let_go(watch, wd);
    }
    pthread_mutex_unlock(&watch->lock);
}

/* ---- what happened ---- */

/* Kubernetes changes all files of a directory at once, by moving a link of this
 * name. */
static const char all_files[] = "..data";

static bool is_about(const struct file *file, const struct inotify_event *event)
{
    if ((event->mask & IN_Q_OVERFLOW) != 0)
        return true;
    if (file->wd != event->wd)
        return false;
    /* Its directory; or a link by which it is reached may have become another
     * one. */
    if (event->len == 0 || (event->mask & (IN_MOVED_TO | IN_CREATE)) != 0)
        return true;
    return strcmp(file->name, event->name) == 0;
}

static bool is_move(const struct file *file, const struct inotify_event *event)
{
    return event->len > 0 && (event->mask & IN_MOVED_TO) != 0 &&
           (strcmp(file->name, event->name) == 0 ||
            strcmp(all_files, event->name) == 0);
}

static void take(struct jrc_file_watch *watch,
                 const struct inotify_event *event,
                 void (*touch)(void *arg, uint32_t id, bool moved), void *arg)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct file *file = &watch->files[i];
        if (!is_about(file, event))
            continue;
        if ((event->mask & IN_IGNORED) != 0)
            file->wd = -1; /* the directory is gone */
        touch(arg, file->id, is_move(file, event));
    }
}

void jrc_file_watch_take(struct jrc_file_watch *watch,
                         void (*touch)(void *arg, uint32_t id, bool moved),
                         void *arg)
{
    _Alignas(struct inotify_event) char buffer[4096];
    ssize_t len = read(watch->fd, buffer, sizeof buffer);

    pthread_mutex_lock(&watch->lock);
    for (ssize_t at = 0; at < len;) {
        const struct inotify_event *event = (const void *)(buffer + at);
        take(watch, event, touch, arg);
        at += (ssize_t)(sizeof *event + event->len);
    }
    pthread_mutex_unlock(&watch->lock);
}
