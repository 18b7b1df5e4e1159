#include "base/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum err secret_new(struct secret *ret, size_t len, struct error *e)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        size_t mapped = (len + 1 + page - 1) / page * page;
        void *p = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                return error_no_memory(e);
        if (mlock(p, mapped) < 0) {
                /* EPERM: the limit is 0 (mlock(2)). */
                enum err r = errno_error(e, errno == EPERM ? ENOMEM : errno,
                                         "Memory for a secret could not be locked");

                (void)munmap(p, mapped);
                return error_remedy(e, r, "Raise LimitMEMLOCK= of the service (8 MiB is enough).");
        }
        (void)madvise(p, mapped, MADV_DONTDUMP);
        (void)madvise(p, mapped, MADV_WIPEONFORK);
        *ret = (struct secret){p, len, mapped};
        return ERR_OK;
}

enum err secret_copy(struct secret *ret, struct view from, struct error *e)
{
        enum err r = secret_new(ret, from.len, e);

        if (r == ERR_OK && from.len)
                memcpy(ret->data, from.data, from.len);
        return r;
}

void secret_done(struct secret *s)
{
        if (s->data) {
                explicit_bzero(s->data, s->mapped);
                (void)munmap(s->data, s->mapped);
        }
        *s = (struct secret){0};
}

void wipe(void *p, size_t len)
{
        if (p)
                explicit_bzero(p, len);
}

void wipe_free(void *p, size_t len)
{
        wipe(p, len);
        free(p);
}
