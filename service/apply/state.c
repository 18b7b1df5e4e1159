#include "apply/state.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/parse.h"
#include "store/record.h"

enum { FILE_MAX = 64 * 1024, CHAIN_LEN_MAX = 16 };

/* Beneath @dirfd, through no link of any kind: the daemon's user could have put one there. */
static int open_beneath(int dirfd, const char *path, int flags)
{
        const struct open_how how = {
                .flags = (unsigned)(flags | O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK),
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};

        return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof how);
}

/* A regular file with one name. *ret may be larger than it should: what is read is bounded. */
static enum err read_file(int dirfd, const char *path, size_t max, struct bytes *ret, struct error *e)
{
        CLEANUP(close_p) int fd = open_beneath(dirfd, path, 0);
        char name[64];
        struct stat st;

        if (fd < 0 && errno == ENOENT)
                return error_set(e, ERR_NOT_FOUND, "There is no file %s", path);
        if (fd < 0 || fstat(fd, &st) < 0)
                return errno_error(e, errno, "%s could not be opened", path);
        if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
                return error_set(e, ERR_CONFIG, "%s is not a regular file with one name", path);
        (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        return file_read(AT_FDCWD, name, max, ret, e);
}

static enum err read_current(int dirfd, uint64_t *ret, struct error *e)
{
        static const char prefix[] = "generations/";
        char target[64];
        ssize_t n = readlinkat(dirfd, "current", target, sizeof target - 1);

        if (n < 0 && errno == ENOENT)
                return error_set(e, ERR_NOT_FOUND, "No certificate is installed");
        if (n < 0)
                return errno_error(e, errno, "The link 'current' could not be read");
        target[n] = 0;
        if (strncmp(target, prefix, sizeof prefix - 1) != 0 ||
            !parse_u64(target + sizeof prefix - 1, UINT32_MAX, ret) || *ret == 0)
                return error_set(e, ERR_CONFIG, "The link 'current' does not point to a generation");
        return ERR_OK;
}

static enum err read_record(int dirfd, struct state *state, struct error *e)
{
        CLEANUP(bytes_done) struct bytes text = {0};
        CLEANUP(record_done_p) struct record record = {0};
        enum err r = read_file(dirfd, "record.json", RECORD_MAX, &text, e);

        if (!r)
                r = record_from_json(bytes_view(&text), &record, e);
        if (r)
                return r;
        state->device = (uid_t)record.owner == NO_OWNER;
        state->name = STEAL(record.name);
        record.name = strdup("");
        return state->name && record.name ? ERR_OK : error_no_memory(e);
}

/* Certificates of @pem, each parsed and encoded anew: nothing else gets through. */
static enum err take_certificates(struct view pem, const char *what, int min, struct bytes *ret,
                                  X509 **ret_first, struct error *e)
{
        CLEANUP(bio_free_p) BIO *in = BIO_new_mem_buf(pem.data, (int)pem.len);
        CLEANUP(bio_free_p) BIO *out = BIO_new(BIO_s_mem());
        int n = 0;

        if (!in || !out)
                return error_no_memory(e);
        for (; n <= CHAIN_LEN_MAX; n++) {
                CLEANUP(x509_free_p) X509 *cert = pem_certificate(in);

                if (!cert)
                        break;
                if (PEM_write_bio_X509(out, cert) != 1)
                        return ossl_error(e, ERR_FAILED, "A certificate could not be encoded");
                if (n == 0 && ret_first)
                        *ret_first = STEAL(cert);
        }
        ERR_clear_error();
        if (n < min || n > CHAIN_LEN_MAX)
                return error_set(e, ERR_CONFIG, "%s holds no certificate that can be read, or too many",
                                 what);
        return bio_bytes(out, ret, e);
}

/* What of a public key stands in any encoding of it: the modulus, or the x of a point. */
static enum err distinctive_part(X509 *cert, struct bytes *ret, struct error *e)
{
        CLEANUP(bn_free_p) BIGNUM *number = NULL;
        EVP_PKEY *key = X509_get0_pubkey(cert);
        uint8_t octets[1024];
        int n;

        if (!key ||
            (EVP_PKEY_get_bn_param(key, "n", &number) != 1 && EVP_PKEY_get_bn_param(key, "qx", &number) != 1))
                return ossl_error(e, ERR_CONFIG, "The certificate's key is of a kind that is not known");
        if (BN_num_bytes(number) > (int)sizeof octets)
                return error_set(e, ERR_CONFIG, "The certificate's key is too large");
        n = BN_bn2bin(number, octets);
        return bytes_copy(ret, octets, (size_t)n, e);
}

/* A loadable TPM key and nothing else, of this certificate. */
static enum err check_tss2(const uint8_t *der, long len, X509 *cert, struct error *e)
{
        static const uint8_t loadable[] = {0x06, 0x06, 0x67, 0x81, 0x05, 0x0a, 0x01, 0x03};
        CLEANUP(bytes_done) struct bytes part = {0};
        const uint8_t *at = der;
        long inside;
        int tag, class;
        enum err r = distinctive_part(cert, &part, e);

        if (r)
                return r;
        if (ASN1_get_object(&at, &inside, &tag, &class, len) != V_ASN1_CONSTRUCTED ||
            tag != V_ASN1_SEQUENCE || at + inside != der + len || (size_t)inside < sizeof loadable ||
            memcmp(at, loadable, sizeof loadable) != 0) {
                ERR_clear_error();
                return error_set(e, ERR_CONFIG, "key.pem is no key of a TPM");
        }
        if (!memmem(der, (size_t)len, part.data, part.len))
                return error_set(e, ERR_CONFIG, "key.pem is not the key of the certificate");
        return ERR_OK;
}

/* A software key is left where it is: nothing of it is looked at but its label. */
static enum err take_key(struct view pem, X509 *cert, struct bytes *ret, struct error *e)
{
        CLEANUP(bio_free_p) BIO *in = BIO_new_mem_buf(pem.data, (int)pem.len);
        CLEANUP(bio_free_p) BIO *out = BIO_new(BIO_s_mem());
        CLEANUP(ossl_free_p) char *label = NULL;
        CLEANUP(ossl_free_p) char *header = NULL;
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        long len = 0;
        enum err r;

        if (!in || !out)
                return error_no_memory(e);
        if (PEM_read_bio(in, &label, &header, &der, &len) != 1)
                return ossl_error(e, ERR_CONFIG, "key.pem could not be read");
        if (strcmp(label, "TSS2 PRIVATE KEY") != 0)
                return ERR_OK;
        r = check_tss2(der, len, cert, e);
        if (r)
                return r;
        if (PEM_write_bio(out, label, "", der, len) <= 0)
                return ossl_error(e, ERR_FAILED, "The key could not be encoded");
        return bio_bytes(out, ret, e);
}

static enum err make_uri(X509 *cert, char key_id[41], struct bytes *ret, struct error *e)
{
        uint8_t id[20];
        char line[64];
        enum err r = spki_key_id(X509_get0_pubkey(cert), id, e);

        if (r)
                return r;
        hex_encode((struct view){id, sizeof id}, key_id);
        return bytes_copy(ret, line, (size_t)snprintf(line, sizeof line, "ksp:id=%s\n", key_id), e);
}

static enum err fingerprint(X509 *cert, char ret[65], struct error *e)
{
        uint8_t digest[32];

        if (X509_digest(cert, EVP_sha256(), digest, NULL) != 1)
                return ossl_error(e, ERR_FAILED, "The certificate could not be described");
        hex_encode((struct view){digest, sizeof digest}, ret);
        return ERR_OK;
}

static enum err join(struct state *state, struct error *e)
{
        const struct bytes *cert = &state->content[CONSUMER_CERTIFICATE],
                           *chain = &state->content[CONSUMER_CHAIN];
        struct text text = TEXT(2 * FILE_MAX);
        char *all = NULL;
        enum err r;

        text_add_n(&text, (const char *)cert->data, cert->len);
        text_add_n(&text, (const char *)chain->data, chain->len);
        r = text_finish(&text, &all, e);
        if (!r)
                state->content[CONSUMER_FULL_CHAIN] = (struct bytes){(uint8_t *)all, cert->len + chain->len};
        return r;
}

static enum err read_generation(int dirfd, struct state *state, struct error *e)
{
        CLEANUP(bytes_done) struct bytes cert = {0};
        CLEANUP(bytes_done) struct bytes chain = {0};
        CLEANUP(bytes_done) struct bytes anchor = {0};
        CLEANUP(bytes_done) struct bytes key = {0};
        CLEANUP(x509_free_p) X509 *parsed = NULL;
        char path[64];
        int len = snprintf(path, sizeof path, "generations/%llu/", (unsigned long long)state->generation);
        enum err r;

        (void)strcpy(path + len, "cert.pem");
        r = read_file(dirfd, path, FILE_MAX, &cert, e);
        (void)strcpy(path + len, "chain.pem");
        if (!r)
                r = read_file(dirfd, path, FILE_MAX, &chain, e);
        (void)strcpy(path + len, "key.pem");
        if (!r)
                r = read_file(dirfd, path, FILE_MAX, &key, e);
        if (!r)
                r = read_file(dirfd, "anchor.pem", FILE_MAX, &anchor, e);
        if (!r)
                r = take_certificates(bytes_view(&cert), "cert.pem", 1, &state->content[CONSUMER_CERTIFICATE],
                                      &parsed, e);
        if (!r)
                r = take_certificates(bytes_view(&chain), "chain.pem", 0, &state->content[CONSUMER_CHAIN],
                                      NULL, e);
        if (!r)
                r = take_certificates(bytes_view(&anchor), "anchor.pem", 1, &state->content[CONSUMER_ANCHOR],
                                      NULL, e);
        if (!r)
                r = take_key(bytes_view(&key), parsed, &state->content[CONSUMER_KEY], e);
        wipe(key.data, key.len);
        if (!r)
                r = make_uri(parsed, state->key_id, &state->content[CONSUMER_KEY_URI], e);
        if (!r)
                r = fingerprint(parsed, state->fingerprint, e);
        return r ? r : join(state, e);
}

static enum err read_all(int statefd, const char *id, struct state *state, struct error *e)
{
        CLEANUP(close_p) int all = open_beneath(statefd, "certificates", O_DIRECTORY);
        CLEANUP(close_p) int fd = -1;
        enum err r;

        if (all < 0)
                return errno_error(e, errno, "The directory of certificates could not be opened");
        fd = open_beneath(all, id, O_DIRECTORY);
        if (fd < 0 && errno == ENOENT)
                return error_set(e, ERR_NOT_FOUND, "There is no certificate %s", id);
        if (fd < 0)
                return errno_error(e, errno, "The directory of certificate %s could not be opened", id);
        r = read_record(fd, state, e);
        if (!r)
                r = read_current(fd, &state->generation, e);
        if (!r)
                r = read_generation(fd, state, e);
        /* That one is there which lacks a file is another matter than that there is none. */
        return r == ERR_NOT_FOUND ? error_set(e, ERR_CONFIG, "Certificate %s has no installed generation", id)
                                  : r;
}

/* Whom the state belongs to is who the daemon runs as; root becomes that while it reads. */
static enum err become(const struct stat *st, struct error *e)
{
        if (geteuid() != 0 || st->st_uid == 0)
                return ERR_OK;
        if (setgroups(0, NULL) < 0 || setegid(st->st_gid) < 0 || seteuid(st->st_uid) < 0)
                return errno_error(e, errno, "The rights of uid %lu could not be taken",
                                   (unsigned long)st->st_uid);
        return ERR_OK;
}

enum err state_read(const char *directory, const char *id, struct state *ret, struct error *e)
{
        CLEANUP(state_done) struct state state = {0};
        CLEANUP(close_p) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const uid_t own = geteuid();
        const gid_t group = getegid();
        struct stat st;
        enum err r;

        if (fd < 0 || fstat(fd, &st) < 0)
                return errno_error(e, errno, "The state directory %s could not be opened", directory);
        r = become(&st, e);
        if (!r)
                r = read_all(fd, id, &state, e);
        if (seteuid(own) < 0 || setegid(group) < 0)
                return errno_error(e, errno, "The rights of the applier could not be taken back");
        if (r)
                return r;
        *ret = state;
        state = (struct state){0};
        return ERR_OK;
}

void state_done(struct state *state)
{
        free(state->name);
        for (int i = 0; i < _CONSUMER_FILE_MAX; i++)
                bytes_done(&state->content[i]);
        *state = (struct state){0};
}
