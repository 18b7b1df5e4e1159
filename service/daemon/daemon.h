/* The daemon's parts, which main() makes and everybody else is handed. There are no globals. */
#pragma once

#include <openssl/types.h>
#include <time.h>

#include "agents/agents.h"
#include "clock.h"
#include "config.h"
#include "ksp.h"
#include "model/model.h"
#include "provider/ksp-provider.h"
#include "work/pool.h"
#include "work/workers.h"

struct bus_server;
struct tpm_status;
struct shown_profile;
struct tree;
struct key_server;
struct key_groups;
struct sd_event;
struct enrollment;
struct instances;
struct diagnosing;
struct resolving;
struct polkit_check;
struct reading;
struct schedule;
struct clock_watch;
struct event_log;
struct apply;
struct follow;

/* How scepter-apply is started: exec NULL: as a unit of systemd; else this program, as a child (tests). */
struct applier_config {
        const char *exec, *config;
};

struct daemon {
        struct config config;
        struct wall_clock clock;
        struct clock_watch *clock_watch;
        struct placed *placed;         /* placed/: profiles.d */
        struct schedule *schedule;     /* enroll/due.h */
        struct network_watch *network; /* enroll/network.h */
        struct sd_event *event;
        struct store *store;
        struct event_log *events;
        struct model *model;
        struct instances *instances; /* syncml/: what documents made */
        struct ksp *ksp;
        OSSL_LIB_CTX *libctx; /* with the provider "ksp" */
        struct ksp_provider provider;
        struct pool *pool;
        struct pool *names; /* for what asks name services: where these hang, nothing else waits for them */
        struct workers *workers;
        struct bus_server *bus;
        struct tree *tree;             /* objects/: what the bus shows */
        char path[80];                 /* of the object that is shown just now */
        struct key_groups *key_groups; /* keys/groups.h */
        struct key_server *keys;
        struct pin_guard *pins;    /* pin/: counts tries */
        struct pin_line *pin_line; /* pin/line.h */
        struct agents agents;      /* who is asked for PINs: objects/ask.h */
        struct tpm_status *tpm_status;
        struct shown_profile *shown_profile; /* objects/: the profile whose properties were read last */
        struct polkit_check *polkit_checks;  /* objects/polkit.c: open questions */
        uint64_t polkit_last;                /* number of the last one */
        struct resolving *resolving;         /* objects/: calls of Profile.Resolve that wait for values */
        unsigned checking;                   /* enroll/due.c: looks at CRLs and at announcements */
        struct applier_config applier;       /* work/applier.h */
        unsigned applying;                   /* enroll/apply.c: certificates handed to their consumers */
        struct follow *follow;               /* enroll/follow.c: watches the directory of consumers */
        struct apply *undoing;               /* enroll/apply.c: of certificates that are gone */
        unsigned enrolling;                  /* enroll/: how many run */
        struct enrollment *beginning;        /* enroll/: those whose caller has no certificate yet */
        struct timespec facts_told;          /* facts/: the state of the facts file that was complained of */
        char *device_id;                     /* for jitter: machine-id, hashed with the application's id */
        struct reading *readings;            /* objects/: calls that wait for the files of events */
        struct diagnosing *diagnosing;       /* objects/: whose callers are being told */
        bool has_host_secret;
        uid_t own_uid;
};

bool daemon_is_root(const struct daemon *d, uid_t uid);
