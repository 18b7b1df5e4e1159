#include "fuzz-file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "fuzz.h"

/* In memory, where there is such a place. */
static char directory[] = "/dev/shm/scepter-fuzz.XXXXXX", on_disk[] = "/tmp/scepter-fuzz.XXXXXX";
static char *made;

static void remove_it(void)
{
        (void)!tree_remove(AT_FDCWD, made, NULL);
}

const char *fuzz_directory(void)
{
        if (!made) {
                made = mkdtemp(directory);
                made = made ? made : mkdtemp(on_disk);
                fuzz_promise(made && atexit(remove_it) == 0, "there is a directory");
        }
        return made;
}

const char *fuzz_file(const char *name, const uint8_t *data, size_t size)
{
        static char path[PATH_MAX];
        CLEANUP(close_p) int fd = -1;

        (void)snprintf(path, sizeof path, "%s/%s", fuzz_directory(), name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        fuzz_promise(fd >= 0 && write_all(fd, (struct view){data, size}, NULL) == ERR_OK,
                     "the file is written");
        return path;
}
