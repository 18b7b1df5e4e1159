#include "lifecycle.h"

#include <assert.h>
#include <string.h>

/* One row an activity; 0 is no arrow, so activities are stored one higher. */
#define TO(activity) ((activity) + 1)

static const struct {
        const char *name;
        bool running;
        int on[_LIFE_MAX];
} activities[_ACTIVITY_MAX] = {
        [ACTIVITY_IDLE] = {"idle",
                           false,
                           {[LIFE_ENROLL] = TO(ACTIVITY_REQUESTING),
                            [LIFE_RENEW] = TO(ACTIVITY_REQUESTING),
                            [LIFE_APPLY] = TO(ACTIVITY_APPLY_PENDING),
                            [LIFE_REMOVE] = TO(ACTIVITY_REMOVING)}},
        /* What runs is cancelled before it is removed. */
        [ACTIVITY_REQUESTING] = {"requesting",
                                 true,
                                 {[LIFE_PENDING] = TO(ACTIVITY_PENDING),
                                  [LIFE_ISSUED] = TO(ACTIVITY_INSTALLING),
                                  [LIFE_NEEDS_CHALLENGE] = TO(ACTIVITY_NEEDS_CHALLENGE),
                                  [LIFE_NEEDS_USER] = TO(ACTIVITY_WAITING_FOR_USER),
                                  [LIFE_FAIL] = TO(ACTIVITY_FAILED),
                                  [LIFE_CANCEL] = TO(ACTIVITY_IDLE)}},
        [ACTIVITY_PENDING] = {"pending",
                              true,
                              {[LIFE_PENDING] = TO(ACTIVITY_PENDING), /* once more */
                               [LIFE_ISSUED] = TO(ACTIVITY_INSTALLING),
                               /* its polls want a PIN, which did not outlive the service */
                               [LIFE_NEEDS_USER] = TO(ACTIVITY_WAITING_FOR_USER),
                               [LIFE_FAIL] = TO(ACTIVITY_FAILED),
                               [LIFE_CANCEL] = TO(ACTIVITY_IDLE)}},
        [ACTIVITY_NEEDS_CHALLENGE] = {"needs-challenge",
                                      false,
                                      {[LIFE_CHALLENGE] = TO(ACTIVITY_REQUESTING),
                                       [LIFE_RENEW] = TO(ACTIVITY_REQUESTING),
                                       [LIFE_ENROLL] = TO(ACTIVITY_REQUESTING),
                                       [LIFE_REMOVE] = TO(ACTIVITY_REMOVING)}},
        /* With a PIN it is a renewal or an enrollment like any other. */
        [ACTIVITY_WAITING_FOR_USER] = {"waiting-for-user",
                                       false,
                                       {[LIFE_RENEW] = TO(ACTIVITY_REQUESTING),
                                        [LIFE_ENROLL] = TO(ACTIVITY_REQUESTING),
                                        [LIFE_REMOVE] = TO(ACTIVITY_REMOVING)}},
        /* No cancel and no removal: files are half in place. */
        [ACTIVITY_INSTALLING] = {"installing",
                                 true,
                                 {[LIFE_INSTALLED] = TO(ACTIVITY_IDLE),
                                  [LIFE_APPLY] = TO(ACTIVITY_APPLY_PENDING),
                                  [LIFE_FALL_BACK] = TO(ACTIVITY_REQUESTING),
                                  [LIFE_FAIL] = TO(ACTIVITY_FAILED)}},
        /* The certificate is there and is renewed like any other. */
        [ACTIVITY_APPLY_PENDING] = {"apply-pending",
                                    false,
                                    {[LIFE_APPLY] = TO(ACTIVITY_APPLY_PENDING), /* once more */
                                     [LIFE_APPLIED] = TO(ACTIVITY_IDLE),
                                     [LIFE_ENROLL] = TO(ACTIVITY_REQUESTING),
                                     [LIFE_RENEW] = TO(ACTIVITY_REQUESTING),
                                     [LIFE_REMOVE] = TO(ACTIVITY_REMOVING)}},
        [ACTIVITY_FAILED] = {"failed",
                             false,
                             {[LIFE_ENROLL] = TO(ACTIVITY_REQUESTING),
                              [LIFE_RENEW] = TO(ACTIVITY_REQUESTING),
                              [LIFE_CHALLENGE] = TO(ACTIVITY_REQUESTING),
                              [LIFE_REMOVE] = TO(ACTIVITY_REMOVING)}},
        [ACTIVITY_REMOVING] = {"removing", false, {[LIFE_REMOVE] = TO(ACTIVITY_REMOVING)}},
};

static const char *const event_names[_LIFE_MAX] = {
        [LIFE_ENROLL] = "enroll",
        [LIFE_RENEW] = "renew",
        [LIFE_PENDING] = "pending",
        [LIFE_ISSUED] = "issued",
        [LIFE_INSTALLED] = "installed",
        [LIFE_APPLY] = "apply",
        [LIFE_APPLIED] = "applied",
        [LIFE_FALL_BACK] = "fall-back",
        [LIFE_NEEDS_CHALLENGE] = "needs-challenge",
        [LIFE_CHALLENGE] = "challenge",
        [LIFE_FAIL] = "fail",
        [LIFE_CANCEL] = "cancel",
        [LIFE_REMOVE] = "remove",
        [LIFE_NEEDS_USER] = "needs-user",
};

const char *activity_name(enum activity activity)
{
        return activities[activity].name;
}

bool activity_from_name(const char *name, enum activity *ret)
{
        for (int i = 0; i < _ACTIVITY_MAX; i++) {
                if (strcmp(name, activities[i].name) == 0) {
                        *ret = (enum activity)i;
                        return true;
                }
        }
        return false;
}

const char *life_event_name(enum life_event event)
{
        return event_names[event];
}

bool activity_is_running(enum activity activity)
{
        return activities[activity].running;
}

bool activity_is_at_rest(enum activity activity)
{
        return activity == ACTIVITY_IDLE || activity == ACTIVITY_APPLY_PENDING;
}

enum err lifecycle_next(enum activity from, enum life_event event, enum activity *ret, struct error *e)
{
        int to = activities[from].on[event];

        if (to) {
                *ret = (enum activity)(to - 1);
                return ERR_OK;
        }
        if (event == LIFE_CANCEL && !activities[from].running)
                return error_set(e, ERR_NOT_FOUND, "Nothing is under way that could be cancelled");
        return error_set(e, ERR_BUSY, "While the certificate is in the state '%s', '%s' is not possible",
                         activities[from].name, event_names[event]);
}

static const char *const health_names[_HEALTH_MAX] = {[HEALTH_NONE] = "none",
                                                      [HEALTH_VALID] = "valid",
                                                      [HEALTH_EXPIRING] = "expiring",
                                                      [HEALTH_EXPIRED] = "expired",
                                                      [HEALTH_REVOKED] = "revoked"};

const char *health_name(enum health health)
{
        return health_names[health];
}

enum health health_of(const struct health_dates *dates, uint64_t now)
{
        if (!dates->not_before && !dates->not_after)
                return HEALTH_NONE;
        if (now > dates->not_after)
                return HEALTH_EXPIRED;
        if (dates->revoked_at)
                return HEALTH_REVOKED;
        return now >= dates->renew_at ? HEALTH_EXPIRING : HEALTH_VALID;
}

int32_t csp_status(enum activity activity, enum health health)
{
        switch (activity) {
        case ACTIVITY_PENDING:
                return 2;
        case ACTIVITY_FAILED:
                return 16;
        case ACTIVITY_IDLE:
        case ACTIVITY_APPLY_PENDING:
                return health == HEALTH_VALID || health == HEALTH_EXPIRING ? 1 : 32;
        case ACTIVITY_REQUESTING:
        case ACTIVITY_NEEDS_CHALLENGE:
        case ACTIVITY_WAITING_FOR_USER:
        case ACTIVITY_INSTALLING:
        case ACTIVITY_REMOVING:
        case _ACTIVITY_MAX:
                break;
        }
        return 32;
}
