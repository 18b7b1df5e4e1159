#include "policy/nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"

enum { READ = NODE_GET, WRITE = NODE_ADD | NODE_GET | NODE_REPLACE };

/* ClientCertificateInstall CSP, SCEP branch. */
static const struct node_leaf install_leaves[] = {
        {"", NODE_INSTANCE, NODE_ADD | NODE_GET | NODE_DELETE, "node", NULL},
        {"Install", NODE_INSTALL, NODE_ADD | NODE_GET, "node", NULL},
        {"Install/ServerURL", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/Challenge", NODE_SECRET, NODE_ADD | NODE_REPLACE, "chr", NULL},
        {"Install/EKUMapping", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/KeyUsage", NODE_VALUE, WRITE, "int", NULL},
        {"Install/SubjectName", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/KeyProtection", NODE_VALUE, WRITE, "int", NULL},
        {"Install/RetryDelay", NODE_VALUE, WRITE, "int", NULL},
        {"Install/RetryCount", NODE_VALUE, WRITE, "int", NULL},
        {"Install/TemplateName", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/KeyLength", NODE_VALUE, WRITE, "int", NULL},
        {"Install/HashAlgorithm", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/CAThumbprint", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/SubjectAlternativeNames", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/ValidPeriod", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/ValidPeriodUnits", NODE_VALUE, WRITE, "int", NULL},
        {"Install/ContainerName", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/CustomTextToShowInPrompt", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/AADKeyIdentifierList", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/AttestPrivateKey", NODE_VALUE, WRITE, "int", NULL},
        {"Install/Enroll", NODE_ENROLL, NODE_EXEC, "null", NULL},
        {"CertThumbprint", NODE_STATE, READ, "chr", NULL},
        {"Status", NODE_STATE, READ, "int", NULL},
        {"ErrorCode", NODE_STATE, READ, "int", NULL},
        {"RespondentServerUrl", NODE_STATE, READ, "chr", NULL},
};

/* CertificateStore CSP, MY/SCEP: spelled as it is there. */
static const struct node_leaf my_scep_leaves[] = {
        {"", NODE_INSTANCE, NODE_ADD | NODE_GET | NODE_DELETE, "node", NULL},
        {"Install", NODE_INSTALL, NODE_ADD | NODE_GET, "node", NULL},
        {"Install/ServerURL", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/Challenge", NODE_SECRET, NODE_ADD | NODE_REPLACE, "chr", NULL},
        {"Install/EKUMapping", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/KeyUsage", NODE_VALUE, WRITE, "int", NULL},
        {"Install/SubjectName", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/KeyProtection", NODE_VALUE, WRITE, "int", NULL},
        {"Install/RetryDelay", NODE_VALUE, WRITE, "int", NULL},
        {"Install/RetryCount", NODE_VALUE, WRITE, "int", NULL},
        {"Install/TemplateName", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/KeyLength", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/HashAlgrithm", NODE_VALUE, WRITE, "chr", "HashAlgorithm"},
        {"Install/CAThumbPrint", NODE_VALUE, WRITE, "chr", "CAThumbprint"},
        {"Install/SubjectAlternativeNames", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/ValidPeriod", NODE_VALUE, WRITE, "chr", NULL},
        {"Install/ValidPeriodUnit", NODE_VALUE, WRITE, "int", "ValidPeriodUnits"},
        {"Install/Enroll", NODE_ENROLL, NODE_EXEC, "null", NULL},
        {"CertThumbPrint", NODE_STATE, READ, "chr", "CertThumbprint"},
        {"Status", NODE_STATE, READ, "int", NULL},
        {"ErrorCode", NODE_STATE, READ, "int", NULL},
};

/* The document carries everything; what becomes of it is read as from the others. */
static const struct node_leaf enroll_leaves[] = {
        {"", NODE_INSTANCE, NODE_GET | NODE_DELETE, "node", NULL},
        {"Install", NODE_DOCUMENT, NODE_ADD | NODE_REPLACE, "xml", NULL},
        {"CertThumbprint", NODE_STATE, READ, "chr", NULL},
        {"Status", NODE_STATE, READ, "int", NULL},
        {"ErrorCode", NODE_STATE, READ, "int", NULL},
        {"RespondentServerUrl", NODE_STATE, READ, "chr", NULL},
};

static const struct node_leaf root_leaves[] = {
        {"", NODE_INSTANCE, NODE_ADD | NODE_GET | NODE_DELETE, "node", NULL},
        {"EncodedCertificate", NODE_CERTIFICATE, WRITE, "b64", NULL},
        {"IssuedBy", NODE_CERTIFICATE_FACT, READ, "chr", NULL},
        {"IssuedTo", NODE_CERTIFICATE_FACT, READ, "chr", NULL},
        {"ValidFrom", NODE_CERTIFICATE_FACT, READ, "chr", NULL},
        {"ValidTo", NODE_CERTIFICATE_FACT, READ, "chr", NULL},
        {"TemplateName", NODE_CERTIFICATE_FACT, READ, "chr", NULL},
};

#define LEAVES(table) (table), N_ELEMENTS(table)

static const struct {
        const struct node_leaf *leaves;
        size_t count;
} branches[] = {
        [BRANCH_CLIENT_CERTIFICATE_INSTALL] = {LEAVES(install_leaves)},
        [BRANCH_MY_SCEP] = {LEAVES(my_scep_leaves)},
        [BRANCH_ENROLL] = {LEAVES(enroll_leaves)},
        [BRANCH_ROOTS] = {LEAVES(root_leaves)},
        [BRANCH_NONE] = {NULL, 0},
};

#define NO_INTERMEDIATES                                                                                     \
        "intermediate certificates come from the SCEP server; only roots are taken from a document"
#define NO_OTHER_TRUST "what the whole system trusts is not changed by a certificate profile"

/* Where instances live. A longer path stands before the one it begins with. @kept: under which name keys are
 * built, where two paths show the same or one path begins with another. */
static const struct list {
        const char *path;
        enum node_branch branch;
        const char *kept;
        bool by_hash;
        const char *children; /* of a list of lists */
        const char *why;      /* refused */
} lists[] = {
        {.path = "ClientCertificateInstall/SCEP", .branch = BRANCH_CLIENT_CERTIFICATE_INSTALL},
        {.path = "ClientCertificateInstall/PFXCertInstall",
         .branch = BRANCH_NONE,
         .why = "keys are made on this machine; a PFX file brings one from elsewhere"},
        {.path = "ClientCertificateInstall", .branch = BRANCH_NONE, .children = "SCEP"},
        {.path = "CertificateStore/MY/SCEP", .branch = BRANCH_MY_SCEP},
        {.path = "CertificateStore/MY/WSTEP",
         .branch = BRANCH_NONE,
         .why = "the certificate of the management client itself is not this program's"},
        {.path = "CertificateStore/MY/User",
         .branch = BRANCH_NONE,
         .why = "certificates are made by enrollments; they are not put here"},
        {.path = "CertificateStore/MY", .branch = BRANCH_NONE, .children = "SCEP"},
        {.path = "CertificateStore/Enroll", .branch = BRANCH_ENROLL},
        {.path = "CertificateStore/SCEP", .branch = BRANCH_ENROLL, .kept = "CertificateStore/Enroll"},
        {.path = "CertificateStore/Root/System",
         .branch = BRANCH_ROOTS,
         .kept = "CertificateStore/Root-System",
         .by_hash = true},
        {.path = "CertificateStore/Root", .branch = BRANCH_ROOTS},
        {.path = "CertificateStore/CA", .branch = BRANCH_NONE, .why = NO_INTERMEDIATES},
        {.path = "CertificateStore", .branch = BRANCH_NONE, .children = "Root/MY/Enroll/SCEP"},
        {.path = "RootCATrustedCertificates/Root", .branch = BRANCH_ROOTS, .by_hash = true},
        {.path = "RootCATrustedCertificates/CA", .branch = BRANCH_NONE, .why = NO_INTERMEDIATES},
        {.path = "RootCATrustedCertificates/TrustedPublisher", .branch = BRANCH_NONE, .why = NO_OTHER_TRUST},
        {.path = "RootCATrustedCertificates/TrustedPeople", .branch = BRANCH_NONE, .why = NO_OTHER_TRUST},
        {.path = "RootCATrustedCertificates/UntrustedCertificates",
         .branch = BRANCH_NONE,
         .why = NO_OTHER_TRUST},
        {.path = "RootCATrustedCertificates", .branch = BRANCH_NONE, .children = "Root"},
};

/* How many of @segments the slash-separated @path takes, without regard to case [CSC]; 0: it does not fit. */
static size_t path_fits(const char *path, const char *const segments[], size_t n)
{
        size_t at = 0;

        while (at < n) {
                size_t len = strcspn(path, "/");

                if (strlen(segments[at]) != len || strncasecmp(path, segments[at], len) != 0)
                        return 0;
                at++;
                if (!path[len])
                        return at;
                path += len + 1;
        }
        return 0;
}

/* ModelName=…/LogicalName_…;Hash=…: the hash is the version of the same profile. */
static void forget_version(char *name)
{
        char *hash = strstr(name, ";hash=");

        if (hash && strncmp(name, "modelname=", 10) == 0)
                *hash = 0;
}

static enum err make_key(const struct list *list, const struct location *l, const char *instance, char **ret,
                         struct error *e)
{
        CLEANUP(free_p) char *name = strdup(instance ? instance : ""), *key = NULL;

        if (!name)
                return error_no_memory(e);
        percent_decode(name);
        for (char *p = name; *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                        *p = (char)(*p - 'A' + 'a');
        forget_version(name);
        if (asprintf(&key, "%s/%s/%s", l->user ? "user" : "device", list->kept ? list->kept : list->path,
                     name) < 0) {
                key = NULL;
                return error_no_memory(e);
        }
        *ret = STEAL(key);
        return ERR_OK;
}

const char *node_leaf_name(const struct node_leaf *leaf)
{
        const char *slash = strrchr(leaf->path, '/');

        return leaf->name ? leaf->name : slash ? slash + 1 : leaf->path;
}

static enum err no_node(struct error *e)
{
        return error_set(e, ERR_NOT_FOUND, "There is no such node");
}

static enum err find_leaf(const struct location *l, size_t at, struct node_place *ret, struct error *e)
{
        for (size_t i = 0; i < branches[ret->branch].count; i++) {
                const struct node_leaf *leaf = &branches[ret->branch].leaves[i];

                if (*leaf->path ? path_fits(leaf->path, l->segments + at, l->count - at) != l->count - at
                                : at != l->count)
                        continue;
                ret->kind = leaf->kind;
                ret->access = leaf->access;
                ret->format = leaf->format;
                ret->name = node_leaf_name(leaf);
                ret->children = NULL;
                return ERR_OK;
        }
        return no_node(e);
}

enum err node_find(const struct location *l, struct node_place *ret, struct error *e)
{
        const size_t vendor = path_fits("Vendor/MSFT", l->segments, l->count);
        const struct list *list = NULL;
        struct node_place place = {.kind = NODE_LIST, .access = NODE_GET, .format = "node"};
        size_t at = 0;
        enum err r;

        for (size_t i = 0; vendor && !list && i < N_ELEMENTS(lists); i++) {
                at = path_fits(lists[i].path, l->segments + vendor, l->count - vendor);
                if (at)
                        list = &lists[i];
        }
        if (!list)
                return no_node(e);
        at += vendor;
        place.branch = list->branch;
        place.by_hash = list->by_hash;
        place.children = list->children;
        if (list->why || (l->user && list->branch == BRANCH_ROOTS && list->by_hash)) {
                place.kind = NODE_REFUSED;
                place.why = list->why ? list->why : "a user has no roots of the machine";
                *ret = place;
                return ERR_OK;
        }
        if (list->branch == BRANCH_NONE && at < l->count)
                return no_node(e);
        if (at < l->count) {
                place.instance = l->segments[at];
                r = find_leaf(l, at + 1, &place, e);
                if (r)
                        return r;
        }
        r = make_key(list, l, place.instance, &place.key, e);
        if (r == ERR_OK)
                *ret = place;
        return r;
}

void node_place_done(struct node_place *place)
{
        free(place->key);
        *place = (struct node_place){0};
}

bool node_format_fits(const struct node_place *place, const char *format)
{
        static const char *const fits[][2] = {
                /* text is what a server without a DDF at hand writes */
                {"int", "int"},  {"int", "chr"},   {"chr", "chr"},  {"chr", "xml"}, {"chr", "int"},
                {"xml", "xml"},  {"xml", "chr"},   {"b64", "b64"},  {"b64", "chr"}, {"null", "null"},
                {"null", "chr"}, {"node", "node"}, {"node", "chr"},
        };

        if (!*format)
                return true;
        for (size_t i = 0; i < N_ELEMENTS(fits); i++)
                if (strcmp(place->format, fits[i][0]) == 0 && strcmp(format, fits[i][1]) == 0)
                        return true;
        return false;
}

const struct node_leaf *node_leaf_at(enum node_branch branch, size_t at)
{
        return at < branches[branch].count ? &branches[branch].leaves[at] : NULL;
}
