/*
 * The nodes of the management tree that this program has: what stands below ./Vendor/MSFT in the
 * ClientCertificateInstall, CertificateStore and RootCATrustedCertificates CSPs, and in the dialect of
 * Intune's Android agent, which lies below CertificateStore too. Each node with what may be done to it. Pure.
 */
#pragma once

#include "policy/location.h"

enum node_kind {
        NODE_LIST,             /* interior, fixed: its children are instances, or other lists */
        NODE_INSTANCE,         /* interior: one enrollment or one root, with the name the server gave it */
        NODE_INSTALL,          /* interior: the values below it */
        NODE_VALUE,            /* what a request needs; kept until it is deleted */
        NODE_SECRET,           /* the challenge: kept until the request was accepted, never read back */
        NODE_ENROLL,           /* Exec starts the request */
        NODE_DOCUMENT,         /* Add of a CertificateRequest does both at once */
        NODE_STATE,            /* read from the certificate */
        NODE_CERTIFICATE,      /* EncodedCertificate of a root */
        NODE_CERTIFICATE_FACT, /* what the certificate says of itself */
        NODE_REFUSED,          /* known, and not for this program: node_place.why */
};
enum node_access { NODE_ADD = 1, NODE_GET = 2, NODE_REPLACE = 4, NODE_DELETE = 8, NODE_EXEC = 16 };

enum node_branch {
        BRANCH_CLIENT_CERTIFICATE_INSTALL,
        BRANCH_MY_SCEP, /* the older CSP, with its own spellings */
        BRANCH_ENROLL,  /* Intune's Android agent */
        BRANCH_ROOTS,
        BRANCH_NONE,
};

struct node_place {
        enum node_kind kind;
        enum node_branch branch;
        unsigned access;    /* enum node_access */
        const char *format; /* "node", "chr", "int", "b64", "null", "xml" */
        /* of NODE_VALUE, NODE_STATE and NODE_CERTIFICATE_FACT: its name in the newer CSP. Static. */
        const char *name;
        const char *children; /* of a list of lists: "a/b/c". Static. */
        const char *why;      /* of NODE_REFUSED; static */
        bool by_hash;         /* the instance's name is the SHA-1 of the certificate below it */
        const char *instance; /* its name as written; borrowed from the location; NULL above instances */
        /* What the instance is remembered by: scope, branch and decoded name in lower case, a profile's name
         * without its version. Of a list: what the keys of its instances begin with. node_place_done(). */
        char *key;
};

/* ERR_NOT_FOUND: no such node. *ret: node_place_done(); borrows from @l. */
MUST_CHECK enum err node_find(const struct location *l, struct node_place *ret, struct error *e);
void node_place_done(struct node_place *place);
/* true: data of this format may be written to the node; "" is what SyncML means by none. */
bool node_format_fits(const struct node_place *place, const char *format);

/* One node below the name of an instance. */
struct node_leaf {
        const char *path; /* "Install/ServerURL"; "" is the instance itself */
        enum node_kind kind;
        unsigned access; /* enum node_access */
        const char *format;
        const char *name; /* in the newer CSP; NULL: the last segment of path */
};

/* All of a branch, one by one; NULL at the end. */
const struct node_leaf *node_leaf_at(enum node_branch branch, size_t at);
const char *node_leaf_name(const struct node_leaf *leaf);
