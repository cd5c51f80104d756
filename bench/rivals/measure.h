/* What the rivals written in C have in common: the meter and its report. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GET_USER \
    "{\"id\":1234,\"name\":\"Petros\",\"roles\":[\"admin\",\"user\"]}"

enum { TIMED = 25 /* one call in so many is timed */ };

static struct job {
    int port;
    long calls, warmup, window;
    double wall, cpu;  /* of the measured part, seconds */
    double *latencies; /* seconds; room for all calls */
    size_t timed;
} job;

static inline double now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* PORT CALLS WARMUP WINDOW */
static inline void job_parse(int argc, char **argv)
{
    if (argc != 5)
        exit(2);
    job.port = atoi(argv[1]);
    job.calls = atol(argv[2]);
    job.warmup = atol(argv[3]);
    job.window = atol(argv[4]);
    job.latencies =
        malloc(sizeof *job.latencies * (size_t)(job.calls + job.warmup));
}

static inline void job_latency(double since)
{
    job.latencies[job.timed++] = now(CLOCK_MONOTONIC) - since;
}

static inline void job_start(void)
{
    job.timed = 0;
    job.wall = now(CLOCK_MONOTONIC);
    job.cpu = now(CLOCK_PROCESS_CPUTIME_ID);
}

static inline void job_stop(void)
{
    job.cpu = now(CLOCK_PROCESS_CPUTIME_ID) - job.cpu;
    job.wall = now(CLOCK_MONOTONIC) - job.wall;
}

static inline int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static inline double job_percentile(double part)
{
    return job.latencies[(size_t)((double)job.timed * part)] * 1e6;
}

/* Not getrusage(): its maximum survives exec. */
static inline long peak_rss_kib(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long kib = 0;

    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (status)
        fclose(status);
    return kib;
}

static inline void job_report(void)
{
    double calls = (double)job.calls;

    qsort(job.latencies, job.timed, sizeof *job.latencies, compare_doubles);
    printf("{\"calls\":%ld,\"seconds\":%.9f,\"cpu_us\":%.6f,"
           "\"python_cpu_us\":0,\"calls_per_second\":%.1f,"
           "\"peak_rss_kib\":%ld,\"sampled\":%zu,\"p50_us\":%.3f,"
           "\"p99_us\":%.3f,\"p999_us\":%.3f}\n",
           job.calls, job.wall, job.cpu * 1e6 / calls, calls / job.wall,
           peak_rss_kib(), job.timed, job_percentile(0.5), job_percentile(0.99),
           job_percentile(0.999));
}

static inline void wrong(const char *what)
{
    fprintf(stderr, "wrong result: %s\n", what);
    exit(1);
}

#endif
