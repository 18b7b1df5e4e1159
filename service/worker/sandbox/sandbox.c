#include "sandbox/sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/ossl.h"
#include "sandbox/parts.h"

enum { ADDRESS_SPACE_MAX = 512 * 1024 * 1024, FILES_MAX = 64 };

/* What resolver, TLS and time read. Missing ones are passed over. */
static const char *const network_files[] = {
        "/etc/resolv.conf",
        "/etc/hosts",
        "/etc/host.conf",
        "/etc/nsswitch.conf",
        "/etc/gai.conf",
        "/etc/services",
        "/etc/localtime",
        "/run/systemd/resolve",
        "/etc/ssl",
        "/usr/lib/ssl",
        "/usr/share/ca-certificates",
        "/usr/local/share/ca-certificates",
        "/etc/pki/tls",
        "/etc/ca-certificates",
        "/usr/share/zoneinfo",
};

struct paths {
        const char *at[LANDLOCK_PATHS_MAX];
        size_t n;
        char nss[PATH_MAX];
};

static void add(struct paths *p, const char *path)
{
        if (path && p->n < LANDLOCK_PATHS_MAX)
                p->at[p->n++] = path;
}

/* NSS modules and OpenSSL's legacy provider are loaded when they are first needed: both stand beside the C
 * library. */
static void add_library_dirs(struct paths *p)
{
        Dl_info info;
        char *slash;

        /* A function pointer is no object pointer in ISO C, but dladdr() is POSIX. */
        if (dladdr((const void *)(uintptr_t)&getaddrinfo, &info) && info.dli_fname &&
            info.dli_fname[0] == '/') {
                (void)snprintf(p->nss, sizeof p->nss, "%s", info.dli_fname);
                slash = strrchr(p->nss, '/');
                *slash = 0;
                add(p, *p->nss ? p->nss : NULL);
        }
        add(p, OPENSSL_info(OPENSSL_INFO_MODULES_DIR));
        add(p, X509_get_default_cert_area());
}

static void collect(enum sandbox_kind kind, struct paths *p)
{
        const char *const *more;
        size_t n;

        more = sanitizer_paths(&n);
        for (size_t i = 0; i < n; i++)
                add(p, more[i]);
        if (kind == SANDBOX_PARSE)
                return;
        for (size_t i = 0; i < N_ELEMENTS(network_files); i++)
                add(p, network_files[i]);
        add_library_dirs(p);
}

static enum err limit(int what, rlim_t value, const char *name, struct error *e)
{
        struct rlimit now;

        if (getrlimit((__rlimit_resource_t)what, &now) < 0)
                return error_set(e, ERR_SANDBOX, "The limit of %s could not be read (errno %d)", name, errno);
        if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value)
                value = now.rlim_max;
        now = (struct rlimit){value, value};
        if (setrlimit((__rlimit_resource_t)what, &now) < 0)
                return error_set(e, ERR_SANDBOX, "The limit of %s could not be set (errno %d)", name, errno);
        return ERR_OK;
}

static enum err limits(struct error *e)
{
        enum err r = limit(RLIMIT_CORE, 0, "core dumps", e);

        if (!r)
                r = limit(RLIMIT_NOFILE, FILES_MAX, "open files", e);
        if (!r)
                r = limit(RLIMIT_FSIZE, 0, "written files", e);
        if (!r && !sanitizer_present())
                r = limit(RLIMIT_AS, ADDRESS_SPACE_MAX, "memory", e);
        return r;
}

enum err sandbox_apply(enum sandbox_kind kind, bool weak, int *ret_landlock, struct error *e)
{
        struct paths paths = {.n = 0};
        int abi = landlock_abi();
        enum err r;

        if (abi == 0 && !weak)
                return error_set(e, ERR_SANDBOX,
                                 "This kernel has no Landlock, and a worker does not start without it");
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_set(e, ERR_SANDBOX, "The worker could not give up its privileges (errno %d)",
                                 errno);
        r = limits(e);
        collect(kind, &paths);
        if (!r && abi > 0)
                r = landlock_apply(abi, kind, paths.at, paths.n, e);
        if (!r)
                r = seccomp_apply(kind, e);
        if (r)
                return r;
        *ret_landlock = abi;
        return ERR_OK;
}
