/*
 * Times a document's way through its reader, and tells by how much one reading lets a fresh process grow.
 *
 *     bench-documents FILE ROUNDS
 *
 * prints "memory <KiB>", then "time <microseconds>" ROUNDS times.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "documents/document.h"

/* A line of /proc/self/status, in KiB. */
static long status(const char *name)
{
        CLEANUP(fclose_p) FILE *f = fopen("/proc/self/status", "re");
        char line[128];

        while (f && fgets(line, sizeof line, f))
                if (strncmp(line, name, strlen(name)) == 0)
                        return strtol(line + strlen(name), NULL, 10);
        return -1;
}

/* The peak counts from here on. */
static void reset_peak(void)
{
        CLEANUP(fclose_p) FILE *f = fopen("/proc/self/clear_refs", "we");

        if (f)
                (void)fputs("5\n", f);
}

static enum err read_once(const struct bytes *doc, struct error *e)
{
        CLEANUP(commands_done) struct commands c = {0};

        return document_read(DOCUMENT_AUTO, bytes_view(doc), &c, e);
}

static double microseconds(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
        CLEANUP(bytes_done) struct bytes doc = {0};
        struct error e = {0};
        long before, rounds = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
        enum err r;

        if (rounds < 1) {
                (void)fprintf(stderr, "usage: bench-documents FILE ROUNDS\n");
                return 2;
        }
        r = file_read(AT_FDCWD, argv[1], DOCUMENT_MAX, &doc, &e);
        if (r == ERR_OK) {
                reset_peak();
                before = status("VmRSS:");
                r = read_once(&doc, &e);
                (void)printf("memory %ld\n", status("VmHWM:") - before);
        }
        for (long i = 0; r == ERR_OK && i < rounds; i++) {
                double start = microseconds();

                r = read_once(&doc, &e);
                (void)printf("time %.1f\n", microseconds() - start);
        }
        if (r)
                (void)fprintf(stderr, "%s\n", e.message);
        return r ? 1 : 0;
}
