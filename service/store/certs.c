/* Certificates as PEM files, and anchors. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "internal.h"

static enum err pem_of(X509 *cert, struct bytes *ret, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());

        if (!bio || PEM_write_bio_X509(bio, cert) != 1)
                return ossl_error(e, ERR_FAILED, "A certificate could not be encoded");
        return bio_bytes(bio, ret, e);
}

static enum err pem_parse(const struct bytes *pem, X509 **ret, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
        X509 *cert = bio ? pem_certificate(bio) : NULL;

        if (!cert)
                return ossl_error(e, ERR_CONFIG, "A stored certificate could not be read");
        *ret = cert;
        return ERR_OK;
}

enum err store_pem_write(struct store *store, enum store_kind kind, const char *id, const char *name,
                         X509 *cert, struct error *e)
{
        CLEANUP(bytes_done) struct bytes pem = {0};
        char path[STORE_PATH_MAX];
        enum err r = store_path(path, kind, id, name, e);

        if (!r)
                r = store_ensure(store, kind, id, e);
        if (!r)
                r = pem_of(cert, &pem, e);
        return r ? r : file_write(store->fd, path, 0644, bytes_view(&pem), e);
}

enum err store_pem_read(struct store *store, enum store_kind kind, const char *id, const char *name,
                        X509 **ret, struct error *e)
{
        CLEANUP(bytes_done) struct bytes pem = {0};
        char path[STORE_PATH_MAX];
        enum err r = store_path(path, kind, id, name, e);

        if (!r)
                r = file_read(store->fd, path, STORE_FILE_MAX, &pem, e);
        return r ? r : pem_parse(&pem, ret, e);
}

enum err store_anchor_add(struct store *store, uid_t owner, X509 *cert, bool *ret_known, struct error *e)
{
        CLEANUP(bytes_done) struct bytes pem = {0};
        CLEANUP(close_p) int fd = -1;
        char directory[64], name[2 * 32 + 8];
        uint8_t digest[32];
        bool known;
        enum err r;

        if (X509_digest(cert, EVP_sha256(), digest, NULL) != 1)
                return ossl_error(e, ERR_FAILED, "A certificate could not be hashed");
        hex_encode((struct view){digest, sizeof digest}, name);
        strcat(name, ".pem");
        owner_directory("anchors", owner, directory);
        r = dir_ensure(store->fd, directory, 0711, &fd, e);
        if (r)
                return r;
        known = faccessat(fd, name, F_OK, 0) == 0;
        if (!known && errno != ENOENT) /* it may be there: who undoes this would take it away */
                return errno_error(e, errno, "An anchor could not be looked for");
        r = pem_of(cert, &pem, e);
        if (!r)
                r = file_write(fd, name, 0644, bytes_view(&pem), e);
        if (!r && ret_known)
                *ret_known = known;
        return r;
}

static enum err add_anchor(int dirfd, const char *name, STACK_OF(X509) * to, struct error *e)
{
        CLEANUP(bytes_done) struct bytes pem = {0};
        CLEANUP(x509_free_p) X509 *cert = NULL;
        enum err r = file_read(dirfd, name, STORE_FILE_MAX, &pem, e);

        if (!r)
                r = pem_parse(&pem, &cert, e);
        if (r)
                return r;
        if (!sk_X509_push(to, cert))
                return error_no_memory(e);
        cert = NULL;
        return ERR_OK;
}

static enum err add_anchors(struct store *store, uid_t owner, STACK_OF(X509) * to, struct error *e)
{
        CLEANUP(closedir_p) DIR *dir = NULL;
        char directory[64];
        struct dirent *entry = NULL;
        enum err r;
        int fd;

        owner_directory("anchors", owner, directory);
        fd = openat(store->fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? ERR_OK : errno_error(e, errno, "The anchors could not be listed");
        dir = fdopendir(fd);
        if (!dir) {
                r = errno_error(e, errno, "The anchors could not be listed");
                (void)close(fd);
                return r;
        }
        do {
                r = dir_next(dir, &entry, e);
                if (!r && entry && strlen(entry->d_name) == 2 * 32 + 4)
                        r = add_anchor(dirfd(dir), entry->d_name, to, e);
        } while (!r && entry);
        return r;
}

enum err store_anchors(struct store *store, uid_t owner, STACK_OF(X509) * *ret, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *anchors = sk_X509_new_null();
        enum err r;

        if (!anchors)
                return error_no_memory(e);
        r = add_anchors(store, NO_OWNER, anchors, e);
        if (!r && owner != NO_OWNER)
                r = add_anchors(store, owner, anchors, e);
        if (r)
                return r;
        *ret = STEAL(anchors);
        return ERR_OK;
}

static enum err anchor_path(uid_t owner, const char *digest, char ret[160], struct error *e)
{
        char directory[64];

        if (!is_lower_hex(digest, 64))
                return error_set(e, ERR_NOT_FOUND, "There is no such anchor");
        owner_directory("anchors", owner, directory);
        (void)snprintf(ret, 160, "%s/%s.pem", directory, digest);
        return ERR_OK;
}

enum err store_anchor_remove(struct store *store, uid_t owner, const char *digest, struct error *e)
{
        char path[160];
        enum err r = anchor_path(owner, digest, path, e);

        return r ? r : file_remove(store->fd, path, e);
}

enum err store_anchor_read(struct store *store, uid_t owner, const char *digest, X509 **ret, struct error *e)
{
        CLEANUP(bytes_done) struct bytes pem = {0};
        char path[160];
        enum err r = anchor_path(owner, digest, path, e);

        if (!r)
                r = file_read(store->fd, path, STORE_FILE_MAX, &pem, e);
        return r ? r : pem_parse(&pem, ret, e);
}
