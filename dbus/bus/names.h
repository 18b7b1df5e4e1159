/* The names both ends of the bus share. What the methods mean stands in dbus/org.scepter1.*.xml. */
#pragma once

#define BUS_NAME                  "org.scepter1"
#define BUS_PATH                  "/org/scepter1"
#define BUS_PATH_PROFILES         "/org/scepter1/profile"     /* then /<id> */
#define BUS_PATH_CERTIFICATES     "/org/scepter1/certificate" /* then /<id> */
#define BUS_INTERFACE_MANAGER     "org.scepter1.Manager"
#define BUS_INTERFACE_PROFILE     "org.scepter1.Profile"
#define BUS_INTERFACE_CERTIFICATE "org.scepter1.Certificate"
#define BUS_INTERFACE_AGENT       "org.scepter1.Agent" /* of the caller */
#define BUS_ERROR_PREFIX          "org.scepter1.Error."

#define BUS_INTERFACE_PROPERTIES "org.freedesktop.DBus.Properties"
#define BUS_INTERFACE_OBJECTS    "org.freedesktop.DBus.ObjectManager"
#define BUS_INTERFACE_INTROSPECT "org.freedesktop.DBus.Introspectable"

/* polkit actions */
#define BUS_ACTION_ENROLL_SELF         "org.scepter1.enroll-self"
#define BUS_ACTION_ENROLL_DEVICE       "org.scepter1.enroll-device"
#define BUS_ACTION_MANAGE_OWN_PROFILES "org.scepter1.manage-own-profiles"
#define BUS_ACTION_MANAGE_PROFILES     "org.scepter1.manage-profiles"

/* keys of option dictionaries, with their types */
#define BUS_OPTION_OWN               "own"               /* b, AddProfile */
#define BUS_OPTION_FILES             "files"             /* a{sh}, AddProfile */
#define BUS_OPTION_USER              "user"              /* s, ApplySyncML, Enroll, Resolve */
#define BUS_OPTION_CHALLENGE         "challenge"         /* h, Enroll */
#define BUS_OPTION_PIN               "pin"               /* h, Enroll, Renew, TestKey, Attest */
#define BUS_OPTION_WITH_CERTIFICATES "with-certificates" /* b, Profile.Remove */
#define BUS_OPTION_NAME              "name"              /* s, ListCertificates */
#define BUS_OPTION_PROFILE           "profile"           /* o, ListCertificates */
#define BUS_OPTION_HEALTH            "health"            /* s, ListCertificates */
#define BUS_OPTION_ACTIVITY          "activity"          /* s, ListCertificates */
#define BUS_OPTION_CERTIFICATE       "certificate"       /* o, GetEvents, FollowEvents */
#define BUS_OPTION_SINCE             "since"             /* t, GetEvents, FollowEvents */
#define BUS_OPTION_ACCEPT            "accept"            /* b, Renew */
#define BUS_OPTION_LIMIT             "limit"             /* u, GetEvents, FollowEvents */

/* what Agent.RequestPin tells */
#define BUS_ASK_NAME    "name"       /* s */
#define BUS_ASK_REASON  "reason"     /* s */
#define BUS_ASK_TRIES   "tries-left" /* u */
#define BUS_ASK_MINIMUM "minimum"    /* u */
#define BUS_ASK_MAXIMUM "maximum"    /* u */

/* formats of AddProfile */
#define BUS_FORMAT_AUTO   "auto"
#define BUS_FORMAT_INI    "ini"
#define BUS_FORMAT_SYNCML "syncml"

#define BUS_LOST_OWNER UINT32_C(4294967294) /* property Owner */

enum {
        BUS_DOCUMENT_MAX = 1024 * 1024,
        BUS_PIN_MAX = 32,          /* octets: what a TPM takes */
        BUS_CHALLENGE_MAX = 16384, /* Intune's are kilobytes */
        BUS_NONCE_MAX = 1024,
        BUS_BUNDLE_MAX = 512 * 1024,
        BUS_PAGE_MAX = 250,
        BUS_STRING_MAX = 16 * 1024,      /* octets of one string on the bus */
        BUS_FDS_MAX = 16,                /* descriptors of one message: the limit of the system bus */
        BUS_FILES_MAX = BUS_FDS_MAX - 1, /* entries of option "files": the document needs one too */
};
