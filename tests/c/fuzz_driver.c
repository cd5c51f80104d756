/* Runs a fuzz target without libFuzzer: first its corpus, the files in
 * tests/c/corpus/TARGET, then random inputs, and mutations of the target's
 * seeds.  Arguments: how many (200000, or what the target says), and the seed
 * (1); the same arguments give the same inputs. */
#include <dirent.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LEN 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A target may have seeds, ending with NULL; without them, all inputs are
 * random. */
extern const char *const fuzz_seeds[] __attribute__((weak));

/* How many inputs make a quick run, for targets that are slow. */
extern const uint64_t fuzz_inputs __attribute__((weak));

/* Turns an input that is nearly in the target's language into one that is. */
size_t fuzz_repair(uint8_t *data, size_t len, size_t most)
    __attribute__((weak));

static uint64_t state;

/* xorshift64*: the same on every machine. */
static size_t dice(size_t sides)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (size_t)((state * UINT64_C(0x2545F4914F6CDD1D)) >> 33) % sides;
}

static size_t seed_count(void)
{
    size_t count = 0;

    while (fuzz_seeds && fuzz_seeds[count])
        count++;
    return count;
}

/* In half of the cases, a byte of the target's language. */
static uint8_t any_byte(size_t seeds)
{
    const char *seed = seeds && dice(2) ? fuzz_seeds[dice(seeds)] : "";
    size_t len = strlen(seed);

    return (uint8_t)(len ? seed[dice(len)] : (char)dice(256));
}

/* Put bytes[0..count) into data at a place, as far as there is room. */
static size_t insert(uint8_t *data, size_t len, size_t at, const uint8_t *bytes,
                     size_t count)
{
    uint8_t copy[MAX_LEN];

    if (count > MAX_LEN - len)
        count = MAX_LEN - len;
    memcpy(copy, bytes, count); /* they may be a part of data */
    memmove(data + at + count, data + at, len - at);
    memcpy(data + at, copy, count);
    return len + count;
}

static size_t mutate(uint8_t *data, size_t len, size_t seeds)
{
    uint8_t byte = any_byte(seeds);
    size_t at = dice(len + 1);
    size_t count = len > at ? 1 + dice(len - at < 16 ? len - at : 16) : 0;
    const char *seed;

    switch (dice(6)) {
    case 0: /* another byte */
        if (at < len)
            data[at] = byte;
        return len;
    case 1: /* a bit */
        if (at < len)
            data[at] ^= (uint8_t)(1 << dice(8));
        return len;
    case 2:
        return insert(data, len, at, &byte, 1);
    case 3: /* without some bytes */
        memmove(data + at, data + at + count, len - at - count);
        return len - count;
    case 4: /* some bytes again, somewhere */
        return insert(data, len, dice(len + 1), data + at, count);
    default: /* a part of a seed */
        seed = seeds ? fuzz_seeds[dice(seeds)] : "";
        count = dice(strlen(seed) + 1);
        return insert(data, len, at, (const uint8_t *)seed, count);
    }
}

static size_t make_input(uint8_t *data, size_t seeds)
{
    size_t len = 0;

    if (seeds == 0 || dice(8) == 0) {
        len = dice(64);
        for (size_t i = 0; i < len; i++)
            data[i] = any_byte(seeds);
        return len;
    }
    const char *seed = fuzz_seeds[dice(seeds)];
    len = insert(data, 0, 0, (const uint8_t *)seed, strlen(seed));
    for (size_t times = dice(6); times > 0; times--)
        len = mutate(data, len, seeds);
    if (fuzz_repair && dice(2) == 0)
        len = fuzz_repair(data, len, MAX_LEN);
    return len;
}

static void run(const uint8_t *data, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1); /* ASan sees over-reads */

    if (!exact)
        abort();
    memcpy(exact, data, len);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

static void run_file(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rbe");

    if (!file)
        return;
    size_t len = fread(data, 1, sizeof data, file);
    fclose(file);
    run(data, len);
}

/* Returns how many files there were. */
static unsigned run_corpus(const char *program)
{
    const char *slash = strrchr(program, '/');
    char folder[300], path[600];
    unsigned count = 0;

    snprintf(folder, sizeof folder, "tests/c/corpus/%s",
             slash ? slash + 1 : program);
    DIR *dir = opendir(folder);
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        run_file(path);
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    uint64_t count = &fuzz_inputs ? fuzz_inputs : 200000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    size_t seeds = seed_count();

    if (argc > 1)
        count = strtoull(argv[1], NULL, 10);
    printf("%s: %" PRIu64 " inputs, seed %" PRIu64, argv[0], count, seed);
    fflush(stdout);
    printf(", corpus %u\n", run_corpus(argv[0]));
    fflush(stdout);
    state = seed * UINT64_C(0x9E3779B97F4A7C15) | 1; /* must not be 0 */
    for (uint64_t i = 0; i < count; i++) {
        uint8_t data[MAX_LEN];
        size_t len = make_input(data, seeds);
        run(data, len);
    }
    return 0;
}
